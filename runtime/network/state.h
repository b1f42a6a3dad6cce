/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The inside of the network driver; used by its own thread only, except the handing over. */
#include "base/buf.h"
#include "runtime/network/driver.h"
#include "runtime/network/link.h"
#include "runtime/network/nft.h"

#include <limits.h>
#include <net/if.h>
#include <pthread.h>
#include <sys/queue.h>

#define NETWORK_RUN_DIR_MAX 1024

struct endpoint {
    LIST_ENTRY(endpoint) link;
    struct dv_arena *arena; /* holds what follows */
    const struct dv_network_endpoint *data;
    struct dv_plan_slot slot;
    int *holders;   /* sockets that keep the ports of the host from others, -1: none */
    bool has_rules; /* its ports are in the table, or have to be */
    bool has_slot;  /* false: it is of a plan that the configuration does not have any more */
};

typedef int call_fn(void *network, void *args, struct dv_error *err);

struct network {
    struct dv_network port; /* first: the port's view of it */
    const struct dv_network_options *options;
    char dir[NETWORK_RUN_DIR_MAX];
    char description[512];

    /* The thread, and the one call that it is given at a time. */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_ending;
    call_fn *call;
    void *args;
    struct dv_error *err;
    int result;

    int own_ns;
    struct dv_links *links;
    struct dv_nft *nft;
    bool is_ready; /* bridges and rules are as they have to be */
    struct dv_plan plan;
    bool has_ip6; /* bridges and rules; containers that are connected now have it by the options */
    struct dv_plan6 plan6;
    bool has_bridge[DV_PLAN_SEGMENTS_MAX];
    LIST_HEAD(, endpoint) endpoints;
    size_t endpoint_count;
};

/* setup.c */
/* Until it has succeeded once, each call tries again. */
int network_set_up(struct network *n, struct dv_error *err);
int network_ensure_bridge(struct network *n, unsigned segment, struct dv_error *err);
/* If nothing is connected. */
void network_tear_down(struct network *n);
char *network_bridge_name(const struct network *n, unsigned segment, char name[IF_NAMESIZE]);
/* A change of the table, which has been noted before: if the change cannot be made because somebody
 * else flushed the table, it is put anew as a whole. */
int network_change_rules(struct network *n, const struct dv_buf *text, struct dv_error *err);
/* Puts the table anew if it is not there. */
int network_check_rules(struct network *n, struct dv_error *err);

/* endpoint.c */
struct endpoint *endpoint_find(struct network *n, const char *id);
/* Known from here on, and on disk. Takes the slot, also on failure. */
int endpoint_new(struct network *n,
                 const struct dv_network_attach_cmd *cmd,
                 const struct dv_plan_slot *slot,
                 struct endpoint **ret,
                 struct dv_error *err);
/* The process of an endpoint lives and is connected. */
bool endpoint_is_alive(const struct endpoint *endpoint);
/* Everything of it goes; what cannot be removed stays known, for the next try. */
int endpoint_remove(struct network *n, struct endpoint *endpoint, struct dv_error *err);
/* Reads what an earlier davitd left on disk. Endpoints have no slot yet. */
int endpoint_load_all(struct network *n, struct dv_error *err);
void endpoint_forget_all(struct network *n);

/* ports.c */
/* Chooses the ports of the host and holds them. */
int ports_take(struct network *n, struct endpoint *endpoint, struct dv_error *err);
/* What ports_take() would say now; nothing is held. */
int ports_check(const struct network *n,
                const struct dv_network_check_query *query,
                struct dv_error *err);
/* Holds them again after a restart; one that somebody else has taken meanwhile is reported. */
void ports_hold_again(struct endpoint *endpoint);
void ports_release(struct endpoint *endpoint);
int ports_open(struct network *n, struct endpoint *endpoint, struct dv_error *err);
int ports_close(struct network *n, struct endpoint *endpoint, struct dv_error *err);
/* Elements for the whole table. */
int ports_append_rules(const struct network *n, struct dv_buf *text, struct dv_error *err);

/* An address of this machine that a port is mapped of; all zeros: any. */
struct host_address {
    bool is_ip6;
    uint32_t ip4;
    struct dv_ip6 ip6;
};

/* conntrack.c */
/* Forgets the UDP flows to that port of this machine, which the kernel would go on to lead where
 * they were led before. */
int conntrack_forget(const struct host_address *address, unsigned port, struct dv_error *err);

/* hosts.c */
/* /etc/hosts of a container. */
int hosts_write(const struct network *n, const struct endpoint *endpoint, struct dv_error *err);
/* Of all that name others in theirs, but for this one. */
void hosts_update_others(const struct network *n, const struct endpoint *changed);

/* ip6.c */
/* Which network, or that there is none; what is connected keeps its own. UNSUPPORTED if the kernel
 * has no IPv6. */
int ip6_plan(struct network *n, struct dv_error *err);
/* Of a bridge that is there; changes nothing if all is as it has to be. */
int ip6_set_up_bridge(struct network *n, unsigned segment, const char *name, struct dv_error *err);
/* Makes the machine a router, one that listens to other routers as before. */
int ip6_switch_forwarding_on(struct dv_error *err);
/* In the namespace of a container, before it has an interface. */
int ip6_prepare_inside(bool has_ip6, struct dv_error *err);

/* connect.c */
int endpoint_connect(struct network *n, const struct endpoint *endpoint, struct dv_error *err);

/* firewall.c */
/* Whether a chain in the output of `nft list chains`, not in a table called `own`, drops by its
 * policy what is forwarded over IPv4, or IPv6 if containers have it; which one borrows from the
 * text. */
bool firewall_drops(struct dv_str listing,
                    const char *own,
                    bool has_ip6,
                    struct dv_str *ret_table,
                    struct dv_str *ret_chain);
/* Says so in the log. */
void firewall_warn(const struct network *n);

/* busy.c: networks that this machine uses, for dv_plan_choose(). */
#define BUSY_MAX 4096
/* Lines of /proc/net/route; those of the bridges named `own` do not count. */
size_t busy_of_routes(struct dv_str text, const char *own, struct dv_cidr *ret, size_t max);
/* Name servers of a resolv.conf. */
size_t busy_of_resolvers(struct dv_str text, struct dv_cidr *ret, size_t max);

/* sysctl.c: "ipv4/..." below /proc/sys/net of the namespace that the calling thread is in. */
int sysctl_write(const char *path, const char *value, struct dv_error *err);
/* A parameter that is there and has this value, of one digit. */
bool sysctl_is(const char *path, const char *value);
/* 0 also if the kernel does not have it. */
int sysctl_write_if_there(const char *path, const char *value, struct dv_error *err);
