/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/receive.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "bridge/hono/command.h"
#include "bridge/hono/thing.h"
#include "messages/codec.h"

#include <stdio.h>
#include <stdlib.h>

/* A message of 1 MiB, its parts and an answer to it. */
#define ARENA_MAX (8U << 20)
#define RAW_MAX   (DV_DITTO_PAYLOAD_MAX + (16U << 10))

struct reception {
    struct dv_hono_inbox *inbox;
    struct dv_bridge_sink *sink;
    struct dv_arena *arena;
    struct dv_hono_raw raw;
    struct dv_hono_judgement judgement;
};

static void owe_answer(struct reception *r)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_hono_item *item =
        dv_hono_item_new(r->judgement.answer_topic, r->judgement.answer, 0, &err);
    if (item)
        dv_hono_inbox_put_refusal(r->inbox, item);
    else
        dv_log(DV_LOG_ERROR, "mqtt: a command stays without an answer: %s topic=%s", err.text,
               r->raw.topic);
}

static void refuse(struct reception *r, const struct dv_error *why)
{
    struct dv_error err = DV_ERROR_INIT;
    if (dv_hono_refuse(&r->judgement, why->class, why->text, r->arena, &err) < 0)
        dv_log(DV_LOG_ERROR, "mqtt: a command stays without an answer: %s topic=%s", err.text,
               r->raw.topic);
    else if (r->judgement.verdict == DV_HONO_REFUSED)
        owe_answer(r);
    else
        dv_log(DV_LOG_WARN, "mqtt: a command that wants no answer was dropped: %s topic=%s",
               why->text, r->raw.topic);
}

static int keep(struct reception *r, size_t size, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(RAW_MAX);
    int result = dv_encode(&dv_schema_hono_raw, &r->raw, &bytes, err);
    if (result < 0)
        return result;
    struct dv_hono_item *item =
        dv_hono_item_new(NULL, (struct dv_str){bytes.data, bytes.len}, 0, err);
    if (!item)
        return -DV_ERR_NO_MEMORY;
    result = r->sink->accept(r->sink, bytes.data, bytes.len, &item->sequence, err);
    if (result < 0) {
        free(item);
        return dv_error_prefix(err, "the command was not taken: ");
    }
    dv_hono_inbox_put_command(r->inbox, item, size);
    return 0;
}

static void take(struct reception *r)
{
    struct dv_error err = DV_ERROR_INIT;
    size_t size = r->raw.payload.len;
    if (size > DV_DITTO_PAYLOAD_MAX) {
        /* Too large for the journal, and so is what its answer could tell. */
        owe_answer(r);
        return;
    }
    if (dv_hono_inbox_reserve(r->inbox, size, &err) < 0) {
        refuse(r, &err);
        return;
    }
    if (keep(r, size, &err) < 0) {
        dv_hono_inbox_cancel(r->inbox, size);
        refuse(r, &err);
    }
}

/* The topic says which of our things is asked. Before the first handshake a persistent session may
 * already deliver: then it says who we were when it was subscribed. */
static void name_thing(struct reception *r, struct dv_str topic, char thing[DV_HONO_THING_MAX + 1])
{
    struct dv_hono_topic parts;
    unsigned count = dv_hono_inbox_thing(r->inbox, thing);
    if (dv_hono_topic_parse(topic, &parts) &&
        (!thing[0] || dv_hono_thing_index(thing, count, parts.thing) >= 0))
        snprintf(thing, DV_HONO_THING_MAX + 1, "%.*s", DV_STR_ARG(parts.thing));
    r->raw.thing = thing;
}

void dv_hono_receive(struct dv_hono_inbox *inbox,
                     struct dv_bridge_sink *sink,
                     struct dv_str topic,
                     struct dv_str payload)
{
    char thing[DV_HONO_THING_MAX + 1], topic_text[DV_HONO_TOPIC_MAX + 1];
    struct dv_error err = DV_ERROR_INIT;
    if (topic.len > DV_HONO_TOPIC_MAX || !dv_str_is_utf8(topic) || memchr(topic.data, 0, topic.len))
        return;
    if (dv_str_eq(topic, DV_HONO_ANSWER)) {
        /* One byte over the limit is enough to be refused. */
        if (payload.len > DV_HONO_HANDSHAKE_SEEN_MAX)
            payload.len = DV_HONO_HANDSHAKE_SEEN_MAX;
        dv_hono_inbox_put_handshake(inbox, payload);
        return;
    }
    struct dv_hono_topic parts;
    if (dv_hono_topic_parse(topic, &parts) && dv_hono_topic_is_retrieved(&parts)) {
        if (payload.len <= DV_DITTO_PAYLOAD_MAX)
            dv_hono_inbox_put_twin(inbox, payload);
        return;
    }
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    struct reception r = {.inbox = inbox, .sink = sink, .arena = arena};
    snprintf(topic_text, sizeof(topic_text), "%.*s", DV_STR_ARG(topic));
    r.raw.topic = topic_text;
    r.raw.payload = (struct dv_bytes){(uint8_t *)(uintptr_t)payload.data, payload.len};
    name_thing(&r, topic, thing);
    if (!arena || dv_hono_judge(&r.raw, arena, &r.judgement, &err) < 0) {
        dv_log(DV_LOG_ERROR, "mqtt: no memory for a message of %zu bytes, dropped topic=%s",
               payload.len, topic_text);
        return;
    }
    if (r.judgement.verdict == DV_HONO_REFUSED || r.judgement.verdict == DV_HONO_COMMAND)
        take(&r);
}
