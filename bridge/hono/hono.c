/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/hono.h"

#include "base/log.h"
#include "bridge/ditto/retrieve.h"
#include "bridge/ditto/twin.h"
#include "bridge/hono/command.h"
#include "bridge/hono/session.h"
#include "bridge/hono/thing.h"
#include "messages/codec.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define JUDGE_ARENA_MAX (8U << 20)
#define NS_PER_MS       INT64_C(1000000)
/* Connects, subscribes and what is lost beside the messages. */
#define OTHER_SIGNALS 64

static struct dv_hono *of(struct dv_bridge *bridge)
{
    return (struct dv_hono *)bridge;
}

static void hono_free(struct dv_hono *hono);
DV_DEFINE_CLEANUP(dv_hono, hono_free)

static bool is_given(const char *text)
{
    return text && text[0];
}

static int check_config(const struct dv_hono_config *config,
                        const struct dv_hono_url *url,
                        struct dv_error *err)
{
    if (url->is_tls && !is_given(config->root_ca))
        return dv_error_set(
            err, DV_ERR_INVALID,
            "connection.transport.root_ca is missing: the broker address '%s' asks for TLS",
            config->broker_url);
    if (is_given(config->client_cert) != is_given(config->client_key))
        return dv_error_set(
            err, DV_ERR_INVALID,
            "connection.transport.client_cert and client_key must be given together");
    if (config->is_session_persistent && !is_given(config->client_id))
        return dv_error_set(err, DV_ERR_INVALID,
                            "clean_session false needs a client_id that stays the same");
    if (config->max_inflight < 1 || config->max_inflight > 65535)
        return dv_error_set(err, DV_ERR_INVALID, "max_inflight must be from 1 to 65535");
    if (config->things < 1 || config->things > DV_HONO_THINGS_MAX)
        return dv_error_set(err, DV_ERR_INVALID, "davit.bridge.things must be from 1 to %d",
                            DV_HONO_THINGS_MAX);
    if (config->max_inbox < 1)
        return dv_error_set(err, DV_ERR_INVALID, "max_inbox must be at least 1");
    if (config->retry_min_ns < 1 || config->retry_max_ns < config->retry_min_ns)
        return dv_error_set(err, DV_ERR_INVALID,
                            "the longest pause between connections must not be below the shortest");
    return 0;
}

static int set_identity(struct dv_hono *hono, struct dv_error *err)
{
    const struct dv_hono_config *config = hono->config;
    if (!is_given(config->device_id) && !is_given(config->tenant_id))
        return 0;
    int r = dv_hono_identity_make(config->device_id, config->tenant_id, config->policy_id,
                                  &hono->identity, err);
    if (r == 0)
        r = dv_hono_things_check(hono->identity.thing, config->things, err);
    if (r < 0) {
        dv_error_prefix(err, "fixed identity: ");
        return r;
    }
    hono->is_identity_fixed = true;
    return 0;
}

/* Version 4. */
static int random_uuid(char *ret, size_t size, struct dv_error *err)
{
    unsigned char b[16];
    if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
        return dv_error_sys(err, DV_ERR_FAILED, errno, "get random bytes for an id");
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    snprintf(ret, size, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
    return 0;
}

static int make_client_id(struct dv_hono *hono, struct dv_error *err)
{
    const char *given = hono->config->client_id;
    if (!is_given(given))
        return random_uuid(hono->client_id, sizeof(hono->client_id), err);
    if (strlen(given) >= sizeof(hono->client_id))
        return dv_error_set(err, DV_ERR_INVALID, "client_id is longer than %zu bytes",
                            sizeof(hono->client_id) - 1);
    snprintf(hono->client_id, sizeof(hono->client_id), "%s", given);
    return 0;
}

static int op_open(const struct dv_bridge_env *env, struct dv_bridge **ret, struct dv_error *err)
{
    const struct dv_hono_config *config = env->config;
    DV_AUTO(dv_hono) hono = calloc(1, sizeof(*hono));
    if (!hono)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the MQTT bridge");
    hono->bridge.ops = &dv_hono_ops;
    hono->clock = env->clock;
    hono->sink = env->sink;
    hono->config = config;
    dv_hono_out_init(hono);
    int r = dv_hono_url_parse(config->broker_url, &hono->url, err);
    if (r < 0 || (r = check_config(config, &hono->url, err)) < 0 ||
        (r = set_identity(hono, err)) < 0 || (r = make_client_id(hono, err)) < 0)
        return r;
    struct dv_hono_inbox_limits limits = {
        .commands = config->max_inbox,
        .bytes = config->max_inbox_bytes,
        .signals = DV_HONO_OUTGOING_MAX + OTHER_SIGNALS + config->things,
    };
    if ((r = dv_hono_inbox_new(&limits, &hono->inbox, err)) < 0)
        return r;
    hono->phase = DV_HONO_WAITING;
    hono->deadline_ns = INT64_MIN; /* connect at the first next() */
    hono->filter_deadline_ns = INT64_MAX;
    hono->pause_ns = config->retry_min_ns;
    dv_hono_inbox_wake(hono->inbox);
    *ret = &dv_steal(&hono)->bridge;
    return 0;
}

static int op_fd(struct dv_bridge *bridge)
{
    return dv_hono_inbox_fd(of(bridge)->inbox);
}

static int64_t op_deadline_ns(struct dv_bridge *bridge)
{
    return dv_hono_session_deadline_ns(of(bridge));
}

static int no_memory(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for an event of the MQTT bridge");
}

static int give_news(const struct dv_hono_news *news,
                     struct dv_arena *arena,
                     struct dv_bridge_event *ret,
                     struct dv_error *err)
{
    ret->type = news->type;
    if (news->type == DV_BRIDGE_LINK) {
        struct dv_link_changed *link = dv_arena_alloc(arena, sizeof(*link));
        if (!link)
            return no_memory(err);
        link->status = news->status;
        link->note = dv_arena_strdup(arena, news->note);
        link->identity = news->identity[0] ? dv_arena_strdup(arena, news->identity) : NULL;
        ret->body = link;
        return link->note && (link->identity || !news->identity[0]) ? 0 : no_memory(err);
    }
    if (news->type == DV_BRIDGE_SENT) {
        struct dv_twin_sent *sent = dv_arena_alloc(arena, sizeof(*sent));
        if (!sent)
            return no_memory(err);
        *sent = (struct dv_twin_sent){.number = news->number, .is_failed = news->is_failed};
        ret->body = sent;
        return 0;
    }
    struct dv_store_answered *answered = dv_arena_alloc(arena, sizeof(*answered));
    if (!answered)
        return no_memory(err);
    answered->sequence = news->number;
    ret->body = answered;
    return 0;
}

static void finish(struct dv_hono *hono, int64_t sequence)
{
    struct dv_hono_news *news = dv_hono_news_add(hono, DV_BRIDGE_FINISHED);
    if (news)
        news->number = sequence;
}

/* Reads a command again, as it was journaled. *ret_command is NULL if the bridge deals with it. */
static int open_item(struct dv_hono *hono,
                     const struct dv_hono_item *item,
                     struct dv_arena *arena,
                     struct dv_command **ret_command,
                     struct dv_error *err)
{
    struct dv_hono_judgement judgement;
    void *raw;
    *ret_command = NULL;
    DV_AUTO(dv_arena) scratch = dv_arena_new(JUDGE_ARENA_MAX);
    if (!scratch)
        return no_memory(err);
    int r = dv_decode(&dv_schema_hono_raw, item->bytes.data, item->bytes.len, scratch, &raw, err);
    if (r < 0 || (r = dv_hono_judge(raw, scratch, &judgement, err)) < 0)
        return r;
    if (judgement.verdict == DV_HONO_COMMAND) {
        void *copy;
        r = dv_copy(&dv_schema_command, judgement.command, arena, &copy, err);
        if (r < 0)
            return r;
        *ret_command = copy;
        (*ret_command)->sequence = item->sequence;
    } else if (judgement.verdict == DV_HONO_REFUSED) {
        struct dv_hono_item *answer =
            dv_hono_item_new(judgement.answer_topic, judgement.answer, item->sequence, err);
        if (!answer)
            return -DV_ERR_NO_MEMORY;
        dv_hono_out_answer(hono, answer);
    } else {
        finish(hono, item->sequence);
    }
    return 0;
}

/* True if *ret is an event; false if there is no command or the bridge dealt with one. */
static bool give_command(struct dv_hono *hono,
                         struct dv_arena *arena,
                         struct dv_bridge_event *ret,
                         bool *ret_worked)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_command *command;
    dv_autofree struct dv_hono_item *item = dv_hono_inbox_take_command(hono->inbox);
    *ret_worked = item != NULL;
    if (!item)
        return false;
    if (open_item(hono, item, arena, &command, &err) < 0) {
        /* It was read before it was journaled, so this is want of memory or a damaged journal. */
        dv_log(DV_LOG_ERROR, "mqtt: a command of the journal is dropped: %s", err.text);
        finish(hono, item->sequence);
        return false;
    }
    if (!command)
        return false;
    *ret = (struct dv_bridge_event){.type = DV_BRIDGE_COMMAND, .body = command};
    return true;
}

/* The answer to the question about the twin, if that is what has come. */
static bool give_twin(struct dv_hono *hono, struct dv_arena *arena, struct dv_bridge_event *ret)
{
    struct dv_error err = DV_ERROR_INIT;
    size_t len;
    dv_autofree char *answer = dv_hono_inbox_take_twin(hono->inbox, &len);
    struct dv_twin_seen *seen = answer ? dv_arena_alloc(arena, sizeof(*seen)) : NULL;
    if (!seen || !hono->twin_question[0])
        return false;
    char thing[DV_HONO_THING_MAX + 1];
    dv_hono_thing_name(hono->identity.thing, hono->twin_thing, thing);
    int r = dv_ditto_read_retrieved((struct dv_str){answer, len}, thing, hono->twin_question, arena,
                                    seen, &err);
    if (r == -DV_ERR_NOT_FOUND)
        return false;
    hono->twin_question[0] = '\0';
    if (r < 0) {
        dv_log(DV_LOG_WARN, "mqtt: the twin of '%s' cannot be compared: %s", thing, err.text);
        return false;
    }
    seen->thing = hono->twin_thing;
    *ret = (struct dv_bridge_event){.type = DV_BRIDGE_TWIN, .body = seen};
    return true;
}

static int op_next(struct dv_bridge *bridge,
                   struct dv_arena *arena,
                   struct dv_bridge_event *ret,
                   struct dv_error *err)
{
    struct dv_hono *hono = of(bridge);
    bool is_silenced = false;
    for (;;) {
        dv_hono_session_work(hono);
        dv_autofree struct dv_hono_news *news = dv_hono_news_take(hono);
        struct dv_bridge_event event = {.type = DV_BRIDGE_NOTHING};
        bool worked = false;
        if (news) {
            int r = give_news(news, arena, &event, err);
            if (r < 0)
                return r;
        }
        if (news || give_twin(hono, arena, &event) || give_command(hono, arena, &event, &worked)) {
            if (is_silenced)
                dv_hono_inbox_wake(hono->inbox); /* there may be more */
            *ret = event;
            return 0;
        }
        if (worked)
            continue;
        if (is_silenced) {
            *ret = event;
            return 0;
        }
        dv_hono_inbox_silence(hono->inbox);
        is_silenced = true;
    }
}

static int check_up(const struct dv_hono *hono, struct dv_error *err)
{
    if (hono->phase == DV_HONO_UP)
        return 0;
    return dv_error_set(err, DV_ERR_UNAVAILABLE,
                        hono->phase == DV_HONO_ASKING
                            ? "connected to %s, but the cloud has not said who this gateway is"
                            : "not connected to %s",
                        hono->url.uri);
}

static int op_features_ready(struct dv_bridge *bridge, struct dv_error *err)
{
    struct dv_hono *hono = of(bridge);
    int r = check_up(hono, err);
    if (r == 0)
        dv_hono_session_subscribe_commands(hono);
    return r;
}

static int
op_reply(struct dv_bridge *bridge, const struct dv_command_reply *reply, struct dv_error *err)
{
    struct dv_hono *hono = of(bridge);
    DV_AUTO_IN_PLACE(dv_hono_answer) answer = DV_HONO_ANSWER_INIT;
    int r = check_up(hono, err);
    if (r < 0 || (r = dv_hono_answer_write(reply, &answer, err)) < 0)
        return r;
    if (dv_hono_thing_index(hono->identity.thing, hono->config->things, dv_str_of(answer.thing)) <
        0)
        return dv_error_set(err, DV_ERR_NOT_FOUND,
                            "the command came to '%s', but this gateway is '%s' now", answer.thing,
                            hono->identity.thing);
    struct dv_str payload = {answer.payload.data, answer.payload.len};
    dv_autofree struct dv_hono_item *item = dv_hono_item_new(answer.topic.data, payload, 0, err);
    if (!item)
        return -DV_ERR_NO_MEMORY;
    return dv_hono_out_send(hono, DV_HONO_OUT_ANSWER, 0, item->topic, item->bytes, &item, err);
}

static int
event_topic(const struct dv_hono *hono, const char *thing, struct dv_buf *out, struct dv_error *err)
{
    return dv_buf_printf(out, err, "e/%s/%s", hono->identity.tenant, thing);
}

static int
op_twin(struct dv_bridge *bridge, const struct dv_twin_change *change, struct dv_error *err)
{
    struct dv_hono *hono = of(bridge);
    DV_AUTO_IN_PLACE(dv_buf) topic = DV_BUF_INIT(DV_HONO_TOPIC_MAX);
    DV_AUTO_IN_PLACE(dv_buf) payload = DV_BUF_INIT(DV_DITTO_ENVELOPE_MAX);
    char thing[DV_HONO_THING_MAX + 1];
    dv_hono_thing_name(hono->identity.thing, (unsigned)change->thing, thing);
    int r = check_up(hono, err);
    if (r < 0 || (r = event_topic(hono, thing, &topic, err)) < 0 ||
        (r = dv_ditto_write_twin(change, thing, &payload, err)) < 0)
        return r;
    struct dv_str bytes = {payload.data, payload.len};
    return dv_hono_out_send(hono, DV_HONO_OUT_TWIN, change->number, topic.data, bytes, NULL, err);
}

/* On a slow link the newest of a series is worth more than all of it, and other messages more than
 * that. */
static int check_batch(const struct dv_hono *hono,
                       const struct dv_outbox_message *message,
                       struct dv_error *err)
{
    if (!message->batch)
        return 0;
    for (const struct dv_hono_outgoing *out = hono->out_first; out; out = out->next)
        if (out->kind == DV_HONO_OUT_OTHER && out->number && out->number != message->batch)
            return dv_error_set(err, DV_ERR_BUSY,
                                "%s of %s is dropped: the broker has not acknowledged the one "
                                "before it",
                                message->subject, message->feature);
    return 0;
}

static int
op_outbox(struct dv_bridge *bridge, const struct dv_outbox_message *message, struct dv_error *err)
{
    struct dv_hono *hono = of(bridge);
    DV_AUTO_IN_PLACE(dv_buf) topic = DV_BUF_INIT(DV_HONO_TOPIC_MAX);
    DV_AUTO_IN_PLACE(dv_buf) payload = DV_BUF_INIT(DV_DITTO_ENVELOPE_MAX);
    int r = check_up(hono, err);
    if (r == 0)
        r = check_batch(hono, message, err);
    if (r < 0)
        return r;
    if (message->is_documented_dialect)
        r = dv_buf_printf(&topic, err, "command//%s/res//%s", hono->identity.thing,
                          message->subject);
    else
        r = event_topic(hono, hono->identity.thing, &topic, err);
    if (r < 0 || (r = dv_ditto_write_outbox(message, hono->identity.thing, &payload, err)) < 0)
        return r;
    struct dv_str bytes = {payload.data, payload.len};
    return dv_hono_out_send(hono, DV_HONO_OUT_OTHER, message->batch, topic.data, bytes, NULL, err);
}

static int op_check_twin(struct dv_bridge *bridge, unsigned index, struct dv_error *err)
{
    struct dv_hono *hono = of(bridge);
    DV_AUTO_IN_PLACE(dv_buf) topic = DV_BUF_INIT(DV_HONO_TOPIC_MAX);
    DV_AUTO_IN_PLACE(dv_buf) payload = DV_BUF_INIT(DV_DITTO_ENVELOPE_MAX);
    char question[sizeof(hono->twin_question)], thing[DV_HONO_THING_MAX + 1];
    dv_hono_thing_name(hono->identity.thing, index, thing);
    int r = check_up(hono, err);
    if (r == 0)
        r = random_uuid(question, sizeof(question), err);
    if (r < 0 || (r = event_topic(hono, thing, &topic, err)) < 0 ||
        (r = dv_ditto_write_retrieve(thing, question, &payload, err)) < 0)
        return r;
    struct dv_str bytes = {payload.data, payload.len};
    r = dv_hono_out_send(hono, DV_HONO_OUT_OTHER, 0, topic.data, bytes, NULL, err);
    if (r < 0)
        return r;
    snprintf(hono->twin_question, sizeof(hono->twin_question), "%s", question);
    hono->twin_thing = index;
    return 0;
}

static int op_replay(
    struct dv_bridge *bridge, const void *raw, size_t len, int64_t sequence, struct dv_error *err)
{
    struct dv_hono *hono = of(bridge);
    struct dv_hono_item *item = dv_hono_item_new(NULL, (struct dv_str){raw, len}, sequence, err);
    if (!item)
        return -DV_ERR_NO_MEMORY;
    dv_hono_inbox_put_replay(hono->inbox, item);
    return 0;
}

/* The last states and answers get a moment to reach the broker. */
static void linger(struct dv_hono *hono)
{
    int64_t end = dv_clock_monotonic_ns(hono->clock) + hono->config->disconnect_timeout_ns;
    struct pollfd wait = {.fd = dv_hono_inbox_fd(hono->inbox), .events = POLLIN};
    while (hono->phase == DV_HONO_UP && hono->out_first) {
        int64_t left = end - dv_clock_monotonic_ns(hono->clock);
        if (left <= 0 || poll(&wait, 1, (int)(left / NS_PER_MS) + 1) < 0)
            return;
        dv_hono_inbox_silence(hono->inbox);
        dv_hono_session_work(hono);
    }
}

static void hono_free(struct dv_hono *hono)
{
    if (hono->inbox)
        linger(hono);
    dv_hono_link_free(hono->link);
    dv_hono_out_done(hono);
    dv_hono_inbox_free(hono->inbox);
    free(hono);
}

static void op_free(struct dv_bridge *bridge)
{
    if (bridge)
        hono_free(of(bridge));
}

const struct dv_bridge_ops dv_hono_ops = {
    .name = "hono",
    .open = op_open,
    .fd = op_fd,
    .deadline_ns = op_deadline_ns,
    .next = op_next,
    .features_ready = op_features_ready,
    .reply = op_reply,
    .twin = op_twin,
    .outbox = op_outbox,
    .check_twin = op_check_twin,
    .replay = op_replay,
    .free = op_free,
};
