/* SPDX-License-Identifier: Apache-2.0 */
/* Who the gateway is, and which things, against a real broker. The connector is the test. */
#include "stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* shows: K2 */
Test(hono_handshake, asks_again_until_there_is_an_answer, .timeout = 60)
{
    stage_prepare(NULL);
    stage_connect_peer();
    stage_begin();
    for (int i = 0; i < 3; i++)
        stage_expect_message("edge/thing/request", "\"topic\":\"\"");
    stage_tell(FIRST);
    stage_expect_up(GW1);
    stage_finish();
}

/* shows: handshake-answer */
Test(hono_handshake, refuses_an_unusable_answer_and_says_why, .timeout = 60)
{
    stage_prepare(NULL);
    stage_connect_peer();
    stage_begin();
    stage_tell("{\"deviceId\":\"nonamespace\",\"tenantId\":\"t\"}");
    const struct dv_link_changed *link;
    do
        link = dv_test_session_expect_link(&stage.session, DV_LINK_DOWN);
    while (!strstr(link->note, "is refused"));
    cr_expect_not_null(strstr(link->note, "<namespace>:<name>"), "%s", link->note);
    stage_tell(FIRST);
    stage_expect_up(GW1);
    stage_finish();
}

/* shows: K2, K3, handshake-answer */
Test(hono_handshake, keeps_its_identity_over_bad_and_repeated_answers, .timeout = 60)
{
    stage_come_up();
    stage_publish("edge/thing/response", "{}");
    stage_publish("edge/thing/response", FIRST);
    stage_change_twin(5);
    /* The acknowledgement comes behind both answers, and no LINK event before it. */
    struct dv_bridge_event event = dv_test_session_next(&stage.session, DV_TEST_PATIENCE_MS);
    cr_expect_eq(event.type, DV_BRIDGE_SENT);
    stage_expect_message("e/t1/" GW1, "/features/F");
    stage_finish();
}

/* shows: K2 */
Test(hono_handshake, publishes_all_features_again_when_the_policy_changes, .timeout = 60)
{
    stage_come_up();
    stage_take_commands();
    stage_first_command(GW1, "r1");
    stage_publish("edge/thing/response", POLICY);
    stage_expect_up(GW1);
    stage_take_commands();
    stage_first_command(GW1, "r2");
    stage_finish();
}

/* shows: K2 */
Test(hono_handshake, leaves_the_old_thing_when_the_identity_changes, .timeout = 60)
{
    stage_come_up();
    stage_take_commands();
    const struct dv_command *old = stage_first_command(GW1, "r1");
    stage_publish("edge/thing/response", SECOND);
    stage_expect_up(GW2);
    stage_take_commands();
    const struct dv_command *command = stage_first_command(GW2, "r2");
    stage_change_twin(1);
    stage_expect_message("e/t2/" GW2,
                         "org.example/gw2:edge:containers/things/twin/commands/modify");
    dv_test_session_reply(&stage.session, command, (struct dv_command_reply){.status = 204});
    stage_expect_message("command//" GW2 "/res/r2/204", "org.example/gw2");

    struct dv_error err = DV_ERROR_INIT;
    struct dv_command_reply late = {
        .feature = "F", .operation = "start", .status = 204, .token = old->token};
    cr_expect_eq(stage.session.bridge->ops->reply(stage.session.bridge, &late, &err),
                 -DV_ERR_NOT_FOUND);
    stage_send_command(GW1, "r3", GOOD_PATH);
    stage_send_command(GW2, "r4", GOOD_PATH);
    command = dv_test_session_expect(&stage.session, DV_BRIDGE_COMMAND);
    cr_expect_not_null(strstr(command->token, "r4"));
    stage_finish();
}

Test(hono_handshake, needs_no_handshake_with_a_fixed_identity, .timeout = 60)
{
    stage_prepare(NULL);
    stage_connect_peer();
    stage.config.device_id = "org.example:gw1";
    stage.config.tenant_id = "t1";
    stage_begin();
    stage_expect_up(GW1);
    stage_change_twin(1);
    stage_expect_message("e/t1/" GW1, "/features/F");
    stage_finish();
}

static void come_up_as(unsigned things)
{
    stage_prepare(NULL);
    stage_connect_peer();
    stage.config.things = things;
    stage_begin();
    stage_tell(FIRST);
    stage_expect_up(GW1);
}

Test(hono_handshake, is_several_things, .timeout = 60)
{
    struct dv_error err = DV_ERROR_INIT;
    come_up_as(3);
    struct dv_twin_change change = {
        .kind = DV_TWIN_FEATURE, .feature = "F", .number = 1, .thing = 1};
    cr_assert_eq(stage.session.bridge->ops->twin(stage.session.bridge, &change, &err), 0, "%s",
                 err.text);
    stage_expect_message("e/t1/" GW1 "-2",
                         "org.example/gw1:edge:containers-2/things/twin/commands/");
    stage_change_twin(2);
    stage_expect_message("e/t1/" GW1, "org.example/gw1:edge:containers/things/twin/commands/");
    stage_take_commands();
    const struct dv_command *command = stage_first_command(GW1 "-3", "r3");
    dv_test_session_reply(&stage.session, command, (struct dv_command_reply){.status = 204});
    stage_expect_message("command//" GW1 "-3/res/r3/204",
                         "org.example/gw1:edge:containers-3/things/");
    command = stage_first_command(GW1, "r1");
    dv_test_session_reply(&stage.session, command, (struct dv_command_reply){.status = 204});
    stage_expect_message("command//" GW1 "/res/r1/204", "org.example/gw1:edge:containers/things/");
    stage_finish();
}

Test(hono_handshake, is_asked_as_the_thing_of_the_topic, .timeout = 60)
{
    come_up_as(2);
    stage_take_commands();
    stage_first_command(GW1 "-2", "r1");
    stage_publish(
        "command//" GW1 "-2/req/r2/start",
        "{\"topic\":\"org.example/gw1:edge:containers/things/live/messages/start\",\"headers\":{"
        "\"response-required\":true,\"correlation-id\":\"c\"},\"path\":\"" GOOD_PATH "\"}");
    dv_test_session_next(&stage.session, 200);
    stage_expect_message("command//" GW1 "-2/res/r2/404", "messages:");
    stage_finish();
}

Test(hono_handshake, the_same_request_to_another_thing_is_no_repeat, .timeout = 60)
{
    come_up_as(2);
    stage_take_commands();
    char key[128];
    snprintf(key, sizeof(key), "%s", stage_first_command(GW1, "r1")->repeat_key);
    cr_expect_str_eq(stage_first_command(GW1, "r1")->repeat_key, key);
    cr_expect_str_neq(stage_first_command(GW1 "-2", "r1")->repeat_key, key);
    stage_finish();
}

/* Answers what is asked about a thing as Ditto does, through the connector. */
static void answer_twin_question(const char *thing)
{
    struct dv_mqtt_message question = stage_receive();
    char topic[256], answer[1024], id[64];
    snprintf(topic, sizeof(topic), "e/t1/%s", thing);
    cr_assert_str_eq(question.topic, topic);
    const char *at = strstr(question.payload, "\"correlation-id\":\"");
    cr_assert_not_null(at, "%s", question.payload);
    snprintf(id, sizeof(id), "%.*s", 36, at + strlen("\"correlation-id\":\""));
    dv_mqtt_message_done(&question);
    snprintf(topic, sizeof(topic), "command//%s/req//retrieve-response", thing);
    snprintf(answer, sizeof(answer),
             "{\"topic\":\"org.example/%s/things/twin/commands/retrieve\",\"headers\":{"
             "\"correlation-id\":\"%s\"},\"path\":\"/\",\"status\":200,"
             "\"value\":{\"features\":{\"Container:x\":{}}}}",
             strchr(thing, ':') + 1, id);
    stage_publish(topic, answer);
}

Test(hono_handshake, asks_what_each_thing_holds, .timeout = 60)
{
    struct dv_error err = DV_ERROR_INIT;
    come_up_as(2);
    stage_take_commands();
    for (unsigned i = 0; i < 2; i++) {
        stage_first_command(i ? GW1 "-2" : GW1, "r1");
        cr_assert_eq(stage.session.bridge->ops->check_twin(stage.session.bridge, i, &err), 0, "%s",
                     err.text);
        answer_twin_question(i ? GW1 "-2" : GW1);
        const struct dv_twin_seen *seen = dv_test_session_expect(&stage.session, DV_BRIDGE_TWIN);
        cr_expect_eq(seen->thing, i);
        cr_assert_eq(seen->features.count, 1);
        cr_expect_str_eq(seen->features.items[0], "Container:x");
    }
    stage_finish();
}

Test(hono_handshake, refuses_an_identity_without_room_for_its_things, .timeout = 60)
{
    char answer[512], device[DV_HONO_THING_MAX];
    size_t len = DV_HONO_THING_MAX - strlen(":edge:containers");
    memset(device, 'a', len);
    memcpy(device, "ns:", 3);
    device[len] = '\0';
    snprintf(answer, sizeof(answer), "{\"deviceId\":\"%s\",\"tenantId\":\"t\"}", device);
    stage_prepare(NULL);
    stage_connect_peer();
    stage.config.things = 2;
    stage_begin();
    stage_tell(answer);
    const struct dv_link_changed *link;
    do
        link = dv_test_session_expect_link(&stage.session, DV_LINK_DOWN);
    while (!strstr(link->note, "is refused"));
    cr_expect_not_null(strstr(link->note, "longer than"), "%s", link->note);
    stage_tell(FIRST);
    stage_expect_up(GW1);
    stage_finish();
}
