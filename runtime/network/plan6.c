/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/plan6.h"

#include "base/sha256.h"
#include "runtime/network/plan.h"

#include <arpa/inet.h>
#include <string.h>

#define SEGMENT_PREFIX 64
#define PREFIX_MIN     8

int dv_ip6_parse(struct dv_str text, struct dv_ip6 *ret, struct dv_error *err)
{
    char copy[DV_IP6_TEXT_MAX];
    struct dv_ip6 address;
    if (text.len < sizeof(copy)) {
        memcpy(copy, text.data, text.len);
        copy[text.len] = '\0';
        if (inet_pton(AF_INET6, copy, address.bytes) == 1) {
            *ret = address;
            return 0;
        }
    }
    return dv_error_set(err, DV_ERR_INVALID, "'%.*s' is no IPv6 address", DV_STR_ARG(text));
}

char *dv_ip6_text(const struct dv_ip6 *address, char text[DV_IP6_TEXT_MAX])
{
    (void)inet_ntop(AF_INET6, address->bytes, text, DV_IP6_TEXT_MAX);
    return text;
}

struct dv_ip6 dv_cidr6_network(const struct dv_cidr6 *cidr)
{
    struct dv_ip6 ret = cidr->address;
    for (unsigned bit = cidr->prefix_len; bit < 128; bit++)
        ret.bytes[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
    return ret;
}

static uint64_t read_half(const uint8_t *bytes)
{
    uint64_t half = 0;
    for (unsigned i = 0; i < 8; i++)
        half = half << 8 | bytes[i];
    return half;
}

static void write_half(uint64_t half, uint8_t *bytes)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(half >> (56 - 8 * i));
}

static struct dv_plan6 plan_of(uint64_t first, unsigned prefix_len)
{
    unsigned bits = SEGMENT_PREFIX - prefix_len;
    bool has_all = bits >= 8; /* 1 << 8 segments */
    return (struct dv_plan6){first, has_all ? DV_PLAN_SEGMENTS_MAX : 1U << bits};
}

/* 2000::/3 and fc00::/7 */
static bool is_routable(const struct dv_ip6 *address)
{
    return (address->bytes[0] & 0xe0) == 0x20 || (address->bytes[0] & 0xfe) == 0xfc;
}

int dv_plan6_parse(struct dv_str text, struct dv_plan6 *ret, struct dv_error *err)
{
    struct dv_str head;
    struct dv_str bits;
    struct dv_ip6 address;
    int64_t prefix_len = 0;
    if (!dv_str_cut(text, '/', &head, &bits) || dv_ip6_parse(head, &address, NULL) < 0 ||
        dv_str_to_i64(bits, PREFIX_MIN, SEGMENT_PREFIX, &prefix_len, NULL) < 0)
        return dv_error_set(err, DV_ERR_INVALID,
                            "'%.*s' is no IPv6 network with a prefix of %d to %d bits "
                            "(fd12:3456:789a::/48)",
                            DV_STR_ARG(text), PREFIX_MIN, SEGMENT_PREFIX);
    if (!is_routable(&address))
        return dv_error_set(err, DV_ERR_INVALID,
                            "'%.*s' is neither of global unicast (2000::/3) nor of unique local "
                            "addresses (fc00::/7)",
                            DV_STR_ARG(text));
    uint64_t first = read_half(address.bytes);
    if (first & ~(UINT64_MAX << (SEGMENT_PREFIX - (unsigned)prefix_len)) ||
        read_half(address.bytes + 8))
        return dv_error_set(err, DV_ERR_INVALID,
                            "'%.*s' is no network: behind the prefix all bits must be zero",
                            DV_STR_ARG(text));
    *ret = plan_of(first, (unsigned)prefix_len);
    return 0;
}

struct dv_plan6 dv_plan6_derive(struct dv_str machine, const char *name)
{
    struct dv_sha256 sha;
    uint8_t digest[DV_SHA256_SIZE];
    dv_sha256_init(&sha);
    dv_sha256_add_part(&sha, "davit ip6", strlen("davit ip6"));
    dv_sha256_add_part(&sha, machine.data, machine.len);
    dv_sha256_add_part(&sha, name, strlen(name));
    dv_sha256_finish(&sha, digest);
    uint8_t half[8] = {0xfd};
    memcpy(half + 1, digest, 5);
    return plan_of(read_half(half), 48);
}

static struct dv_cidr6 address_of(const struct dv_plan6 *plan, unsigned segment, uint64_t host)
{
    struct dv_cidr6 ret = {.prefix_len = SEGMENT_PREFIX};
    write_half(plan->first + segment, ret.address.bytes);
    write_half(host, ret.address.bytes + 8);
    return ret;
}

struct dv_cidr6 dv_plan6_bridge(const struct dv_plan6 *plan, unsigned segment)
{
    return address_of(plan, segment, 1);
}

/* 0.0.0.1 is in no network of the IPv4 plan, so none has the address of the bridge. */
struct dv_cidr6 dv_plan6_container(const struct dv_plan6 *plan, unsigned segment, uint32_t ip4)
{
    return address_of(plan, segment, ip4);
}

bool dv_plan6_follow(struct dv_plan6 *plan, unsigned segment, const struct dv_ip6 *address)
{
    uint64_t first = read_half(address->bytes) - segment;
    if (first == plan->first)
        return true;
    *plan = (struct dv_plan6){first, DV_PLAN_SEGMENTS_MAX};
    return false;
}
