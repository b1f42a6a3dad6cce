/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/bridge_scenarios.h"

#include "base/buf.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 15000
#define SLICE_MS    5
#define NS_PER_MS   INT64_C(1000000)
#define KEPT_MAX    1024
#define MANY        300
#define NO_LIMIT    4096

/* A session with a journal in memory. accept() is called from the bridge's threads. */
struct session {
    struct dv_bridge_sink sink;
    const struct dv_scenario_side *side;
    struct dv_bridge *bridge;
    struct dv_arena *arena;
    _Atomic bool is_journal_broken;
    _Atomic int kept_count;
    struct dv_bytes kept[KEPT_MAX]; /* at their sequence - 1 */
};

static int64_t now_ms(void)
{
    return dv_clock_monotonic_ns(dv_clock_real()) / NS_PER_MS;
}

static int keep_raw(struct dv_bridge_sink *sink,
                    const void *raw,
                    size_t len,
                    int64_t *ret_sequence,
                    struct dv_error *err)
{
    struct session *session = (struct session *)sink;
    if (session->is_journal_broken)
        return dv_error_set(err, DV_ERR_IO, "the disk is full");
    int at = session->kept_count++;
    if (at >= KEPT_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "the journal of the test is full");
    session->kept[at] = (struct dv_bytes){malloc(len ? len : 1), len};
    memcpy(session->kept[at].data, raw, len);
    *ret_sequence = at + 1;
    return 0;
}

static void begin(struct session *session, const struct dv_scenario_side *side, unsigned limit)
{
    struct dv_error err = DV_ERROR_INIT;
    session->sink.accept = keep_raw;
    session->side = side;
    session->arena = dv_arena_new(64U << 20);
    struct dv_bridge_env env = {
        .clock = dv_clock_real(),
        .sink = &session->sink,
        .config = side->config(side->ctx, limit),
    };
    cr_assert_eq(side->ops->open(&env, &session->bridge, &err), 0, "%s", err.text);
}

static void stop(struct session *session)
{
    session->bridge->ops->free(session->bridge);
    session->bridge = NULL;
}

static void end(struct session *session)
{
    if (session->bridge)
        stop(session);
    dv_arena_free(session->arena);
    for (int i = 0; i < session->kept_count && i < KEPT_MAX; i++)
        free(session->kept[i].data);
}

/* Waits until the bridge or the other side has something, at most until `end_ms`. */
static void wait_for_either(struct session *session, int64_t end_ms)
{
    struct dv_bridge *bridge = session->bridge;
    const struct dv_scenario_side *side = session->side;
    int64_t left = end_ms - now_ms(), due = bridge->ops->deadline_ns(bridge);
    if (due != INT64_MAX && due / NS_PER_MS - now_ms() + 1 < left)
        left = due / NS_PER_MS - now_ms() + 1;
    struct pollfd wait[] = {{.fd = bridge->ops->fd(bridge), .events = POLLIN},
                            {.fd = side->fd(side->ctx), .events = POLLIN}};
    poll(wait, 2, left > 0 ? (int)left : 0);
    if (wait[1].revents)
        side->work(side->ctx);
}

/* The next event within the time; NOTHING: none. */
static struct dv_bridge_event next_within(struct session *session, int timeout_ms)
{
    struct dv_bridge *bridge = session->bridge;
    int64_t end_ms = now_ms() + timeout_ms;
    struct dv_bridge_event event;
    struct dv_error err = DV_ERROR_INIT;
    for (;;) {
        cr_assert_eq(bridge->ops->next(bridge, session->arena, &event, &err), 0, "%s", err.text);
        if (event.type != DV_BRIDGE_NOTHING || now_ms() >= end_ms)
            return event;
        wait_for_either(session, end_ms);
    }
}

/* The next event of that type; others before it are passed over. */
static const void *expect_event(struct session *session, enum dv_bridge_event_type type)
{
    int64_t end_ms = now_ms() + PATIENCE_MS;
    while (now_ms() < end_ms) {
        struct dv_bridge_event event = next_within(session, PATIENCE_MS);
        if (event.type == type)
            return event.body;
    }
    cr_assert_fail("the bridge has no event of type %d", (int)type);
    return NULL;
}

static const struct dv_link_changed *expect_link(struct session *session,
                                                 enum dv_link_status status)
{
    const struct dv_link_changed *link;
    do
        link = expect_event(session, DV_BRIDGE_LINK);
    while (link->status != status);
    return link;
}

/* The next thing on the other side, while the bridge goes on working. */
static bool see_within(struct session *session, int timeout_ms, struct dv_scenario_seen *ret)
{
    int64_t end_ms = now_ms() + timeout_ms;
    do {
        if (session->side->take(session->side->ctx, SLICE_MS, ret))
            return true;
        if (session->bridge) {
            struct dv_bridge_event event = next_within(session, 0);
            cr_assert_neq(event.type, DV_BRIDGE_COMMAND, "a command that nobody expects");
        }
    } while (now_ms() < end_ms);
    return false;
}

static struct dv_scenario_seen expect_seen(struct session *session, enum dv_scenario_seen_type type)
{
    struct dv_scenario_seen seen;
    cr_assert(see_within(session, PATIENCE_MS, &seen), "the other side receives nothing");
    cr_assert_eq(seen.type, type, "the other side received a %d with '%s%s' instead of a %d",
                 (int)seen.type, seen.id, seen.feature, (int)type);
    return seen;
}

/* Up, with one feature published, taking commands. */
static void come_up(struct session *session)
{
    struct dv_bridge *bridge = session->bridge;
    struct dv_error err = DV_ERROR_INIT;
    struct dv_twin_change change = {.kind = DV_TWIN_FEATURE,
                                    .feature = "Factory",
                                    .definition = "x:Factory:1.0.0",
                                    .number = 1};
    expect_link(session, DV_LINK_UP);
    cr_assert_eq(bridge->ops->twin(bridge, &change, &err), 0, "%s", err.text);
    const struct dv_twin_sent *sent = expect_event(session, DV_BRIDGE_SENT);
    cr_assert_eq(sent->number, 1);
    cr_assert_not(sent->is_failed);
    struct dv_scenario_seen seen = expect_seen(session, DV_SEEN_TWIN);
    cr_assert_str_eq(seen.feature, "Factory");
    cr_assert_eq(bridge->ops->features_ready(bridge, &err), 0, "%s", err.text);
}

static void begin_up(struct session *session, const struct dv_scenario_side *side, unsigned limit)
{
    begin(session, side, limit);
    side->restore(side->ctx);
    come_up(session);
}

static void send(struct session *session, struct dv_scenario_command command)
{
    if (!command.feature)
        command.feature = "Factory";
    if (!command.operation)
        command.operation = "start";
    session->side->send(session->side->ctx, &command);
}

static void
reply(struct session *session, const struct dv_command *command, struct dv_command_reply answer)
{
    struct dv_error err = DV_ERROR_INIT;
    answer.feature = command->feature;
    answer.operation = command->operation;
    answer.token = command->token;
    answer.sequence = command->sequence;
    cr_assert_eq(session->bridge->ops->reply(session->bridge, &answer, &err), 0, "%s", err.text);
}

static void expect_reply(struct session *session, const char *id, int status, const char *error)
{
    struct dv_scenario_seen seen = expect_seen(session, DV_SEEN_REPLY);
    cr_expect_str_eq(seen.id, id);
    cr_expect_eq(seen.status, status, "status %d instead of %d", seen.status, status);
    cr_expect_str_eq(seen.error, error);
}

/* Messages of the other side may overtake the subscription of the bridge; a command is sent until
 * it arrives, so that what follows does not. */
static void open_the_way(struct session *session)
{
    int64_t end_ms = now_ms() + PATIENCE_MS;
    while (now_ms() < end_ms) {
        send(session, (struct dv_scenario_command){.id = "first", .operation = "ping"});
        struct dv_bridge_event event = next_within(session, 100);
        if (event.type == DV_BRIDGE_COMMAND)
            break;
    }
    /* Those that were sent too often. */
    while (next_within(session, 200).type != DV_BRIDGE_NOTHING)
        continue;
}

void dv_scenario_command_is_answered(const struct dv_scenario_side *side)
{
    struct session session = {0};
    begin_up(&session, side, NO_LIMIT);
    open_the_way(&session);
    send(&session, (struct dv_scenario_command){
                       .id = "a", .operation = "create", .args = "{\"n\":1}", .wants_reply = true});
    const struct dv_command *command = expect_event(&session, DV_BRIDGE_COMMAND);
    cr_expect_str_eq(command->feature, "Factory");
    cr_expect_str_eq(command->operation, "create");
    cr_expect_str_eq(command->args, "{\"n\":1}");
    cr_expect(command->wants_reply);
    cr_expect_gt(command->sequence, 0, "a command is journaled before it is handed out");
    reply(&session, command, (struct dv_command_reply){.status = 200, .value = "\"id\""});
    struct dv_scenario_seen seen = expect_seen(&session, DV_SEEN_REPLY);
    cr_expect_str_eq(seen.id, "a");
    cr_expect_eq(seen.status, 200);
    cr_expect_str_eq(seen.value, "\"id\"");

    send(&session, (struct dv_scenario_command){.id = "b", .wants_reply = true});
    command = expect_event(&session, DV_BRIDGE_COMMAND);
    cr_expect_null(command->args);
    reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_reply(&session, "b", 204, "");

    send(&session, (struct dv_scenario_command){.id = "c", .wants_reply = true});
    command = expect_event(&session, DV_BRIDGE_COMMAND);
    reply(&session, command,
          (struct dv_command_reply){
              .status = 500, .error_class = DV_ERR_STATE, .error_text = "already runs"});
    expect_reply(&session, "c", 500, "messages:execution.failed");
    end(&session);
}

void dv_scenario_one_way_command_is_not_answered(const struct dv_scenario_side *side)
{
    struct session session = {0};
    begin_up(&session, side, NO_LIMIT);
    open_the_way(&session);
    send(&session, (struct dv_scenario_command){.id = "quiet", .wants_reply = false});
    const struct dv_command *command = expect_event(&session, DV_BRIDGE_COMMAND);
    cr_expect_not(command->wants_reply);
    send(&session, (struct dv_scenario_command){.id = "loud", .wants_reply = true});
    command = expect_event(&session, DV_BRIDGE_COMMAND);
    reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_reply(&session, "loud", 204, "");
    end(&session);
}

void dv_scenario_commands_over_the_limit_are_answered_busy(const struct dv_scenario_side *side)
{
    struct session session = {0};
    begin_up(&session, side, 2);
    open_the_way(&session);
    char id[16];
    int busy = 0, taken = 0;
    for (int i = 0; i < 6; i++) {
        snprintf(id, sizeof(id), "n%d", i);
        send(&session, (struct dv_scenario_command){.id = id, .wants_reply = true});
    }
    /* Nothing is handed out until the last one is journaled or refused, which nobody tells us:
     * what has been seen decides. */
    int64_t end_ms = now_ms() + PATIENCE_MS;
    while (busy + taken < 6 && now_ms() < end_ms) {
        struct dv_scenario_seen seen;
        if (side->take(side->ctx, 200, &seen)) {
            cr_expect_eq(seen.type, DV_SEEN_REPLY);
            cr_expect_eq(seen.status, seen.error[0] ? 503 : 204);
            busy += seen.error[0] != '\0';
            continue;
        }
        struct dv_bridge_event event = next_within(&session, 0);
        if (event.type == DV_BRIDGE_COMMAND) {
            taken++;
            reply(&session, event.body, (struct dv_command_reply){.status = 204});
        }
    }
    cr_expect_eq(busy + taken, 6, "each is taken or refused: %d busy, %d taken", busy, taken);
    cr_expect_geq(taken, 2);
    cr_expect_geq(busy, 1);
    end(&session);
}

void dv_scenario_command_that_is_not_durable_is_answered_with_an_error(
    const struct dv_scenario_side *side)
{
    struct session session = {0};
    begin_up(&session, side, NO_LIMIT);
    open_the_way(&session);
    session.is_journal_broken = true;
    send(&session, (struct dv_scenario_command){.id = "lost", .wants_reply = true});
    expect_reply(&session, "lost", 500, "messages:execution.failed");
    session.is_journal_broken = false;
    send(&session, (struct dv_scenario_command){.id = "kept", .wants_reply = true});
    const struct dv_command *command = expect_event(&session, DV_BRIDGE_COMMAND);
    reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_reply(&session, "kept", 204, "");
    end(&session);
}

void dv_scenario_repeat_has_the_same_key(const struct dv_scenario_side *side)
{
    struct session session = {0};
    begin_up(&session, side, NO_LIMIT);
    open_the_way(&session);
    struct dv_scenario_command twice = {.id = "twice", .args = "{\"a\":1}", .wants_reply = true};
    send(&session, twice);
    const struct dv_command *first = expect_event(&session, DV_BRIDGE_COMMAND);
    send(&session, twice);
    const struct dv_command *second = expect_event(&session, DV_BRIDGE_COMMAND);
    twice.args = "{\"a\":2}";
    send(&session, twice);
    const struct dv_command *third = expect_event(&session, DV_BRIDGE_COMMAND);
    cr_assert_not_null(first->repeat_key);
    cr_expect_str_eq(first->repeat_key, second->repeat_key);
    cr_expect_str_neq(first->repeat_key, third->repeat_key);
    reply(&session, first, (struct dv_command_reply){.status = 204});
    reply(&session, second, (struct dv_command_reply){.status = 204});
    expect_reply(&session, "twice", 204, "");
    expect_reply(&session, "twice", 204, "");
    end(&session);
}

void dv_scenario_malformed_message_is_answered_by_the_bridge(const struct dv_scenario_side *side)
{
    struct session session = {0};
    begin_up(&session, side, NO_LIMIT);
    open_the_way(&session);
    side->send_malformed(side->ctx, "bad");
    expect_reply(&session, "bad", 400, "messages:parameter.invalid");
    send(&session, (struct dv_scenario_command){.id = "good", .wants_reply = true});
    const struct dv_command *command = expect_event(&session, DV_BRIDGE_COMMAND);
    reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_reply(&session, "good", 204, "");
    end(&session);
}

void dv_scenario_noise_has_no_effect(const struct dv_scenario_side *side)
{
    struct session session = {0};
    begin_up(&session, side, NO_LIMIT);
    open_the_way(&session);
    int before = session.kept_count;
    side->send_noise(side->ctx);
    send(&session, (struct dv_scenario_command){.id = "good", .wants_reply = true});
    const struct dv_command *command = expect_event(&session, DV_BRIDGE_COMMAND);
    cr_expect_eq(session.kept_count, before + 1, "noise is not journaled");
    reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_reply(&session, "good", 204, "");
    end(&session);
}

void dv_scenario_twin_change_is_acknowledged(const struct dv_scenario_side *side)
{
    struct session session = {0};
    struct dv_error err = DV_ERROR_INIT;
    begin_up(&session, side, NO_LIMIT);
    struct dv_bridge *bridge = session.bridge;
    struct dv_twin_change change = {.kind = DV_TWIN_PROPERTY,
                                    .feature = "Container:7b0c",
                                    .path = "status/state",
                                    .value = "{\"status\":\"RUNNING\",\"pid\":7}",
                                    .number = 70};
    cr_assert_eq(bridge->ops->twin(bridge, &change, &err), 0, "%s", err.text);
    change =
        (struct dv_twin_change){.kind = DV_TWIN_DELETE, .feature = "Container:7b0c", .number = 71};
    cr_assert_eq(bridge->ops->twin(bridge, &change, &err), 0, "%s", err.text);
    const struct dv_twin_sent *sent = expect_event(&session, DV_BRIDGE_SENT);
    cr_expect_eq(sent->number, 70);
    sent = expect_event(&session, DV_BRIDGE_SENT);
    cr_expect_eq(sent->number, 71);
    cr_expect_not(sent->is_failed);
    struct dv_scenario_seen seen = expect_seen(&session, DV_SEEN_TWIN);
    cr_expect_str_eq(seen.feature, "Container:7b0c");
    cr_expect_str_eq(seen.path, "status/state");
    cr_expect_str_eq(seen.value, "{\"status\":\"RUNNING\",\"pid\":7}");
    seen = expect_seen(&session, DV_SEEN_TWIN);
    cr_expect_str_eq(seen.path, "");
    cr_expect_str_eq(seen.value, "");
    end(&session);
}

void dv_scenario_live_message_is_sent(const struct dv_scenario_side *side)
{
    struct session session = {0};
    struct dv_error err = DV_ERROR_INIT;
    begin_up(&session, side, NO_LIMIT);
    struct dv_outbox_message message = {
        .feature = "Metrics", .subject = "data", .value = "{\"timestamp\":1}"};
    cr_assert_eq(session.bridge->ops->outbox(session.bridge, &message, &err), 0, "%s", err.text);
    struct dv_scenario_seen seen = expect_seen(&session, DV_SEEN_OUTBOX);
    cr_expect_str_eq(seen.feature, "Metrics");
    cr_expect_str_eq(seen.path, "data");
    cr_expect_str_eq(seen.value, "{\"timestamp\":1}");
    end(&session);
}

void dv_scenario_nothing_is_sent_without_a_link(const struct dv_scenario_side *side)
{
    struct session session = {0};
    struct dv_error err = DV_ERROR_INIT;
    side->cut(side->ctx);
    begin(&session, side, NO_LIMIT);
    expect_link(&session, DV_LINK_DOWN);
    struct dv_twin_change change = {.kind = DV_TWIN_FEATURE, .feature = "F", .number = 1};
    cr_expect_eq(session.bridge->ops->twin(session.bridge, &change, &err), -DV_ERR_UNAVAILABLE);
    side->restore(side->ctx);
    come_up(&session);
    end(&session);
}

void dv_scenario_link_comes_back(const struct dv_scenario_side *side)
{
    struct session session = {0};
    begin_up(&session, side, NO_LIMIT);
    open_the_way(&session);
    side->cut(side->ctx);
    const struct dv_link_changed *link = expect_link(&session, DV_LINK_DOWN);
    cr_expect_not_null(link->note, "people are told why");
    side->restore(side->ctx);
    come_up(&session);
    open_the_way(&session);
    send(&session, (struct dv_scenario_command){.id = "again", .wants_reply = true});
    const struct dv_command *command = expect_event(&session, DV_BRIDGE_COMMAND);
    reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_reply(&session, "again", 204, "");
    end(&session);
}

void dv_scenario_command_is_replayed_after_a_restart(const struct dv_scenario_side *side)
{
    struct session first = {0}, second = {0};
    struct dv_error err = DV_ERROR_INIT;
    begin_up(&first, side, NO_LIMIT);
    open_the_way(&first);
    send(&first, (struct dv_scenario_command){.id = "kept", .args = "[1]", .wants_reply = true});
    const struct dv_command *taken = expect_event(&first, DV_BRIDGE_COMMAND);
    struct dv_bytes raw = first.kept[taken->sequence - 1];
    stop(&first);

    begin(&second, side, NO_LIMIT);
    cr_assert_eq(second.bridge->ops->replay(second.bridge, raw.data, raw.len, 900, &err), 0, "%s",
                 err.text);
    const struct dv_command *command = expect_event(&second, DV_BRIDGE_COMMAND);
    cr_expect_str_eq(command->feature, taken->feature);
    cr_expect_str_eq(command->operation, taken->operation);
    cr_expect_str_eq(command->args, taken->args);
    cr_expect_str_eq(command->repeat_key, taken->repeat_key);
    cr_expect_eq(command->sequence, 900);
    come_up(&second);
    reply(&second, command, (struct dv_command_reply){.status = 204});
    expect_reply(&second, "kept", 204, "");
    end(&first);
    end(&second);
}

void dv_scenario_burst_of_commands_is_taken_at_once(const struct dv_scenario_side *side)
{
    struct session session = {0};
    char id[MANY][16];
    begin_up(&session, side, NO_LIMIT);
    open_the_way(&session);
    for (int i = 0; i < MANY; i++) {
        snprintf(id[i], sizeof(id[i]), "n%d", i);
        send(&session, (struct dv_scenario_command){.id = id[i], .wants_reply = true});
    }
    const struct dv_command *commands[MANY];
    for (int i = 0; i < MANY; i++)
        commands[i] = expect_event(&session, DV_BRIDGE_COMMAND);
    for (int i = 0; i < MANY; i++)
        reply(&session, commands[i], (struct dv_command_reply){.status = 204});
    for (int i = 0; i < MANY; i++)
        expect_reply(&session, id[i], 204, "");
    end(&session);
}

void dv_scenario_free_does_not_need_the_other_side(const struct dv_scenario_side *side)
{
    struct session session = {0};
    struct dv_error err = DV_ERROR_INIT;
    begin_up(&session, side, NO_LIMIT);
    side->cut(side->ctx);
    struct dv_twin_change change = {.kind = DV_TWIN_FEATURE, .feature = "F", .number = 2};
    (void)session.bridge->ops->twin(session.bridge, &change, &err);
    int64_t start_ms = now_ms();
    end(&session);
    cr_expect_lt(now_ms() - start_ms, 3000);
}
