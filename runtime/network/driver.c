/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/driver.h"

#include "base/fault.h"
#include "base/log.h"
#include "messages/codec.h"
#include "runtime/network/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libnftables takes up to 100 KB of it. */
#define STACK_BYTES (512U << 10)

static struct network *network_of(struct dv_network *port)
{
    return (struct network *)port;
}

/* -- the thread ----------------------------------------------------------------------------- */

static void *serve(void *ctx)
{
    struct network *n = ctx;
    pthread_mutex_lock(&n->mutex);
    for (;;) {
        while (!n->call && !n->is_ending)
            pthread_cond_wait(&n->changed, &n->mutex);
        if (!n->call)
            break;
        pthread_mutex_unlock(&n->mutex);
        int result = n->call(n, n->args, n->err);
        pthread_mutex_lock(&n->mutex);
        n->result = result;
        n->call = NULL;
        pthread_cond_broadcast(&n->changed);
    }
    pthread_mutex_unlock(&n->mutex);
    return NULL;
}

static int run(struct network *n, call_fn *call, void *args, struct dv_error *err)
{
    pthread_mutex_lock(&n->mutex);
    n->args = args;
    n->err = err;
    n->call = call;
    pthread_cond_broadcast(&n->changed);
    while (n->call)
        pthread_cond_wait(&n->changed, &n->mutex);
    int result = n->result;
    pthread_mutex_unlock(&n->mutex);
    return result;
}

static int start_thread(struct network *n, struct dv_error *err)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    int r = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (r == 0)
        r = pthread_create(&n->thread, &attributes, serve, n);
    pthread_attr_destroy(&attributes);
    return r ? dv_error_sys(err, DV_ERR_LIMIT, r, "start the thread of the container network") : 0;
}

/* -- calls ---------------------------------------------------------------------------------- */

struct attach_args {
    const struct dv_network_attach_cmd *cmd;
    struct dv_arena *arena;
    struct dv_network_settings *ret;
};

static int copy_settings(const struct endpoint *endpoint,
                         struct dv_arena *arena,
                         struct dv_network_settings *ret,
                         struct dv_error *err)
{
    void *copy;
    int r = dv_copy(&dv_schema_network_settings, endpoint->data->settings, arena, &copy, err);
    if (r == 0)
        *ret = *(struct dv_network_settings *)copy;
    return r;
}

static int connect_new(struct network *n,
                       const struct dv_network_attach_cmd *cmd,
                       struct endpoint **ret,
                       struct dv_error *err)
{
    struct dv_plan_slot slot;
    struct endpoint *endpoint = NULL;
    int r = dv_plan_take(&n->plan, &slot, err);
    if (r < 0)
        return r;
    r = network_ensure_bridge(n, slot.segment, err);
    if (r < 0) {
        dv_plan_give(&n->plan, &slot);
        return r;
    }
    r = endpoint_new(n, cmd, &slot, &endpoint, err);
    if (r < 0)
        return r;
    DV_FAULT(NETWORK_NOTED);
    r = endpoint_connect(n, endpoint, err);
    DV_FAULT(NETWORK_CABLED);
    if (r == 0)
        r = ports_open(n, endpoint, err);
    DV_FAULT(NETWORK_OPEN);
    if (r == 0)
        r = hosts_write(n, endpoint, err);
    if (r < 0) {
        struct dv_error why = DV_ERROR_INIT;
        if (endpoint_remove(n, endpoint, &why) < 0)
            dv_log(DV_LOG_WARN, "network: container '%s': %s", cmd->name, why.text);
        return r;
    }
    hosts_update_others(n, endpoint);
    *ret = endpoint;
    return 0;
}

static int do_attach(void *network, void *args, struct dv_error *err)
{
    struct network *n = network;
    const struct attach_args *a = args;
    int r = network_set_up(n, err);
    if (r == 0)
        r = network_check_rules(n, err);
    if (r < 0)
        return dv_error_prefix(err, "there is no container network: ");
    struct endpoint *endpoint = endpoint_find(n, a->cmd->id);
    bool is_same = endpoint && endpoint->data->wish->pid == a->cmd->pid &&
                   endpoint->data->wish->start_ticks == a->cmd->start_ticks &&
                   endpoint_is_alive(endpoint);
    if (endpoint && !is_same)
        r = endpoint_remove(n, endpoint, err);
    if (r == 0 && !is_same)
        r = connect_new(n, a->cmd, &endpoint, err);
    return r < 0 ? dv_error_prefix(err, "network: ")
                 : copy_settings(endpoint, a->arena, a->ret, err);
}

static int attach(struct dv_network *port,
                  const struct dv_network_attach_cmd *cmd,
                  struct dv_arena *arena,
                  struct dv_network_settings *ret,
                  struct dv_error *err)
{
    struct attach_args args = {cmd, arena, ret};
    struct dv_error own = DV_ERROR_INIT;
    int r = run(network_of(port), do_attach, &args, &own);
    if (r < 0 && err)
        *err = own;
    return r;
}

static int do_detach(void *network, void *args, struct dv_error *err)
{
    struct network *n = network;
    struct endpoint *endpoint = endpoint_find(n, args);
    int r = endpoint ? endpoint_remove(n, endpoint, err) : 0;
    if (r == 0 && endpoint)
        hosts_update_others(n, NULL);
    return r;
}

static int do_check(void *network, void *args, struct dv_error *err)
{
    struct network *n = network;
    const struct dv_network_check_query *query = args;
    /* Why there is no network is the matter of the start. */
    return network_set_up(n, NULL) < 0 ? 0 : ports_check(n, query, err);
}

static int
check(struct dv_network *port, const struct dv_network_check_query *query, struct dv_error *err)
{
    return run(network_of(port), do_check, (void *)query, err);
}

static int detach(struct dv_network *port, const char *id, struct dv_error *err)
{
    return run(network_of(port), do_detach, (void *)id, err);
}

struct find_args {
    const char *id;
    struct dv_arena *arena;
    struct dv_network_settings *ret;
};

static int do_find(void *network, void *args, struct dv_error *err)
{
    struct network *n = network;
    const struct find_args *a = args;
    const struct endpoint *endpoint = endpoint_find(n, a->id);
    if (!endpoint)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "container '%s' is not connected", a->id);
    return copy_settings(endpoint, a->arena, a->ret, err);
}

static int find(struct dv_network *port,
                const char *id,
                struct dv_arena *arena,
                struct dv_network_settings *ret,
                struct dv_error *err)
{
    struct find_args args = {id, arena, ret};
    return run(network_of(port), do_find, &args, err);
}

static int do_describe(void *network, void *args, struct dv_error *err)
{
    (void)args;
    (void)err;
    struct network *n = network;
    struct dv_error why = DV_ERROR_INIT;
    char name[IF_NAMESIZE];
    char address[DV_IP4_TEXT_MAX];
    char text6[DV_IP6_TEXT_MAX];
    char address6[DV_IP6_TEXT_MAX + 8] = "";
    if (network_set_up(n, &why) < 0 || network_check_rules(n, &why) < 0) {
        snprintf(n->description, sizeof(n->description),
                 "no networkMode BRIDGE on this machine: %s", why.text);
        return 0;
    }
    unsigned bridges = 0;
    for (unsigned i = 0; i < n->plan.segment_count; i++)
        bridges += n->has_bridge[i];
    struct dv_cidr bridge = dv_plan_bridge(&n->plan, 0);
    struct dv_cidr6 bridge6 = dv_plan6_bridge(&n->plan6, 0);
    if (n->has_ip6)
        snprintf(address6, sizeof(address6), " %s/%u", dv_ip6_text(&bridge6.address, text6),
                 bridge6.prefix_len);
    snprintf(n->description, sizeof(n->description), "bridge %s %s/%u%s%s, %zu connected%s",
             network_bridge_name(n, 0, name), dv_ip4_text(bridge.address, address),
             bridge.prefix_len, address6, bridges > 1 ? " and more" : "", n->endpoint_count,
             n->options->has_rules ? "" : "; no packet filter (network.default_bridge.ip_tables)");
    return 0;
}

static const char *describe(struct dv_network *port)
{
    struct network *n = network_of(port);
    (void)run(n, do_describe, NULL, NULL);
    return n->description;
}

/* -- life ----------------------------------------------------------------------------------- */

static int do_open(void *network, void *args, struct dv_error *err)
{
    (void)args;
    struct network *n = network;
    struct dv_error why = DV_ERROR_INIT;
    n->own_ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (n->own_ns < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "open the network namespace of davitd");
    if (network_set_up(n, &why) < 0)
        dv_log(DV_LOG_WARN, "containers with networkMode BRIDGE cannot start: %s", why.text);
    return 0;
}

static int do_close(void *network, void *args, struct dv_error *err)
{
    (void)args;
    (void)err;
    struct network *n = network;
    network_tear_down(n);
    endpoint_forget_all(n);
    dv_plan_done(&n->plan);
    dv_nft_free(n->nft);
    dv_links_close(n->links);
    dv_close(&n->own_ns);
    return 0;
}

static void free_network(struct dv_network *port)
{
    struct network *n = network_of(port);
    (void)run(n, do_close, NULL, NULL);
    pthread_mutex_lock(&n->mutex);
    n->is_ending = true;
    pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->mutex);
    pthread_join(n->thread, NULL);
    pthread_cond_destroy(&n->changed);
    pthread_mutex_destroy(&n->mutex);
    free(n);
}

static int check_name(const char *name, struct dv_error *err)
{
    size_t len = strlen(name);
    bool is_good = len > 0 && len <= DV_NETWORK_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
                   strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == len &&
                   (name[len - 1] < '0' || name[len - 1] > '9');
    return is_good ? 0
                   : dv_error_set(err, DV_ERR_INVALID,
                                  "'%s' cannot name a network: 1 to %d small letters and digits, "
                                  "letters first and last",
                                  name, DV_NETWORK_NAME_MAX);
}

int dv_network_new(const struct dv_network_options *options,
                   struct dv_network **ret,
                   struct dv_error *err)
{
    int r = check_name(options->name, err);
    if (r < 0)
        return r;
    struct network *n = calloc(1, sizeof(*n));
    if (!n)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the container network");
    n->port = (struct dv_network){
        .describe = describe,
        .attach = attach,
        .check = check,
        .detach = detach,
        .find = find,
        .free = free_network,
    };
    n->options = options;
    n->own_ns = -1;
    LIST_INIT(&n->endpoints);
    snprintf(n->dir, sizeof(n->dir), "%s/network", options->run_dir);
    pthread_mutex_init(&n->mutex, NULL);
    pthread_cond_init(&n->changed, NULL);
    r = start_thread(n, err);
    if (r < 0) {
        pthread_cond_destroy(&n->changed);
        pthread_mutex_destroy(&n->mutex);
        free(n);
        return r;
    }
    r = run(n, do_open, NULL, err);
    if (r < 0)
        free_network(&n->port);
    else
        *ret = &n->port;
    return r;
}
