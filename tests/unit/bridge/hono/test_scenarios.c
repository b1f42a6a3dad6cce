/* SPDX-License-Identifier: Apache-2.0 */
/* The scenarios of the port against a real broker and a scripted connector behind it. */
#include "base/buf.h"
#include "base/str.h"
#include "bridge/hono/hono.h"
#include "tests/support/bridge_scenarios.h"
#include "tests/support/mosquitto.h"
#include "tests/support/mqtt_peer.h"

#include "json/json.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THING  "org.example:gw1:edge:containers"
#define TOPIC  "org.example/gw1:edge:containers/things/live/messages/"
#define ANSWER "{\"deviceId\":\"org.example:gw1\",\"tenantId\":\"t1\",\"policyId\":\"p\"}"

#define SEEN_MAX 1024

struct cloud {
    struct dv_scenario_seen seen[SEEN_MAX]; /* a ring */
    size_t seen_head, seen_count;
    struct dv_mosquitto *broker;
    struct dv_mqtt_peer *peer;
    struct dv_hono_config config;
    char url[64];
};

static void publish(struct cloud *cloud, const char *topic, const char *payload)
{
    dv_mqtt_peer_publish(cloud->peer, topic, payload, strlen(payload), false);
}

static const void *config(void *ctx, unsigned max_waiting)
{
    struct cloud *cloud = ctx;
    snprintf(cloud->url, sizeof(cloud->url), "mqtt://127.0.0.1:%d",
             dv_mosquitto_port(cloud->broker));
    cloud->config = DV_HONO_CONFIG_INIT;
    cloud->config.broker_url = cloud->url;
    cloud->config.max_inbox = max_waiting;
    cloud->config.retry_min_ns = DV_HONO_SECOND_NS / 50;
    cloud->config.retry_max_ns = DV_HONO_SECOND_NS / 5;
    return &cloud->config;
}

static void cut(void *ctx)
{
    struct cloud *cloud = ctx;
    dv_mqtt_peer_free(cloud->peer);
    cloud->peer = NULL;
    dv_mosquitto_kill(cloud->broker);
}

static void restore(void *ctx)
{
    struct cloud *cloud = ctx;
    if (!cloud->peer) {
        dv_mosquitto_restart(cloud->broker);
        cloud->peer = dv_mqtt_peer_new(dv_mosquitto_port(cloud->broker));
        dv_mqtt_peer_subscribe(cloud->peer, "edge/thing/request");
        dv_mqtt_peer_subscribe(cloud->peer, "e/#");
        dv_mqtt_peer_subscribe(cloud->peer, "command/+/+/res/#");
    }
    publish(cloud, "edge/thing/response", ANSWER);
}

static void send_command(void *ctx, const struct dv_scenario_command *command)
{
    char topic[256], payload[2048];
    snprintf(topic, sizeof(topic), "command//" THING "/req/%s/%s", command->id, command->operation);
    snprintf(payload, sizeof(payload),
             "{\"topic\":\"" TOPIC "%s\",\"headers\":{\"response-required\":%s,%s"
             "\"correlation-id\":\"%s\"},\"path\":\"/features/%s/inbox/messages/%s\"%s%s}",
             command->operation, command->wants_reply ? "true" : "false",
             command->args ? "\"content-type\":\"application/json\"," : "", command->id,
             command->feature, command->operation, command->args ? ",\"value\":" : "",
             command->args ? command->args : "");
    publish(ctx, topic, payload);
}

static void send_malformed(void *ctx, const char *id)
{
    char topic[256], payload[512];
    snprintf(topic, sizeof(topic), "command//" THING "/req/%s/start", id);
    snprintf(
        payload, sizeof(payload),
        "{\"topic\":\"" TOPIC "start\",\"headers\":{\"response-required\":true,"
        "\"correlation-id\":\"%s\"},\"path\":\"/features/F/inbox/messages/start\",\"value\":1}",
        id);
    publish(ctx, topic, payload);
}

static void send_noise(void *ctx)
{
    static const char twin[] = "{\"topic\":\"org.example/gw1:edge:containers/things/twin/events/"
                               "modified\",\"headers\":{\"response-required\":true,"
                               "\"correlation-id\":\"x\"},\"path\":\"/features/F\",\"value\":1}";
    publish(ctx, "command//" THING "/req//modified", twin);
    publish(ctx, "command//" THING "/req//modify-response", twin);
    publish(ctx, "command//" THING "/req//errors", twin);
    publish(ctx, "command//" THING "/req/1/anything", twin);
    publish(ctx, "command//" THING "/req//start", "no JSON, and no request id");
    publish(ctx, "command//" THING "/req/too/many/parts", "{}");
    publish(ctx, "command//" THING "/req/short", "{}");
    publish(ctx, "edge/thing/response", "no JSON");
    publish(ctx, "edge/thing/response", "{\"deviceId\":\"nonamespace\",\"tenantId\":\"t\"}");
    publish(ctx, "edge/thing/response", ANSWER);
}

static void copy_text(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

static void read_path(const char *path, struct dv_scenario_seen *seen)
{
    struct dv_str rest = dv_str_of(path + strlen("/features/")), feature, tail;
    bool has_tail = dv_str_cut(rest, '/', &feature, &tail);
    snprintf(seen->feature, sizeof(seen->feature), "%.*s", DV_STR_ARG(feature));
    if (!has_tail)
        return;
    if (dv_str_starts_with(tail, "properties/"))
        copy_text(seen->path, sizeof(seen->path), tail.data + strlen("properties/"));
    else
        copy_text(seen->path, sizeof(seen->path), strrchr(tail.data, '/') + 1);
}

static void read_envelope(const struct dv_mqtt_message *message, struct dv_scenario_seen *seen)
{
    DV_AUTO(dv_json) root = NULL;
    cr_assert_eq(dv_json_parse(message->payload, message->len, &root, NULL), 0, "%s",
                 message->payload);
    const struct dv_json *headers = dv_json_get(root, "headers");
    const struct dv_json *value = dv_json_get(root, "value");
    const char *path = dv_json_text(dv_json_get(root, "path"));
    *seen = (struct dv_scenario_seen){.type = DV_SEEN_TWIN};
    if (strstr(message->topic, "/res/")) {
        seen->type = DV_SEEN_REPLY;
        copy_text(seen->id, sizeof(seen->id), dv_json_text(dv_json_get(headers, "correlation-id")));
        seen->status = (int)dv_json_number(dv_json_get(root, "status"));
        cr_assert_eq(strtol(strrchr(message->topic, '/') + 1, NULL, 10), seen->status,
                     "the topic and the envelope have one status");
        copy_text(seen->error, sizeof(seen->error), dv_json_text(dv_json_get(value, "error")));
    } else {
        cr_assert_str_eq(message->topic, "e/t1/" THING);
        if (strstr(dv_json_text(dv_json_get(root, "topic")), "/live/"))
            seen->type = DV_SEEN_OUTBOX;
        read_path(path, seen);
    }
    if (value) {
        DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(sizeof(seen->value) - 1);
        struct dv_json_writer w;
        dv_jw_init(&w, &text);
        dv_jw_node(&w, value);
        cr_assert_eq(dv_jw_done(&w, NULL), 0);
        copy_text(seen->value, sizeof(seen->value), text.data);
    }
}

/* One message; false if there is none. The connector answers the handshake. */
static bool read_message(struct cloud *cloud, int timeout_ms)
{
    struct dv_mqtt_message message;
    if (!cloud->peer || !dv_mqtt_peer_take(cloud->peer, timeout_ms, &message))
        return false;
    if (strcmp(message.topic, "edge/thing/request") == 0) {
        publish(cloud, "edge/thing/response", ANSWER);
    } else {
        cr_assert_lt(cloud->seen_count, SEEN_MAX);
        read_envelope(&message, &cloud->seen[(cloud->seen_head + cloud->seen_count++) % SEEN_MAX]);
    }
    dv_mqtt_message_done(&message);
    return true;
}

static int side_fd(void *ctx)
{
    struct cloud *cloud = ctx;
    return cloud->peer ? dv_mqtt_peer_fd(cloud->peer) : -1;
}

static void work(void *ctx)
{
    while (read_message(ctx, 0))
        continue;
}

static bool take(void *ctx, int timeout_ms, struct dv_scenario_seen *ret)
{
    struct cloud *cloud = ctx;
    if (cloud->seen_count == 0)
        read_message(cloud, timeout_ms);
    work(ctx);
    if (cloud->seen_count == 0)
        return false;
    *ret = cloud->seen[cloud->seen_head];
    cloud->seen_head = (cloud->seen_head + 1) % SEEN_MAX;
    cloud->seen_count--;
    return true;
}

static void run_on(void (*scenario)(const struct dv_scenario_side *side), const char *broker_config)
{
    struct cloud *cloud = calloc(1, sizeof(*cloud));
    cr_assert_not_null(cloud);
    cloud->broker = dv_mosquitto_start(broker_config);
    struct dv_scenario_side side = {
        .ctx = cloud,
        .ops = &dv_hono_ops,
        .config = config,
        .restore = restore,
        .cut = cut,
        .send = send_command,
        .send_malformed = send_malformed,
        .send_noise = send_noise,
        .fd = side_fd,
        .work = work,
        .take = take,
    };
    scenario(&side);
    dv_mqtt_peer_free(cloud->peer);
    dv_mosquitto_end(cloud->broker);
    free(cloud);
}

#define SCENARIO(name)                                                                             \
    Test(hono_scenario, name, .timeout = 60)                                                       \
    {                                                                                              \
        run_on(dv_scenario_##name, NULL);                                                          \
    }
DV_BRIDGE_SCENARIOS(SCENARIO)

/* A broker that sends one message at a time waits for each acknowledgement. */
/* shows: burst */
Test(hono_scenario, burst_is_taken_whatever_the_broker_allows_in_flight, .timeout = 60)
{
    run_on(dv_scenario_burst_of_commands_is_taken_at_once, "max_inflight_messages 1");
    run_on(dv_scenario_burst_of_commands_is_taken_at_once, "max_inflight_messages 0");
}
