/* SPDX-License-Identifier: Apache-2.0 */
/* Commands and messages against a real broker: dialects, and what happens to those on their way
 * when the connection ends. The connector is the test. */
#include "stage.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(hono_session, answers_in_the_dialect_of_the_document, .timeout = 60)
{
    struct dv_error err = DV_ERROR_INIT;
    stage_come_up();
    stage_take_commands();
    const struct dv_command *command = stage_first_command(GW1, "");
    cr_expect(command->is_documented_dialect);
    dv_test_session_reply(&stage.session, command, (struct dv_command_reply){.status = 204});
    stage_expect_message("command//" GW1 "/res//start", "\"status\":204");
    struct dv_outbox_message data = {
        .feature = "Metrics", .subject = "data", .value = "{}", .is_documented_dialect = true};
    cr_assert_eq(stage.session.bridge->ops->outbox(stage.session.bridge, &data, &err), 0, "%s",
                 err.text);
    stage_expect_message("command//" GW1 "/res//data", "/features/Metrics/outbox/messages/data");
    stage_finish();
}

/* shows: outbox */
Test(hono_session, drops_live_messages_while_older_ones_are_on_their_way, .timeout = 60)
{
    struct dv_error err = DV_ERROR_INIT;
    stage_come_up();
    stage_take_commands();
    struct dv_outbox_message data = {
        .feature = "Metrics", .subject = "data", .value = "{\"n\":1}", .batch = 1};
    cr_assert_eq(stage.session.bridge->ops->outbox(stage.session.bridge, &data, &err), 0, "%s",
                 err.text);
    cr_assert_eq(stage.session.bridge->ops->outbox(stage.session.bridge, &data, &err), 0,
                 "of the same batch");
    data.batch = 2;
    data.value = "{\"n\":2}";
    cr_assert_eq(stage.session.bridge->ops->outbox(stage.session.bridge, &data, &err),
                 -DV_ERR_BUSY);
    stage_expect_message("e/t1/" GW1, "\"n\":1");
    stage_expect_message("e/t1/" GW1, "\"n\":1");
    /* Acknowledgements come in order. */
    stage_change_twin(1);
    dv_test_session_expect(&stage.session, DV_BRIDGE_SENT);
    stage_expect_message("e/t1/" GW1, "/features/F");
    err = DV_ERROR_INIT;
    cr_assert_eq(stage.session.bridge->ops->outbox(stage.session.bridge, &data, &err), 0, "%s",
                 err.text);
    stage_expect_message("e/t1/" GW1, "\"n\":2");
    stage_finish();
}

Test(hono_session, finishes_a_malformed_command_when_its_answer_has_arrived, .timeout = 60)
{
    stage_come_up();
    stage_take_commands();
    stage_first_command(GW1, "r1");
    stage_send_command(GW1, "r2", "/nowhere");
    const struct dv_store_answered *answered =
        dv_test_session_expect(&stage.session, DV_BRIDGE_FINISHED);
    cr_expect_eq(answered->sequence, stage.session.kept_count);
    stage_expect_message("command//" GW1 "/res/r2/400", "/nowhere");
    stage_finish();
}

/* shows: acknowledged */
Test(hono_session, answers_a_malformed_command_of_the_journal_after_a_restart, .timeout = 60)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_test_session again = {0};
    stage_come_up();
    stage_take_commands();
    stage_first_command(GW1, "r1");
    stage_send_command(GW1, "r2", "/nowhere");
    dv_test_session_expect(&stage.session, DV_BRIDGE_FINISHED);
    stage_expect_message("command//" GW1 "/res/r2/400", "/nowhere");
    struct dv_bytes raw = stage.session.kept[stage.session.kept_count - 1];
    dv_test_session_stop(&stage.session);

    stage_begin_another(&again);
    cr_assert_eq(again.bridge->ops->replay(again.bridge, raw.data, raw.len, 77, &err), 0);
    cr_assert_eq(again.bridge->ops->replay(again.bridge, "garbage", 7, 78, &err), 0);
    const struct dv_store_answered *answered = dv_test_session_expect(&again, DV_BRIDGE_FINISHED);
    cr_expect_eq(answered->sequence, 78, "a damaged record is over at once");
    stage.session.bridge = again.bridge; /* for stage_tell() */
    stage_tell(FIRST);
    stage.session.bridge = NULL;
    answered = dv_test_session_expect(&again, DV_BRIDGE_FINISHED);
    cr_expect_eq(answered->sequence, 77, "the other one when it is answered");
    dv_test_session_end(&again);
    stage_finish();
}

Test(hono_session, ignores_a_command_that_the_broker_kept, .timeout = 60)
{
    stage_prepare(NULL);
    stage_connect_peer();
    static const char old[] =
        "{\"topic\":\"org.example/gw1:edge:containers/things/live/messages/x\""
        ",\"headers\":{\"correlation-id\":\"c\"},\"path\":\"" GOOD_PATH "\"}";
    dv_mqtt_peer_publish(stage.peer, "command//" GW1 "/req/old/start", old, strlen(old), true);
    stage_begin();
    stage_tell(FIRST);
    stage_expect_up(GW1);
    stage_take_commands();
    const struct dv_command *command = stage_first_command(GW1, "new");
    cr_expect_not_null(strstr(command->token, "new"));
    stage_finish();
}

/* shows: reconnect */
Test(hono_session, answer_on_its_way_survives_the_broker, .timeout = 60)
{
    stage_come_up();
    stage_take_commands();
    const struct dv_command *command = stage_first_command(GW1, "r1");
    dv_mqtt_peer_free(stage.peer);
    dv_mosquitto_freeze(stage.broker, true);
    dv_test_session_reply(&stage.session, command, (struct dv_command_reply){.status = 204});
    stage_change_twin(9);
    /* It ends frozen: thawed, it might take the answer first. */
    dv_mosquitto_kill(stage.broker);
    bool is_twin_over = false;
    struct dv_bridge_event event;
    do {
        event = dv_test_session_next(&stage.session, DV_TEST_PATIENCE_MS);
        if (event.type == DV_BRIDGE_SENT)
            is_twin_over = ((const struct dv_twin_sent *)event.body)->number == 9;
    } while (event.type != DV_BRIDGE_LINK);
    cr_expect(is_twin_over, "a change is told as sent or not sent before the link is down");
    dv_mosquitto_restart(stage.broker);
    stage_connect_peer();
    stage_tell(FIRST);
    stage_expect_up(GW1);
    stage_expect_message("command//" GW1 "/res/r1/204", "\"correlation-id\":\"c\"");
    stage_finish();
}

Test(hono_session, leaves_a_broker_that_acknowledges_nothing, .timeout = 60)
{
    stage_prepare(NULL);
    stage_connect_peer();
    stage.config.acknowledge_timeout_ns = DV_HONO_SECOND_NS / 2;
    stage_begin();
    stage_tell(FIRST);
    stage_expect_up(GW1);
    dv_mosquitto_freeze(stage.broker, true);
    stage_change_twin(4);
    const struct dv_twin_sent *sent = dv_test_session_expect(&stage.session, DV_BRIDGE_SENT);
    cr_expect_eq(sent->number, 4);
    cr_expect(sent->is_failed);
    const struct dv_link_changed *link = dv_test_session_expect_link(&stage.session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "not acknowledged"), "%s", link->note);
    dv_mosquitto_freeze(stage.broker, false);
    stage_finish();
}

/* shows: input-limits */
Test(hono_session, payload_over_the_limit_is_answered_by_its_request_id, .timeout = 60)
{
    stage_come_up();
    stage_take_commands();
    stage_first_command(GW1, "r1");
    int before = stage.session.kept_count;
    size_t len = (1U << 20) + 1;
    char *payload = calloc(1, len);
    dv_mqtt_peer_publish(stage.peer, "command//" GW1 "/req/big/start", payload, len, false);
    free(payload);
    stage_expect_message("command//" GW1 "/res/big/400", "at most 1048576");
    cr_expect_eq(stage.session.kept_count, before);
    stage_finish();
}
