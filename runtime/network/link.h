/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Interfaces, addresses and routes: rtnetlink requests, each answered before the call returns. An
 * object is bound to the network namespace of the thread that opened it, and belongs to one
 * thread. Names of interfaces are looked up in the namespace of the calling thread.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/network/plan.h"
#include "runtime/network/plan6.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_MAC_BYTES 6

struct dv_links;

__attribute__((warn_unused_result)) int dv_links_open(struct dv_links **ret, struct dv_error *err);
void dv_links_close(struct dv_links *links);
DV_DEFINE_CLEANUP(dv_links, dv_links_close)

/* Up, with that hardware address for good. `mtu` 0: the kernel's default. */
__attribute__((warn_unused_result)) int dv_links_add_bridge(struct dv_links *links,
                                                            const char *name,
                                                            const uint8_t mac[DV_MAC_BYTES],
                                                            unsigned mtu,
                                                            struct dv_error *err);
__attribute__((warn_unused_result)) int
dv_links_add_name(struct dv_links *links, unsigned index, const char *name, struct dv_error *err);

struct dv_veth {
    const char *name; /* here */
    const char *alias;
    unsigned bridge;  /* index of the interface that it becomes a port of */
    bool is_isolated; /* from other ports that are */
    unsigned mtu;
    int peer_ns; /* descriptor of the namespace that the other end is made in */
    const char *peer_name;
    uint8_t peer_mac[DV_MAC_BYTES];
};
/* The end here is up, the other one not yet. */
__attribute__((warn_unused_result)) int
dv_links_add_veth(struct dv_links *links, const struct dv_veth *veth, struct dv_error *err);

/* 0 also if there is no such interface. */
int dv_links_delete(struct dv_links *links, const char *name, struct dv_error *err);
__attribute__((warn_unused_result)) int
dv_links_set_up(struct dv_links *links, unsigned index, struct dv_error *err);
__attribute__((warn_unused_result)) int dv_links_add_address(struct dv_links *links,
                                                             unsigned index,
                                                             struct dv_cidr address,
                                                             struct dv_error *err);
__attribute__((warn_unused_result)) int dv_links_add_default_route(struct dv_links *links,
                                                                   unsigned index,
                                                                   uint32_t gateway,
                                                                   struct dv_error *err);

/* 0 also if it has the address. It is used at once, without a search for others that have it. */
__attribute__((warn_unused_result)) int dv_links_add_address6(struct dv_links *links,
                                                              unsigned index,
                                                              const struct dv_cidr6 *address,
                                                              struct dv_error *err);
__attribute__((warn_unused_result)) int dv_links_add_default_route6(struct dv_links *links,
                                                                    unsigned index,
                                                                    const struct dv_ip6 *gateway,
                                                                    struct dv_error *err);
/* Packets to ::1 that come in by this interface are for this machine, as answers to what loopback
 * sent to a mapped port. Such that were sent to ::1 the kernel drops before. `metric` must differ
 * between interfaces; 0 also if there is such a route. */
__attribute__((warn_unused_result)) int dv_links_add_loopback6(struct dv_links *links,
                                                               unsigned index,
                                                               uint32_t metric,
                                                               struct dv_error *err);
