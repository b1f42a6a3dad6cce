/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What an actor sees of the kit. A cell is an address, a state, a handler table and timers; the kit
 * owns threads, sockets and clocks. Handlers of one cell never run at the same time, and cells
 * share nothing but the read-only `env`. Everything here is called from a handler, timer, watch or
 * answer function of that cell only.
 *
 * A handler never blocks, except in cells whose type is `may_block` (they have a host of their
 * own).
 */
#include "base/clock.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_ADDRESS_MAX 160
#define DV_BUS_ADDRESS "bus"

struct dv_cell;    /* the actor's own handle */
struct dv_request; /* an ask that waits for this cell's answer; answered exactly once */

/* Handles one message. `body` is decoded and borrowed for the call. For an ask `*request` is set:
 * answer it (dv_answer*), keep it by taking the pointer and setting *request to NULL, or return a
 * negative class: then the kit answers with *err. A handler that leaves it untouched and returns 0
 * is a bug: the kit answers INTERNAL. For a post `*request` is NULL and an error is counted and
 * logged. */
typedef int dv_handler_fn(struct dv_cell *cell,
                          const void *body,
                          struct dv_request **request,
                          struct dv_error *err);

struct dv_handler {
    uint16_t kind;
    dv_handler_fn *fn;
};

struct dv_cell_type {
    const char *name;
    size_t state_size; /* zeroed block, see dv_cell_state() */
    const struct dv_handler *handlers;
    size_t handler_count;
    uint16_t start_kind; /* kind of the start message, 0: none */
    bool may_block;      /* gets a host of its own, outside the shared ones */
    bool is_service;     /* a host of its own with the large mailbox */
    /* Runs in the cell's thread before any message. `start` is the decoded start message or NULL. A
     * failure ends the cell, through stop(); the one who spawned it gets the error. */
    int (*start)(struct dv_cell *cell, const void *start, struct dv_error *err);
    /* Frees what the state owns, which is half made after a failed start(). Asks were canceled
     * before, an ask from here ends at once; open requests are failed by the kit after. */
    void (*stop)(struct dv_cell *cell);
};

void *dv_cell_state(struct dv_cell *cell);
const char *dv_cell_address(const struct dv_cell *cell);
/* The environment given to the system: ports and configuration; the actor's header says its type.
 */
const void *dv_cell_env(const struct dv_cell *cell);
const struct dv_clock *dv_cell_clock(const struct dv_cell *cell);
/* Random bits: real, or from the seed of the simulation. */
uint64_t dv_cell_random(struct dv_cell *cell);

/* Send and forget. Never blocks the bus; an unknown address or a full mailbox loses the message,
 * counted and logged by the kit. Encoding failures (a bug) are logged. */
void dv_post(struct dv_cell *cell, const char *to, uint16_t kind, const void *body);

/* How an ask ended. Exactly one of error and body is set; both borrowed for the call. */
struct dv_outcome {
    const struct dv_error *error; /* UNDELIVERABLE, BUSY, TIMED_OUT, CANCELED (this cell ends) or
                                     the answerer's own */
    uint16_t kind;
    const void *body; /* decoded answer of that kind */
};
typedef void dv_outcome_fn(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome);

/* Send and expect: `fn` is called exactly once, later, also when this cell ends (CANCELED), so it
 * may free `ctx`. `timeout_ms` must be positive. Returns the correlation (> 0). */
int64_t dv_ask(struct dv_cell *cell,
               const char *to,
               uint16_t kind,
               const void *body,
               int64_t timeout_ms,
               dv_outcome_fn *fn,
               void *ctx);

/* Answers; takes *request and sets it to NULL. The bus holds an answer until there is room. */
void dv_answer(struct dv_cell *cell, struct dv_request **request, uint16_t kind, const void *body);
void dv_answer_done(struct dv_cell *cell, struct dv_request **request);
void dv_answer_error(struct dv_cell *cell,
                     struct dv_request **request,
                     const struct dv_error *error);

/* Where an answer would go, so that another cell can give it (a create is answered by the container
 * cell). dv_request_forward forgets the request here, without an answer. */
const char *dv_request_reply_to(const struct dv_request *request);
int64_t dv_request_correlation(const struct dv_request *request);
int64_t dv_request_deadline_ns(const struct dv_request *request);
void dv_request_forward(struct dv_cell *cell, struct dv_request **request);
/* The request that another cell forgot, rebuilt from those three; owned by the caller. */
struct dv_request *dv_request_adopt(struct dv_cell *cell,
                                    const char *reply_to,
                                    int64_t correlation,
                                    int64_t deadline_ns);

/* True while the asks of this cell are canceled because it ends, and in stop(): a CANCELED outcome
 * is then this cell's own, not an answer of the one that was asked. */
bool dv_cell_is_ending(const struct dv_cell *cell);

/* Sender of the message being handled; "" outside a handler. Borrowed for the call. */
const char *dv_cell_sender(const struct dv_cell *cell);
/* Number of the event being handled, 0 for other messages. */
int64_t dv_cell_sequence(const struct dv_cell *cell);

/* Events: published to all who subscribed at the time it reaches the bus. */
void dv_publish(struct dv_cell *cell, uint16_t kind, const void *body);
void dv_subscribe(struct dv_cell *cell, uint16_t kind);
void dv_unsubscribe(struct dv_cell *cell, uint16_t kind);

/* One-shot timers on the monotonic clock. The number is never 0; cancel of a fired or unknown one
 * is harmless. */
typedef void dv_timer_fn(struct dv_cell *cell, void *ctx);
uint64_t dv_timer_set(struct dv_cell *cell, int64_t delay_ms, dv_timer_fn *fn, void *ctx);
void dv_timer_cancel(struct dv_cell *cell, uint64_t timer);

/* Level-triggered readiness of a descriptor that stays owned by the caller. `events` of poll(2). A
 * second call for the same descriptor replaces; events 0 ends the watch. */
typedef void dv_watch_fn(struct dv_cell *cell, int fd, short events, void *ctx);
__attribute__((warn_unused_result)) int dv_watch(
    struct dv_cell *cell, int fd, short events, dv_watch_fn *fn, void *ctx, struct dv_error *err);

/* Starts another cell (asks the bus): `fn` gets done, or EXISTS, LIMIT (no room for a host), or
 * what its start returned. `type` is a registered name; `start` the start message of that type. */
void dv_spawn(struct dv_cell *cell,
              const char *address,
              const char *type,
              const void *start,
              int64_t timeout_ms,
              dv_outcome_fn *fn,
              void *ctx);
/* Ends another cell; `fn` gets done when its address is free again. */
void dv_stop_cell(
    struct dv_cell *cell, const char *address, int64_t timeout_ms, dv_outcome_fn *fn, void *ctx);
/* Ends this cell after the current call: the bus removes the address first, the rest is answered
 * UNDELIVERABLE, then stop() runs. */
void dv_cell_end(struct dv_cell *cell);
