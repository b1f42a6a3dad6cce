/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The texts of nftables transactions. All of davit is in one table of its own, and with IPv6
 * in a second one of that family and the same name; what belongs to a
 * bridge is an element of a set, so a change adds or deletes elements and never rewrites rules.
 * Pure functions, any thread.
 *
 * Chains of the table: `guard` drops what pretends to be loopback; `incoming` and `local` lead what
 * is sent to a mapped port into its container; `outgoing` gives packets an address that answers
 * find back to; `through` decides about what is routed to a container: answers, and what came
 * through a mapped port. Containers are not to be reached from outside by routing past the port
 * mappings.
 */
#include "base/buf.h"
#include "base/error.h"
#include "runtime/network/plan.h"
#include "runtime/network/plan6.h"

#include <stdbool.h>

#define DV_RULES_BYTES_MAX (16U << 20)

struct dv_rules_bridge {
    const char *name;
    struct dv_cidr address;
    struct dv_cidr6 address6; /* prefix_len 0: it has none */
};

struct dv_rules_port {
    const char *proto; /* tcp, udp, sctp */
    bool is_ip6;
    char host_address[DV_IP6_TEXT_MAX]; /* empty: all of this machine */
    unsigned host_port;
    char address[DV_IP6_TEXT_MAX]; /* of the container */
    unsigned port;
};

struct dv_rules {
    const char *table;
    bool is_masquerading;
    bool is_isolated; /* containers do not reach each other */
    bool has_ip6;
    const struct dv_rules_bridge *bridges;
    size_t bridge_count;
};

/* The whole table, or both, in place of what was there. */
__attribute__((warn_unused_result)) int
dv_rules_table(const struct dv_rules *rules, struct dv_buf *out, struct dv_error *err);
__attribute__((warn_unused_result)) int dv_rules_add_bridge(const char *table,
                                                            const struct dv_rules_bridge *bridge,
                                                            struct dv_buf *out,
                                                            struct dv_error *err);
/* Elements for ports, or their end. */
__attribute__((warn_unused_result)) int dv_rules_add_ports(const char *table,
                                                           const struct dv_rules_port *ports,
                                                           size_t count,
                                                           struct dv_buf *out,
                                                           struct dv_error *err);
__attribute__((warn_unused_result)) int dv_rules_delete_ports(const char *table,
                                                              const struct dv_rules_port *ports,
                                                              size_t count,
                                                              struct dv_buf *out,
                                                              struct dv_error *err);
/* No table, also when there is none; only with `has_ip6` that of IPv6, which a kernel may lack. */
__attribute__((warn_unused_result)) int
dv_rules_drop(const char *table, bool has_ip6, struct dv_buf *out, struct dv_error *err);
