/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How cells come and go. The bus makes or chooses the host and sends the command into its mailbox;
 * the answer of the host (cell_started) answers the one who asked. To end a cell the bus removes
 * the address first; the command that then goes into the mailbox is behind every message that was
 * delivered before, so when the host says cell_ended nothing is left and the name is free.
 */
#include "actors/kit/bus.h"
#include "actors/kit/failure.h"
#include "actors/kit/host.h"
#include "actors/kit/memory.h"
#include "actors/kit/spawn.h"

#include <string.h>

static struct dv_bus_host *least_loaded(const struct dv_bus *bus)
{
    struct dv_bus_host *best = NULL;
    for (struct dv_bus_host *host = bus->hosts; host; host = host->next)
        if (host->is_shared && (!best || host->cells < best->cells))
            best = host;
    return best;
}

static int make_host(struct dv_bus *bus,
                     const struct dv_cell_type *type,
                     struct dv_bus_host **ret,
                     struct dv_error *err)
{
    dv_autofree struct dv_bus_host *host = dv_need(calloc(1, sizeof(*host)));
    bool is_own = type->is_service || type->may_block;
    if (bus->last_host >= INT32_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "all numbers of hosts are used up, restart davitd");
    host->id = bus->last_host + 1;
    host->is_shared = !is_own;
    host->mailbox = is_own ? DV_MAILBOX_SERVICES : DV_MAILBOX_CONTAINERS;
    int r = bus->port.start_host(bus->port.ctx, host, err);
    if (r < 0)
        return r;
    bus->last_host = host->id;
    bus->shared_hosts += host->is_shared;
    bus->counts.hosts++;
    host->next = bus->hosts;
    bus->hosts = host;
    *ret = dv_steal(&host);
    return 0;
}

static int choose_host(struct dv_bus *bus,
                       const struct dv_cell_type *type,
                       struct dv_bus_host **ret,
                       struct dv_error *err)
{
    bool is_own = type->is_service || type->may_block;
    if (is_own || bus->shared_hosts < bus->shared_hosts_max)
        return make_host(bus, type, ret, err);
    *ret = least_loaded(bus);
    return 0;
}

static void unblock(struct dv_bus *bus, const struct dv_bus_host *host)
{
    for (struct dv_bus_host **at = &bus->blocked; *at; at = &(*at)->next_blocked)
        if (*at == host) {
            *at = host->next_blocked;
            return;
        }
}

static void leave_host(struct dv_bus *bus, struct dv_bus_host *host)
{
    if (--host->cells > 0 || host == &bus->outside_host)
        return;
    bus->port.end_host(bus->port.ctx, host);
    unblock(bus, host);
    struct dv_bus_host **at = &bus->hosts;
    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
    bus->shared_hosts -= host->is_shared;
    bus->counts.hosts--;
    bus->counts.held -= host->held_count;
    for (struct dv_held *next, *held = host->held_first; held; held = next) {
        next = held->next;
        dv_parcel_done(&held->parcel);
        free(held);
    }
    free(host);
}

static int check_spawn(const struct dv_bus *bus,
                       const struct dv_cell_spawn_cmd *cmd,
                       const struct dv_cell_type **ret,
                       struct dv_error *err)
{
    const struct dv_cell_type *type = dv_spawn_type(bus->types, cmd->type);
    if (!type)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "start '%s': there is no cell type '%s'",
                            cmd->address, cmd->type);
    if (type->start_kind != cmd->kind)
        return dv_error_set(err, DV_ERR_INVALID, "start '%s': type '%s' wants start message %u",
                            cmd->address, cmd->type, (unsigned)type->start_kind);
    if (strcmp(cmd->address, DV_BUS_ADDRESS) == 0 || strcmp(cmd->address, DV_PUBLISH_ADDRESS) == 0)
        return dv_error_set(err, DV_ERR_INVALID, "start '%s': the address is reserved",
                            cmd->address);
    if (dv_bus_find(bus, cmd->address))
        return dv_error_set(err, DV_ERR_EXISTS, "start '%s': the address is in use", cmd->address);
    if (bus->entry_count > DV_CELLS_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "start '%s': there are %u cells already",
                            cmd->address, DV_CELLS_MAX);
    *ret = type;
    return 0;
}

int dv_bus_spawn(struct dv_bus *bus,
                 const struct dv_envelope *envelope,
                 const struct dv_cell_spawn_cmd *cmd,
                 struct dv_error *err)
{
    const struct dv_cell_type *type = NULL;
    int r = check_spawn(bus, cmd, &type, err);
    if (r < 0)
        return r;
    struct dv_bus_host *host = NULL;
    r = choose_host(bus, type, &host, err);
    if (r < 0) {
        (void)dv_error_prefix(err, "start '%s': ", cmd->address);
        return r;
    }
    struct dv_bus_entry *entry = dv_bus_add(bus, cmd->address, host);
    host->cells++;
    dv_bus_wait(&entry->spawner, envelope);
    dv_bus_tell_host(bus, host, DV_KIND_cell_spawn_cmd, cmd);
    return 0;
}

static void begin_end(struct dv_bus *bus, struct dv_bus_entry *entry)
{
    if (entry->state == DV_ENTRY_ENDING)
        return;
    entry->state = DV_ENTRY_ENDING;
    dv_bus_drop_rows(bus, entry);
    struct dv_cell_stop_cmd cmd = {.address = entry->address};
    dv_bus_tell_host(bus, entry->host, DV_KIND_cell_stop_cmd, &cmd);
}

int dv_bus_stop(struct dv_bus *bus,
                const struct dv_envelope *envelope,
                const struct dv_cell_stop_cmd *cmd,
                struct dv_error *err)
{
    struct dv_bus_entry *entry = dv_bus_find(bus, cmd->address);
    if (!entry || entry->host == &bus->outside_host)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "stop '%s': there is no such cell",
                            cmd->address);
    if (dv_bus_waiters(entry->stoppers) >= DV_WAITERS_MAX)
        return dv_error_set(err, DV_ERR_BUSY, "stop '%s': %u wait for that already", cmd->address,
                            DV_WAITERS_MAX);
    dv_bus_wait(&entry->stoppers, envelope);
    begin_end(bus, entry);
    return 0;
}

void dv_bus_on_ending(struct dv_bus *bus, const struct dv_cell_ending *ending)
{
    struct dv_bus_entry *entry = dv_bus_find(bus, ending->address);
    if (entry)
        begin_end(bus, entry);
}

/* Waiters are answered after the address is free, so that they may use it at once. */
static void free_address(struct dv_bus *bus, struct dv_bus_entry *entry)
{
    struct dv_bus_waiter *stoppers = dv_steal(&entry->stoppers);
    struct dv_bus_waiter *spawner = dv_steal(&entry->spawner);
    dv_autofree struct dv_error *start_error = dv_steal(&entry->start_error);
    struct dv_bus_host *host = entry->host;
    dv_bus_drop_rows(bus, entry);
    dv_bus_remove(bus, entry);
    leave_host(bus, host);
    dv_bus_waiters_answer(bus, &stoppers, DV_KIND_done, NULL);
    if (start_error)
        dv_bus_waiters_refuse(bus, &spawner, start_error);
}

void dv_bus_on_started(struct dv_bus *bus, const struct dv_cell_started *started)
{
    struct dv_bus_entry *entry = dv_bus_find(bus, started->address);
    if (!entry)
        return;
    if (!started->failure) {
        if (entry->state == DV_ENTRY_STARTING)
            entry->state = DV_ENTRY_LIVE;
        dv_bus_waiters_answer(bus, &entry->spawner, DV_KIND_done, NULL);
        return;
    }
    if (!entry->spawner)
        dv_log(DV_LOG_WARN, "bus: %s", started->failure->text);
    /* Its mailbox may hold messages: it ends like any other cell, then the spawner is told. */
    entry->start_error = dv_need(malloc(sizeof(*entry->start_error)));
    dv_failure_to_error(started->failure, entry->start_error);
    begin_end(bus, entry);
}

void dv_bus_on_ended(struct dv_bus *bus, const struct dv_cell_ended *ended)
{
    struct dv_bus_entry *entry = dv_bus_find(bus, ended->address);
    if (entry)
        free_address(bus, entry);
}

void dv_bus_answer_cells(struct dv_bus *bus,
                         const struct dv_envelope *envelope,
                         struct dv_arena *arena)
{
    struct dv_cells cells = {0};
    cells.addresses.items =
        dv_need(dv_arena_array(arena, bus->entry_count, sizeof(*cells.addresses.items)));
    for (struct dv_bus_entry *entry = bus->newest; entry; entry = entry->older)
        if (entry->host != &bus->outside_host)
            cells.addresses.items[cells.addresses.count++] = entry->address;
    dv_bus_answer(bus, envelope->reply_to, envelope->correlation, envelope->deadline_ns,
                  DV_KIND_cells, &cells);
}
