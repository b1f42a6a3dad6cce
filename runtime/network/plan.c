/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/plan.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define SEGMENT_PREFIX 24
#define PREFIX_MAX     30 /* bridge, one container, network and broadcast address */

/* -- addresses ------------------------------------------------------------------------------ */

int dv_ip4_parse(struct dv_str text, uint32_t *ret, struct dv_error *err)
{
    char copy[DV_IP4_TEXT_MAX];
    struct in_addr address;
    if (text.len < sizeof(copy)) {
        memcpy(copy, text.data, text.len);
        copy[text.len] = '\0';
        if (inet_pton(AF_INET, copy, &address) == 1) {
            *ret = ntohl(address.s_addr);
            return 0;
        }
    }
    return dv_error_set(err, DV_ERR_INVALID, "'%.*s' is no IPv4 address", DV_STR_ARG(text));
}

int dv_cidr_parse(struct dv_str text, struct dv_cidr *ret, struct dv_error *err)
{
    struct dv_str address;
    struct dv_str bits;
    struct dv_cidr cidr = {.prefix_len = 32};
    int64_t prefix_len = 32;
    bool has_bits = dv_str_cut(text, '/', &address, &bits);
    int r = dv_ip4_parse(address, &cidr.address, err);
    if (r == 0 && has_bits && dv_str_to_i64(bits, 1, 32, &prefix_len, NULL) < 0)
        r = dv_error_set(err, DV_ERR_INVALID, "'%.*s' is no network: a prefix has 1 to 32 bits",
                         DV_STR_ARG(text));
    if (r < 0)
        return r;
    cidr.prefix_len = (unsigned)prefix_len;
    *ret = cidr;
    return 0;
}

char *dv_ip4_text(uint32_t address, char text[DV_IP4_TEXT_MAX])
{
    struct in_addr in = {htonl(address)};
    (void)inet_ntop(AF_INET, &in, text, DV_IP4_TEXT_MAX);
    return text;
}

uint32_t dv_cidr_mask(unsigned prefix_len)
{
    return prefix_len ? UINT32_MAX << (32 - prefix_len) : 0;
}

bool dv_cidr_overlaps(struct dv_cidr a, struct dv_cidr b)
{
    uint32_t mask = dv_cidr_mask(a.prefix_len < b.prefix_len ? a.prefix_len : b.prefix_len);
    return (a.address & mask) == (b.address & mask);
}

/* -- the choice of a network ---------------------------------------------------------------- */

#define CANDIDATES 31

/* 172.17.0.1/16 ... 172.31.0.1/16, then 192.168.0.1/20 ... 192.168.240.1/20. */
static struct dv_cidr candidate(unsigned index)
{
    if (index < 15)
        return (struct dv_cidr){0xac110001U + (index << 16), 16};
    return (struct dv_cidr){0xc0a80001U + ((index - 15) << 12), 20};
}

int dv_plan_choose(const struct dv_cidr *busy,
                   size_t count,
                   struct dv_cidr *ret,
                   struct dv_error *err)
{
    for (unsigned i = 0; i < CANDIDATES; i++) {
        struct dv_cidr at = candidate(i);
        bool is_free = true;
        for (size_t k = 0; k < count && is_free; k++)
            is_free = !dv_cidr_overlaps(at, busy[k]);
        if (is_free) {
            *ret = at;
            return 0;
        }
    }
    return dv_error_set(err, DV_ERR_LIMIT,
                        "no network of 172.17.0.0/16 ... 172.31.0.0/16 and 192.168.0.0/20 ... is "
                        "free on this machine; set network.default_bridge.ip4");
}

bool dv_plan_of_bridge(uint32_t address, struct dv_cidr *ret)
{
    for (unsigned i = 0; i < CANDIDATES; i++) {
        if (candidate(i).address == address) {
            *ret = candidate(i);
            return true;
        }
    }
    return false;
}

/* -- the plan ------------------------------------------------------------------------------- */

static bool is_inside(uint32_t address, struct dv_cidr network)
{
    uint32_t mask = dv_cidr_mask(network.prefix_len);
    return (address & mask) == (network.address & mask);
}

static bool is_single(const struct dv_plan_wish *wish)
{
    return wish->fixed.prefix_len || wish->gateway || wish->bridge.prefix_len >= SEGMENT_PREFIX;
}

static int check(const struct dv_plan_wish *wish, struct dv_error *err)
{
    struct dv_cidr bridge = wish->bridge;
    uint32_t host = bridge.address & ~dv_cidr_mask(bridge.prefix_len);
    if (bridge.prefix_len < 8 || bridge.prefix_len > PREFIX_MAX)
        return dv_error_set(err, DV_ERR_INVALID,
                            "network.default_bridge.ip4: the prefix must have 8 to %d bits",
                            PREFIX_MAX);
    if (host == 0 || host == ~dv_cidr_mask(bridge.prefix_len))
        return dv_error_set(err, DV_ERR_INVALID,
                            "network.default_bridge.ip4: that is the address of the network, not "
                            "of a bridge in it");
    if (wish->fixed.prefix_len &&
        (wish->fixed.prefix_len < bridge.prefix_len || !is_inside(wish->fixed.address, bridge)))
        return dv_error_set(err, DV_ERR_INVALID,
                            "network.default_bridge.fcidr4: it is not inside the network of "
                            "network.default_bridge.ip4");
    if (wish->gateway && !is_inside(wish->gateway, bridge))
        return dv_error_set(err, DV_ERR_INVALID,
                            "network.default_bridge.gwip4: it is not inside the network of "
                            "network.default_bridge.ip4");
    return 0;
}

int dv_plan_init(struct dv_plan *plan, const struct dv_plan_wish *wish, struct dv_error *err)
{
    int r = check(wish, err);
    if (r < 0)
        return r;
    unsigned count = 1;
    if (!is_single(wish))
        count = wish->bridge.prefix_len <= 16 ? DV_PLAN_SEGMENTS_MAX
                                              : 1U << (SEGMENT_PREFIX - wish->bridge.prefix_len);
    struct dv_plan_segment *segments = calloc(count, sizeof(*segments));
    if (!segments)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the address plan");
    *plan = (struct dv_plan){.wish = *wish, .segment_count = count, .segments = segments};
    return 0;
}

void dv_plan_done(struct dv_plan *plan)
{
    free(plan->segments);
    plan->segments = NULL;
    plan->segment_count = 0;
}

struct dv_cidr dv_plan_bridge(const struct dv_plan *plan, unsigned segment)
{
    struct dv_cidr bridge = plan->wish.bridge;
    if (is_single(&plan->wish))
        return bridge;
    /* Segment 0 is the one that the wanted address is in, wherever that lies in the network. */
    uint32_t own = (bridge.address & ~dv_cidr_mask(bridge.prefix_len)) >> 8;
    if (segment == 0)
        return (struct dv_cidr){bridge.address, SEGMENT_PREFIX};
    uint32_t number = segment <= own ? segment - 1 : segment;
    uint32_t base = bridge.address & dv_cidr_mask(bridge.prefix_len);
    return (struct dv_cidr){base + (number << 8) + 1, SEGMENT_PREFIX};
}

uint32_t dv_plan_gateway(const struct dv_plan *plan, unsigned segment)
{
    return plan->wish.gateway ? plan->wish.gateway : dv_plan_bridge(plan, segment).address;
}

/* The part of a segment that containers get addresses of. */
static struct dv_cidr range_of(const struct dv_plan *plan, unsigned segment)
{
    return plan->wish.fixed.prefix_len ? plan->wish.fixed : dv_plan_bridge(plan, segment);
}

/* Neither all zeros nor all ones behind the prefix. Not in a range either, though that is no
 * network: too many devices take such an address for a broadcast. */
static bool is_host(uint32_t address, unsigned prefix_len)
{
    uint32_t host = address & ~dv_cidr_mask(prefix_len);
    return host != 0 && host != ~dv_cidr_mask(prefix_len);
}

/* Whether the address at that distance from the first may be given to a container. */
static bool is_usable(const struct dv_plan *plan, unsigned segment, unsigned offset)
{
    struct dv_cidr range = range_of(plan, segment);
    struct dv_cidr bridge = dv_plan_bridge(plan, segment);
    uint32_t address = (range.address & dv_cidr_mask(range.prefix_len)) + offset;
    return is_inside(address, range) && is_host(address, bridge.prefix_len) &&
           (range.prefix_len > PREFIX_MAX || is_host(address, range.prefix_len)) &&
           address != bridge.address && address != plan->wish.gateway;
}

static bool is_taken(const struct dv_plan_segment *segment, unsigned offset)
{
    return segment->taken[offset / 64] >> (offset % 64) & 1;
}

static struct dv_plan_slot take_at(struct dv_plan *plan, unsigned number, unsigned offset)
{
    struct dv_plan_segment *segment = &plan->segments[number];
    struct dv_cidr range = range_of(plan, number);
    segment->taken[offset / 64] |= 1ULL << (offset % 64);
    segment->count++;
    segment->next = (offset + 1) % DV_PLAN_OFFSETS;
    return (struct dv_plan_slot){number, (range.address & dv_cidr_mask(range.prefix_len)) + offset};
}

int dv_plan_take(struct dv_plan *plan, struct dv_plan_slot *ret, struct dv_error *err)
{
    for (unsigned i = 0; i < plan->segment_count; i++) {
        const struct dv_plan_segment *segment = &plan->segments[i];
        for (unsigned k = 0; segment->count < DV_PLAN_PORTS_MAX && k < DV_PLAN_OFFSETS; k++) {
            unsigned offset = (segment->next + k) % DV_PLAN_OFFSETS;
            if (is_taken(segment, offset) || !is_usable(plan, i, offset))
                continue;
            *ret = take_at(plan, i, offset);
            return 0;
        }
    }
    return dv_error_set(err, DV_ERR_LIMIT,
                        "all %zu addresses of the container network are in use; give it a larger "
                        "one by network.default_bridge.ip4 and fcidr4",
                        dv_plan_used(plan));
}

bool dv_plan_keep(struct dv_plan *plan, uint32_t address, struct dv_plan_slot *ret)
{
    for (unsigned i = 0; i < plan->segment_count; i++) {
        struct dv_cidr range = range_of(plan, i);
        uint32_t offset = address - (range.address & dv_cidr_mask(range.prefix_len));
        if (offset >= DV_PLAN_OFFSETS || !is_usable(plan, i, offset))
            continue;
        if (is_taken(&plan->segments[i], offset))
            return false;
        *ret = take_at(plan, i, offset);
        return true;
    }
    return false;
}

void dv_plan_give(struct dv_plan *plan, const struct dv_plan_slot *slot)
{
    struct dv_plan_segment *segment = &plan->segments[slot->segment];
    struct dv_cidr range = range_of(plan, slot->segment);
    uint32_t offset = slot->address - (range.address & dv_cidr_mask(range.prefix_len));
    if (!is_taken(segment, offset))
        return;
    segment->taken[offset / 64] &= ~(1ULL << (offset % 64));
    segment->count--;
}

size_t dv_plan_used(const struct dv_plan *plan)
{
    size_t used = 0;
    for (unsigned i = 0; i < plan->segment_count; i++)
        used += plan->segments[i].count;
    return used;
}
