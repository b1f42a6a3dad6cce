/* SPDX-License-Identifier: Apache-2.0 */
/* What a container asks the actor `network`, and what it keeps of the answers. */
#include "actors/container/internal.h"
#include "base/log.h"
#include "messages/codec.h"

#define SETTINGS_BYTES_MAX  (1U << 20)
#define DISCONNECT_AGAIN_MS 5000

bool container_has_bridge(const struct container *c)
{
    return c->record->spec->network_mode == DV_NETWORK_BRIDGE;
}

void container_connect(struct container *c, int64_t pid, dv_outcome_fn *fn, void *ctx)
{
    const struct dv_container_spec *spec = c->record->spec;
    struct dv_network_attach_cmd body = {
        .id = c->record->id,
        .name = c->record->name,
        .pid = pid,
        .start_ticks = c->start_ticks,
        .host_name = spec->host_name,
        .domain_name = spec->domain_name,
        .extra_hosts = spec->extra_hosts,
        .ports = spec->port_mappings,
    };
    dv_timer_cancel(c->cell, c->disconnect_timer);
    c->disconnect_timer = 0;
    dv_ask(c->cell, DV_ADDRESS_NETWORK, DV_KIND_network_attach_cmd, &body,
           c->settings->command_timeout_ms, fn, ctx);
}

void container_check_ports(struct container *c, dv_outcome_fn *fn, void *ctx)
{
    struct dv_network_check_query body = {
        .id = c->record->id,
        .ports = c->record->spec->port_mappings,
    };
    dv_ask(c->cell, DV_ADDRESS_NETWORK, DV_KIND_network_check_query, &body,
           c->settings->command_timeout_ms, fn, ctx);
}

void container_ask_network(struct container *c, dv_outcome_fn *fn, void *ctx)
{
    struct dv_network_query body = {.id = c->record->id};
    dv_ask(c->cell, DV_ADDRESS_NETWORK, DV_KIND_network_query, &body,
           c->settings->command_timeout_ms, fn, ctx);
}

int container_set_network(struct container *c,
                          const struct dv_network_settings *settings,
                          struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(SETTINGS_BYTES_MAX);
    void *copy;
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the network of '%s'", c->name);
    int r = dv_copy(&dv_schema_network_settings, settings, arena, &copy, err);
    if (r < 0)
        return r;
    dv_arena_free(c->network_arena);
    c->network_arena = dv_steal(&arena);
    c->record->network = copy;
    return 0;
}

bool container_take_ports(struct container *c)
{
    const struct dv_network_settings *network = c->record->network;
    struct dv_port_mapping_list *ports = &c->record->spec->port_mappings;
    bool is_changed = false;
    for (size_t i = 0; network && i < ports->count && i < network->ports.count; i++) {
        struct dv_port_mapping *port = &ports->items[i];
        int64_t shown = port->chosen_port ? port->chosen_port : port->host_port;
        port->chosen_port = network->ports.items[i].chosen_port;
        is_changed |= port->chosen_port != shown;
    }
    return is_changed;
}

static void on_again(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    c->disconnect_timer = 0;
    container_disconnect(c);
}

static void on_disconnected(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    /* One that was connected again has nothing of before: that was removed then. */
    if (!outcome->error || dv_cell_is_ending(cell) || c->disconnect_timer || c->record->network ||
        c->created_pid || container_is_up(c))
        return;
    dv_log(DV_LOG_WARN, "container '%s': its network is taken away again in %d s: %s", c->name,
           DISCONNECT_AGAIN_MS / 1000, outcome->error->text);
    c->disconnect_timer = dv_timer_set(cell, DISCONNECT_AGAIN_MS, on_again, NULL);
}

void container_disconnect(struct container *c)
{
    c->record->network = NULL;
    dv_arena_free(c->network_arena);
    c->network_arena = NULL;
    if (!container_has_bridge(c))
        return;
    struct dv_network_detach_cmd body = {.id = c->record->id};
    dv_ask(c->cell, DV_ADDRESS_NETWORK, DV_KIND_network_detach_cmd, &body,
           c->settings->command_timeout_ms, on_disconnected, NULL);
}
