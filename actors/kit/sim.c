/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/sim.h"

#include "actors/kit/memory.h"

#include <poll.h>

/* A host that sends more than this without the bus getting a turn runs wild. */
#define QUEUE_MAX (1U << 20)

/* libzmq's marks add up: the ROUTER's own 1 on top of the mailbox. */
#define ROUTER_MARK 1

struct queue {
    struct dv_parcel *items; /* a ring */
    uint32_t capacity;
    uint32_t first;
    uint32_t count;
};

struct sim_host {
    struct sim_host *next;
    struct dv_sim *sim;
    struct dv_bus_host *bus_host;
    struct queue out;
    struct queue in;
    int64_t held_back_until_ns;
    struct dv_host host;
};

enum event_kind { EVENT_OUT, EVENT_IN, EVENT_TIMER, EVENT_READY, EVENT_RETRY, EVENT_EXPIRE };

struct event {
    struct sim_host *host;
    struct dv_cell *cell;
    int fd;
    short revents;
    enum event_kind kind;
};

struct dv_sim {
    struct dv_host_world world;
    struct dv_clock_fake *clock;
    uint64_t random;
    struct dv_bus bus;
    struct sim_host *hosts;  /* of cells */
    struct sim_host outside; /* its mailbox is read by dv_sim_receive() */
    struct event *events;    /* what could happen next */
    size_t event_count;
    size_t event_capacity;
    bool retry_failed; /* nothing changed since the bus found no room */
};

static uint64_t next_random(void *ctx)
{
    /* splitmix64 */
    struct dv_sim *sim = ctx;
    uint64_t z = (sim->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Queues. */

static void push(struct queue *queue, struct dv_parcel *parcel)
{
    if (queue->count == queue->capacity) {
        uint32_t capacity = queue->capacity ? queue->capacity * 2 : 8;
        if (capacity > QUEUE_MAX) {
            dv_log(DV_LOG_ERROR, "sim: over %u messages wait in one queue", QUEUE_MAX);
            abort();
        }
        struct dv_parcel *items = dv_need(calloc(capacity, sizeof(*items)));
        for (uint32_t i = 0; i < queue->count; i++)
            items[i] = queue->items[(queue->first + i) % queue->capacity];
        free(queue->items);
        queue->items = items;
        queue->capacity = capacity;
        queue->first = 0;
    }
    struct dv_parcel *at = &queue->items[(queue->first + queue->count) % queue->capacity];
    dv_parcel_init(at);
    dv_parcel_move(at, parcel);
    dv_parcel_done(parcel);
    queue->count++;
}

static bool pop(struct queue *queue, struct dv_parcel *ret)
{
    if (queue->count == 0)
        return false;
    *ret = queue->items[queue->first];
    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
    return true;
}

static void queue_done(struct queue *queue)
{
    struct dv_parcel parcel;
    while (pop(queue, &parcel))
        dv_parcel_done(&parcel);
    free(queue->items);
    *queue = (struct queue){0};
}

/* The ports of hosts and bus. */

static void send_out(void *ctx, struct dv_parcel *parcel)
{
    struct sim_host *host = ctx;
    push(&host->out, parcel);
}

static uint64_t host_random(void *ctx)
{
    return next_random(((struct sim_host *)ctx)->sim);
}

static void discard(void *ctx, struct dv_parcel *parcel)
{
    (void)ctx;
    dv_parcel_done(parcel);
}

static int deliver(void *ctx, struct dv_bus_host *bus_host, struct dv_parcel *parcel)
{
    struct dv_sim *sim = ctx;
    struct sim_host *host = bus_host->thread ? bus_host->thread : &sim->outside;
    if (host->in.count >= (uint32_t)bus_host->mailbox + ROUTER_MARK)
        return -DV_ERR_BUSY;
    push(&host->in, parcel);
    return 0;
}

static int start_host(void *ctx, struct dv_bus_host *bus_host, struct dv_error *err)
{
    (void)err;
    struct dv_sim *sim = ctx;
    struct sim_host *host = dv_need(calloc(1, sizeof(*host)));
    struct dv_host_port port = {send_out, host_random, host};
    dv_host_init(&host->host, bus_host->id, &sim->world, &port);
    host->sim = sim;
    host->bus_host = bus_host;
    bus_host->thread = host;
    host->next = sim->hosts;
    sim->hosts = host;
    return 0;
}

static void end_host(void *ctx, struct dv_bus_host *bus_host)
{
    struct dv_sim *sim = ctx;
    struct sim_host *host = bus_host->thread;
    host->host.port.send = discard;
    dv_host_done(&host->host);
    queue_done(&host->in);
    queue_done(&host->out);
    struct sim_host **at = &sim->hosts;
    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
    free(host);
    bus_host->thread = NULL;
}

struct dv_sim *dv_sim_new(const struct dv_host_world *world,
                          struct dv_clock_fake *clock,
                          unsigned shared_hosts_max,
                          uint64_t seed)
{
    struct dv_sim *sim = dv_need(calloc(1, sizeof(*sim)));
    sim->world = *world;
    sim->clock = clock;
    sim->random = seed;
    struct dv_bus_port port = {deliver, start_host, end_host, sim};
    dv_bus_init(&sim->bus, world->types, world->clock, shared_hosts_max, &port);
    return sim;
}

void dv_sim_free(struct dv_sim *sim)
{
    dv_bus_done(&sim->bus);
    queue_done(&sim->outside.in);
    queue_done(&sim->outside.out);
    free(sim->events);
    free(sim);
}

void dv_sim_send(struct dv_sim *sim, struct dv_parcel *parcel)
{
    push(&sim->outside.out, parcel);
}

bool dv_sim_receive(struct dv_sim *sim, struct dv_parcel *ret)
{
    return pop(&sim->outside.in, ret);
}

/* What could happen next. */

static void add_event(struct dv_sim *sim, struct event event)
{
    if (sim->event_count == sim->event_capacity) {
        sim->event_capacity = sim->event_capacity ? sim->event_capacity * 2 : 64;
        sim->events = dv_need(reallocarray(sim->events, sim->event_capacity, sizeof(*sim->events)));
    }
    sim->events[sim->event_count++] = event;
}

static void add_ready(struct dv_sim *sim, struct sim_host *host)
{
    const struct dv_watches *watches = &host->host.watches;
    for (size_t i = 0; i < watches->count; i++) {
        const struct dv_watch_row *row = &watches->rows[i];
        struct pollfd fd = {.fd = row->fd, .events = row->events};
        if (poll(&fd, 1, 0) == 1)
            add_event(sim, (struct event){host, row->cell, row->fd, fd.revents, EVENT_READY});
    }
}

static void collect(struct dv_sim *sim)
{
    int64_t now_ns = sim->clock->monotonic_ns;
    sim->event_count = 0;
    if (sim->outside.out.count)
        add_event(sim, (struct event){.host = &sim->outside, .kind = EVENT_OUT});
    for (struct sim_host *host = sim->hosts; host; host = host->next) {
        if (host->out.count)
            add_event(sim, (struct event){.host = host, .kind = EVENT_OUT});
        if (host->held_back_until_ns > now_ns)
            continue;
        if (host->in.count)
            add_event(sim, (struct event){.host = host, .kind = EVENT_IN});
        if (dv_timers_next_ns(&host->host.timers) <= now_ns)
            add_event(sim, (struct event){.host = host, .kind = EVENT_TIMER});
        add_ready(sim, host);
    }
    if (sim->bus.blocked && !sim->retry_failed)
        add_event(sim, (struct event){.kind = EVENT_RETRY});
    if (dv_bus_next_ns(&sim->bus) <= now_ns)
        add_event(sim, (struct event){.kind = EVENT_EXPIRE});
}

bool dv_sim_run_step(struct dv_sim *sim)
{
    collect(sim);
    if (sim->event_count == 0)
        return false;
    struct event event = sim->events[next_random(sim) % sim->event_count];
    struct dv_parcel parcel;
    sim->retry_failed = false;
    switch (event.kind) {
    case EVENT_OUT:
        if (pop(&event.host->out, &parcel))
            dv_bus_handle(&sim->bus, &parcel);
        break;
    case EVENT_IN:
        if (pop(&event.host->in, &parcel)) {
            dv_host_deliver(&event.host->host, &parcel);
            dv_parcel_done(&parcel);
        }
        break;
    case EVENT_TIMER:
        (void)dv_host_run_timer(&event.host->host);
        break;
    case EVENT_READY:
        dv_host_ready(&event.host->host, event.cell, event.fd, event.revents);
        break;
    case EVENT_RETRY:
        sim->retry_failed = !dv_bus_retry(&sim->bus);
        break;
    case EVENT_EXPIRE:
        dv_bus_expire(&sim->bus);
        break;
    }
    return true;
}

int64_t dv_sim_wake_ns(const struct dv_sim *sim)
{
    int64_t earliest = dv_bus_next_ns(&sim->bus);
    for (const struct sim_host *host = sim->hosts; host; host = host->next) {
        int64_t due = dv_timers_next_ns(&host->host.timers);
        /* What is ready or waits now is seen when the host is no longer held back. */
        bool is_held_back = host->held_back_until_ns > sim->clock->monotonic_ns;
        if (host->in.count || (is_held_back && host->host.watches.count))
            due = INT64_MIN;
        if (due < host->held_back_until_ns)
            due = host->held_back_until_ns;
        if (due < earliest)
            earliest = due;
    }
    return earliest;
}

void dv_sim_turn_to(struct dv_sim *sim, int64_t monotonic_ns)
{
    if (monotonic_ns > sim->clock->monotonic_ns)
        dv_clock_fake_advance(sim->clock, monotonic_ns - sim->clock->monotonic_ns);
    sim->retry_failed = false;
}

void dv_sim_hold_back(struct dv_sim *sim, const char *address, int64_t monotonic_ns)
{
    const struct dv_bus_entry *entry = dv_bus_find(&sim->bus, address);
    if (entry && entry->host->thread)
        ((struct sim_host *)entry->host->thread)->held_back_until_ns = monotonic_ns;
}
