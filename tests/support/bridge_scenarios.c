/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/bridge_scenarios.h"

#include "tests/support/bridge_session.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_MS  5
#define NS_PER_MS INT64_C(1000000)
#define MANY      300
#define NO_LIMIT  4096

struct session {
    struct dv_test_session test; /* first */
    const struct dv_scenario_side *side;
};

static int64_t now_ms(void)
{
    return dv_clock_monotonic_ns(dv_clock_real()) / NS_PER_MS;
}

static void begin(struct session *session, const struct dv_scenario_side *side, unsigned limit)
{
    session->side = side;
    struct dv_test_side other = {.ctx = side->ctx, .fd = side->fd, .work = side->work};
    dv_test_session_begin(&session->test, side->ops, side->config(side->ctx, limit), &other);
}

static void end(struct session *session)
{
    dv_test_session_end(&session->test);
}

static const struct dv_command *expect_command(struct session *session)
{
    return dv_test_session_expect(&session->test, DV_BRIDGE_COMMAND);
}

static const struct dv_twin_sent *expect_sent(struct session *session)
{
    return dv_test_session_expect(&session->test, DV_BRIDGE_SENT);
}

static void
reply(struct session *session, const struct dv_command *command, struct dv_command_reply answer)
{
    dv_test_session_reply(&session->test, command, answer);
}

/* The next thing on the other side, while the bridge goes on working. */
static bool see_within(struct session *session, int timeout_ms, struct dv_scenario_seen *ret)
{
    int64_t end_ms = now_ms() + timeout_ms;
    do {
        if (session->side->take(session->side->ctx, SLICE_MS, ret))
            return true;
        if (session->test.bridge) {
            struct dv_bridge_event event = dv_test_session_next(&session->test, 0);
            cr_assert_neq(event.type, DV_BRIDGE_COMMAND, "a command that nobody expects");
        }
    } while (now_ms() < end_ms);
    return false;
}

static struct dv_scenario_seen expect_seen(struct session *session, enum dv_scenario_seen_type type)
{
    struct dv_scenario_seen seen;
    cr_assert(see_within(session, DV_TEST_PATIENCE_MS, &seen), "the other side receives nothing");
    cr_assert_eq(seen.type, type, "the other side received a %d with '%s%s' instead of a %d",
                 (int)seen.type, seen.id, seen.feature, (int)type);
    return seen;
}

/* What a direct peer has sent is there already: it may have to be taken first. */
static void take_what_is_there(struct session *session)
{
    struct dv_bridge *bridge = session->test.bridge;
    struct pollfd wait = {.fd = bridge->ops->fd(bridge), .events = POLLIN};
    while (poll(&wait, 1, 0) == 1) {
        struct dv_bridge_event event = dv_test_session_next(&session->test, 0);
        cr_assert_neq(event.type, DV_BRIDGE_COMMAND, "a command that nobody expects");
    }
}

/* One feature is published, commands are taken. */
static void get_ready(struct session *session)
{
    struct dv_bridge *bridge = session->test.bridge;
    struct dv_error err = DV_ERROR_INIT;
    struct dv_twin_change change = {.kind = DV_TWIN_FEATURE,
                                    .feature = "Factory",
                                    .definition = "x:Factory:1.0.0",
                                    .number = 1};
    if (session->side->is_direct)
        take_what_is_there(session);
    cr_assert_eq(bridge->ops->twin(bridge, &change, &err), 0, "%s", err.text);
    const struct dv_twin_sent *sent = expect_sent(session);
    cr_assert_eq(sent->number, 1);
    cr_assert_not(sent->is_failed);
    struct dv_scenario_seen seen = expect_seen(session, DV_SEEN_TWIN);
    cr_assert_str_eq(seen.feature, "Factory");
    cr_assert_eq(bridge->ops->features_ready(bridge, &err), 0, "%s", err.text);
}

static void come_up(struct session *session)
{
    dv_test_session_expect_link(&session->test, DV_LINK_UP);
    get_ready(session);
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
    int64_t end_ms = now_ms() + DV_TEST_PATIENCE_MS;
    while (now_ms() < end_ms) {
        send(session, (struct dv_scenario_command){.id = "first", .operation = "ping"});
        struct dv_bridge_event event = dv_test_session_next(&session->test, 100);
        if (event.type == DV_BRIDGE_COMMAND)
            break;
    }
    /* Those that were sent too often. */
    while (dv_test_session_next(&session->test, 200).type != DV_BRIDGE_NOTHING)
        continue;
}

void dv_scenario_command_is_answered(const struct dv_scenario_side *side)
{
    struct session session = {0};
    begin_up(&session, side, NO_LIMIT);
    open_the_way(&session);
    send(&session, (struct dv_scenario_command){
                       .id = "a", .operation = "create", .args = "{\"n\":1}", .wants_reply = true});
    const struct dv_command *command = expect_command(&session);
    cr_expect_str_eq(command->feature, "Factory");
    cr_expect_str_eq(command->operation, "create");
    cr_expect_str_eq(command->args, "{\"n\":1}");
    cr_expect(command->wants_reply);
    if (side->is_direct)
        cr_expect_eq(command->sequence, 0, "nothing is journaled");
    else
        cr_expect_gt(command->sequence, 0, "a command is journaled before it is handed out");
    reply(&session, command, (struct dv_command_reply){.status = 200, .value = "\"id\""});
    struct dv_scenario_seen seen = expect_seen(&session, DV_SEEN_REPLY);
    cr_expect_str_eq(seen.id, "a");
    cr_expect_eq(seen.status, 200);
    cr_expect_str_eq(seen.value, "\"id\"");

    send(&session, (struct dv_scenario_command){.id = "b", .wants_reply = true});
    command = expect_command(&session);
    cr_expect_null(command->args);
    reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_reply(&session, "b", 204, "");

    send(&session, (struct dv_scenario_command){.id = "c", .wants_reply = true});
    command = expect_command(&session);
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
    const struct dv_command *command = expect_command(&session);
    cr_expect_eq(command->wants_reply, side->is_direct);
    if (side->is_direct) {
        reply(&session, command, (struct dv_command_reply){.status = 204});
        expect_reply(&session, "quiet", 204, "");
    }
    send(&session, (struct dv_scenario_command){.id = "loud", .wants_reply = true});
    command = expect_command(&session);
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
    int64_t end_ms = now_ms() + DV_TEST_PATIENCE_MS;
    while (busy + taken < 6 && now_ms() < end_ms) {
        struct dv_scenario_seen seen;
        if (side->take(side->ctx, 200, &seen)) {
            cr_expect_eq(seen.type, DV_SEEN_REPLY);
            cr_expect_eq(seen.status, seen.error[0] ? 503 : 204);
            busy += seen.error[0] != '\0';
            continue;
        }
        struct dv_bridge_event event = dv_test_session_next(&session.test, 0);
        if (event.type == DV_BRIDGE_COMMAND) {
            taken++;
            reply(&session, event.body, (struct dv_command_reply){.status = 204});
        }
    }
    cr_expect_eq(busy + taken, 6, "each is taken or refused: %d busy, %d taken", busy, taken);
    cr_expect_geq(taken, 2);
    if (side->is_direct)
        cr_expect_eq(busy, 0, "what is not taken yet waits at the sender");
    else
        cr_expect_geq(busy, 1);
    end(&session);
}

void dv_scenario_command_that_is_not_durable_is_answered_with_an_error(
    const struct dv_scenario_side *side)
{
    struct session session = {0};
    begin_up(&session, side, NO_LIMIT);
    open_the_way(&session);
    session.test.is_journal_broken = true;
    send(&session, (struct dv_scenario_command){.id = "lost", .wants_reply = true});
    if (side->is_direct) {
        const struct dv_command *taken = expect_command(&session);
        reply(&session, taken, (struct dv_command_reply){.status = 204});
        expect_reply(&session, "lost", 204, "");
    } else {
        expect_reply(&session, "lost", 500, "messages:execution.failed");
    }
    session.test.is_journal_broken = false;
    send(&session, (struct dv_scenario_command){.id = "kept", .wants_reply = true});
    const struct dv_command *command = expect_command(&session);
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
    const struct dv_command *first = expect_command(&session);
    send(&session, twice);
    const struct dv_command *second = expect_command(&session);
    twice.args = "{\"a\":2}";
    send(&session, twice);
    const struct dv_command *third = expect_command(&session);
    if (side->is_direct) {
        cr_expect_null(first->repeat_key, "whoever asks twice means it");
        cr_expect_null(second->repeat_key);
        cr_expect_str_eq(third->args, twice.args);
    } else {
        cr_assert_not_null(first->repeat_key);
        cr_expect_str_eq(first->repeat_key, second->repeat_key);
        cr_expect_str_neq(first->repeat_key, third->repeat_key);
    }
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
    const struct dv_command *command = expect_command(&session);
    reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_reply(&session, "good", 204, "");
    end(&session);
}

void dv_scenario_noise_has_no_effect(const struct dv_scenario_side *side)
{
    struct session session = {0};
    begin_up(&session, side, NO_LIMIT);
    open_the_way(&session);
    int before = session.test.kept_count;
    side->send_noise(side->ctx);
    send(&session, (struct dv_scenario_command){.id = "good", .wants_reply = true});
    const struct dv_command *command = expect_command(&session);
    cr_expect_eq(session.test.kept_count, before + !side->is_direct, "noise is not journaled");
    reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_reply(&session, "good", 204, "");
    end(&session);
}

void dv_scenario_twin_change_is_acknowledged(const struct dv_scenario_side *side)
{
    struct session session = {0};
    struct dv_error err = DV_ERROR_INIT;
    begin_up(&session, side, NO_LIMIT);
    struct dv_bridge *bridge = session.test.bridge;
    struct dv_twin_change change = {.kind = DV_TWIN_PROPERTY,
                                    .feature = "Container:7b0c",
                                    .path = "status/state",
                                    .value = "{\"status\":\"RUNNING\",\"pid\":7}",
                                    .number = 70};
    cr_assert_eq(bridge->ops->twin(bridge, &change, &err), 0, "%s", err.text);
    change =
        (struct dv_twin_change){.kind = DV_TWIN_DELETE, .feature = "Container:7b0c", .number = 71};
    cr_assert_eq(bridge->ops->twin(bridge, &change, &err), 0, "%s", err.text);
    const struct dv_twin_sent *sent = expect_sent(&session);
    cr_expect_eq(sent->number, 70);
    sent = expect_sent(&session);
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
    cr_assert_eq(session.test.bridge->ops->outbox(session.test.bridge, &message, &err), 0, "%s",
                 err.text);
    struct dv_scenario_seen seen;
    if (side->is_direct) {
        /* Its only live messages are the daemon's own. */
        cr_expect_not(see_within(&session, 200, &seen));
        end(&session);
        return;
    }
    seen = expect_seen(&session, DV_SEEN_OUTBOX);
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
    struct dv_twin_change change = {.kind = DV_TWIN_FEATURE, .feature = "F", .number = 1};
    if (side->is_direct) {
        struct dv_bridge *bridge = session.test.bridge;
        dv_test_session_expect_link(&session.test, DV_LINK_UP);
        cr_expect_eq(bridge->ops->twin(bridge, &change, &err), 0, "%s", err.text);
        cr_expect_eq(expect_sent(&session)->number, 1, "nobody listens, nobody misses it");
        side->restore(side->ctx);
        get_ready(&session);
        end(&session);
        return;
    }
    dv_test_session_expect_link(&session.test, DV_LINK_DOWN);
    cr_expect_eq(session.test.bridge->ops->twin(session.test.bridge, &change, &err),
                 -DV_ERR_UNAVAILABLE);
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
    if (side->is_direct) {
        side->restore(side->ctx);
        get_ready(&session);
    } else {
        const struct dv_link_changed *link =
            dv_test_session_expect_link(&session.test, DV_LINK_DOWN);
        cr_expect_not_null(link->note, "people are told why");
        side->restore(side->ctx);
        come_up(&session);
    }
    open_the_way(&session);
    send(&session, (struct dv_scenario_command){.id = "again", .wants_reply = true});
    const struct dv_command *command = expect_command(&session);
    reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_reply(&session, "again", 204, "");
    end(&session);
}

/* A direct sender has seen its connection end and asks again. */
static void ask_again_after_a_restart(const struct dv_scenario_side *side)
{
    struct session first = {0}, second = {0};
    struct dv_scenario_command kept = {.id = "kept", .args = "[1]", .wants_reply = true};
    begin_up(&first, side, NO_LIMIT);
    send(&first, kept);
    expect_command(&first);
    dv_test_session_stop(&first.test);

    begin(&second, side, NO_LIMIT);
    side->restore(side->ctx);
    come_up(&second);
    struct dv_scenario_seen seen;
    cr_expect_not(see_within(&second, 100, &seen), "nobody answers what was asked before");
    send(&second, kept);
    const struct dv_command *command = expect_command(&second);
    cr_expect_str_eq(command->args, "[1]");
    reply(&second, command, (struct dv_command_reply){.status = 204});
    expect_reply(&second, "kept", 204, "");
    end(&first);
    end(&second);
}

void dv_scenario_command_is_replayed_after_a_restart(const struct dv_scenario_side *side)
{
    if (side->is_direct) {
        ask_again_after_a_restart(side);
        return;
    }
    struct session first = {0}, second = {0};
    struct dv_error err = DV_ERROR_INIT;
    begin_up(&first, side, NO_LIMIT);
    open_the_way(&first);
    send(&first, (struct dv_scenario_command){.id = "kept", .args = "[1]", .wants_reply = true});
    const struct dv_command *taken = expect_command(&first);
    struct dv_bytes raw = first.test.kept[taken->sequence - 1];
    dv_test_session_stop(&first.test);

    begin(&second, side, NO_LIMIT);
    cr_assert_eq(second.test.bridge->ops->replay(second.test.bridge, raw.data, raw.len, 900, &err),
                 0, "%s", err.text);
    const struct dv_command *command = expect_command(&second);
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
        commands[i] = expect_command(&session);
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
    (void)session.test.bridge->ops->twin(session.test.bridge, &change, &err);
    int64_t start_ms = now_ms();
    end(&session);
    cr_expect_lt(now_ms() - start_ms, 3000);
}
