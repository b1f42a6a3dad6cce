/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the daemon's session does with a bridge, for tests: calls next() when its descriptor or its
 * deadline says so, journals in memory, and lets the other side work meanwhile. One thread; only
 * the journal is written by the threads of the bridge. Failures end the test.
 */
#include "bridge/bridge.h"

#include <stdbool.h>

#define DV_TEST_PATIENCE_MS 15000
#define DV_TEST_KEPT_MAX    1024

/* The other side of the wire. */
struct dv_test_side {
    void *ctx;
    /* Readable when work() has something to do; -1: never. */
    int (*fd)(void *ctx);
    /* Does what the other side does by itself (handshake). */
    void (*work)(void *ctx);
};

struct dv_test_session {
    struct dv_bridge_sink sink;
    struct dv_test_side side;
    struct dv_bridge *bridge;
    struct dv_arena *arena;
    _Atomic bool is_journal_broken;
    _Atomic int kept_count;
    struct dv_bytes kept[DV_TEST_KEPT_MAX]; /* at their sequence - 1 */
};

/* `session` is zeroed before. `side` NULL: nobody on the other side does anything by itself. */
void dv_test_session_begin(struct dv_test_session *session,
                           const struct dv_bridge_ops *ops,
                           const void *config,
                           const struct dv_test_side *side);
/* Frees the bridge only. */
void dv_test_session_stop(struct dv_test_session *session);
void dv_test_session_end(struct dv_test_session *session);

/* The next event within the time; NOTHING: none. */
struct dv_bridge_event dv_test_session_next(struct dv_test_session *session, int timeout_ms);
/* The body of the next event of that type; others before it are passed over. */
const void *dv_test_session_expect(struct dv_test_session *session, enum dv_bridge_event_type type);
const struct dv_link_changed *dv_test_session_expect_link(struct dv_test_session *session,
                                                          enum dv_link_status status);
/* Answers a command; the rest of the answer is taken from it. */
void dv_test_session_reply(struct dv_test_session *session,
                           const struct dv_command *command,
                           struct dv_command_reply answer);
