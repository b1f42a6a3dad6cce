/* SPDX-License-Identifier: Apache-2.0 */
/* Connected containers: in memory, and as files that outlive the daemon but not the boot. */
#include "base/durable.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/spawn.h"
#include "messages/codec.h"
#include "runtime/network/rules.h"
#include "runtime/network/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENDPOINT_BYTES_MAX (1U << 20)

/* Named by interface, which is safe as a part of a path, unlike what a cloud names a container. */
static void path_of(const struct network *n, const char *interface, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", n->dir, interface);
}

struct endpoint *endpoint_find(struct network *n, const char *id)
{
    struct endpoint *endpoint;
    LIST_FOREACH(endpoint, &n->endpoints, link)
    {
        if (strcmp(endpoint->data->wish->id, id) == 0)
            return endpoint;
    }
    return NULL;
}

static void insert(struct network *n, struct endpoint *endpoint)
{
    LIST_INSERT_HEAD(&n->endpoints, endpoint, link);
    n->endpoint_count++;
}

static void forget(struct network *n, struct endpoint *endpoint)
{
    LIST_REMOVE(endpoint, link);
    n->endpoint_count--;
    ports_release(endpoint);
    if (endpoint->has_slot)
        dv_plan_give(&n->plan, &endpoint->slot);
    dv_arena_free(endpoint->arena);
    free(endpoint);
}

void endpoint_forget_all(struct network *n)
{
    while (!LIST_EMPTY(&n->endpoints))
        forget(n, LIST_FIRST(&n->endpoints));
}

/* -- files ---------------------------------------------------------------------------------- */

/* On a tmpfs: nothing to sync, but never seen half written. */
static int store(const struct network *n, const struct endpoint *endpoint, struct dv_error *err)
{
    char path[PATH_MAX];
    char aside[PATH_MAX + 8];
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(ENDPOINT_BYTES_MAX);
    path_of(n, endpoint->data->settings->interface, path);
    snprintf(aside, sizeof(aside), "%s.new", path);
    int r = dv_encode(&dv_schema_network_endpoint, endpoint->data, &text, err);
    if (r < 0)
        return r;
    dv_autoclose int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "create '%s'", aside);
    ssize_t wrote = write(fd, text.data, text.len);
    if (wrote < 0 || (size_t)wrote != text.len || rename(aside, path) < 0) {
        int saved = wrote >= 0 && (size_t)wrote != text.len ? ENOSPC : errno;
        (void)unlink(aside);
        return dv_error_sys(err, DV_ERR_IO, saved, "write '%s'", path);
    }
    return 0;
}

static int load(struct network *n, const char *name, struct dv_error *err)
{
    char path[PATH_MAX];
    void *body;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(ENDPOINT_BYTES_MAX);
    DV_AUTO(dv_arena) arena = dv_arena_new(ENDPOINT_BYTES_MAX * 4);
    dv_autofree struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
    path_of(n, name, path);
    if (!arena || !endpoint)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for '%s'", path);
    int r = dv_file_read(path, &text, err);
    if (r == 0)
        r = dv_decode(&dv_schema_network_endpoint, text.data ? text.data : "", text.len, arena,
                      &body, err);
    if (r < 0)
        return r;
    endpoint->data = body;
    if (strcmp(endpoint->data->settings->interface, name) != 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "it names another interface");
    endpoint->arena = dv_steal(&arena);
    insert(n, dv_steal(&endpoint));
    return 0;
}

int endpoint_load_all(struct network *n, struct dv_error *err)
{
    int r = dv_dir_make(n->dir, 0700, err);
    if (r < 0)
        return r;
    dv_autoclosedir DIR *dir = opendir(n->dir);
    if (!dir)
        return dv_error_sys(err, DV_ERR_IO, errno, "read folder '%s'", n->dir);
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        struct dv_error why = DV_ERROR_INIT;
        char path[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        if (strlen(entry->d_name) < IF_NAMESIZE && load(n, entry->d_name, &why) == 0)
            continue;
        path_of(n, entry->d_name, path);
        dv_log(DV_LOG_WARN, "network: '%s' is not used, and removed: %s", path,
               why.class ? why.text : "its name is not one of an interface");
        (void)unlink(path);
    }
    return 0;
}

/* -- life ----------------------------------------------------------------------------------- */

/* None is chosen yet. */
static int copy_ports(const struct dv_network_attach_cmd *wish,
                      struct dv_arena *arena,
                      struct dv_port_mapping_list *ret,
                      struct dv_error *err)
{
    struct dv_port_mapping *items = dv_arena_array(arena, wish->ports.count, sizeof(*items));
    if (wish->ports.count && !items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for port mappings");
    for (size_t i = 0; i < wish->ports.count; i++) {
        items[i] = wish->ports.items[i];
        items[i].chosen_port = 0;
    }
    *ret = (struct dv_port_mapping_list){items, wish->ports.count};
    return 0;
}

/* False without memory. */
static bool fill_ip6(const struct network *n,
                     const struct dv_plan_slot *slot,
                     struct dv_arena *arena,
                     struct dv_network_settings *settings)
{
    char text[DV_IP6_TEXT_MAX];
    struct dv_cidr6 own = dv_plan6_container(&n->plan6, slot->segment, slot->address);
    struct dv_cidr6 bridge = dv_plan6_bridge(&n->plan6, slot->segment);
    settings->address6 = dv_arena_strdup(arena, dv_ip6_text(&own.address, text));
    settings->prefix6_len = own.prefix_len;
    settings->gateway6 = dv_arena_strdup(arena, dv_ip6_text(&bridge.address, text));
    return settings->address6 && settings->gateway6;
}

static int fill(struct network *n,
                const struct dv_network_attach_cmd *cmd,
                struct endpoint *endpoint,
                struct dv_error *err)
{
    struct dv_arena *arena = endpoint->arena;
    const struct dv_plan_slot *slot = &endpoint->slot;
    struct dv_cidr bridge = dv_plan_bridge(&n->plan, slot->segment);
    char name[IF_NAMESIZE];
    char text[DV_IP4_TEXT_MAX];
    uint32_t a = slot->address;
    struct dv_network_endpoint *data = dv_arena_alloc(arena, sizeof(*data));
    struct dv_network_settings *settings = dv_arena_alloc(arena, sizeof(*settings));
    void *wish = NULL;
    int r = dv_copy(&dv_schema_network_attach_cmd, cmd, arena, &wish, err);
    if (r < 0)
        return r;
    if (!data || !settings)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a network connection");
    network_bridge_name(n, slot->segment, name);
    *settings = (struct dv_network_settings){
        .bridge = dv_arena_strdup(arena, name),
        .interface = dv_arena_printf(arena, "%sp%u", name, a & 0xffU),
        .address = dv_arena_strdup(arena, dv_ip4_text(a, text)),
        .prefix_len = bridge.prefix_len,
        .gateway =
            dv_arena_strdup(arena, dv_ip4_text(dv_plan_gateway(&n->plan, slot->segment), text)),
        .mac = dv_arena_printf(arena, "02:da:%02x:%02x:%02x:%02x", a >> 24, a >> 16 & 0xffU,
                               a >> 8 & 0xffU, a & 0xffU),
    };
    *data = (struct dv_network_endpoint){.wish = wish, .settings = settings};
    endpoint->data = data;
    bool has_all = settings->bridge && settings->interface && settings->address &&
                   settings->gateway && settings->mac;
    if (!has_all || (n->options->has_ip6 && !fill_ip6(n, slot, arena, settings)))
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a network connection");
    return copy_ports(wish, arena, &settings->ports, err);
}

int endpoint_new(struct network *n,
                 const struct dv_network_attach_cmd *cmd,
                 const struct dv_plan_slot *slot,
                 struct endpoint **ret,
                 struct dv_error *err)
{
    struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
    if (endpoint)
        endpoint->arena = dv_arena_new(ENDPOINT_BYTES_MAX * 4);
    if (!endpoint || !endpoint->arena) {
        free(endpoint);
        dv_plan_give(&n->plan, slot);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a network connection");
    }
    endpoint->slot = *slot;
    endpoint->has_slot = true;
    int r = fill(n, cmd, endpoint, err);
    insert(n, endpoint);
    if (r == 0)
        r = ports_take(n, endpoint, err);
    if (r == 0)
        r = store(n, endpoint, err);
    if (r < 0)
        forget(n, endpoint);
    else
        *ret = endpoint;
    return r;
}

bool endpoint_is_alive(const struct endpoint *endpoint)
{
    const struct dv_network_attach_cmd *wish = endpoint->data->wish;
    return dv_process_start_ticks((pid_t)wish->pid) == wish->start_ticks &&
           if_nametoindex(endpoint->data->settings->interface) != 0;
}

int endpoint_remove(struct network *n, struct endpoint *endpoint, struct dv_error *err)
{
    char path[PATH_MAX];
    int r = ports_close(n, endpoint, err);
    if (r < 0)
        return r;
    /* The kernel removes the interface with the namespace of a process that ended, at a time of its
     * own. To remove it here would make all other containers wait for that. */
    if (endpoint_is_alive(endpoint))
        r = dv_links_delete(n->links, endpoint->data->settings->interface, err);
    if (r < 0)
        return r;
    DV_FAULT(NETWORK_CLOSED);
    path_of(n, endpoint->data->settings->interface, path);
    if (unlink(path) < 0 && errno != ENOENT)
        return dv_error_sys(err, DV_ERR_IO, errno, "remove '%s'", path);
    forget(n, endpoint);
    return 0;
}
