/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What every implementation of bridge/bridge.h must do, in the words of the port. The test of an
 * implementation gives the other side of its wire and lists the scenarios:
 *
 *   #define SCENARIO(name) Test(my_bridge, name) { run(dv_scenario_##name); }
 *   DV_BRIDGE_SCENARIOS(SCENARIO)
 *
 * The scenarios run in one thread: they call the bridge, and look at the other side through take().
 *
 * There are two kinds of bridges. A queued one has somebody in between (a broker), who forgets a
 * message when it is acknowledged and may lose sight of us. To a direct one each sender is
 * connected itself: it sees its connection end and asks again. So nothing is journaled or refused
 * for want of room, every command is answered, and the link is always up. Where that makes a
 * difference the scenario says what each kind must do.
 */
#include "bridge/bridge.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A command as the other side sends it. The id comes back in the answer. */
struct dv_scenario_command {
    const char *id;
    const char *feature;
    const char *operation;
    const char *args; /* JSON; NULL: none */
    bool wants_reply;
};

enum dv_scenario_seen_type {
    DV_SEEN_REPLY,
    DV_SEEN_TWIN,
    DV_SEEN_OUTBOX,
};

/* Something that the other side has received; texts are empty where they have no meaning. */
struct dv_scenario_seen {
    enum dv_scenario_seen_type type;
    char id[64];      /* REPLY */
    int status;       /* REPLY */
    char error[64];   /* REPLY: the code of a failure; empty: success */
    char feature[64]; /* TWIN, OUTBOX */
    char path[64];    /* TWIN: of the property; OUTBOX: the subject */
    char value[1024]; /* JSON without blanks */
};

struct dv_scenario_side {
    void *ctx;
    const struct dv_bridge_ops *ops;
    bool is_direct;
    /* Configuration of a bridge that finds this side; it takes `max_waiting` commands before they
     * are handed out. Alive until the side ends. */
    const void *(*config)(void *ctx, unsigned max_waiting);
    /* The other side can be reached, and says who we are. */
    void (*restore)(void *ctx);
    /* The other side vanishes without a word. */
    void (*cut)(void *ctx);
    void (*send)(void *ctx, const struct dv_scenario_command *command);
    /* A message with this id that is no good command, and must be answered 400. */
    void (*send_malformed)(void *ctx, const char *id);
    /* Messages of all kinds that must not have any effect, not even an answer. */
    void (*send_noise)(void *ctx);
    /* Readable when work() has something to do; -1: never. */
    int (*fd)(void *ctx);
    /* Does what the other side does by itself (handshake) and keeps what take() gives. */
    void (*work)(void *ctx);
    /* The next thing that was received, waiting at most `timeout_ms`; false: none. */
    bool (*take)(void *ctx, int timeout_ms, struct dv_scenario_seen *ret);
};

#define DV_BRIDGE_SCENARIOS(X)                                                                     \
    X(command_is_answered)                                                                         \
    X(one_way_command_is_not_answered)                                                             \
    X(commands_over_the_limit_are_answered_busy)                                                   \
    X(command_that_is_not_durable_is_answered_with_an_error)                                       \
    X(repeat_has_the_same_key)                                                                     \
    X(malformed_message_is_answered_by_the_bridge)                                                 \
    X(noise_has_no_effect)                                                                         \
    X(twin_change_is_acknowledged)                                                                 \
    X(live_message_is_sent)                                                                        \
    X(nothing_is_sent_without_a_link)                                                              \
    X(link_comes_back)                                                                             \
    X(command_is_replayed_after_a_restart)                                                         \
    X(burst_of_commands_is_taken_at_once)                                                          \
    X(free_does_not_need_the_other_side)

#define DV_SCENARIO_DECLARE(name) void dv_scenario_##name(const struct dv_scenario_side *side);
DV_BRIDGE_SCENARIOS(DV_SCENARIO_DECLARE)
