/* SPDX-License-Identifier: Apache-2.0 */
/* The cable from a bridge into the network namespace of a process. */
#include "base/log.h"
#include "base/spawn.h"
#include "runtime/network/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define INSIDE   "eth0"
#define LOOPBACK 1 /* its index in every namespace */

static bool is_same_file(int a, int b)
{
    struct stat first;
    struct stat second;
    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_ino == second.st_ino &&
           first.st_dev == second.st_dev;
}

/* The descriptor keeps the namespace, so a process that ends now does not lead to another's. */
static int open_namespace(const struct network *n,
                          const struct dv_network_attach_cmd *wish,
                          int *ret,
                          struct dv_error *err)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%lld/ns/net", (long long)wish->pid);
    dv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || dv_process_start_ticks((pid_t)wish->pid) != wish->start_ticks)
        return dv_error_set(err, DV_ERR_FAILED, "its process %lld has ended already",
                            (long long)wish->pid);
    if (is_same_file(fd, n->own_ns))
        return dv_error_set(err, DV_ERR_FAILED,
                            "its process %lld has no network namespace of its own",
                            (long long)wish->pid);
    *ret = dv_steal_fd(&fd);
    return 0;
}

static int
make_cable(struct network *n, const struct endpoint *endpoint, int ns, struct dv_error *err)
{
    const struct dv_network_settings *settings = endpoint->data->settings;
    uint32_t a = endpoint->slot.address;
    char bridge[IF_NAMESIZE];
    struct dv_veth veth = {
        .name = settings->interface,
        .alias = endpoint->data->wish->id,
        .is_isolated = n->options->is_isolated,
        .mtu = n->options->mtu,
        .peer_ns = ns,
        .peer_name = INSIDE,
        .peer_mac = {2, 0xda, (uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8),
                     (uint8_t)a},
    };
    network_bridge_name(n, endpoint->slot.segment, bridge);
    veth.bridge = if_nametoindex(bridge);
    if (!veth.bridge)
        return dv_error_set(err, DV_ERR_FAILED,
                            "bridge '%s' has been removed by somebody else; restart davitd",
                            bridge);
    /* One of an earlier davitd that nothing else tells of. */
    int r = dv_links_delete(n->links, settings->interface, err);
    if (r == 0)
        r = dv_links_add_veth(n->links, &veth, err);
    if (r < 0)
        return r;
    char path[64];
    snprintf(path, sizeof(path), "ipv6/conf/%s/disable_ipv6", settings->interface);
    return sysctl_write_if_there(path, "1", err);
}

static int set_up_inside6(const struct network *n,
                          struct dv_links *links,
                          unsigned index,
                          const struct endpoint *endpoint,
                          struct dv_error *err)
{
    const struct dv_plan_slot *slot = &endpoint->slot;
    struct dv_cidr6 address = dv_plan6_container(&n->plan6, slot->segment, slot->address);
    struct dv_cidr6 bridge = dv_plan6_bridge(&n->plan6, slot->segment);
    int r = dv_links_add_address6(links, index, &address, err);
    return r < 0 ? r : dv_links_add_default_route6(links, index, &bridge.address, err);
}

/* Runs in the namespace of the container. */
static int
set_up_inside(const struct network *n, const struct endpoint *endpoint, struct dv_error *err)
{
    DV_AUTO(dv_links) links = NULL;
    unsigned index = if_nametoindex(INSIDE);
    struct dv_cidr address = {endpoint->slot.address,
                              (unsigned)endpoint->data->settings->prefix_len};
    if (!index)
        return dv_error_set(err, DV_ERR_FAILED, "interface " INSIDE " did not arrive");
    int r = dv_links_open(&links, err);
    if (r == 0)
        r = dv_links_set_up(links, LOOPBACK, err);
    if (r == 0)
        r = dv_links_set_up(links, index, err);
    if (r == 0)
        r = dv_links_add_address(links, index, address, err);
    if (r == 0)
        r = dv_links_add_default_route(links, index,
                                       dv_plan_gateway(&n->plan, endpoint->slot.segment), err);
    return r < 0 || !endpoint->data->settings->address6
               ? r
               : set_up_inside6(n, links, index, endpoint, err);
}

/* Calls `fn` in the namespace and comes back; a thread that cannot come back is of no use. */
static int
inside(const struct network *n,
       int ns,
       int (*fn)(const struct network *n, const struct endpoint *endpoint, struct dv_error *err),
       const struct endpoint *endpoint,
       struct dv_error *err)
{
    if (setns(ns, CLONE_NEWNET) < 0)
        return dv_error_sys(err, errno == EPERM ? DV_ERR_DENIED : DV_ERR_FAILED, errno,
                            "enter its network namespace");
    int r = fn(n, endpoint, err);
    if (setns(n->own_ns, CLONE_NEWNET) < 0) {
        dv_log(DV_LOG_ERROR, "network: cannot return from a container's namespace");
        abort();
    }
    return r;
}

/* Interfaces that are made later begin so. */
static int
prepare_inside(const struct network *n, const struct endpoint *endpoint, struct dv_error *err)
{
    (void)n;
    return ip6_prepare_inside(endpoint->data->settings->address6 != NULL, err);
}

int endpoint_connect(struct network *n, const struct endpoint *endpoint, struct dv_error *err)
{
    dv_autoclose int ns = -1;
    int r = open_namespace(n, endpoint->data->wish, &ns, err);
    if (r == 0)
        r = inside(n, ns, prepare_inside, endpoint, err);
    if (r == 0)
        r = make_cable(n, endpoint, ns, err);
    if (r == 0)
        r = inside(n, ns, set_up_inside, endpoint, err);
    return r;
}
