/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The rules of the bus, without sockets: which host holds an address, what happens to a message
 * that has nowhere to go or finds no room, who gets events, how cells start and end. The loops
 * (bus_thread.c, sim.c) hand it every parcel that a host sent; its port delivers parcels and makes
 * hosts. The bus never waits for a host. One owner: the thread of the loop. Private to the kit.
 */
#include "actors/kit/cell.h"
#include "actors/kit/parcel.h"
#include "base/log.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stdint.h>

/* Who asks from outside the system; an address like any other, always there. */
#define DV_OUTSIDE_ADDRESS "outside"
#define DV_OUTSIDE_HOST    1U

/* Limits. A host number is part of correlations, see dv_host_init(). */
#define DV_CELLS_MAX         16384U
#define DV_HELD_MAX          65536U /* a host: as many as it may have asks open */
#define DV_SUBSCRIPTIONS_MAX 65536U
#define DV_TAPS_MAX          8U
#define DV_WAITERS_MAX       256U /* who waits for the end of one cell, or for figures */

struct dv_held {
    struct dv_held *next;
    int64_t deadline_ns; /* nobody waits for it after that; 0: always */
    struct dv_parcel parcel;
};

struct dv_bus_host {
    struct dv_bus_host *next;
    struct dv_bus_host *next_blocked;
    uint32_t id;
    int32_t mailbox; /* receive mark */
    bool is_shared;
    bool is_blocked; /* in the list of those with something held or missed */
    uint32_t cells;
    uint32_t held_count;
    struct dv_held *held_first;
    struct dv_held *held_last;
    uint32_t missed_rows;
    void *thread; /* of the port */
};

/* Somebody who waits for an answer of the bus. */
struct dv_bus_waiter {
    struct dv_bus_waiter *next;
    int64_t correlation;
    int64_t deadline_ns;
    char reply_to[];
};

enum dv_bus_entry_state {
    DV_ENTRY_STARTING, /* its start() has not returned; messages wait in the mailbox */
    DV_ENTRY_LIVE,
    DV_ENTRY_ENDING, /* removed: nothing is delivered, the name is not free yet */
};

struct dv_bus_entry {
    struct dv_bus_entry *next_hash;
    struct dv_bus_entry *older;
    struct dv_bus_entry *newer;
    struct dv_bus_host *host;
    struct dv_bus_waiter *spawner;
    struct dv_error *start_error; /* for the spawner, when the address is free again */
    struct dv_bus_waiter *stoppers;
    int64_t sent;
    int64_t received; /* as of the last figures */
    int64_t round;    /* of those */
    enum dv_bus_entry_state state;
    char address[];
};

struct dv_subscription {
    struct dv_subscription *next;
    struct dv_bus_entry *entry;
    int64_t missed; /* number of the first event it lost, 0: none */
};

struct dv_bus_event {
    struct dv_bus_event *next;
    uint16_t kind;
    int64_t sequence; /* of the last one */
    struct dv_subscription *rows;
};

struct dv_tap {
    struct dv_bus_entry *entry;
    int64_t dropped;
};

struct dv_bus;

struct dv_bus_port {
    /* 0 and the parcel is taken; -DV_ERR_BUSY when the mailbox is full. */
    int (*deliver)(void *ctx, struct dv_bus_host *host, struct dv_parcel *parcel);
    int (*start_host)(void *ctx, struct dv_bus_host *host, struct dv_error *err);
    void (*end_host)(void *ctx, struct dv_bus_host *host);
    void *ctx;
};

struct dv_bus_counts {
    int64_t undeliverable;
    int64_t busy;
    int64_t missed;
    int64_t lost;
    int64_t malformed;
    int64_t hosts;
    int64_t held;
};

struct dv_bus_figures {
    struct dv_bus_waiter *waiters; /* somebody waits: a collection is running */
    struct dv_arena *arena;
    struct dv_cell_figures *rows;
    size_t count;
    size_t capacity;
    uint32_t hosts_left;
    int64_t round;
    int64_t deadline_ns;
    int64_t late;
    int64_t malformed;
};

struct dv_bus {
    struct dv_bus_port port;
    const struct dv_cell_type *const *types;
    const struct dv_clock *clock;
    uint32_t shared_hosts_max;
    uint32_t shared_hosts;
    uint32_t last_host;
    struct dv_bus_host *hosts;
    struct dv_bus_host *blocked;
    struct dv_bus_host outside_host;
    struct dv_bus_entry **table; /* hash of addresses */
    size_t table_size;
    size_t entry_count;
    struct dv_bus_entry *newest;
    struct dv_bus_event *events;
    uint32_t subscription_count;
    struct dv_tap taps[DV_TAPS_MAX];
    uint32_t tap_count;
    struct dv_packer packer;
    struct dv_bus_counts counts;
    struct dv_bus_figures figures;
    struct dv_log_limit lost_log;
    struct dv_log_limit malformed_log;
};

void dv_bus_init(struct dv_bus *bus,
                 const struct dv_cell_type *const *types,
                 const struct dv_clock *clock,
                 unsigned shared_hosts_max,
                 const struct dv_bus_port *port);
/* Ends all hosts through the port and frees. */
void dv_bus_done(struct dv_bus *bus);

/* Routes one parcel that a host sent; takes its content. */
void dv_bus_handle(struct dv_bus *bus, struct dv_parcel *parcel);
/* Sends what was held or missed to hosts that have room again. True if something went out. */
bool dv_bus_retry(struct dv_bus *bus);
/* When dv_bus_expire() has something to do; INT64_MAX: never. */
int64_t dv_bus_next_ns(const struct dv_bus *bus);
void dv_bus_expire(struct dv_bus *bus);

/* Between the files of the bus. */

/* bus.c: delivery. `envelope` of the parcel decides whether it is held when there is no room. Takes
 * the parcel; 0 if it was delivered or is held, else -DV_ERR_BUSY. */
int dv_bus_deliver(struct dv_bus *bus,
                   struct dv_bus_host *host,
                   const struct dv_envelope *envelope,
                   struct dv_parcel *parcel);
/* Delivers now or not at all; takes the parcel. */
int dv_bus_try(struct dv_bus *bus, struct dv_bus_host *host, struct dv_parcel *parcel);
void dv_bus_block(struct dv_bus *bus, struct dv_bus_host *host);
/* A message of the bus to the host itself; held until there is room. */
void dv_bus_tell_host(struct dv_bus *bus,
                      struct dv_bus_host *host,
                      uint16_t kind,
                      const void *body);
/* Answers of the bus; nothing happens when nobody waits (reply_to is NULL). */
void dv_bus_answer(struct dv_bus *bus,
                   const char *reply_to,
                   int64_t correlation,
                   int64_t deadline_ns,
                   uint16_t kind,
                   const void *body);
void dv_bus_refuse(struct dv_bus *bus,
                   const char *reply_to,
                   int64_t correlation,
                   int64_t deadline_ns,
                   const struct dv_error *error);

/* bus_table.c */
struct dv_bus_entry *dv_bus_find(const struct dv_bus *bus, const char *address);
struct dv_bus_entry *dv_bus_add(struct dv_bus *bus, const char *address, struct dv_bus_host *host);
void dv_bus_remove(struct dv_bus *bus, struct dv_bus_entry *entry);

/* bus_waiter.c: NULL envelopes without reply_to are not kept. */
void dv_bus_wait(struct dv_bus_waiter **list, const struct dv_envelope *envelope);
size_t dv_bus_waiters(const struct dv_bus_waiter *list);
/* Answers all and empties the list. */
void dv_bus_waiters_answer(struct dv_bus *bus,
                           struct dv_bus_waiter **list,
                           uint16_t kind,
                           const void *body);
void dv_bus_waiters_refuse(struct dv_bus *bus,
                           struct dv_bus_waiter **list,
                           const struct dv_error *error);

/* bus_cells.c: a failure is the answer to the ask. On success they answer themselves, later. */
int dv_bus_spawn(struct dv_bus *bus,
                 const struct dv_envelope *envelope,
                 const struct dv_cell_spawn_cmd *cmd,
                 struct dv_error *err);
int dv_bus_stop(struct dv_bus *bus,
                const struct dv_envelope *envelope,
                const struct dv_cell_stop_cmd *cmd,
                struct dv_error *err);
void dv_bus_on_started(struct dv_bus *bus, const struct dv_cell_started *started);
void dv_bus_on_ending(struct dv_bus *bus, const struct dv_cell_ending *ending);
void dv_bus_on_ended(struct dv_bus *bus, const struct dv_cell_ended *ended);
void dv_bus_answer_cells(struct dv_bus *bus,
                         const struct dv_envelope *envelope,
                         struct dv_arena *arena);

/* bus_events.c */
int dv_bus_subscribe(struct dv_bus *bus, const char *address, uint16_t kind, struct dv_error *err);
void dv_bus_unsubscribe(struct dv_bus *bus, const char *address, uint16_t kind);
void dv_bus_publish(struct dv_bus *bus, struct dv_envelope *envelope, struct dv_parcel *parcel);
/* Forgets the rows of an address that goes away. */
void dv_bus_drop_rows(struct dv_bus *bus, struct dv_bus_entry *entry);
/* Tells the rows of that host what they missed; false when there is no room again. */
bool dv_bus_tell_missed(struct dv_bus *bus, struct dv_bus_host *host);
void dv_bus_events_done(struct dv_bus *bus);
int dv_bus_trace(struct dv_bus *bus, const char *address, bool is_on, struct dv_error *err);
/* Copies a message that is about to be delivered to those who trace. */
void dv_bus_tap(struct dv_bus *bus, const char *to, uint16_t kind, struct dv_parcel *parcel);

/* bus_figures.c */
void dv_bus_query_figures(struct dv_bus *bus, const struct dv_envelope *envelope);
void dv_bus_on_figures(struct dv_bus *bus, struct dv_parcel *parcel);
void dv_bus_figures_expire(struct dv_bus *bus);
void dv_bus_figures_done(struct dv_bus *bus);
