/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The cloud port: one of the two replaceable sides of davit (the other is runtime/runtime.h). It
 * speaks features, commands, replies, twin changes and events; an implementation translates them to
 * its own wire. bridge/hono speaks Ditto over MQTT, bridge/local JSON lines over a unix socket.
 *
 * Threads: one `session` actor owns a bridge and makes all calls below; a call may block for as
 * long as its comment says. An implementation may have threads of its own, which touch only the
 * sink.
 *
 * The other side may know this gateway as several things, numbered from 0, so that none becomes too
 * large; messages that are about one of them have its number. A bridge whose other side has no such
 * limit leaves the number out.
 *
 * Raw bytes cross the port twice only: sink.accept() makes a command durable before it is
 * acknowledged to its sender, and replay() gives the same bytes back after a restart.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a bridge gets from its session. accept() is thread-safe and may be called from any thread of
 * the implementation: it returns when the bytes are in the journal (group commit, about a
 * millisecond) with their journal number, or fails when they cannot be made durable; then the
 * bridge answers the command with that error. */
struct dv_bridge_sink {
    int (*accept)(struct dv_bridge_sink *sink,
                  const void *raw,
                  size_t len,
                  int64_t *ret_sequence,
                  struct dv_error *err);
};

struct dv_bridge_env {
    const struct dv_clock *clock;
    struct dv_bridge_sink *sink;
    const void *config; /* the implementation's own section, alive until free */
};

enum dv_bridge_event_type {
    DV_BRIDGE_NOTHING,  /* nothing more now */
    DV_BRIDGE_LINK,     /* body: struct dv_link_changed */
    DV_BRIDGE_COMMAND,  /* body: struct dv_command, to be answered when wants_reply */
    DV_BRIDGE_SENT,     /* body: struct dv_twin_sent */
    DV_BRIDGE_TWIN,     /* body: struct dv_twin_seen, the answer to check_twin(); no link number */
    DV_BRIDGE_FINISHED, /* body: struct dv_store_answered with only `sequence`: a journaled command
                           that the bridge answered or dropped by itself (malformed) */
};

/* One step of what happened outside; the body and its texts live in the arena of the call. */
struct dv_bridge_event {
    enum dv_bridge_event_type type;
    const void *body;
};

struct dv_bridge;

struct dv_bridge_ops {
    const char *name;

    /* Starts connecting; never waits for the other side and never fails because it is away. */
    int (*open)(const struct dv_bridge_env *env, struct dv_bridge **ret, struct dv_error *err);

    /* A descriptor that is readable when next() has something. */
    int (*fd)(struct dv_bridge *bridge);
    /* Monotonic time when next() wants to be called though fd is silent; INT64_MAX: never. */
    int64_t (*deadline_ns)(struct dv_bridge *bridge);
    /* The next event. May block for one write to the network. */
    int (*next)(struct dv_bridge *bridge,
                struct dv_arena *arena,
                struct dv_bridge_event *ret,
                struct dv_error *err);

    /* All features are published: commands may be taken from the other side. Comes for each LINK
     * up; one of a link that was lost may come late, beside the next one's. */
    int (*features_ready)(struct dv_bridge *bridge, struct dv_error *err);
    /* Sends; a failure is final for that message and is logged by the session. UNAVAILABLE while
     * the link is down: the caller keeps what it wants to keep. */
    int (*reply)(struct dv_bridge *bridge,
                 const struct dv_command_reply *reply,
                 struct dv_error *err);
    int (*twin)(struct dv_bridge *bridge,
                const struct dv_twin_change *change,
                struct dv_error *err);
    /* BUSY while messages of another batch are on their way. */
    int (*outbox)(struct dv_bridge *bridge,
                  const struct dv_outbox_message *message,
                  struct dv_error *err);

    /* Asks which features a thing holds on the other side; the answer, if there is one, comes as
     * TWIN, unless another thing was asked for meanwhile. NULL: the other side holds nothing that
     * could differ. */
    int (*check_twin)(struct dv_bridge *bridge, unsigned thing, struct dv_error *err);

    /* A command taken before a restart and not finished: next() yields it again as a COMMAND (or
     * FINISHED when it needs no execution). */
    int (*replay)(struct dv_bridge *bridge,
                  const void *raw,
                  size_t len,
                  int64_t sequence,
                  struct dv_error *err);

    /* Disconnects in an orderly way, at most a second; then frees. */
    void (*free)(struct dv_bridge *bridge);
};

/* First member of every implementation. */
struct dv_bridge {
    const struct dv_bridge_ops *ops;
};
