/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/topic.h"

static bool drop_prefix(struct dv_str *text, const char *prefix)
{
    if (!dv_str_starts_with(*text, prefix))
        return false;
    size_t len = strlen(prefix);
    *text = (struct dv_str){text->data + len, text->len - len};
    return true;
}

bool dv_hono_topic_parse(struct dv_str topic, struct dv_hono_topic *ret)
{
    struct dv_hono_topic parts;
    struct dv_str rest;
    if (topic.len > DV_HONO_TOPIC_MAX || !drop_prefix(&topic, "command//") ||
        !dv_str_cut(topic, '/', &parts.thing, &rest) || !drop_prefix(&rest, "req/") ||
        !dv_str_cut(rest, '/', &parts.request_id, &parts.subject))
        return false;
    if (parts.thing.len == 0 || parts.thing.len > DV_HONO_THING_MAX || parts.subject.len == 0 ||
        parts.request_id.len > DV_HONO_REQUEST_ID_MAX ||
        memchr(parts.subject.data, '/', parts.subject.len))
        return false;
    *ret = parts;
    return true;
}

static bool ends_with(struct dv_str text, const char *suffix)
{
    size_t len = strlen(suffix);
    return text.len >= len && memcmp(text.data + text.len - len, suffix, len) == 0;
}

bool dv_hono_topic_is_echo(const struct dv_hono_topic *topic)
{
    static const char *const events[] = {"created", "modified", "merged", "deleted"};
    if (ends_with(topic->subject, "-response") || dv_str_eq(topic->subject, "errors"))
        return true;
    if (topic->request_id.len > 0)
        return false;
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (dv_str_eq(topic->subject, events[i]))
            return true;
    }
    return false;
}

bool dv_hono_topic_is_retrieved(const struct dv_hono_topic *topic)
{
    return topic->request_id.len == 0 && dv_str_eq(topic->subject, "retrieve-response");
}

bool dv_hono_is_topic_part(struct dv_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~' || strchr("/+#", text.data[i]))
            return false;
    }
    return text.len > 0;
}
