/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The container network of this machine: bridges <name>0, <name>1 ... with at most 250 containers
 * each, a veth pair for every container, and one nftables table <name>.
 *
 * What exists in the kernel is the state; beside it there is one file per connected container below
 * <run_dir>/network, written before anything is made. A new object keeps what belongs to processes
 * that live and removes the rest, so a davitd that was killed at any step leaves nothing behind for
 * longer than until the next start.
 *
 * All calls are made by a thread of the object's own, since libnftables needs a large stack, and
 * since it enters network namespaces of containers for a moment. The caller waits for it.
 */
#include "runtime/network.h"
#include "runtime/network/plan.h"

#include <stdbool.h>

#define DV_NETWORK_NAME_MAX 8

struct dv_network_options {
    const char *run_dir;
    const char *etc_dir;  /* <etc_dir>/<container id>/hosts becomes /etc/hosts; empty: none */
    const char *name;     /* [a-z][a-z0-9]*: of bridges and table */
    const char *alt_name; /* the first bridge has this name too; empty: none */
    const char *address;  /* "172.18.0.1/16"; empty: one is chosen */
    const char *range;    /* containers get addresses of it; empty: of the whole network */
    const char *gateway;  /* of containers, instead of the bridge; empty: none */
    const char *network6; /* "fd12:3456:789a::/48"; empty: unique local addresses */
    unsigned mtu;         /* 0: the kernel's default */
    bool is_disabled;
    bool is_isolated; /* containers do not reach each other */
    bool has_rules;   /* false: nothing is done in nftables */
    bool is_forwarding;
    bool is_masquerading;
    bool has_ip6; /* containers have IPv6 too */
};

/* A machine where the network cannot be set up is no error: attach() and describe() say why. The
 * options are borrowed for the life of the object. */
__attribute__((warn_unused_result)) int dv_network_new(const struct dv_network_options *options,
                                                       struct dv_network **ret,
                                                       struct dv_error *err);
