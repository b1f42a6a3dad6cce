/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The IPv6 half of the address plan: every segment is a /64, and what is behind the prefix comes
 * from the IPv4 plan. The bridge is <prefix>::1; a container has its IPv4 address there, so an
 * address is taken and given back once for both. Without a configured network it is one of unique
 * local addresses (RFC 4193, 3.2), whose 40 bits come from the identity of the machine and the name
 * of the network, so that it stays the same over restarts and differs between machines. Pure; any
 * thread.
 */
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_IP6_TEXT_MAX 46

struct dv_ip6 {
    uint8_t bytes[16]; /* network order */
};

struct dv_cidr6 {
    struct dv_ip6 address;
    unsigned prefix_len;
};

struct dv_plan6 {
    uint64_t first; /* the upper half of the addresses of segment 0 */
    unsigned segment_count;
};

/* Without scope. */
__attribute__((warn_unused_result)) int
dv_ip6_parse(struct dv_str text, struct dv_ip6 *ret, struct dv_error *err);
char *dv_ip6_text(const struct dv_ip6 *address, char text[DV_IP6_TEXT_MAX]); /* returns `text` */

/* Its first address: all bits behind the prefix are zero. */
struct dv_ip6 dv_cidr6_network(const struct dv_cidr6 *cidr);

/* "fd12:3456:789a::/48": a network of 8 to 64 bits, at most 256 segments of it. INVALID names the
 * rule. */
__attribute__((warn_unused_result)) int
dv_plan6_parse(struct dv_str text, struct dv_plan6 *ret, struct dv_error *err);
/* `machine` is what is unique to it; it does not show in the result. */
struct dv_plan6 dv_plan6_derive(struct dv_str machine, const char *name);

struct dv_cidr6 dv_plan6_bridge(const struct dv_plan6 *plan, unsigned segment);
struct dv_cidr6 dv_plan6_container(const struct dv_plan6 *plan, unsigned segment, uint32_t ip4);
/* Whether a container in that segment has this address by the plan; else the plan becomes the one
 * that it is of. */
bool dv_plan6_follow(struct dv_plan6 *plan, unsigned segment, const struct dv_ip6 *address);
