/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The address plan of the container network: which bridge and which IPv4 address a container gets.
 * A bridge slows down with its ports, so the network is cut into segments of one bridge each, with
 * at most DV_PLAN_PORTS_MAX containers; the next segment is used when those before are full. An
 * address that was given back is the last to be taken again, so that what others remember of it
 * has time to fade. Pure: no kernel, no allocation after init; addresses in host byte order. One
 * thread.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_PLAN_PORTS_MAX    250
#define DV_PLAN_SEGMENTS_MAX 256
#define DV_PLAN_OFFSETS      256
#define DV_IP4_TEXT_MAX      16

/* An address and the length of its network's prefix. */
struct dv_cidr {
    uint32_t address;
    unsigned prefix_len;
};

/* What is wanted; a prefix_len or address of 0 means not given. */
struct dv_plan_wish {
    struct dv_cidr bridge; /* address of the first bridge, and the whole network */
    struct dv_cidr fixed;  /* containers get addresses of this part only, on one bridge */
    uint32_t gateway;      /* default route of containers instead of the bridge; one bridge then */
};

struct dv_plan_segment {
    uint64_t taken[DV_PLAN_OFFSETS / 64]; /* by distance from the first address */
    unsigned count;
    unsigned next; /* where the search begins */
};

struct dv_plan {
    struct dv_plan_wish wish;
    unsigned segment_count;
    struct dv_plan_segment *segments;
};

struct dv_plan_slot {
    unsigned segment;
    uint32_t address;
};

/* "172.18.0.1/16"; without '/' the prefix has 32 bits. */
__attribute__((warn_unused_result)) int
dv_cidr_parse(struct dv_str text, struct dv_cidr *ret, struct dv_error *err);
__attribute__((warn_unused_result)) int
dv_ip4_parse(struct dv_str text, uint32_t *ret, struct dv_error *err);
char *dv_ip4_text(uint32_t address, char text[DV_IP4_TEXT_MAX]); /* returns `text` */
uint32_t dv_cidr_mask(unsigned prefix_len);
bool dv_cidr_overlaps(struct dv_cidr a, struct dv_cidr b);

/* The first network of 172.17.0.0/16 ... 172.31.0.0/16, 192.168.0.0/20 ... that overlaps none of
 * `busy`; *ret is the address of its bridge. LIMIT if there is none. */
__attribute__((warn_unused_result)) int
dv_plan_choose(const struct dv_cidr *busy, size_t count, struct dv_cidr *ret, struct dv_error *err);
/* The one of those networks that this address is a bridge of; false if it is in none. */
bool dv_plan_of_bridge(uint32_t address, struct dv_cidr *ret);

/* INVALID names what does not fit together. */
__attribute__((warn_unused_result)) int
dv_plan_init(struct dv_plan *plan, const struct dv_plan_wish *wish, struct dv_error *err);
void dv_plan_done(struct dv_plan *plan);
DV_DEFINE_CLEANUP_IN_PLACE(dv_plan, dv_plan_done)

/* LIMIT names the rule when all addresses are in use. */
__attribute__((warn_unused_result)) int
dv_plan_take(struct dv_plan *plan, struct dv_plan_slot *ret, struct dv_error *err);
/* Marks an address that is in use already; false if it is not of this plan, or taken. */
bool dv_plan_keep(struct dv_plan *plan, uint32_t address, struct dv_plan_slot *ret);
void dv_plan_give(struct dv_plan *plan, const struct dv_plan_slot *slot);

/* Address of a segment's bridge and its network; the default gateway of its containers. */
struct dv_cidr dv_plan_bridge(const struct dv_plan *plan, unsigned segment);
uint32_t dv_plan_gateway(const struct dv_plan *plan, unsigned segment);
size_t dv_plan_used(const struct dv_plan *plan);
