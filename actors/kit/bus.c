/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/bus.h"

#include "actors/kit/failure.h"
#include "actors/kit/host.h"
#include "actors/kit/memory.h"
#include "messages/catalog.h"

#include <string.h>

void dv_bus_init(struct dv_bus *bus,
                 const struct dv_cell_type *const *types,
                 const struct dv_clock *clock,
                 unsigned shared_hosts_max,
                 const struct dv_bus_port *port)
{
    *bus = (struct dv_bus){
        .port = *port,
        .types = types,
        .clock = clock,
        .shared_hosts_max = shared_hosts_max ? shared_hosts_max : 1,
        .last_host = DV_OUTSIDE_HOST,
        .outside_host = {.id = DV_OUTSIDE_HOST, .mailbox = DV_MAILBOX_SERVICES, .cells = 1},
    };
    dv_packer_init(&bus->packer);
    dv_bus_add(bus, DV_OUTSIDE_ADDRESS, &bus->outside_host)->state = DV_ENTRY_LIVE;
}

static void drop_first_held(struct dv_bus *bus, struct dv_bus_host *host)
{
    struct dv_held *held = host->held_first;
    host->held_first = held->next;
    if (!held->next)
        host->held_last = NULL;
    host->held_count--;
    bus->counts.held--;
    dv_parcel_done(&held->parcel);
    free(held);
}

static void drop_held(struct dv_bus *bus, struct dv_bus_host *host)
{
    while (host->held_first)
        drop_first_held(bus, host);
}

void dv_bus_done(struct dv_bus *bus)
{
    struct dv_bus_host *next;
    for (struct dv_bus_host *host = bus->hosts; host; host = next) {
        next = host->next;
        bus->port.end_host(bus->port.ctx, host);
        drop_held(bus, host);
        free(host);
    }
    drop_held(bus, &bus->outside_host);
    dv_bus_events_done(bus);
    dv_bus_figures_done(bus);
    while (bus->newest)
        dv_bus_remove(bus, bus->newest);
    free(bus->table);
    dv_packer_done(&bus->packer);
}

/* Delivery. */

void dv_bus_block(struct dv_bus *bus, struct dv_bus_host *host)
{
    if (host->is_blocked)
        return;
    host->is_blocked = true;
    host->next_blocked = bus->blocked;
    bus->blocked = host;
}

static bool flush_held(struct dv_bus *bus, struct dv_bus_host *host)
{
    int64_t now_ns = host->held_first ? dv_clock_monotonic_ns(bus->clock) : 0;
    while (host->held_first) {
        struct dv_held *held = host->held_first;
        bool is_stale = held->deadline_ns && held->deadline_ns < now_ns;
        if (!is_stale && bus->port.deliver(bus->port.ctx, host, &held->parcel) < 0)
            return false;
        drop_first_held(bus, host);
    }
    return true;
}

/* Messages to one host never overtake each other, so held ones go first. */
int dv_bus_try(struct dv_bus *bus, struct dv_bus_host *host, struct dv_parcel *parcel)
{
    int r = -DV_ERR_BUSY;
    if (flush_held(bus, host))
        r = bus->port.deliver(bus->port.ctx, host, parcel);
    dv_parcel_done(parcel);
    return r;
}

static void
hold(struct dv_bus *bus, struct dv_bus_host *host, int64_t deadline_ns, struct dv_parcel *parcel)
{
    struct dv_held *held = dv_need(calloc(1, sizeof(*held)));
    held->deadline_ns = deadline_ns;
    dv_parcel_init(&held->parcel);
    dv_parcel_move(&held->parcel, parcel);
    if (host->held_last)
        host->held_last->next = held;
    else
        host->held_first = held;
    host->held_last = held;
    host->held_count++;
    bus->counts.held++;
    dv_bus_block(bus, host);
}

/* Somebody counts on these: they wait for room instead of being refused. */
static bool must_hold(const struct dv_envelope *envelope)
{
    return envelope->is_answer || envelope->kind == DV_KIND_container_exited;
}

static int deliver_or_hold(struct dv_bus *bus,
                           struct dv_bus_host *host,
                           bool is_held,
                           int64_t deadline_ns,
                           struct dv_parcel *parcel)
{
    int r = -DV_ERR_BUSY;
    if (flush_held(bus, host))
        r = bus->port.deliver(bus->port.ctx, host, parcel);
    if (r < 0 && is_held && host->held_count < DV_HELD_MAX) {
        hold(bus, host, deadline_ns, parcel);
        r = 0;
    }
    dv_parcel_done(parcel);
    return r;
}

int dv_bus_deliver(struct dv_bus *bus,
                   struct dv_bus_host *host,
                   const struct dv_envelope *envelope,
                   struct dv_parcel *parcel)
{
    bool is_held = must_hold(envelope);
    /* An exit is told even when its sender has given up meanwhile. */
    int64_t deadline_ns = envelope->is_answer ? envelope->deadline_ns : 0;
    return deliver_or_hold(bus, host, is_held, deadline_ns, parcel);
}

void dv_bus_tell_host(struct dv_bus *bus, struct dv_bus_host *host, uint16_t kind, const void *body)
{
    struct dv_envelope envelope = {0};
    struct dv_parcel parcel;
    struct dv_error err = DV_ERROR_INIT;
    if (dv_parcel_pack(&bus->packer, "", &envelope, dv_schema_of_kind(kind), body, &parcel, &err) <
            0 ||
        deliver_or_hold(bus, host, true, 0, &parcel) < 0)
        dv_log(DV_LOG_ERROR, "bus: tell host %u: %s", host->id,
               err.text[0] ? err.text : "too much is held");
}

bool dv_bus_retry(struct dv_bus *bus)
{
    struct dv_bus_host *host = bus->blocked;
    bus->blocked = NULL;
    bool is_progress = false;
    while (host) {
        struct dv_bus_host *next = host->next_blocked;
        uint32_t before = host->held_count + host->missed_rows;
        host->is_blocked = false;
        if (!flush_held(bus, host) || !dv_bus_tell_missed(bus, host))
            dv_bus_block(bus, host);
        is_progress = is_progress || host->held_count + host->missed_rows != before;
        host = next;
    }
    return is_progress;
}

/* Answers of the bus itself. */

void dv_bus_answer(struct dv_bus *bus,
                   const char *reply_to,
                   int64_t correlation,
                   int64_t deadline_ns,
                   uint16_t kind,
                   const void *body)
{
    if (!reply_to)
        return;
    struct dv_bus_entry *entry = dv_bus_find(bus, reply_to);
    if (!entry || entry->state == DV_ENTRY_ENDING) {
        bus->counts.undeliverable++;
        return;
    }
    struct dv_envelope envelope = {
        .from = (char *)DV_BUS_ADDRESS,
        .correlation = correlation,
        .deadline_ns = deadline_ns,
        .is_answer = true,
    };
    struct dv_parcel parcel;
    struct dv_error err = DV_ERROR_INIT;
    int r = dv_parcel_pack(&bus->packer, reply_to, &envelope, dv_schema_of_kind(kind), body,
                           &parcel, &err);
    if (r < 0) {
        dv_log(DV_LOG_ERROR, "bus: answer to '%s': %s", reply_to, err.text);
        if (kind != DV_KIND_failure)
            dv_bus_refuse(bus, reply_to, correlation, deadline_ns, &err);
        return;
    }
    dv_bus_tap(bus, reply_to, kind, &parcel);
    if (dv_bus_deliver(bus, entry->host, &envelope, &parcel) == 0)
        entry->sent++;
    else
        bus->counts.lost++;
}

void dv_bus_refuse(struct dv_bus *bus,
                   const char *reply_to,
                   int64_t correlation,
                   int64_t deadline_ns,
                   const struct dv_error *error)
{
    char text[DV_ERROR_TEXT_MAX];
    struct dv_failure failure;
    dv_failure_of_error(error, text, &failure);
    dv_bus_answer(bus, reply_to, correlation, deadline_ns, DV_KIND_failure, &failure);
}

/* Routing. */

/* Tells the asker, or counts and logs the loss of a post. */
static void
not_delivered(struct dv_bus *bus, const struct dv_envelope *envelope, const struct dv_error *error)
{
    if (envelope->reply_to && !envelope->is_answer) {
        dv_bus_refuse(bus, envelope->reply_to, envelope->correlation, envelope->deadline_ns, error);
        return;
    }
    unsigned skipped = 0;
    if (!envelope->is_answer && dv_log_allow(&bus->lost_log, 1, &skipped))
        dv_log(DV_LOG_WARN, "bus: %s from '%s', message dropped left_out=%u", error->text,
               envelope->from ? envelope->from : "", skipped);
}

static void route(struct dv_bus *bus,
                  const char *to,
                  const struct dv_envelope *envelope,
                  struct dv_parcel *parcel)
{
    struct dv_error error = DV_ERROR_INIT;
    uint16_t kind = (uint16_t)envelope->kind;
    struct dv_bus_entry *entry = dv_bus_find(bus, to);
    if (!entry || entry->state == DV_ENTRY_ENDING) {
        bus->counts.undeliverable++;
        (void)dv_error_set(&error, DV_ERR_UNDELIVERABLE, "%s to '%s': there is no such receiver",
                           dv_kind_name(kind), to);
        dv_parcel_done(parcel);
        not_delivered(bus, envelope, &error);
        return;
    }
    dv_bus_tap(bus, to, kind, parcel);
    if (dv_bus_deliver(bus, entry->host, envelope, parcel) == 0) {
        entry->sent++;
        return;
    }
    if (envelope->reply_to && !envelope->is_answer)
        bus->counts.busy++;
    else
        bus->counts.lost++;
    (void)dv_error_set(&error, DV_ERR_BUSY, "%s to '%s': its mailbox is full", dv_kind_name(kind),
                       to);
    not_delivered(bus, envelope, &error);
}

/* Messages to the bus itself; a failure is answered by the caller. *ret_is_kept: the answer comes
 * later or was given. */
static int handle_own(struct dv_bus *bus,
                      const struct dv_envelope *envelope,
                      const void *body,
                      struct dv_arena *arena,
                      bool *ret_is_kept,
                      struct dv_error *err)
{
    const char *from = envelope->from ? envelope->from : "";
    *ret_is_kept = false;
    switch (envelope->kind) {
    case DV_KIND_subscribe:
        return dv_bus_subscribe(bus, from, (uint16_t)((const struct dv_subscribe *)body)->kind,
                                err);
    case DV_KIND_unsubscribe:
        dv_bus_unsubscribe(bus, from, (uint16_t)((const struct dv_unsubscribe *)body)->kind);
        return 0;
    case DV_KIND_trace_cmd:
        return dv_bus_trace(bus, from, ((const struct dv_trace_cmd *)body)->is_on, err);
    default:
        break;
    }
    *ret_is_kept = true;
    switch (envelope->kind) {
    case DV_KIND_cell_spawn_cmd:
        return dv_bus_spawn(bus, envelope, body, err);
    case DV_KIND_cell_stop_cmd:
        return dv_bus_stop(bus, envelope, body, err);
    case DV_KIND_cell_started:
        dv_bus_on_started(bus, body);
        return 0;
    case DV_KIND_cell_ending:
        dv_bus_on_ending(bus, body);
        return 0;
    case DV_KIND_cell_ended:
        dv_bus_on_ended(bus, body);
        return 0;
    case DV_KIND_cells_query:
        dv_bus_answer_cells(bus, envelope, arena);
        return 0;
    case DV_KIND_kit_figures_query:
        dv_bus_query_figures(bus, envelope);
        return 0;
    default:
        return dv_error_set(err, DV_ERR_UNSUPPORTED, "'bus' does not understand %s (%lld)",
                            dv_kind_name((uint16_t)envelope->kind), (long long)envelope->kind);
    }
}

static void to_bus(struct dv_bus *bus,
                   const struct dv_envelope *envelope,
                   struct dv_parcel *parcel,
                   struct dv_arena *arena)
{
    if (envelope->is_answer)
        return;
    if (envelope->kind == DV_KIND_host_figures) {
        dv_bus_on_figures(bus, parcel);
        return;
    }
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_schema *schema = dv_schema_of_kind((uint16_t)envelope->kind);
    void *body = NULL;
    bool is_kept = false;
    int r;
    if (!schema)
        r = dv_error_set(&err, DV_ERR_UNSUPPORTED, "'bus' does not know kind %lld",
                         (long long)envelope->kind);
    else
        r = dv_parcel_body(parcel, schema, arena, &body, &err);
    if (r < 0)
        bus->counts.malformed++;
    else
        r = handle_own(bus, envelope, body, arena, &is_kept, &err);
    if (r < 0)
        not_delivered(bus, envelope, &err);
    else if (!is_kept)
        dv_bus_answer(bus, envelope->reply_to, envelope->correlation, envelope->deadline_ns,
                      DV_KIND_done, NULL);
}

void dv_bus_handle(struct dv_bus *bus, struct dv_parcel *parcel)
{
    DV_AUTO(dv_arena) arena = dv_need(dv_arena_new(DV_PARCEL_ARENA_MAX));
    char to[DV_ADDRESS_MAX + 1];
    struct dv_envelope *envelope = NULL;
    struct dv_error err = DV_ERROR_INIT;
    if (dv_parcel_open(parcel, arena, to, &envelope, &err) < 0) {
        bus->counts.malformed++;
        unsigned skipped = 0;
        if (dv_log_allow(&bus->malformed_log, 1, &skipped))
            dv_log(DV_LOG_WARN, "bus: %s, message dropped left_out=%u", err.text, skipped);
    } else if (strcmp(to, DV_BUS_ADDRESS) == 0) {
        to_bus(bus, envelope, parcel, arena);
    } else if (strcmp(to, DV_PUBLISH_ADDRESS) == 0) {
        dv_bus_publish(bus, envelope, parcel);
    } else {
        route(bus, to, envelope, parcel);
        return;
    }
    dv_parcel_done(parcel);
}

int64_t dv_bus_next_ns(const struct dv_bus *bus)
{
    return bus->figures.waiters ? bus->figures.deadline_ns : INT64_MAX;
}

void dv_bus_expire(struct dv_bus *bus)
{
    if (bus->figures.waiters && bus->figures.deadline_ns <= dv_clock_monotonic_ns(bus->clock))
        dv_bus_figures_expire(bus);
}
