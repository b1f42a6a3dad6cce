/* SPDX-License-Identifier: Apache-2.0 */
/* Who watches the twin or the trace. */
#include "base/cleanup.h"
#include "stage.h"

#include <criterion/criterion.h>

#define WATCH "{\"kind\":\"local_watch\",\"twin\":true}"
#define TRACE                                                                                      \
    "{\"kind\":\"local_request\",\"id\":\"t\",\"feature\":\"davit\",\"operation\":\"trace\","
#define ON  TRACE "\"args\":\"{\\\"on\\\":true}\"}"
#define OFF TRACE "\"args\":\"{\\\"on\\\":false}\"}"

TestSuite(local_watch, .init = stage_setup, .fini = stage_teardown, .timeout = 60);

static void change_twin(int64_t number)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_twin_change change = {.kind = DV_TWIN_PROPERTY,
                                    .feature = "Container:1",
                                    .path = "status/state",
                                    .value = "{\"pid\":7}",
                                    .number = number};
    cr_assert_eq(stage.session.bridge->ops->twin(stage.session.bridge, &change, &err), 0, "%s",
                 err.text);
}

Test(local_watch, changes_of_the_twin_go_to_whoever_watches)
{
    stage_begin();
    struct dv_line_peer *watcher = dv_line_peer_new(stage.path);
    struct dv_line_peer *other = dv_line_peer_new(stage.path);
    dv_line_peer_send(watcher, WATCH);
    stage_pump();
    change_twin(5);
    {
        DV_AUTO(dv_json) line = dv_line_peer_take(watcher, 0);
        cr_assert_not_null(line);
        cr_expect_str_eq(dv_json_text(dv_json_get(line, "kind")), "local_twin");
        cr_expect_str_eq(dv_json_text(dv_json_get(line, "change")), "PROPERTY");
        cr_expect_str_eq(dv_json_text(dv_json_get(line, "feature")), "Container:1");
        cr_expect_str_eq(dv_json_text(dv_json_get(line, "path")), "status/state");
        cr_expect_str_eq(dv_json_text(dv_json_get(line, "value")), "{\"pid\":7}");
    }
    cr_expect_null(stage_take(other));
    dv_line_peer_send(watcher, "{\"kind\":\"local_watch\"}");
    stage_pump();
    change_twin(6);
    cr_expect_null(stage_take(watcher));
    /* A listener that says nothing more is still one. */
    dv_line_peer_send(watcher, WATCH);
    dv_line_peer_half_close(watcher);
    stage_pump();
    change_twin(7);
    DV_AUTO(dv_json) line = dv_line_peer_take(watcher, 0);
    cr_expect_not_null(line);
    dv_line_peer_free(watcher);
    dv_line_peer_free(other);
    stage_end();
}

Test(local_watch, changes_wait_for_their_acknowledgement_up_to_a_limit)
{
    stage_begin();
    struct dv_error err = DV_ERROR_INIT;
    struct dv_twin_change change = {.kind = DV_TWIN_FEATURE, .feature = "F"};
    int r = 0;
    while ((r = stage.session.bridge->ops->twin(stage.session.bridge, &change, &err)) == 0)
        cr_assert_lt(change.number++, 100000);
    cr_assert_eq(r, -DV_ERR_BUSY);
    for (int64_t i = 0; i < change.number; i++) {
        const struct dv_twin_sent *sent = dv_test_session_expect(&stage.session, DV_BRIDGE_SENT);
        cr_assert_eq(sent->number, i);
        cr_assert_not(sent->is_failed);
    }
    stage_end();
}

static void trace(const char *text)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_outbox_message message = {
        .feature = "davit", .subject = "trace", .value = (char *)text};
    cr_assert_eq(stage.session.bridge->ops->outbox(stage.session.bridge, &message, &err), 0, "%s",
                 err.text);
}

static void switch_trace(struct dv_line_peer *peer, const char *line)
{
    dv_line_peer_send(peer, line);
    const struct dv_command *command = stage_expect_command();
    cr_assert_str_eq(command->operation, "trace");
    dv_test_session_reply(&stage.session, command, (struct dv_command_reply){.status = 204});
    stage_expect_answer(peer, "t", "");
}

Test(local_watch, trace_goes_to_whoever_asked_for_it)
{
    stage_begin();
    struct dv_line_peer *tracer = dv_line_peer_new(stage.path);
    struct dv_line_peer *other = dv_line_peer_new(stage.path);
    stage_expect_served(other);
    switch_trace(tracer, ON);
    trace("{\"to\":\"roster\",\"message\":\"m\"}");
    DV_AUTO(dv_json) line = dv_line_peer_take(tracer, 0);
    cr_assert_not_null(line);
    cr_expect_str_eq(dv_json_text(dv_json_get(line, "kind")), "local_trace");
    cr_expect_str_eq(dv_json_text(dv_json_get(line, "to")), "roster");
    cr_expect_null(stage_take(other));
    switch_trace(tracer, OFF);
    trace("{\"to\":\"roster\",\"message\":\"m\"}");
    cr_expect_null(stage_take(tracer));
    trace("");
    trace("no object");
    dv_line_peer_free(tracer);
    dv_line_peer_free(other);
    stage_end();
}

Test(local_watch, trace_goes_on_until_nobody_wants_it)
{
    stage_begin();
    struct dv_line_peer *first = dv_line_peer_new(stage.path);
    struct dv_line_peer *second = dv_line_peer_new(stage.path);
    switch_trace(first, ON);
    switch_trace(second, ON);
    dv_line_peer_send(first, OFF);
    cr_assert_eq(stage_pump(), 0, "the other one still listens");
    stage_expect_answer(first, "t", "");
    trace("{\"to\":\"roster\",\"message\":\"m\"}");
    cr_expect_null(stage_take(first));
    DV_AUTO(dv_json) line = stage_take(second);
    cr_expect_not_null(line);
    dv_line_peer_free(second);
    const struct dv_command *command = stage_expect_command();
    cr_expect_str_eq(command->feature, "davit");
    cr_expect_str_eq(command->operation, "trace");
    cr_expect_str_eq(command->args, "{\"on\":false}");
    cr_expect_not(command->wants_reply);
    cr_expect_eq(stage_pump(), 0);
    dv_line_peer_free(first);
    stage_end();
}
