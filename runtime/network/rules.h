/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The texts of nftables transactions. All of davit is in one table of its own; what belongs to a
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

#include <stdbool.h>

#define DV_RULES_BYTES_MAX (16U << 20)

struct dv_rules_bridge {
    const char *name;
    struct dv_cidr address;
};

struct dv_rules_port {
    const char *proto;     /* tcp, udp, sctp */
    uint32_t host_address; /* 0: all of this machine */
    unsigned host_port;
    uint32_t address; /* of the container */
    unsigned port;
};

struct dv_rules {
    const char *table;
    bool is_masquerading;
    bool is_isolated; /* containers do not reach each other */
    const struct dv_rules_bridge *bridges;
    size_t bridge_count;
};

/* The whole table, in place of what was there. */
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
/* No table, also when there is none. */
__attribute__((warn_unused_result)) int
dv_rules_drop(const char *table, struct dv_buf *out, struct dv_error *err);
