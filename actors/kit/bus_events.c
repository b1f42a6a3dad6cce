/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publications and traces. An event is numbered within its kind and copied to every row of that
 * kind. A row whose mailbox is full loses it: the number of the first loss is kept, later events
 * are not sent either, and as soon as there is room `missed` says from where on the subscriber has
 * to ask. Copies for a trace are only counted when there is no room.
 */
#include "actors/kit/bus.h"
#include "actors/kit/host.h"
#include "actors/kit/memory.h"

#include <string.h>

static struct dv_bus_event *find_event(const struct dv_bus *bus, uint16_t kind)
{
    for (struct dv_bus_event *event = bus->events; event; event = event->next)
        if (event->kind == kind)
            return event;
    return NULL;
}

/* One for each kind that was ever used: bounded by the vocabulary, since a kind is known. */
static struct dv_bus_event *need_event(struct dv_bus *bus, uint16_t kind)
{
    struct dv_bus_event *event = find_event(bus, kind);
    if (event)
        return event;
    event = dv_need(calloc(1, sizeof(*event)));
    event->kind = kind;
    event->next = bus->events;
    bus->events = event;
    return event;
}

static struct dv_subscription **find_row(struct dv_bus_event *event,
                                         const struct dv_bus_entry *entry)
{
    struct dv_subscription **at = &event->rows;
    while (*at && (*at)->entry != entry)
        at = &(*at)->next;
    return at;
}

static int find_subscriber(const struct dv_bus *bus,
                           const char *address,
                           struct dv_bus_entry **ret,
                           struct dv_error *err)
{
    struct dv_bus_entry *entry = dv_bus_find(bus, address);
    if (!entry || entry->state == DV_ENTRY_ENDING)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "subscribe: there is no cell '%s'", address);
    *ret = entry;
    return 0;
}

int dv_bus_subscribe(struct dv_bus *bus, const char *address, uint16_t kind, struct dv_error *err)
{
    struct dv_bus_entry *entry = NULL;
    int r = find_subscriber(bus, address, &entry, err);
    if (r < 0)
        return r;
    if (strcmp(dv_kind_name(kind), "unknown kind") == 0)
        return dv_error_set(err, DV_ERR_INVALID, "subscribe '%s': there is no kind %u", address,
                            (unsigned)kind);
    if (bus->subscription_count >= DV_SUBSCRIPTIONS_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "subscribe '%s': there are %u subscriptions already",
                            address, DV_SUBSCRIPTIONS_MAX);
    struct dv_subscription **at = find_row(need_event(bus, kind), entry);
    if (*at)
        return 0;
    *at = dv_need(calloc(1, sizeof(**at)));
    (*at)->entry = entry;
    bus->subscription_count++;
    return 0;
}

static void remove_row(struct dv_bus *bus, struct dv_subscription **at)
{
    struct dv_subscription *row = *at;
    *at = row->next;
    if (row->missed)
        row->entry->host->missed_rows--;
    free(row);
    bus->subscription_count--;
}

void dv_bus_unsubscribe(struct dv_bus *bus, const char *address, uint16_t kind)
{
    const struct dv_bus_entry *entry = dv_bus_find(bus, address);
    struct dv_bus_event *event = find_event(bus, kind);
    if (!entry || !event)
        return;
    struct dv_subscription **at = find_row(event, entry);
    if (*at)
        remove_row(bus, at);
}

void dv_bus_drop_rows(struct dv_bus *bus, struct dv_bus_entry *entry)
{
    for (struct dv_bus_event *event = bus->events; event; event = event->next) {
        struct dv_subscription **at = find_row(event, entry);
        if (*at)
            remove_row(bus, at);
    }
    (void)dv_bus_trace(bus, entry->address, false, NULL);
}

static bool tell_missed(struct dv_bus *bus, uint16_t kind, struct dv_subscription *row)
{
    struct dv_envelope envelope = {.from = (char *)DV_BUS_ADDRESS};
    struct dv_missed missed = {.kind = kind, .sequence = row->missed};
    struct dv_parcel parcel;
    struct dv_error err = DV_ERROR_INIT;
    if (dv_parcel_pack(&bus->packer, row->entry->address, &envelope, &dv_schema_missed, &missed,
                       &parcel, &err) < 0) {
        dv_log(DV_LOG_ERROR, "bus: tell '%s' what it missed: %s", row->entry->address, err.text);
        return true;
    }
    if (dv_bus_try(bus, row->entry->host, &parcel) < 0)
        return false;
    row->entry->sent++;
    row->missed = 0;
    row->entry->host->missed_rows--;
    return true;
}

bool dv_bus_tell_missed(struct dv_bus *bus, struct dv_bus_host *host)
{
    if (host->missed_rows == 0)
        return true;
    for (struct dv_bus_event *event = bus->events; event; event = event->next)
        for (struct dv_subscription *row = event->rows; row; row = row->next)
            if (row->missed && row->entry->host == host && !tell_missed(bus, event->kind, row))
                return false;
    return true;
}

static void lose(struct dv_bus *bus, struct dv_subscription *row, int64_t sequence)
{
    bus->counts.missed++;
    if (row->missed)
        return;
    row->missed = sequence;
    row->entry->host->missed_rows++;
    dv_bus_block(bus, row->entry->host);
}

void dv_bus_publish(struct dv_bus *bus, struct dv_envelope *envelope, struct dv_parcel *parcel)
{
    uint16_t kind = (uint16_t)envelope->kind;
    if (strcmp(dv_kind_name(kind), "unknown kind") == 0) {
        bus->counts.malformed++;
        return;
    }
    struct dv_bus_event *event = need_event(bus, kind);
    envelope->sequence = ++event->sequence;
    envelope->reply_to = NULL;
    for (struct dv_subscription *row = event->rows; row; row = row->next) {
        if (row->missed && !tell_missed(bus, kind, row)) {
            lose(bus, row, event->sequence);
            continue;
        }
        struct dv_parcel copy;
        struct dv_error err = DV_ERROR_INIT;
        if (dv_parcel_address(&bus->packer, row->entry->address, envelope, parcel, &copy, &err) <
            0) {
            dv_log(DV_LOG_ERROR, "bus: publish to '%s': %s", row->entry->address, err.text);
            continue;
        }
        dv_bus_tap(bus, row->entry->address, kind, &copy);
        if (dv_bus_try(bus, row->entry->host, &copy) < 0)
            lose(bus, row, event->sequence);
        else
            row->entry->sent++;
    }
}

void dv_bus_events_done(struct dv_bus *bus)
{
    struct dv_bus_event *event;
    while ((event = bus->events)) {
        while (event->rows)
            remove_row(bus, &event->rows);
        bus->events = event->next;
        free(event);
    }
}

/* Traces. */

int dv_bus_trace(struct dv_bus *bus, const char *address, bool is_on, struct dv_error *err)
{
    struct dv_bus_entry *entry = dv_bus_find(bus, address);
    for (uint32_t i = 0; i < bus->tap_count; i++) {
        if (bus->taps[i].entry != entry)
            continue;
        if (!is_on)
            bus->taps[i] = bus->taps[--bus->tap_count];
        return 0;
    }
    if (!is_on)
        return 0;
    int r = find_subscriber(bus, address, &entry, err);
    if (r < 0)
        return r;
    if (bus->tap_count >= DV_TAPS_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "trace for '%s': %u traces are running already",
                            address, DV_TAPS_MAX);
    bus->taps[bus->tap_count++] = (struct dv_tap){.entry = entry};
    return 0;
}

static struct dv_bytes bytes_of(zmq_msg_t *frame)
{
    return (struct dv_bytes){zmq_msg_data(frame), zmq_msg_size(frame)};
}

/* The copy is larger than the message; one that would not fit travels without its body. */
#define TRACED_BODY_MAX (DV_MESSAGE_BYTES_MAX - 8192U)

static void
copy_to(struct dv_bus *bus, struct dv_tap *tap, const char *to, struct dv_parcel *parcel)
{
    struct dv_traced traced = {
        .to = (char *)to,
        .envelope = bytes_of(&parcel->envelope),
        .body = bytes_of(&parcel->body),
        .dropped = tap->dropped,
    };
    if (traced.body.len > TRACED_BODY_MAX)
        traced.body = (struct dv_bytes){0};
    struct dv_envelope envelope = {.from = (char *)DV_BUS_ADDRESS};
    struct dv_parcel copy;
    if (dv_parcel_pack(&bus->packer, tap->entry->address, &envelope, &dv_schema_traced, &traced,
                       &copy, NULL) < 0 ||
        dv_bus_try(bus, tap->entry->host, &copy) < 0) {
        tap->dropped++;
        return;
    }
    tap->entry->sent++;
    tap->dropped = 0;
}

void dv_bus_tap(struct dv_bus *bus, const char *to, uint16_t kind, struct dv_parcel *parcel)
{
    if (kind == DV_KIND_traced)
        return;
    for (uint32_t i = 0; i < bus->tap_count; i++)
        if (strcmp(bus->taps[i].entry->address, to) != 0)
            copy_to(bus, &bus->taps[i], to, parcel);
}
