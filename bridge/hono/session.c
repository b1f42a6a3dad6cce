/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/session.h"

#include "base/log.h"
#include "base/str.h"
#include "bridge/hono/thing.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Receivers ignore the content; this is what Kanto sends. */
static const struct dv_str handshake_request =
    DV_STR("{\"topic\":\"\",\"headers\":null,\"path\":\"\"}");

/* paho looks at its own connect timeout every three seconds; ours is for a paho that hangs. */
#define CONNECT_MARGIN_NS (10 * DV_HONO_SECOND_NS)

static int64_t now_ns(const struct dv_hono *hono)
{
    return dv_clock_monotonic_ns(hono->clock);
}

static void tell_link(struct dv_hono *hono, enum dv_link_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell_link(struct dv_hono *hono, enum dv_link_status status, const char *format, ...)
{
    struct dv_hono_news *news = dv_hono_news_add(hono, DV_BRIDGE_LINK);
    if (!news)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(news->note, sizeof(news->note), format, arguments);
    va_end(arguments);
    dv_str_mend(news->note);
    news->status = status;
    snprintf(news->identity, sizeof(news->identity), "%s", hono->identity.thing);
}

/* Between half and all of `ns`, so that gateways do not come back in step. */
static int64_t jittered(int64_t ns)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        return ns;
    return ns / 2 + (int64_t)(random % (uint64_t)(ns / 2 + 1));
}

void dv_hono_session_drop_link(struct dv_hono *hono, const char *why)
{
    dv_hono_link_free(dv_steal(&hono->link));
    dv_hono_inbox_forget_signals(hono->inbox);
    bool was_up = hono->phase == DV_HONO_UP;
    hono->phase = DV_HONO_WAITING;
    hono->is_filter_wanted = false;
    hono->filters_open = 0;
    hono->filter_deadline_ns = INT64_MAX;
    dv_hono_out_link_gone(hono);
    if (was_up || hono->pause_ns < hono->config->retry_min_ns)
        hono->pause_ns = hono->config->retry_min_ns;
    int64_t pause_ns = jittered(hono->pause_ns);
    hono->deadline_ns = now_ns(hono) + pause_ns;
    hono->pause_ns = hono->pause_ns > hono->config->retry_max_ns / 2 ? hono->config->retry_max_ns
                                                                     : hono->pause_ns * 2;
    tell_link(hono, DV_LINK_DOWN, "%s: %s; next try in %" PRId64 ".%" PRId64 " s", hono->url.uri,
              why, pause_ns / DV_HONO_SECOND_NS,
              pause_ns % DV_HONO_SECOND_NS * 10 / DV_HONO_SECOND_NS);
}

static void connect_link(struct dv_hono *hono)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_hono_link_options options = {
        .config = hono->config,
        .url = &hono->url,
        .client_id = hono->client_id,
        .is_mqtt31 = hono->is_mqtt31,
        .inbox = hono->inbox,
        .sink = hono->sink,
    };
    hono->phase = DV_HONO_CONNECTING;
    hono->deadline_ns = now_ns(hono) + hono->config->connect_timeout_ns + CONNECT_MARGIN_NS;
    if (dv_hono_link_new(&options, &hono->link, &err) < 0)
        dv_hono_session_drop_link(hono, err.text);
}

static void ask_identity(struct dv_hono *hono)
{
    struct dv_error err = DV_ERROR_INIT;
    hono->deadline_ns = now_ns(hono) + hono->config->handshake_retry_ns;
    if (dv_hono_out_send(hono, DV_HONO_OUT_OTHER, 0, DV_HONO_ASK, handshake_request, NULL, &err) <
        0)
        dv_hono_session_drop_link(hono, err.text);
}

static void come_up(struct dv_hono *hono)
{
    hono->phase = DV_HONO_UP;
    hono->deadline_ns = INT64_MAX;
    hono->pause_ns = hono->config->retry_min_ns;
    dv_hono_inbox_set_thing(hono->inbox, hono->identity.thing, hono->config->things);
    tell_link(hono, DV_LINK_UP, "connected to %s as tenant %s", hono->url.uri,
              hono->identity.tenant);
    dv_hono_out_send_answers(hono);
}

static void on_connected(struct dv_hono *hono)
{
    struct dv_error err = DV_ERROR_INIT;
    if (hono->is_identity_fixed) {
        come_up(hono);
        return;
    }
    hono->phase = DV_HONO_SUBSCRIBING;
    hono->deadline_ns = now_ns(hono) + hono->config->subscribe_timeout_ns;
    if (dv_hono_link_subscribe(hono->link, DV_HONO_ANSWER, &hono->handshake_token, &err) < 0)
        dv_hono_session_drop_link(hono, err.text);
}

static void filter_of(const char *first, unsigned index, char ret[DV_HONO_THING_MAX + 32])
{
    char thing[DV_HONO_THING_MAX + 1];
    dv_hono_thing_name(first, index, thing);
    snprintf(ret, DV_HONO_THING_MAX + 32, "command//%s/req/#", thing);
}

void dv_hono_session_subscribe_commands(struct dv_hono *hono)
{
    struct dv_error err = DV_ERROR_INIT;
    char filter[DV_HONO_THING_MAX + 32];
    int ignored;
    if (hono->is_filter_wanted)
        return;
    hono->is_filter_wanted = true;
    hono->filter_deadline_ns = now_ns(hono) + hono->config->subscribe_timeout_ns;
    for (unsigned i = 0; i < hono->config->things; i++) {
        filter_of(hono->identity.thing, i, filter);
        if (dv_hono_link_subscribe(hono->link, filter, &ignored, &err) < 0) {
            dv_hono_session_drop_link(hono, err.text);
            return;
        }
        hono->filters_open++;
    }
}

static void on_subscribed(struct dv_hono *hono, int token)
{
    if (hono->phase == DV_HONO_SUBSCRIBING && token == hono->handshake_token) {
        hono->phase = DV_HONO_ASKING;
        tell_link(hono, DV_LINK_DOWN, "connected to %s, asking who this gateway is (%s)",
                  hono->url.uri, DV_HONO_ASK);
        ask_identity(hono);
    } else if (hono->filters_open > 0 && --hono->filters_open == 0) {
        hono->filter_deadline_ns = INT64_MAX;
    }
}

static void on_connect_failed(struct dv_hono *hono, const struct dv_hono_signal *signal)
{
    /* The older version is tried at once, and the newer one again after that. */
    if (dv_hono_signal_is_bad_version(signal) && !hono->is_mqtt31) {
        dv_hono_link_free(dv_steal(&hono->link));
        dv_hono_inbox_forget_signals(hono->inbox);
        hono->is_mqtt31 = true;
        connect_link(hono);
        return;
    }
    hono->is_mqtt31 = false;
    dv_hono_session_drop_link(hono, signal->note);
}

static void on_signal(struct dv_hono *hono, const struct dv_hono_signal *signal)
{
    if (!hono->link)
        return;
    switch (signal->type) {
    case DV_HONO_CONNECTED:
        if (hono->phase == DV_HONO_CONNECTING)
            on_connected(hono);
        break;
    case DV_HONO_CONNECT_FAILED:
        on_connect_failed(hono, signal);
        break;
    case DV_HONO_LOST:
        dv_hono_session_drop_link(hono, signal->note);
        break;
    case DV_HONO_SUBSCRIBED:
        on_subscribed(hono, signal->token);
        break;
    case DV_HONO_SUBSCRIBE_FAILED:
        dv_hono_session_drop_link(hono, "the broker refuses a subscription");
        break;
    case DV_HONO_ACKNOWLEDGED:
        dv_hono_out_acknowledged(hono, signal->token, false);
        dv_hono_out_send_answers(hono);
        break;
    case DV_HONO_PUBLISH_FAILED:
        dv_hono_out_acknowledged(hono, signal->token, true);
        break;
    }
}

/* The commands of the identity before this one are not ours any more. */
static void change_identity(struct dv_hono *hono, const struct dv_hono_identity *identity)
{
    struct dv_error err = DV_ERROR_INIT;
    char filter[DV_HONO_THING_MAX + 32];
    bool is_same_thing = strcmp(identity->thing, hono->identity.thing) == 0;
    for (unsigned i = 0; hono->is_filter_wanted && !is_same_thing && i < hono->config->things;
         i++) {
        filter_of(hono->identity.thing, i, filter);
        if (dv_hono_link_unsubscribe(hono->link, filter, &err) < 0) {
            dv_hono_session_drop_link(hono, err.text);
            return;
        }
    }
    hono->is_filter_wanted = hono->is_filter_wanted && is_same_thing;
    tell_link(hono, DV_LINK_DOWN, "the cloud gave this gateway another identity");
    hono->identity = *identity;
    come_up(hono);
}

static void on_handshake(struct dv_hono *hono, struct dv_str answer)
{
    static struct dv_log_limit limit;
    struct dv_error err = DV_ERROR_INIT;
    struct dv_hono_identity identity;
    if (hono->is_identity_fixed || hono->phase < DV_HONO_ASKING)
        return;
    if (dv_hono_handshake_parse(answer, &identity, &err) < 0 ||
        dv_hono_things_check(identity.thing, hono->config->things, &err) < 0) {
        unsigned skipped;
        if (hono->phase == DV_HONO_ASKING)
            tell_link(hono, DV_LINK_DOWN, "the answer on %s is refused: %s", DV_HONO_ANSWER,
                      err.text);
        else if (dv_log_allow(&limit, 60, &skipped))
            dv_log(DV_LOG_WARN,
                   "mqtt: an answer on " DV_HONO_ANSWER
                   " is refused, the identity stays: %s skipped=%u",
                   err.text, skipped);
        return;
    }
    bool is_same = strcmp(identity.thing, hono->identity.thing) == 0 &&
                   strcmp(identity.tenant, hono->identity.tenant) == 0;
    bool is_same_policy = strcmp(identity.policy, hono->identity.policy) == 0;
    if (hono->phase == DV_HONO_ASKING) {
        hono->identity = identity;
        come_up(hono);
    } else if (!is_same) {
        change_identity(hono, &identity);
    } else if (!is_same_policy) {
        hono->identity = identity;
        come_up(hono);
    }
}

static void on_time(struct dv_hono *hono)
{
    int64_t now = now_ns(hono);
    if (now >= hono->deadline_ns) {
        if (hono->phase == DV_HONO_WAITING)
            connect_link(hono);
        else if (hono->phase == DV_HONO_CONNECTING)
            dv_hono_session_drop_link(hono, "no connection in time");
        else if (hono->phase == DV_HONO_SUBSCRIBING)
            dv_hono_session_drop_link(hono, "a subscription was not acknowledged in time");
        else if (hono->phase == DV_HONO_ASKING)
            ask_identity(hono);
    }
    if (hono->link && now >= hono->filter_deadline_ns)
        dv_hono_session_drop_link(hono, "a subscription was not acknowledged in time");
    if (hono->link && now >= dv_hono_out_deadline_ns(hono))
        dv_hono_session_drop_link(hono, "a message was not acknowledged in time");
}

static void take_refusals(struct dv_hono *hono)
{
    struct dv_hono_item *item;
    while (hono->phase == DV_HONO_UP && (item = dv_hono_inbox_take_refusal(hono->inbox)))
        dv_hono_out_answer(hono, item);
    size_t dropped = dv_hono_inbox_take_dropped(hono->inbox);
    if (dropped > 0)
        dv_log(DV_LOG_ERROR,
               "mqtt: commands beyond every limit stay without an answer, dropped count=%zu",
               dropped);
}

void dv_hono_session_work(struct dv_hono *hono)
{
    struct dv_hono_signal signal;
    while (dv_hono_inbox_take_signal(hono->inbox, &signal))
        on_signal(hono, &signal);
    size_t len;
    dv_autofree char *answer = dv_hono_inbox_take_handshake(hono->inbox, &len);
    if (answer)
        on_handshake(hono, (struct dv_str){answer, len});
    on_time(hono);
    take_refusals(hono);
}

int64_t dv_hono_session_deadline_ns(const struct dv_hono *hono)
{
    int64_t deadline = hono->deadline_ns;
    if (hono->filter_deadline_ns < deadline)
        deadline = hono->filter_deadline_ns;
    int64_t oldest = dv_hono_out_deadline_ns(hono);
    return oldest < deadline ? oldest : deadline;
}
