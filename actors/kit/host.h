/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A host: the cells that run in one thread, without the thread. It decodes what arrives, finds the
 * cell and its handler, keeps asks, requests, timers and watches, and counts. The loops
 * (host_thread.c, sim.c) feed it parcels, time and ready descriptors; its port takes what it sends.
 * One owner: the thread of the loop. Private to the kit.
 *
 * Messages whose address is empty are for the host itself and come from the bus: cell_spawn_cmd,
 * cell_stop_cmd (the address is removed already), host_figures_query.
 */
#include "actors/kit/ask.h"
#include "actors/kit/cell.h"
#include "actors/kit/parcel.h"
#include "actors/kit/timers.h"
#include "actors/kit/watch.h"
#include "base/log.h"

#include <stdint.h>

/* Marks of the mailboxes, which add up with the bus's own mark of 1. */
#define DV_MAILBOX_CONTAINERS 64
#define DV_MAILBOX_SERVICES   16384 /* several messages of each of thousands of containers */

/* Asks that may be open in one host. */
#define DV_ASKS_MAX 65536U

/* Where a publication goes: the bus copies it to the subscribers. */
#define DV_PUBLISH_ADDRESS "*"

struct dv_host_port {
    void (*send)(void *ctx, struct dv_parcel *parcel); /* takes the parcel; may wait for the bus */
    uint64_t (*random)(void *ctx);
    void *ctx;
};

/* What all hosts of a system share; read-only. */
struct dv_host_world {
    const struct dv_cell_type *const *types;
    const void *env;
    const struct dv_clock *clock;
};

struct dv_request {
    struct dv_request *next;
    struct dv_request *previous;
    int64_t correlation;
    int64_t deadline_ns;
    char reply_to[];
};

struct dv_cell {
    struct dv_cell *next;
    struct dv_host *host;
    const struct dv_cell_type *type;
    struct dv_request *requests; /* open ones, doubly linked */
    void *state;
    int64_t received;
    int64_t handled;
    int64_t failed;
    int64_t handler_ns;
    int64_t slowest_ns;
    bool is_ending; /* dv_cell_end() was called: nothing runs any more but the end */
    bool is_stopped;
    char address[];
};

struct dv_host {
    struct dv_host_world world;
    struct dv_host_port port;
    struct dv_cell *cells;
    struct dv_timers timers;
    struct dv_asks asks;
    struct dv_watches watches;
    struct dv_packer packer;
    int64_t last_correlation;
    const struct dv_envelope *current; /* of the message being handled */
    int64_t late;
    int64_t malformed;
    struct dv_log_limit failed_log;
    struct dv_log_limit late_log;
};

/* `id` is unique in the system for ever: correlations are built from it. */
void dv_host_init(struct dv_host *host,
                  uint32_t id,
                  const struct dv_host_world *world,
                  const struct dv_host_port *port);
/* Ends the cells that are left. */
void dv_host_done(struct dv_host *host);

/* Takes the content of the parcel. */
void dv_host_deliver(struct dv_host *host, struct dv_parcel *parcel);
/* Runs the earliest timer if it is due. */
bool dv_host_run_timer(struct dv_host *host);
/* `revents` of poll(2) for a watched descriptor; nothing happens if the watch is gone. */
void dv_host_ready(struct dv_host *host, const struct dv_cell *cell, int fd, short revents);

/* Between host.c and cell.c. */

/* Sends a message of this host; a failure to encode it is logged and returned. */
int dv_host_send(struct dv_host *host,
                 const char *to,
                 struct dv_envelope *envelope,
                 uint16_t kind,
                 const void *body,
                 struct dv_error *err);
/* Ends an ask: calls its function and frees it. */
void dv_host_end_ask(struct dv_host *host, struct dv_ask *ask, const struct dv_outcome *outcome);
const char *dv_kind_name(uint16_t kind);
