/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The figures of all cells: every host is asked; after a short time those that were too busy to
 * answer, and those whose mailbox is full, are left out but for what the bus knows itself. One
 * collection at a time serves all who ask meanwhile.
 */
#include "actors/kit/bus.h"
#include "actors/kit/memory.h"

#include <string.h>

#define COLLECT_NS INT64_C(250000000)

static void add_row(struct dv_bus_figures *figures, const struct dv_cell_figures *row)
{
    if (figures->count >= DV_CELLS_MAX)
        return;
    if (figures->count == figures->capacity) {
        figures->capacity = figures->capacity ? figures->capacity * 2 : 64;
        figures->rows =
            dv_need(reallocarray(figures->rows, figures->capacity, sizeof(*figures->rows)));
    }
    figures->rows[figures->count++] = *row;
}

static void finish(struct dv_bus *bus)
{
    struct dv_bus_figures *figures = &bus->figures;
    for (struct dv_bus_entry *entry = bus->newest; entry; entry = entry->older) {
        if (entry->round == figures->round || entry->host == &bus->outside_host)
            continue;
        struct dv_cell_figures row = {.address = entry->address,
                                      .mailbox_depth = entry->sent - entry->received};
        add_row(figures, &row);
    }
    struct dv_kit_figures body = {
        .cells = {figures->rows, figures->count},
        .undeliverable = bus->counts.undeliverable,
        .busy = bus->counts.busy,
        .missed = bus->counts.missed,
        .hosts = bus->counts.hosts,
        .held = bus->counts.held,
        .late = figures->late,
        .malformed = figures->malformed + bus->counts.malformed,
        .lost = bus->counts.lost,
    };
    dv_bus_waiters_answer(bus, &figures->waiters, DV_KIND_kit_figures, &body);
    dv_bus_figures_done(bus);
}

void dv_bus_query_figures(struct dv_bus *bus, const struct dv_envelope *envelope)
{
    struct dv_bus_figures *figures = &bus->figures;
    if (!envelope->reply_to)
        return;
    if (figures->waiters) {
        if (dv_bus_waiters(figures->waiters) < DV_WAITERS_MAX) {
            dv_bus_wait(&figures->waiters, envelope);
            return;
        }
        struct dv_error err = DV_ERROR_INIT;
        (void)dv_error_set(&err, DV_ERR_BUSY, "figures: %u wait for them already", DV_WAITERS_MAX);
        dv_bus_refuse(bus, envelope->reply_to, envelope->correlation, envelope->deadline_ns, &err);
        return;
    }
    figures->round++;
    figures->arena = dv_need(dv_arena_new(DV_PARCEL_ARENA_MAX));
    figures->deadline_ns = dv_clock_monotonic_ns(bus->clock) + COLLECT_NS;
    dv_bus_wait(&figures->waiters, envelope);
    struct dv_host_figures_query query = {.round = figures->round};
    for (struct dv_bus_host *host = bus->hosts; host; host = host->next) {
        if (host->held_count)
            continue;
        figures->hosts_left++;
        dv_bus_tell_host(bus, host, DV_KIND_host_figures_query, &query);
    }
    if (figures->hosts_left == 0)
        finish(bus);
}

void dv_bus_on_figures(struct dv_bus *bus, struct dv_parcel *parcel)
{
    struct dv_bus_figures *figures = &bus->figures;
    void *body = NULL;
    struct dv_error err = DV_ERROR_INIT;
    if (!figures->waiters)
        return;
    if (dv_parcel_body(parcel, &dv_schema_host_figures, figures->arena, &body, &err) < 0) {
        dv_log(DV_LOG_ERROR, "bus: figures: %s", err.text);
        return;
    }
    struct dv_host_figures *part = body;
    if (part->round != figures->round)
        return;
    for (size_t i = 0; i < part->cells.count; i++) {
        struct dv_cell_figures *row = &part->cells.items[i];
        struct dv_bus_entry *entry = dv_bus_find(bus, row->address);
        if (!entry)
            continue;
        entry->received = row->received;
        entry->round = figures->round;
        row->mailbox_depth = entry->sent > row->received ? entry->sent - row->received : 0;
        add_row(figures, row);
    }
    figures->late += part->late;
    figures->malformed += part->malformed;
    if (--figures->hosts_left == 0)
        finish(bus);
}

void dv_bus_figures_expire(struct dv_bus *bus)
{
    finish(bus);
}

/* The number of the round stays: answers to an older one may still come. */
void dv_bus_figures_done(struct dv_bus *bus)
{
    struct dv_bus_figures *figures = &bus->figures;
    struct dv_bus_waiter *waiter;
    while ((waiter = figures->waiters)) {
        figures->waiters = waiter->next;
        free(waiter);
    }
    dv_arena_free(figures->arena);
    free(figures->rows);
    *figures = (struct dv_bus_figures){.round = figures->round};
}
