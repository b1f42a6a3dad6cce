/* SPDX-License-Identifier: Apache-2.0 */
/* What IPv6 needs of the machine, of bridges and of the namespaces of containers. */
#include "base/durable.h"
#include "base/log.h"
#include "runtime/network/state.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONF            "ipv6/conf/"
#define ID_BYTES_MAX    256
#define LOOPBACK_METRIC 4096 /* beside that of the interface lo, which has 0 */

/* -- the plan ------------------------------------------------------------------------------- */

/* Without an identity the network is another one after each boot of the machine. */
static int read_machine(struct dv_buf *out, struct dv_error *err)
{
    if (dv_file_read("/etc/machine-id", out, NULL) == 0 && out->len > 1)
        return 0;
    dv_buf_clear(out);
    return dv_file_read("/proc/sys/kernel/random/boot_id", out, err);
}

static int read_plan(const struct network *n, struct dv_plan6 *ret, struct dv_error *err)
{
    if (n->options->network6[0]) {
        int r = dv_plan6_parse(dv_str_of(n->options->network6), ret, err);
        return r < 0 ? dv_error_prefix(err, "davit.network.ip6: ") : 0;
    }
    DV_AUTO_IN_PLACE(dv_buf) id = DV_BUF_INIT(ID_BYTES_MAX);
    int r = read_machine(&id, err);
    if (r == 0)
        *ret = dv_plan6_derive((struct dv_str){id.data, id.len}, n->options->name);
    return r;
}

/* Containers that run keep the addresses that they have, whatever the configuration says now. */
static void follow_connected(struct network *n)
{
    const struct endpoint *endpoint;
    bool was_on = n->has_ip6;
    bool is_moved = false;
    LIST_FOREACH(endpoint, &n->endpoints, link)
    {
        const char *text = endpoint->data->settings->address6;
        struct dv_ip6 address;
        if (!text || !endpoint->has_slot || dv_ip6_parse(dv_str_of(text), &address, NULL) < 0)
            continue;
        n->has_ip6 = true;
        is_moved |= !dv_plan6_follow(&n->plan6, endpoint->slot.segment, &address);
    }
    if (n->has_ip6 && !was_on)
        dv_log(DV_LOG_WARN, "network.default_bridge.enable_ip6 takes full effect when no container "
                            "with IPv6 runs");
    else if (is_moved)
        dv_log(DV_LOG_WARN, "davit.network.ip6 takes effect when no container runs in the old "
                            "network");
}

int ip6_plan(struct network *n, struct dv_error *err)
{
    int r = 0;
    n->has_ip6 = n->options->has_ip6;
    if (n->has_ip6 && access("/proc/sys/net/" CONF "all", F_OK) < 0)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "network.default_bridge.enable_ip6: this kernel has no IPv6, or it is "
                            "switched off (ipv6.disable=1); set the key to false");
    if (n->has_ip6)
        r = read_plan(n, &n->plan6, err);
    if (r < 0)
        return r;
    follow_connected(n);
    if (n->has_ip6 && n->plan.segment_count > n->plan6.segment_count)
        n->plan.segment_count = n->plan6.segment_count;
    return 0;
}

/* -- bridges -------------------------------------------------------------------------------- */

static int set(const char *interface, const char *key, const char *value, struct dv_error *err)
{
    char path[128];
    snprintf(path, sizeof(path), CONF "%s/%s", interface, key);
    return sysctl_write_if_there(path, value, err);
}

/* No address by routers that others claim to be, and none that is searched for before it is used:
 * all of them come from the plan. */
static int set_static(const char *interface, struct dv_error *err)
{
    int r = set(interface, "accept_ra", "0", err);
    if (r == 0)
        r = set(interface, "autoconf", "0", err);
    if (r == 0)
        r = set(interface, "accept_dad", "0", err);
    return r < 0 ? r : set(interface, "disable_ipv6", "0", err);
}

int ip6_set_up_bridge(struct network *n, unsigned segment, const char *name, struct dv_error *err)
{
    if (!n->has_ip6)
        return set(name, "disable_ipv6", "1", err);
    unsigned index = if_nametoindex(name);
    struct dv_cidr6 address = dv_plan6_bridge(&n->plan6, segment);
    int r = set_static(name, err);
    if (r == 0)
        r = dv_links_add_address6(n->links, index, &address, err);
    if (r == 0 && n->options->has_rules)
        r = dv_links_add_loopback6(n->links, index, LOOPBACK_METRIC + segment, err);
    return r;
}

int ip6_prepare_inside(bool has_ip6, struct dv_error *err)
{
    return has_ip6 ? set_static("default", err) : set("default", "disable_ipv6", "1", err);
}

/* -- forwarding ----------------------------------------------------------------------------- */

/* An interface that takes what routers say does so only as long as the machine is none (1), unless
 * told otherwise (2): it would lose its addresses and its default route. */
static int keep_listening(const char *interface, struct dv_error *err)
{
    char path[128];
    snprintf(path, sizeof(path), CONF "%s/accept_ra", interface);
    return sysctl_is(path, "1") ? sysctl_write(path, "2", err) : 0;
}

int ip6_switch_forwarding_on(struct dv_error *err)
{
    if (sysctl_is(CONF "all/forwarding", "1"))
        return 0;
    dv_autoclosedir DIR *dir = opendir("/proc/sys/net/" CONF);
    int r = 0;
    const struct dirent *entry;
    while (r == 0 && dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "all") != 0)
            r = keep_listening(entry->d_name, err);
    return r < 0 ? r : sysctl_write(CONF "all/forwarding", "1", err);
}
