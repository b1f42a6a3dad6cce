/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bridges and rules: found, made, and taken away. The order is such that a davitd killed between
 * any two steps leaves only what the next one removes or goes on with.
 */
#include "base/durable.h"
#include "base/log.h"
#include "runtime/network/rules.h"
#include "runtime/network/state.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROC_FILE_MAX (4U << 20)

char *network_bridge_name(const struct network *n, unsigned segment, char name[IF_NAMESIZE])
{
    snprintf(name, IF_NAMESIZE, "%.*s%u", DV_NETWORK_NAME_MAX, n->options->name, segment);
    return name;
}

/* "<name><digits>", or "<name><digits>p<digits>" for a port. */
static bool is_ours(const struct network *n, const char *interface, bool is_port)
{
    static const char digits[] = "0123456789";
    size_t len = strlen(n->options->name);
    if (strncmp(interface, n->options->name, len) != 0)
        return false;
    const char *at = interface + len;
    size_t first = strspn(at, digits);
    at += first;
    if (!first)
        return false;
    if (!is_port)
        return *at == '\0';
    return *at == 'p' && at[1] && at[1 + strspn(at + 1, digits)] == '\0';
}

static int run_rules(struct network *n, const struct dv_buf *text, struct dv_error *err)
{
    return n->options->has_rules && text->data ? dv_nft_run(n->nft, text->data, err) : 0;
}

/* -- what was left -------------------------------------------------------------------------- */

static bool is_port_of_endpoint(const struct network *n, const char *interface)
{
    const struct endpoint *endpoint;
    LIST_FOREACH(endpoint, &n->endpoints, link)
    {
        if (strcmp(endpoint->data->settings->interface, interface) == 0)
            return true;
    }
    return false;
}

/* Ports of nobody; bridges too if nobody is connected: they may have another address now. */
static int remove_links(struct network *n, struct dv_error *err)
{
    struct if_nameindex *all = if_nameindex();
    int r = 0;
    for (const struct if_nameindex *at = all; r == 0 && at && at->if_index; at++) {
        bool is_left = is_ours(n, at->if_name, true) && !is_port_of_endpoint(n, at->if_name);
        bool is_unused = n->endpoint_count == 0 && is_ours(n, at->if_name, false);
        if (is_left || is_unused)
            r = dv_links_delete(n->links, at->if_name, err);
    }
    if (all)
        if_freenameindex(all);
    return r;
}

static int remove_dead(struct network *n, struct dv_error *err)
{
    struct endpoint *endpoint = LIST_FIRST(&n->endpoints);
    while (endpoint) {
        struct endpoint *next = LIST_NEXT(endpoint, link);
        int r = endpoint_is_alive(endpoint) ? 0 : endpoint_remove(n, endpoint, err);
        if (r < 0)
            return r;
        endpoint = next;
    }
    return 0;
}

/* -- the plan ------------------------------------------------------------------------------- */

static bool address_of(const char *interface, struct dv_cidr *ret)
{
    struct ifaddrs *all = NULL;
    bool is_found = false;
    if (getifaddrs(&all) < 0)
        return false;
    for (const struct ifaddrs *at = all; at && !is_found; at = at->ifa_next) {
        if (!at->ifa_addr || !at->ifa_netmask || at->ifa_addr->sa_family != AF_INET ||
            strcmp(at->ifa_name, interface) != 0)
            continue;
        const struct sockaddr_in *address = (const void *)at->ifa_addr;
        const struct sockaddr_in *mask = (const void *)at->ifa_netmask;
        *ret = (struct dv_cidr){ntohl(address->sin_addr.s_addr),
                                (unsigned)__builtin_popcount(mask->sin_addr.s_addr)};
        is_found = true;
    }
    freeifaddrs(all);
    return is_found;
}

static int choose_network(const struct network *n, struct dv_cidr *ret, struct dv_error *err)
{
    dv_autofree struct dv_cidr *busy = calloc(BUSY_MAX, sizeof(*busy));
    DV_AUTO_IN_PLACE(dv_buf) routes = DV_BUF_INIT(PROC_FILE_MAX);
    DV_AUTO_IN_PLACE(dv_buf) resolvers = DV_BUF_INIT(PROC_FILE_MAX);
    if (!busy)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the routes of this machine");
    int r = dv_file_read("/proc/thread-self/net/route", &routes, err);
    if (r < 0)
        return r;
    dv_autofree char *real = realpath("/etc/resolv.conf", NULL);
    if (real && dv_file_read(real, &resolvers, NULL) < 0)
        dv_buf_clear(&resolvers);
    size_t count =
        busy_of_routes((struct dv_str){routes.data, routes.len}, n->options->name, busy, BUSY_MAX);
    count += busy_of_resolvers((struct dv_str){resolvers.data, resolvers.len}, busy + count,
                               BUSY_MAX - count);
    return dv_plan_choose(busy, count, ret, err);
}

static int parse_wish(const struct network *n, struct dv_plan_wish *ret, struct dv_error *err)
{
    const struct dv_network_options *o = n->options;
    int r = 0;
    *ret = (struct dv_plan_wish){.gateway = 0};
    if (o->address[0]) {
        r = dv_cidr_parse(dv_str_of(o->address), &ret->bridge, err);
        if (r < 0)
            return dv_error_prefix(err, "network.default_bridge.ip4: ");
    }
    if (o->range[0]) {
        r = dv_cidr_parse(dv_str_of(o->range), &ret->fixed, err);
        if (r < 0)
            return dv_error_prefix(err, "network.default_bridge.fcidr4: ");
    }
    if (o->gateway[0]) {
        r = dv_ip4_parse(dv_str_of(o->gateway), &ret->gateway, err);
        if (r < 0)
            return dv_error_prefix(err, "network.default_bridge.gwip4: ");
    }
    return 0;
}

/* Containers that run keep the network that they are in. */
static int make_plan(struct network *n, struct dv_error *err)
{
    struct dv_plan_wish wish;
    struct dv_cidr now;
    char name[IF_NAMESIZE];
    int r = parse_wish(n, &wish, err);
    if (r < 0)
        return r;
    bool is_there = n->endpoint_count > 0 && address_of(network_bridge_name(n, 0, name), &now);
    if (is_there && wish.bridge.prefix_len && wish.bridge.address != now.address) {
        dv_log(DV_LOG_WARN, "network.default_bridge.ip4 takes effect when no container runs in the "
                            "old network");
        wish = (struct dv_plan_wish){.bridge = now};
    } else if (is_there && !wish.bridge.prefix_len) {
        if (!dv_plan_of_bridge(now.address, &wish.bridge))
            wish.bridge = now;
    } else if (!wish.bridge.prefix_len) {
        r = choose_network(n, &wish.bridge, err);
    }
    dv_plan_done(&n->plan);
    if (r == 0)
        r = dv_plan_init(&n->plan, &wish, err);
    struct endpoint *endpoint;
    LIST_FOREACH(endpoint, &n->endpoints, link)
    {
        uint32_t address = 0;
        endpoint->has_slot =
            r == 0 &&
            dv_ip4_parse(dv_str_of(endpoint->data->settings->address), &address, NULL) == 0 &&
            dv_plan_keep(&n->plan, address, &endpoint->slot);
        ports_hold_again(endpoint);
        endpoint->has_rules = endpoint->data->settings->ports.count > 0;
    }
    return r;
}

/* -- making --------------------------------------------------------------------------------- */

static int
set_up_bridge(struct network *n, unsigned segment, const char *name, struct dv_error *err)
{
    unsigned index = if_nametoindex(name);
    int r = dv_links_add_address(n->links, index, dv_plan_bridge(&n->plan, segment), err);
    if (r == 0 && segment == 0 && n->options->alt_name[0]) {
        struct dv_error why = DV_ERROR_INIT;
        if (dv_links_add_name(n->links, index, n->options->alt_name, &why) < 0)
            dv_log(DV_LOG_WARN, "network: %s; it goes without", why.text);
    }
    return r;
}

static int make_bridge(struct network *n, unsigned segment, const char *name, struct dv_error *err)
{
    uint32_t a = dv_plan_bridge(&n->plan, segment).address;
    uint8_t mac[DV_MAC_BYTES] = {
        2, 0xda, (uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a};
    int r = dv_links_add_bridge(n->links, name, mac, n->options->mtu, err);
    if (r < 0)
        return r;
    r = set_up_bridge(n, segment, name, err);
    if (r < 0)
        (void)dv_links_delete(n->links, name, NULL);
    return r;
}

static struct dv_rules_bridge
rules_of_bridge(const struct network *n, unsigned segment, const char *name)
{
    struct dv_rules_bridge bridge = {.name = name, .address = dv_plan_bridge(&n->plan, segment)};
    if (n->has_ip6)
        bridge.address6 = dv_plan6_bridge(&n->plan6, segment);
    return bridge;
}

int network_ensure_bridge(struct network *n, unsigned segment, struct dv_error *err)
{
    char name[IF_NAMESIZE];
    char path[64];
    if (n->has_bridge[segment])
        return 0;
    network_bridge_name(n, segment, name);
    int r = if_nametoindex(name) ? 0 : make_bridge(n, segment, name, err);
    /* So that answers to what loopback sent to a mapped port are taken; the rules drop whatever
     * else claims to be of loopback. */
    snprintf(path, sizeof(path), "ipv4/conf/%s/route_localnet", name);
    if (r == 0 && n->options->has_rules)
        r = sysctl_write(path, "1", err);
    if (r == 0)
        r = ip6_set_up_bridge(n, segment, name, err);
    if (r == 0 && n->is_ready) {
        struct dv_rules_bridge bridge = rules_of_bridge(n, segment, name);
        DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_RULES_BYTES_MAX);
        r = dv_rules_add_bridge(n->options->name, &bridge, &text, err);
        n->has_bridge[segment] = true;
        if (r == 0)
            r = network_change_rules(n, &text, err);
    }
    n->has_bridge[segment] = r == 0;
    return r;
}

/* The table in place of what an earlier davitd left, in one transaction: connections go on. */
static int make_rules(struct network *n, struct dv_error *err)
{
    dv_autofree char(*names)[IF_NAMESIZE] = calloc(n->plan.segment_count, sizeof(*names));
    dv_autofree struct dv_rules_bridge *bridges = calloc(n->plan.segment_count, sizeof(*bridges));
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    struct dv_rules rules = {
        .table = n->options->name,
        .is_masquerading = n->options->is_masquerading,
        .is_isolated = n->options->is_isolated,
        .has_ip6 = n->has_ip6,
        .bridges = bridges,
    };
    if (!names || !bridges)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the packet filter");
    for (unsigned i = 0; i < n->plan.segment_count; i++) {
        if (!n->has_bridge[i])
            continue;
        network_bridge_name(n, i, names[i]);
        bridges[rules.bridge_count++] = rules_of_bridge(n, i, names[i]);
    }
    int r = dv_rules_table(&rules, &text, err);
    if (r == 0)
        r = ports_append_rules(n, &text, err);
    return r < 0 ? r : run_rules(n, &text, err);
}

/* That of a davitd that had IPv6. A kernel without it cannot be asked for what it cannot have. */
static void drop_rules6(struct network *n)
{
    char text[64];
    snprintf(text, sizeof(text), "delete table ip6 %s\n", n->options->name);
    if (n->options->has_rules && !n->has_ip6)
        (void)!dv_nft_run(n->nft, text, NULL);
}

int network_change_rules(struct network *n, const struct dv_buf *text, struct dv_error *err)
{
    struct dv_error why = DV_ERROR_INIT;
    if (run_rules(n, text, &why) == 0)
        return 0;
    dv_log(DV_LOG_WARN, "network: table '%s' is put anew: %s", n->options->name, why.text);
    return make_rules(n, err);
}

int network_check_rules(struct network *n, struct dv_error *err)
{
    char text[64];
    if (!n->options->has_rules)
        return 0;
    snprintf(text, sizeof(text), "list chain ip %s guard\n", n->options->name);
    bool is_there = dv_nft_run(n->nft, text, NULL) == 0;
    snprintf(text, sizeof(text), "list chain ip6 %s guard\n", n->options->name);
    if (is_there && n->has_ip6)
        is_there = dv_nft_run(n->nft, text, NULL) == 0;
    if (is_there)
        return 0;
    dv_log(DV_LOG_WARN, "network: table '%s' is gone, it is put anew", n->options->name);
    return make_rules(n, err);
}

static int make_bridges(struct network *n, struct dv_error *err)
{
    memset(n->has_bridge, 0, sizeof(n->has_bridge));
    int r = network_ensure_bridge(n, 0, err);
    const struct endpoint *endpoint;
    LIST_FOREACH(endpoint, &n->endpoints, link)
    {
        if (r == 0 && endpoint->has_slot)
            r = network_ensure_bridge(n, endpoint->slot.segment, err);
    }
    return r;
}

static int open_all(struct network *n, struct dv_error *err)
{
    if (n->options->is_disabled)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "networkMode BRIDGE is switched off by network.default_bridge.disable; "
                            "use networkMode HOST");
    int r = n->links ? 0 : dv_links_open(&n->links, err);
    if (r == 0 && n->options->has_rules && !n->nft)
        r = dv_nft_new(&n->nft, err);
    if (r == 0) {
        endpoint_forget_all(n);
        r = endpoint_load_all(n, err);
    }
    return r;
}

int network_set_up(struct network *n, struct dv_error *err)
{
    if (n->is_ready)
        return 0;
    int r = open_all(n, err);
    if (r == 0)
        r = remove_dead(n, err);
    if (r == 0)
        r = remove_links(n, err);
    if (r == 0)
        r = make_plan(n, err);
    if (r == 0)
        r = ip6_plan(n, err);
    if (r == 0)
        r = make_bridges(n, err);
    if (r == 0)
        r = make_rules(n, err);
    if (r == 0)
        drop_rules6(n);
    if (r == 0 && n->options->is_forwarding)
        r = sysctl_write("ipv4/ip_forward", "1", err);
    if (r == 0 && n->options->is_forwarding && n->has_ip6)
        r = ip6_switch_forwarding_on(err);
    if (r == 0)
        firewall_warn(n);
    n->is_ready = r == 0;
    return r;
}

void network_tear_down(struct network *n)
{
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    if (!n->links || n->endpoint_count > 0)
        return;
    int r = remove_links(n, &err);
    if (r == 0 && n->nft)
        r = dv_rules_drop(n->options->name, n->has_ip6, &text, &err);
    if (r == 0 && n->nft)
        r = run_rules(n, &text, &err);
    if (r < 0)
        dv_log(DV_LOG_WARN, "network: not all could be taken away: %s", err.text);
}
