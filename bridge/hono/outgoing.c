/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "bridge/hono/session.h"

#include <stdlib.h>
#include <string.h>

void dv_hono_out_init(struct dv_hono *hono)
{
    hono->out_end = &hono->out_first;
    hono->answers_end = &hono->answers_first;
    hono->news_end = &hono->news_first;
}

static void free_outgoing(struct dv_hono_outgoing *out)
{
    free(out->item);
    free(out);
}

void dv_hono_out_done(struct dv_hono *hono)
{
    while (hono->out_first) {
        struct dv_hono_outgoing *out = hono->out_first;
        hono->out_first = out->next;
        free_outgoing(out);
    }
    while (hono->answers_first) {
        struct dv_hono_item *item = hono->answers_first;
        hono->answers_first = item->next;
        free(item);
    }
    struct dv_hono_news *news;
    while ((news = dv_hono_news_take(hono)))
        free(news);
}

struct dv_hono_news *dv_hono_news_add(struct dv_hono *hono, enum dv_bridge_event_type type)
{
    struct dv_hono_news *news = calloc(1, sizeof(*news));
    if (!news) {
        dv_log(DV_LOG_ERROR, "mqtt: no memory for an event, lost");
        return NULL;
    }
    news->type = type;
    *hono->news_end = news;
    hono->news_end = &news->next;
    dv_hono_inbox_wake(hono->inbox);
    return news;
}

struct dv_hono_news *dv_hono_news_take(struct dv_hono *hono)
{
    struct dv_hono_news *news = hono->news_first;
    if (news) {
        hono->news_first = news->next;
        if (!hono->news_first)
            hono->news_end = &hono->news_first;
    }
    return news;
}

static void tell_sent(struct dv_hono *hono, int64_t number, bool is_failed)
{
    struct dv_hono_news *news = dv_hono_news_add(hono, DV_BRIDGE_SENT);
    if (!news)
        return;
    news->number = number;
    news->is_failed = is_failed;
}

static void tell_finished(struct dv_hono *hono, int64_t sequence)
{
    struct dv_hono_news *news = sequence > 0 ? dv_hono_news_add(hono, DV_BRIDGE_FINISHED) : NULL;
    if (news)
        news->number = sequence;
}

int dv_hono_out_send(struct dv_hono *hono,
                     enum dv_hono_outgoing_kind kind,
                     int64_t number,
                     const char *topic,
                     struct dv_str payload,
                     struct dv_hono_item **item,
                     struct dv_error *err)
{
    if (!hono->link)
        return dv_error_set(err, DV_ERR_UNAVAILABLE, "not connected to %s", hono->url.uri);
    if (hono->out_count >= DV_HONO_OUTGOING_MAX ||
        payload.len > DV_HONO_OUTGOING_BYTES_MAX - hono->out_bytes)
        return dv_error_set(err, DV_ERR_BUSY,
                            "%zu messages of %zu bytes wait for the broker (at most %d, %u bytes)",
                            hono->out_count, hono->out_bytes, DV_HONO_OUTGOING_MAX,
                            DV_HONO_OUTGOING_BYTES_MAX);
    struct dv_hono_outgoing *out = calloc(1, sizeof(*out));
    if (!out)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to publish");
    int r = dv_hono_link_publish(hono->link, topic, payload, &out->token, err);
    if (r < 0) {
        free(out);
        return r;
    }
    out->kind = kind;
    out->number = number;
    out->bytes = payload.len;
    out->sent_ns = dv_clock_monotonic_ns(hono->clock);
    out->item = item ? dv_steal(item) : NULL;
    *hono->out_end = out;
    hono->out_end = &out->next;
    hono->out_count++;
    hono->out_bytes += out->bytes;
    return 0;
}

static void keep_answer(struct dv_hono *hono, struct dv_hono_item *item)
{
    item->next = NULL;
    *hono->answers_end = item;
    hono->answers_end = &item->next;
}

void dv_hono_out_send_answers(struct dv_hono *hono)
{
    while (hono->answers_first && hono->phase == DV_HONO_UP) {
        struct dv_error err = DV_ERROR_INIT;
        struct dv_hono_item *item = hono->answers_first, *next = item->next;
        int64_t sequence = item->sequence;
        int r =
            dv_hono_out_send(hono, DV_HONO_OUT_ANSWER, 0, item->topic, item->bytes, &item, &err);
        if (r == -DV_ERR_UNAVAILABLE || r == -DV_ERR_BUSY)
            return;
        if (r < 0) {
            dv_log(DV_LOG_ERROR, "mqtt: an answer was dropped: %s topic=%s", err.text, item->topic);
            tell_finished(hono, sequence);
            free(item);
        }
        hono->answers_first = next;
        if (!next)
            hono->answers_end = &hono->answers_first;
    }
}

void dv_hono_out_answer(struct dv_hono *hono, struct dv_hono_item *item)
{
    keep_answer(hono, item);
    dv_hono_out_send_answers(hono);
}

/* Takes the message out of the list. Acknowledgements come in order, so it is near the front. */
static struct dv_hono_outgoing *take_outgoing(struct dv_hono *hono, int token)
{
    struct dv_hono_outgoing **at = &hono->out_first;
    while (*at && (*at)->token != token)
        at = &(*at)->next;
    struct dv_hono_outgoing *out = *at;
    if (!out)
        return NULL;
    *at = out->next;
    if (hono->out_end == &out->next)
        hono->out_end = at;
    hono->out_count--;
    hono->out_bytes -= out->bytes;
    return out;
}

void dv_hono_out_acknowledged(struct dv_hono *hono, int token, bool is_failed)
{
    struct dv_hono_outgoing *out = take_outgoing(hono, token);
    if (!out)
        return;
    if (out->kind == DV_HONO_OUT_TWIN) {
        tell_sent(hono, out->number, is_failed);
    } else if (out->kind == DV_HONO_OUT_ANSWER) {
        if (is_failed)
            keep_answer(hono, dv_steal(&out->item));
        else
            tell_finished(hono, out->item->sequence);
    }
    free_outgoing(out);
}

void dv_hono_out_link_gone(struct dv_hono *hono)
{
    /* What was on its way is older than what already waits. */
    struct dv_hono_item *waiting = hono->answers_first;
    struct dv_hono_item **waiting_end = hono->answers_end;
    hono->answers_first = NULL;
    hono->answers_end = &hono->answers_first;
    while (hono->out_first)
        dv_hono_out_acknowledged(hono, hono->out_first->token, true);
    if (waiting) {
        *hono->answers_end = waiting;
        hono->answers_end = waiting_end;
    }
}

int64_t dv_hono_out_deadline_ns(const struct dv_hono *hono)
{
    if (!hono->out_first)
        return INT64_MAX;
    return hono->out_first->sent_ns + hono->config->acknowledge_timeout_ns;
}
