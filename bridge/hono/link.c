/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/link.h"

#include "base/clock.h"
#include "bridge/hono/nodelay.h"
#include "bridge/hono/receive.h"

#include <MQTTAsync.h>
#include <stdio.h>
#include <string.h>

#define QOS          1
#define SECOND       DV_HONO_SECOND_NS
#define BAD_VERSION  1
#define FROM_CONNACK "CONNACK return code"

struct dv_hono_link {
    MQTTAsync client;
    struct dv_hono_inbox *inbox;
    struct dv_bridge_sink *sink;
    /* What OpenSSL said last; written and read on paho's threads, under its lock. */
    char tls_text[128];
};

static const char *connack_text(int code)
{
    static const char *const texts[] = {
        "",
        "the broker does not speak this version of MQTT",
        "the broker refuses the client id",
        "the broker is not available",
        "user name or password are wrong",
        "the broker does not allow this client",
    };
    bool is_known = code > 0 && (size_t)code < sizeof(texts) / sizeof(texts[0]);
    return is_known ? texts[code] : "the broker refuses the connection";
}

static int paho_error(const char *what, int code, struct dv_error *err)
{
    enum dv_error_class class = code == MQTTASYNC_DISCONNECTED ? DV_ERR_UNAVAILABLE : DV_ERR_FAILED;
    const char *text = MQTTAsync_strerror(code);
    return dv_error_set(err, class, "%s: %s (paho code %d)", what, text ? text : "failed", code);
}

/* ---- callbacks: on paho's threads, under its lock; none calls paho but to free ---- */

static void on_connected(void *context, MQTTAsync_successData *data)
{
    struct dv_hono_link *link = context;
    (void)data;
    dv_hono_nodelay();
    struct dv_hono_signal signal = {.type = DV_HONO_CONNECTED};
    dv_hono_inbox_signal(link->inbox, &signal);
}

static void on_connect_failed(void *context, MQTTAsync_failureData *data)
{
    struct dv_hono_link *link = context;
    struct dv_hono_signal signal = {.type = DV_HONO_CONNECT_FAILED};
    int code = data ? data->code : 0;
    const char *message = data ? data->message : NULL;
    if (message && strcmp(message, FROM_CONNACK) == 0) {
        signal.code = code;
        snprintf(signal.note, sizeof(signal.note), "%s", connack_text(code));
    } else if (strstr(link->tls_text, "certificate")) {
        char told[DV_TIME_TOLD_SIZE];
        snprintf(signal.note, sizeof(signal.note), "TLS: %s (%s)", link->tls_text,
                 dv_time_tell(dv_clock_wall_ns(dv_clock_real()), told));
    } else if (link->tls_text[0]) {
        snprintf(signal.note, sizeof(signal.note), "TLS: %s", link->tls_text);
    } else {
        /* paho keeps the errno of a failed connect to itself: with a message the address was
         * reached, without one not even that. */
        snprintf(signal.note, sizeof(signal.note), "%s",
                 message ? "connection refused or broken off; is a broker listening there?"
                         : "no way there; is the name known and the network up?");
    }
    dv_hono_inbox_signal(link->inbox, &signal);
}

static void on_lost(void *context, char *cause)
{
    struct dv_hono_link *link = context;
    struct dv_hono_signal signal = {.type = DV_HONO_LOST};
    snprintf(signal.note, sizeof(signal.note), "%s", cause ? cause : "the connection was lost");
    dv_hono_inbox_signal(link->inbox, &signal);
}

static void send_signal(void *context, enum dv_hono_signal_type type, int token, int code)
{
    struct dv_hono_link *link = context;
    struct dv_hono_signal signal = {.type = type, .token = token, .code = code};
    dv_hono_inbox_signal(link->inbox, &signal);
}

static void on_subscribed(void *context, MQTTAsync_successData *data)
{
    send_signal(context, DV_HONO_SUBSCRIBED, data ? data->token : 0, 0);
}

static void on_subscribe_failed(void *context, MQTTAsync_failureData *data)
{
    send_signal(context, DV_HONO_SUBSCRIBE_FAILED, data ? data->token : 0, data ? data->code : 0);
}

static void on_acknowledged(void *context, MQTTAsync_successData *data)
{
    send_signal(context, DV_HONO_ACKNOWLEDGED, data ? data->token : 0, 0);
}

static void on_publish_failed(void *context, MQTTAsync_failureData *data)
{
    send_signal(context, DV_HONO_PUBLISH_FAILED, data ? data->token : 0, data ? data->code : 0);
}

/* A message that the broker kept (retained) is older than this session: no command of now. */
static int on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
    struct dv_hono_link *link = context;
    struct dv_str name = {topic, topic_len > 0 ? (size_t)topic_len : strlen(topic)};
    struct dv_str payload = {message->payload ? message->payload : "", (size_t)message->payloadlen};
    if (!message->retained || dv_str_eq(name, DV_HONO_ANSWER))
        dv_hono_receive(link->inbox, link->sink, name, payload);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static int on_tls_error(const char *text, size_t len, void *context)
{
    struct dv_hono_link *link = context;
    snprintf(link->tls_text, sizeof(link->tls_text), "%.*s", (int)len, text);
    link->tls_text[strcspn(link->tls_text, "\n")] = '\0';
    return 1;
}

/* ---- calls ---- */

static int seconds(int64_t ns)
{
    int64_t s = (ns + SECOND - 1) / SECOND;
    return s < 1 ? 1 : s > 65535 ? 65535 : (int)s;
}

static const char *given(const char *text)
{
    return text && text[0] ? text : NULL;
}

static int
start(struct dv_hono_link *link, const struct dv_hono_link_options *options, struct dv_error *err)
{
    const struct dv_hono_config *config = options->config;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
    tls.trustStore = given(config->root_ca);
    tls.keyStore = given(config->client_cert);
    tls.privateKey = given(config->client_key);
    tls.enableServerCertAuth = 1;
    tls.verify = 1;
    tls.disableDefaultTrustStore = 1;
    tls.ssl_error_cb = on_tls_error;
    tls.ssl_error_context = link;

    connect.keepAliveInterval = seconds(config->keep_alive_ns);
    connect.connectTimeout = seconds(config->connect_timeout_ns);
    connect.cleansession = config->is_session_persistent ? 0 : 1;
    connect.maxInflight = (int)config->max_inflight;
    connect.username = given(config->username);
    connect.password = connect.username ? config->password : NULL;
    /* Not the default, which tries 3.1 by itself, also when a good connection breaks. */
    connect.MQTTVersion = options->is_mqtt31 ? MQTTVERSION_3_1 : MQTTVERSION_3_1_1;
    connect.ssl = options->url->is_tls ? &tls : NULL;
    connect.onSuccess = on_connected;
    connect.onFailure = on_connect_failed;
    connect.context = link;
    int code = MQTTAsync_connect(link->client, &connect);
    return code == MQTTASYNC_SUCCESS ? 0 : paho_error("start to connect", code, err);
}

int dv_hono_link_new(const struct dv_hono_link_options *options,
                     struct dv_hono_link **ret,
                     struct dv_error *err)
{
    DV_AUTO(dv_hono_link) link = calloc(1, sizeof(*link));
    if (!link)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a connection");
    link->inbox = options->inbox;
    link->sink = options->sink;
    int code = MQTTAsync_create(&link->client, options->url->uri, options->client_id,
                                MQTTCLIENT_PERSISTENCE_NONE, NULL);
    if (code != MQTTASYNC_SUCCESS)
        return paho_error("make an MQTT client", code, err);
    code = MQTTAsync_setCallbacks(link->client, link, on_lost, on_message, NULL);
    if (code != MQTTASYNC_SUCCESS)
        return paho_error("set the callbacks of an MQTT client", code, err);
    int r = start(link, options, err);
    if (r < 0)
        return r;
    *ret = dv_steal(&link);
    return 0;
}

void dv_hono_link_free(struct dv_hono_link *link)
{
    if (!link)
        return;
    if (link->client)
        MQTTAsync_destroy(&link->client);
    free(link);
}

int dv_hono_link_subscribe(struct dv_hono_link *link,
                           const char *filter,
                           int *ret_token,
                           struct dv_error *err)
{
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.onSuccess = on_subscribed;
    response.onFailure = on_subscribe_failed;
    response.context = link;
    int code = MQTTAsync_subscribe(link->client, filter, QOS, &response);
    if (code != MQTTASYNC_SUCCESS)
        return paho_error("subscribe", code, err);
    *ret_token = response.token;
    return 0;
}

int dv_hono_link_unsubscribe(struct dv_hono_link *link, const char *filter, struct dv_error *err)
{
    int code = MQTTAsync_unsubscribe(link->client, filter, NULL);
    return code == MQTTASYNC_SUCCESS ? 0 : paho_error("unsubscribe", code, err);
}

int dv_hono_link_publish(struct dv_hono_link *link,
                         const char *topic,
                         struct dv_str payload,
                         int *ret_token,
                         struct dv_error *err)
{
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.onSuccess = on_acknowledged;
    response.onFailure = on_publish_failed;
    response.context = link;
    int code =
        MQTTAsync_send(link->client, topic, (int)payload.len, payload.data, QOS, 0, &response);
    if (code != MQTTASYNC_SUCCESS)
        return paho_error("publish", code, err);
    *ret_token = response.token;
    return 0;
}

bool dv_hono_signal_is_bad_version(const struct dv_hono_signal *signal)
{
    return signal->type == DV_HONO_CONNECT_FAILED && signal->code == BAD_VERSION;
}
