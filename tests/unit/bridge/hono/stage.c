/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* A sanitizer needs more for its own. */
#if defined(__SANITIZE_ADDRESS__)
#define STACK_BYTES (1U << 20)
#else
#define STACK_BYTES (128U << 10)
#endif

struct stage stage;

void stage_connect_peer(void)
{
    stage.peer = dv_mqtt_peer_new(dv_mosquitto_port(stage.broker));
    dv_mqtt_peer_subscribe(stage.peer, "edge/thing/request");
    dv_mqtt_peer_subscribe(stage.peer, "e/#");
    dv_mqtt_peer_subscribe(stage.peer, "command/+/+/res/#");
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

void stage_prepare(const char *broker_config)
{
    shrink_stacks();
    stage.broker = dv_mosquitto_start(broker_config);
    snprintf(stage.url, sizeof(stage.url), "localhost:%d", dv_mosquitto_port(stage.broker));
    stage.config = DV_HONO_CONFIG_INIT;
    stage.config.broker_url = stage.url;
    stage.config.retry_min_ns = DV_HONO_SECOND_NS / 50;
    stage.config.retry_max_ns = DV_HONO_SECOND_NS / 5;
    stage.config.handshake_retry_ns = DV_HONO_SECOND_NS / 5;
}

void stage_begin_another(struct dv_test_session *session)
{
    dv_test_session_begin(session, &dv_hono_ops, &stage.config, NULL);
}

void stage_begin(void)
{
    stage_begin_another(&stage.session);
}

void stage_finish(void)
{
    dv_test_session_end(&stage.session);
    dv_mqtt_peer_free(stage.peer);
    dv_mosquitto_end(stage.broker);
}

void stage_publish(const char *topic, const char *payload)
{
    dv_mqtt_peer_publish(stage.peer, topic, payload, strlen(payload), false);
}

struct dv_mqtt_message stage_receive(void)
{
    struct dv_mqtt_message message;
    for (int waited_ms = 0; waited_ms < DV_TEST_PATIENCE_MS; waited_ms += 10) {
        if (dv_mqtt_peer_take(stage.peer, 10, &message))
            return message;
        dv_test_session_next(&stage.session, 0);
    }
    cr_assert_fail("the connector receives nothing");
    return message;
}

void stage_expect_message(const char *topic, const char *part)
{
    struct dv_mqtt_message message = stage_receive();
    cr_expect_str_eq(message.topic, topic);
    cr_expect_not_null(strstr(message.payload, part), "%s has no %s", message.payload, part);
    dv_mqtt_message_done(&message);
}

void stage_tell(const char *answer)
{
    for (;;) {
        struct dv_mqtt_message message = stage_receive();
        bool is_asking = strcmp(message.topic, "edge/thing/request") == 0;
        if (is_asking)
            cr_expect_str_eq(message.payload, "{\"topic\":\"\",\"headers\":null,\"path\":\"\"}");
        dv_mqtt_message_done(&message);
        if (is_asking)
            break;
    }
    stage_publish("edge/thing/response", answer);
}

const struct dv_link_changed *stage_expect_up(const char *thing)
{
    const struct dv_link_changed *link = dv_test_session_expect_link(&stage.session, DV_LINK_UP);
    cr_assert_str_eq(link->identity, thing);
    return link;
}

void stage_come_up(void)
{
    stage_prepare(NULL);
    stage_connect_peer();
    stage_begin();
    stage_tell(FIRST);
    stage_expect_up(GW1);
}

void stage_change_twin(int64_t number)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_twin_change change = {.kind = DV_TWIN_FEATURE, .feature = "F", .number = number};
    cr_assert_eq(stage.session.bridge->ops->twin(stage.session.bridge, &change, &err), 0, "%s",
                 err.text);
}

void stage_take_commands(void)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(stage.session.bridge->ops->features_ready(stage.session.bridge, &err), 0, "%s",
                 err.text);
}

void stage_send_command(const char *thing, const char *request_id, const char *path)
{
    char topic[256], payload[1024];
    const char *name = strchr(thing, ':') + 1;
    snprintf(topic, sizeof(topic), "command//%s/req/%s/start", thing, request_id);
    snprintf(payload, sizeof(payload),
             "{\"topic\":\"org.example/%s/things/live/messages/start\",\"headers\":{"
             "\"response-required\":true,\"correlation-id\":\"c\"},\"path\":\"%s\"}",
             name, path);
    stage_publish(topic, payload);
}

const struct dv_command *stage_first_command(const char *thing, const char *request_id)
{
    char wanted[256];
    snprintf(wanted, sizeof(wanted), ":%s%sstart", thing, request_id);
    for (int tries = 0; tries < 100; tries++) {
        stage_send_command(thing, request_id, GOOD_PATH);
        struct dv_bridge_event event = dv_test_session_next(&stage.session, 200);
        const struct dv_command *command = event.body;
        if (event.type == DV_BRIDGE_COMMAND && strstr(command->token, wanted))
            return command;
    }
    cr_assert_fail("no command arrives");
    return NULL;
}
