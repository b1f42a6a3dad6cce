/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What paho's threads hand to the session thread. Everything is bounded:
 *
 *   commands   up to the limits of the configuration; a place is taken before the command is made
 *              durable, so that none is acknowledged and then has no room
 *   refusals   answers to commands that found no place or could not be made durable, ready to be
 *              sent; up to DV_HONO_REFUSALS_MAX, more are counted and dropped
 *   signals    what became of connect, subscribe and publish, one per request; if there were more
 *              than requests, the connection is given up
 *   handshake  the newest answer
 *   twin       the newest answer to a question about the twin
 *
 * All functions may be called from any thread; they never block but for the lock.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "bridge/hono/topic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_HONO_REFUSALS_MAX       1024
#define DV_HONO_HANDSHAKE_SEEN_MAX 4097 /* one byte over what is accepted */

enum dv_hono_signal_type {
    DV_HONO_CONNECTED,
    DV_HONO_CONNECT_FAILED, /* code, note */
    DV_HONO_LOST,           /* note */
    DV_HONO_SUBSCRIBED,     /* token */
    DV_HONO_SUBSCRIBE_FAILED,
    DV_HONO_ACKNOWLEDGED, /* token */
    DV_HONO_PUBLISH_FAILED,
};

struct dv_hono_signal {
    enum dv_hono_signal_type type;
    int token;
    int code;
    char note[256];
};

/* A command (raw bytes as journaled, sequence) or a refusal (topic, payload). The texts follow the
 * struct in the same memory; free() ends it. */
struct dv_hono_item {
    struct dv_hono_item *next;
    int64_t sequence;
    const char *topic; /* NULL: a command */
    struct dv_str bytes;
};

/* Owned by the caller. NULL topic for a command. */
struct dv_hono_item *
dv_hono_item_new(const char *topic, struct dv_str bytes, int64_t sequence, struct dv_error *err);

struct dv_hono_inbox;

struct dv_hono_inbox_limits {
    size_t commands;
    size_t bytes;
    size_t signals;
};

__attribute__((warn_unused_result)) int dv_hono_inbox_new(const struct dv_hono_inbox_limits *limits,
                                                          struct dv_hono_inbox **ret,
                                                          struct dv_error *err);
void dv_hono_inbox_free(struct dv_hono_inbox *inbox);
DV_DEFINE_CLEANUP(dv_hono_inbox, dv_hono_inbox_free)

/* Readable while something waits, or after dv_hono_inbox_wake(). */
int dv_hono_inbox_fd(const struct dv_hono_inbox *inbox);
void dv_hono_inbox_wake(struct dv_hono_inbox *inbox);
/* The descriptor is silent until the next push or wake; look once more afterwards. */
void dv_hono_inbox_silence(struct dv_hono_inbox *inbox);

/* Whose commands are taken now: those of so many things (thing.h); empty: nobody's. */
void dv_hono_inbox_set_thing(struct dv_hono_inbox *inbox, const char *first, unsigned count);
/* The first of them; returns their number. */
unsigned dv_hono_inbox_thing(struct dv_hono_inbox *inbox, char ret[DV_HONO_THING_MAX + 1]);

/* BUSY if the command has no place; else put or cancel must follow. */
__attribute__((warn_unused_result)) int
dv_hono_inbox_reserve(struct dv_hono_inbox *inbox, size_t bytes, struct dv_error *err);
void dv_hono_inbox_cancel(struct dv_hono_inbox *inbox, size_t bytes);
/* Fills the place that was reserved with `reserved` bytes. */
void dv_hono_inbox_put_command(struct dv_hono_inbox *inbox,
                               struct dv_hono_item *item,
                               size_t reserved);
/* Without a reserved place: for what was taken before a restart. */
void dv_hono_inbox_put_replay(struct dv_hono_inbox *inbox, struct dv_hono_item *item);
/* Takes the item; drops it when there are too many. */
void dv_hono_inbox_put_refusal(struct dv_hono_inbox *inbox, struct dv_hono_item *item);
void dv_hono_inbox_put_handshake(struct dv_hono_inbox *inbox, struct dv_str answer);
void dv_hono_inbox_put_twin(struct dv_hono_inbox *inbox, struct dv_str answer);
void dv_hono_inbox_signal(struct dv_hono_inbox *inbox, const struct dv_hono_signal *signal);

/* NULL or false if there is none; items are owned by the caller then. */
struct dv_hono_item *dv_hono_inbox_take_command(struct dv_hono_inbox *inbox);
struct dv_hono_item *dv_hono_inbox_take_refusal(struct dv_hono_inbox *inbox);
char *dv_hono_inbox_take_handshake(struct dv_hono_inbox *inbox, size_t *ret_len);
char *dv_hono_inbox_take_twin(struct dv_hono_inbox *inbox, size_t *ret_len);
bool dv_hono_inbox_take_signal(struct dv_hono_inbox *inbox, struct dv_hono_signal *ret);
/* Forgets what became of the requests of a connection that is gone, and its answers. */
void dv_hono_inbox_forget_signals(struct dv_hono_inbox *inbox);

/* Refusals dropped since the last call. */
size_t dv_hono_inbox_take_dropped(struct dv_hono_inbox *inbox);
