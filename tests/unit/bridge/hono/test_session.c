/* SPDX-License-Identifier: Apache-2.0 */
/* What is special about this bridge, against a real broker: handshake, identity, dialects, what
 * happens to messages on their way when the connection ends. The connector is the test itself. */
#include "base/spawn.h"
#include "bridge/hono/hono.h"
#include "bridge/hono/topic.h"
#include "tests/support/bridge_session.h"
#include "tests/support/mosquitto.h"
#include "tests/support/mqtt_peer.h"
#include "tests/support/needs.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* A sanitizer needs more for its own. */
#if defined(__SANITIZE_ADDRESS__)
#define STACK_BYTES (1U << 20)
#else
#define STACK_BYTES (128U << 10)
#endif

#define GW1    "org.example:gw1:edge:containers"
#define GW2    "org.example:gw2:edge:containers"
#define FIRST  "{\"deviceId\":\"org.example:gw1\",\"tenantId\":\"t1\",\"policyId\":\"p\"}"
#define SECOND "{\"deviceId\":\"org.example:gw2\",\"tenantId\":\"t2\"}"
#define POLICY "{\"deviceId\":\"org.example:gw1\",\"tenantId\":\"t1\",\"policyId\":\"other\"}"

static struct dv_mosquitto *broker;
static struct dv_mqtt_peer *peer;
static struct dv_test_session session;
static struct dv_hono_config config;
static char url[64];

static int no_fd(void *ctx)
{
    (void)ctx;
    return -1;
}

static void do_nothing(void *ctx)
{
    (void)ctx;
}

static void connect_peer(void)
{
    peer = dv_mqtt_peer_new(dv_mosquitto_port(broker));
    dv_mqtt_peer_subscribe(peer, "edge/thing/request");
    dv_mqtt_peer_subscribe(peer, "e/#");
    dv_mqtt_peer_subscribe(peer, "command/+/+/res/#");
}

/* The daemon gives every thread a small stack, paho's too. */
static void shrink_stacks(void)
{
    pthread_attr_t small;
    cr_assert_eq(pthread_attr_init(&small), 0);
    cr_assert_eq(pthread_attr_setstacksize(&small, STACK_BYTES), 0);
    cr_assert_eq(pthread_setattr_default_np(&small), 0);
    pthread_attr_destroy(&small);
}

static void prepare(const char *broker_config)
{
    shrink_stacks();
    broker = dv_mosquitto_start(broker_config);
    snprintf(url, sizeof(url), "localhost:%d", dv_mosquitto_port(broker));
    config = DV_HONO_CONFIG_INIT;
    config.broker_url = url;
    config.retry_min_ns = DV_HONO_SECOND_NS / 50;
    config.retry_max_ns = DV_HONO_SECOND_NS / 5;
    config.handshake_retry_ns = DV_HONO_SECOND_NS / 5;
}

static void begin(void)
{
    struct dv_test_side side = {.fd = no_fd, .work = do_nothing};
    dv_test_session_begin(&session, &dv_hono_ops, &config, &side);
}

static void finish(void)
{
    dv_test_session_end(&session);
    dv_mqtt_peer_free(peer);
    dv_mosquitto_end(broker);
}

static void publish(const char *topic, const char *payload)
{
    dv_mqtt_peer_publish(peer, topic, payload, strlen(payload), false);
}

/* The next message at the connector; the bridge goes on working. */
static struct dv_mqtt_message receive(void)
{
    struct dv_mqtt_message message;
    for (int waited_ms = 0; waited_ms < DV_TEST_PATIENCE_MS; waited_ms += 10) {
        if (dv_mqtt_peer_take(peer, 10, &message))
            return message;
        dv_test_session_next(&session, 0);
    }
    cr_assert_fail("the connector receives nothing");
    return message;
}

static void expect_message(const char *topic, const char *part)
{
    struct dv_mqtt_message message = receive();
    cr_expect_str_eq(message.topic, topic);
    cr_expect_not_null(strstr(message.payload, part), "%s has no %s", message.payload, part);
    dv_mqtt_message_done(&message);
}

/* Waits until the bridge asks, then tells. */
static void tell(const char *answer)
{
    for (;;) {
        struct dv_mqtt_message message = receive();
        bool is_asking = strcmp(message.topic, "edge/thing/request") == 0;
        if (is_asking)
            cr_expect_str_eq(message.payload, "{\"topic\":\"\",\"headers\":null,\"path\":\"\"}");
        dv_mqtt_message_done(&message);
        if (is_asking)
            break;
    }
    publish("edge/thing/response", answer);
}

static const struct dv_link_changed *expect_up(const char *thing)
{
    const struct dv_link_changed *link = dv_test_session_expect_link(&session, DV_LINK_UP);
    cr_assert_str_eq(link->identity, thing);
    return link;
}

static void come_up(void)
{
    prepare(NULL);
    connect_peer();
    begin();
    tell(FIRST);
    expect_up(GW1);
}

static void change_twin(int64_t number)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_twin_change change = {.kind = DV_TWIN_FEATURE, .feature = "F", .number = number};
    cr_assert_eq(session.bridge->ops->twin(session.bridge, &change, &err), 0, "%s", err.text);
}

static void take_commands(void)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(session.bridge->ops->features_ready(session.bridge, &err), 0, "%s", err.text);
}

static void send_command(const char *thing, const char *request_id, const char *path)
{
    char topic[256], payload[1024];
    const char *name = strchr(thing, ':') + 1;
    snprintf(topic, sizeof(topic), "command//%s/req/%s/start", thing, request_id);
    snprintf(payload, sizeof(payload),
             "{\"topic\":\"org.example/%s/things/live/messages/start\",\"headers\":{"
             "\"response-required\":true,\"correlation-id\":\"c\"},\"path\":\"%s\"}",
             name, path);
    publish(topic, payload);
}

#define GOOD_PATH "/features/F/inbox/messages/start"

/* Sends until one arrives: the subscription of the bridge is on its way. Another one that was sent
 * too often may come first. */
static const struct dv_command *first_command(const char *thing, const char *request_id)
{
    char wanted[256];
    snprintf(wanted, sizeof(wanted), ":%s%sstart", thing, request_id);
    for (int tries = 0; tries < 100; tries++) {
        send_command(thing, request_id, GOOD_PATH);
        struct dv_bridge_event event = dv_test_session_next(&session, 200);
        const struct dv_command *command = event.body;
        if (event.type == DV_BRIDGE_COMMAND && strstr(command->token, wanted))
            return command;
    }
    cr_assert_fail("no command arrives");
    return NULL;
}

/* shows: K2 */
Test(hono_session, asks_again_until_there_is_an_answer, .timeout = 60)
{
    prepare(NULL);
    connect_peer();
    begin();
    for (int i = 0; i < 3; i++)
        expect_message("edge/thing/request", "\"topic\":\"\"");
    tell(FIRST);
    expect_up(GW1);
    finish();
}

/* shows: handshake-answer */
Test(hono_session, refuses_an_unusable_answer_and_says_why, .timeout = 60)
{
    prepare(NULL);
    connect_peer();
    begin();
    tell("{\"deviceId\":\"nonamespace\",\"tenantId\":\"t\"}");
    const struct dv_link_changed *link;
    do
        link = dv_test_session_expect_link(&session, DV_LINK_DOWN);
    while (!strstr(link->note, "is refused"));
    cr_expect_not_null(strstr(link->note, "<namespace>:<name>"), "%s", link->note);
    tell(FIRST);
    expect_up(GW1);
    finish();
}

/* shows: K2, K3, handshake-answer */
Test(hono_session, keeps_its_identity_over_bad_and_repeated_answers, .timeout = 60)
{
    come_up();
    publish("edge/thing/response", "{}");
    publish("edge/thing/response", FIRST);
    change_twin(5);
    /* The acknowledgement comes behind both answers, and no LINK event before it. */
    struct dv_bridge_event event = dv_test_session_next(&session, DV_TEST_PATIENCE_MS);
    cr_expect_eq(event.type, DV_BRIDGE_SENT);
    expect_message("e/t1/" GW1, "/features/F");
    finish();
}

/* shows: K2 */
Test(hono_session, publishes_all_features_again_when_the_policy_changes, .timeout = 60)
{
    come_up();
    take_commands();
    first_command(GW1, "r1");
    publish("edge/thing/response", POLICY);
    expect_up(GW1);
    take_commands();
    first_command(GW1, "r2");
    finish();
}

/* shows: K2 */
Test(hono_session, leaves_the_old_thing_when_the_identity_changes, .timeout = 60)
{
    come_up();
    take_commands();
    const struct dv_command *old = first_command(GW1, "r1");
    publish("edge/thing/response", SECOND);
    expect_up(GW2);
    take_commands();
    const struct dv_command *command = first_command(GW2, "r2");
    change_twin(1);
    expect_message("e/t2/" GW2, "org.example/gw2:edge:containers/things/twin/commands/modify");
    dv_test_session_reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_message("command//" GW2 "/res/r2/204", "org.example/gw2");

    struct dv_error err = DV_ERROR_INIT;
    struct dv_command_reply late = {
        .feature = "F", .operation = "start", .status = 204, .token = old->token};
    cr_expect_eq(session.bridge->ops->reply(session.bridge, &late, &err), -DV_ERR_NOT_FOUND);
    send_command(GW1, "r3", GOOD_PATH);
    send_command(GW2, "r4", GOOD_PATH);
    command = dv_test_session_expect(&session, DV_BRIDGE_COMMAND);
    cr_expect_not_null(strstr(command->token, "r4"));
    finish();
}

Test(hono_session, needs_no_handshake_with_a_fixed_identity, .timeout = 60)
{
    prepare(NULL);
    connect_peer();
    config.device_id = "org.example:gw1";
    config.tenant_id = "t1";
    begin();
    expect_up(GW1);
    change_twin(1);
    expect_message("e/t1/" GW1, "/features/F");
    finish();
}

static void come_up_as(unsigned things)
{
    prepare(NULL);
    connect_peer();
    config.things = things;
    begin();
    tell(FIRST);
    expect_up(GW1);
}

Test(hono_session, is_several_things, .timeout = 60)
{
    struct dv_error err = DV_ERROR_INIT;
    come_up_as(3);
    struct dv_twin_change change = {
        .kind = DV_TWIN_FEATURE, .feature = "F", .number = 1, .thing = 1};
    cr_assert_eq(session.bridge->ops->twin(session.bridge, &change, &err), 0, "%s", err.text);
    expect_message("e/t1/" GW1 "-2", "org.example/gw1:edge:containers-2/things/twin/commands/");
    change_twin(2);
    expect_message("e/t1/" GW1, "org.example/gw1:edge:containers/things/twin/commands/");
    take_commands();
    const struct dv_command *command = first_command(GW1 "-3", "r3");
    dv_test_session_reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_message("command//" GW1 "-3/res/r3/204", "org.example/gw1:edge:containers-3/things/");
    command = first_command(GW1, "r1");
    dv_test_session_reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_message("command//" GW1 "/res/r1/204", "org.example/gw1:edge:containers/things/");
    finish();
}

Test(hono_session, is_asked_as_the_thing_of_the_topic, .timeout = 60)
{
    come_up_as(2);
    take_commands();
    first_command(GW1 "-2", "r1");
    publish(
        "command//" GW1 "-2/req/r2/start",
        "{\"topic\":\"org.example/gw1:edge:containers/things/live/messages/start\",\"headers\":{"
        "\"response-required\":true,\"correlation-id\":\"c\"},\"path\":\"" GOOD_PATH "\"}");
    dv_test_session_next(&session, 200);
    expect_message("command//" GW1 "-2/res/r2/404", "messages:");
    finish();
}

Test(hono_session, the_same_request_to_another_thing_is_no_repeat, .timeout = 60)
{
    come_up_as(2);
    take_commands();
    char key[128];
    snprintf(key, sizeof(key), "%s", first_command(GW1, "r1")->repeat_key);
    cr_expect_str_eq(first_command(GW1, "r1")->repeat_key, key);
    cr_expect_str_neq(first_command(GW1 "-2", "r1")->repeat_key, key);
    finish();
}

/* Answers what is asked about a thing as Ditto does, through the connector. */
static void answer_twin_question(const char *thing)
{
    struct dv_mqtt_message question = receive();
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
    publish(topic, answer);
}

Test(hono_session, asks_what_each_thing_holds, .timeout = 60)
{
    struct dv_error err = DV_ERROR_INIT;
    come_up_as(2);
    take_commands();
    for (unsigned i = 0; i < 2; i++) {
        first_command(i ? GW1 "-2" : GW1, "r1");
        cr_assert_eq(session.bridge->ops->check_twin(session.bridge, i, &err), 0, "%s", err.text);
        answer_twin_question(i ? GW1 "-2" : GW1);
        const struct dv_twin_seen *seen = dv_test_session_expect(&session, DV_BRIDGE_TWIN);
        cr_expect_eq(seen->thing, i);
        cr_assert_eq(seen->features.count, 1);
        cr_expect_str_eq(seen->features.items[0], "Container:x");
    }
    finish();
}

Test(hono_session, refuses_an_identity_without_room_for_its_things, .timeout = 60)
{
    char answer[512], device[DV_HONO_THING_MAX];
    size_t len = DV_HONO_THING_MAX - strlen(":edge:containers");
    memset(device, 'a', len);
    memcpy(device, "ns:", 3);
    device[len] = '\0';
    snprintf(answer, sizeof(answer), "{\"deviceId\":\"%s\",\"tenantId\":\"t\"}", device);
    prepare(NULL);
    connect_peer();
    config.things = 2;
    begin();
    tell(answer);
    const struct dv_link_changed *link;
    do
        link = dv_test_session_expect_link(&session, DV_LINK_DOWN);
    while (!strstr(link->note, "is refused"));
    cr_expect_not_null(strstr(link->note, "longer than"), "%s", link->note);
    tell(FIRST);
    expect_up(GW1);
    finish();
}

Test(hono_session, answers_in_the_dialect_of_the_document, .timeout = 60)
{
    struct dv_error err = DV_ERROR_INIT;
    come_up();
    take_commands();
    const struct dv_command *command = first_command(GW1, "");
    cr_expect(command->is_documented_dialect);
    dv_test_session_reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_message("command//" GW1 "/res//start", "\"status\":204");
    struct dv_outbox_message data = {
        .feature = "Metrics", .subject = "data", .value = "{}", .is_documented_dialect = true};
    cr_assert_eq(session.bridge->ops->outbox(session.bridge, &data, &err), 0, "%s", err.text);
    expect_message("command//" GW1 "/res//data", "/features/Metrics/outbox/messages/data");
    finish();
}

/* shows: outbox */
Test(hono_session, drops_live_messages_while_older_ones_are_on_their_way, .timeout = 60)
{
    struct dv_error err = DV_ERROR_INIT;
    come_up();
    take_commands();
    struct dv_outbox_message data = {
        .feature = "Metrics", .subject = "data", .value = "{\"n\":1}", .batch = 1};
    cr_assert_eq(session.bridge->ops->outbox(session.bridge, &data, &err), 0, "%s", err.text);
    cr_assert_eq(session.bridge->ops->outbox(session.bridge, &data, &err), 0, "of the same batch");
    data.batch = 2;
    data.value = "{\"n\":2}";
    cr_assert_eq(session.bridge->ops->outbox(session.bridge, &data, &err), -DV_ERR_BUSY);
    expect_message("e/t1/" GW1, "\"n\":1");
    expect_message("e/t1/" GW1, "\"n\":1");
    /* Acknowledgements come in order. */
    change_twin(1);
    dv_test_session_expect(&session, DV_BRIDGE_SENT);
    expect_message("e/t1/" GW1, "/features/F");
    err = DV_ERROR_INIT;
    cr_assert_eq(session.bridge->ops->outbox(session.bridge, &data, &err), 0, "%s", err.text);
    expect_message("e/t1/" GW1, "\"n\":2");
    finish();
}

Test(hono_session, finishes_a_malformed_command_when_its_answer_has_arrived, .timeout = 60)
{
    come_up();
    take_commands();
    first_command(GW1, "r1");
    send_command(GW1, "r2", "/nowhere");
    const struct dv_store_answered *answered = dv_test_session_expect(&session, DV_BRIDGE_FINISHED);
    cr_expect_eq(answered->sequence, session.kept_count);
    expect_message("command//" GW1 "/res/r2/400", "/nowhere");
    finish();
}

/* shows: acknowledged */
Test(hono_session, answers_a_malformed_command_of_the_journal_after_a_restart, .timeout = 60)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_test_session again = {0};
    come_up();
    take_commands();
    first_command(GW1, "r1");
    send_command(GW1, "r2", "/nowhere");
    dv_test_session_expect(&session, DV_BRIDGE_FINISHED);
    expect_message("command//" GW1 "/res/r2/400", "/nowhere");
    struct dv_bytes raw = session.kept[session.kept_count - 1];
    dv_test_session_stop(&session);

    struct dv_test_side side = {.fd = no_fd, .work = do_nothing};
    dv_test_session_begin(&again, &dv_hono_ops, &config, &side);
    cr_assert_eq(again.bridge->ops->replay(again.bridge, raw.data, raw.len, 77, &err), 0);
    cr_assert_eq(again.bridge->ops->replay(again.bridge, "garbage", 7, 78, &err), 0);
    const struct dv_store_answered *answered = dv_test_session_expect(&again, DV_BRIDGE_FINISHED);
    cr_expect_eq(answered->sequence, 78, "a damaged record is over at once");
    session.bridge = again.bridge; /* for tell() */
    tell(FIRST);
    session.bridge = NULL;
    answered = dv_test_session_expect(&again, DV_BRIDGE_FINISHED);
    cr_expect_eq(answered->sequence, 77, "the other one when it is answered");
    dv_test_session_end(&again);
    finish();
}

Test(hono_session, ignores_a_command_that_the_broker_kept, .timeout = 60)
{
    prepare(NULL);
    connect_peer();
    static const char old[] =
        "{\"topic\":\"org.example/gw1:edge:containers/things/live/messages/x\""
        ",\"headers\":{\"correlation-id\":\"c\"},\"path\":\"" GOOD_PATH "\"}";
    dv_mqtt_peer_publish(peer, "command//" GW1 "/req/old/start", old, strlen(old), true);
    begin();
    tell(FIRST);
    expect_up(GW1);
    take_commands();
    const struct dv_command *command = first_command(GW1, "new");
    cr_expect_not_null(strstr(command->token, "new"));
    finish();
}

/* shows: reconnect */
Test(hono_session, answer_on_its_way_survives_the_broker, .timeout = 60)
{
    come_up();
    take_commands();
    const struct dv_command *command = first_command(GW1, "r1");
    dv_mqtt_peer_free(peer);
    dv_mosquitto_freeze(broker, true);
    dv_test_session_reply(&session, command, (struct dv_command_reply){.status = 204});
    change_twin(9);
    /* It ends frozen: thawed, it might take the answer first. */
    dv_mosquitto_kill(broker);
    bool is_twin_over = false;
    struct dv_bridge_event event;
    do {
        event = dv_test_session_next(&session, DV_TEST_PATIENCE_MS);
        if (event.type == DV_BRIDGE_SENT)
            is_twin_over = ((const struct dv_twin_sent *)event.body)->number == 9;
    } while (event.type != DV_BRIDGE_LINK);
    cr_expect(is_twin_over, "a change is told as sent or not sent before the link is down");
    dv_mosquitto_restart(broker);
    connect_peer();
    tell(FIRST);
    expect_up(GW1);
    expect_message("command//" GW1 "/res/r1/204", "\"correlation-id\":\"c\"");
    finish();
}

Test(hono_session, leaves_a_broker_that_acknowledges_nothing, .timeout = 60)
{
    prepare(NULL);
    connect_peer();
    config.acknowledge_timeout_ns = DV_HONO_SECOND_NS / 2;
    begin();
    tell(FIRST);
    expect_up(GW1);
    dv_mosquitto_freeze(broker, true);
    change_twin(4);
    const struct dv_twin_sent *sent = dv_test_session_expect(&session, DV_BRIDGE_SENT);
    cr_expect_eq(sent->number, 4);
    cr_expect(sent->is_failed);
    const struct dv_link_changed *link = dv_test_session_expect_link(&session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "not acknowledged"), "%s", link->note);
    dv_mosquitto_freeze(broker, false);
    finish();
}

Test(hono_session, says_what_the_broker_has_against_it, .timeout = 60)
{
    prepare("allow_anonymous false");
    begin();
    const struct dv_link_changed *link = dv_test_session_expect_link(&session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "does not allow"), "%s", link->note);
    finish();
}

Test(hono_session, says_that_nobody_listens_or_that_there_is_no_such_host, .timeout = 60)
{
    prepare(NULL);
    dv_mosquitto_kill(broker);
    begin();
    const struct dv_link_changed *link = dv_test_session_expect_link(&session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "refused"), "%s", link->note);
    cr_expect_not_null(strstr(link->note, "next try in"), "%s", link->note);
    dv_test_session_end(&session);

    session = (struct dv_test_session){0};
    config.broker_url = "no-such-host.invalid";
    begin();
    link = dv_test_session_expect_link(&session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "name known"), "%s", link->note);
    finish();
}

/* shows: input-limits */
Test(hono_session, payload_over_the_limit_is_answered_by_its_request_id, .timeout = 60)
{
    come_up();
    take_commands();
    first_command(GW1, "r1");
    int before = session.kept_count;
    size_t len = (1U << 20) + 1;
    char *payload = calloc(1, len);
    dv_mqtt_peer_publish(peer, "command//" GW1 "/req/big/start", payload, len, false);
    free(payload);
    expect_message("command//" GW1 "/res/big/400", "at most 1048576");
    cr_expect_eq(session.kept_count, before);
    finish();
}

Test(hono_session, configuration_that_cannot_work_is_refused_at_once)
{
    static const struct {
        const char *url, *cert, *client_id, *device;
        bool is_persistent;
        const char *why;
    } cases[] = {
        {"http://x", NULL, NULL, NULL, false, "scheme"},
        {"ssl://x", NULL, NULL, NULL, false, "root_ca"},
        {"tcp://x", "a.pem", NULL, NULL, false, "client_key"},
        {"tcp://x", NULL, NULL, NULL, true, "client_id"},
        {"tcp://x", NULL, NULL, "nonamespace", false, "fixed identity"},
        {"tcp://x", NULL,
         "a-client-id-that-is-longer-than-any-broker-and-any-person-would-want-it-to-be", NULL,
         false, "client_id"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dv_hono_config bad = DV_HONO_CONFIG_INIT;
        bad.broker_url = cases[i].url;
        bad.client_cert = cases[i].cert;
        bad.client_id = cases[i].client_id;
        bad.device_id = cases[i].device;
        bad.tenant_id = cases[i].device ? "t" : NULL;
        bad.is_session_persistent = cases[i].is_persistent;
        struct dv_bridge_env env = {.clock = dv_clock_real(), .sink = NULL, .config = &bad};
        struct dv_bridge *bridge;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(dv_hono_ops.open(&env, &bridge, &err), -DV_ERR_INVALID);
        cr_expect_not_null(strstr(err.text, cases[i].why), "'%s' does not say '%s'", err.text,
                           cases[i].why);
    }
}

/* ---- a broker of bytes ---- */

static int listen_anywhere(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 8), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* Waits for the descriptor while the bridge goes on working. */
static void wait_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    for (int waited_ms = 0; waited_ms < DV_TEST_PATIENCE_MS; waited_ms += 10) {
        if (poll(&wait, 1, 10) == 1)
            return;
        dv_test_session_next(&session, 0);
    }
    cr_assert_fail("the bridge sends nothing");
}

/* Accepts a connection and answers its CONNECT; *ret_level is the protocol version. */
static int accept_connect(int listener, int *ret_level, unsigned char code)
{
    unsigned char packet[256];
    const unsigned char answer[] = {0x20, 2, 0, code};
    wait_readable(listener);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(fd, 0);
    wait_readable(fd);
    ssize_t got = recv(fd, packet, sizeof(packet), 0);
    cr_assert_gt(got, 12);
    cr_assert_eq(packet[0], 0x10);
    *ret_level = packet[4 + packet[3]];
    cr_assert_eq(send(fd, answer, sizeof(answer), MSG_NOSIGNAL), (ssize_t)sizeof(answer));
    return fd;
}

Test(hono_session, speaks_the_older_version_to_an_older_broker, .timeout = 60)
{
    int port, level;
    unsigned char subscribe[256];
    dv_autoclose int listener = listen_anywhere(&port);
    snprintf(url, sizeof(url), "127.0.0.1:%d", port);
    config = DV_HONO_CONFIG_INIT;
    config.broker_url = url;
    begin();
    dv_autoclose int first = accept_connect(listener, &level, 1);
    cr_expect_geq(first, 0);
    cr_expect_eq(level, 4);
    dv_autoclose int second = accept_connect(listener, &level, 0);
    cr_expect_eq(level, 3);
    wait_readable(second);
    cr_assert_gt(recv(second, subscribe, sizeof(subscribe), 0), 4);
    const unsigned char refusal[] = {0x90, 3, subscribe[2], subscribe[3], 0x80};
    cr_assert_eq(send(second, refusal, sizeof(refusal), MSG_NOSIGNAL), (ssize_t)sizeof(refusal));
    const struct dv_link_changed *link = dv_test_session_expect_link(&session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "refuses a subscription"), "%s", link->note);
    dv_test_session_end(&session);
}

Test(hono_session, leaves_a_broker_that_does_not_answer_a_subscription, .timeout = 60)
{
    int port, level;
    dv_autoclose int listener = listen_anywhere(&port);
    snprintf(url, sizeof(url), "127.0.0.1:%d", port);
    config = DV_HONO_CONFIG_INIT;
    config.broker_url = url;
    config.subscribe_timeout_ns = DV_HONO_SECOND_NS / 4;
    begin();
    dv_autoclose int fd = accept_connect(listener, &level, 0);
    cr_expect_geq(fd, 0);
    const struct dv_link_changed *link = dv_test_session_expect_link(&session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "not acknowledged in time"), "%s", link->note);
    dv_test_session_end(&session);
}

/* ---- TLS ---- */

#define OPENSSL "/usr/bin/openssl"

static void make_certificate(const char *folder, const char *name)
{
    char key[128], cert[128];
    pid_t pid;
    int status;
    snprintf(key, sizeof(key), "%s/%s.key", folder, name);
    snprintf(cert, sizeof(cert), "%s/%s.pem", folder, name);
    const char *argv[] = {"openssl",
                          "req",
                          "-x509",
                          "-newkey",
                          "ec",
                          "-pkeyopt",
                          "ec_paramgen_curve:prime256v1",
                          "-nodes",
                          "-keyout",
                          key,
                          "-out",
                          cert,
                          "-days",
                          "2",
                          "-subj",
                          "/CN=test",
                          "-addext",
                          "subjectAltName=IP:127.0.0.1",
                          NULL};
    struct dv_spawn spawn = {.path = OPENSSL, .argv = argv};
    cr_assert_eq(dv_spawn_start(&spawn, &pid, NULL), 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
}

static void remove_certificate(const char *folder, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s.key", folder, name);
    unlink(path);
    snprintf(path, sizeof(path), "%s/%s.pem", folder, name);
    unlink(path);
}

Test(hono_session, trusts_only_the_given_authority, .timeout = 60)
{
    char folder[] = "/tmp/davit-tls-XXXXXX", lines[512], tls_url[64], ca[128], other[128];
    dv_need_program("/usr/bin/openssl");
    cr_assert_not_null(mkdtemp(folder));
    make_certificate(folder, "broker");
    make_certificate(folder, "other");
    snprintf(lines, sizeof(lines),
             "cafile %s/broker.pem\ncertfile %s/broker.pem\nkeyfile %s/broker.key", folder, folder,
             folder);
    snprintf(ca, sizeof(ca), "%s/broker.pem", folder);
    snprintf(other, sizeof(other), "%s/other.pem", folder);
    prepare(lines);
    snprintf(tls_url, sizeof(tls_url), "mqtts://127.0.0.1:%d", dv_mosquitto_port(broker));
    config.broker_url = tls_url;
    config.device_id = "org.example:gw1";
    config.tenant_id = "t1";

    config.root_ca = other;
    begin();
    const struct dv_link_changed *link = dv_test_session_expect_link(&session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "TLS"), "%s", link->note);
    dv_test_session_end(&session);

    session = (struct dv_test_session){0};
    config.root_ca = ca;
    begin();
    expect_up(GW1);
    finish();
    remove_certificate(folder, "broker");
    remove_certificate(folder, "other");
    rmdir(folder);
}
