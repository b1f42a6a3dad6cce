/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/ditto/retrieve.h"

#include "bridge/ditto/write.h"

#include <string.h>

#define FEATURES_MAX 16384U

int dv_ditto_write_retrieve(const char *thing,
                            const char *correlation_id,
                            struct dv_buf *out,
                            struct dv_error *err)
{
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    dv_ditto_write_topic(&w, thing, "twin/commands/retrieve");
    dv_jw_key(&w, "headers");
    dv_jw_object(&w);
    dv_jw_member_text(&w, "correlation-id", correlation_id);
    dv_jw_member_bool(&w, "response-required", true);
    dv_jw_object_end(&w);
    dv_jw_member_text(&w, "path", "/");
    dv_jw_member_text(&w, "fields", "thingId,features/*/definition");
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}

static int no_answer(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NOT_FOUND, "not the answer that is waited for");
}

static bool has_text(const struct dv_json *object, const char *key, const char *text)
{
    const char *value = dv_json_text(dv_json_get(object, key));
    return value && strcmp(value, text) == 0;
}

/* The topic names the thing with a slash between namespace and name. */
static bool is_about(const struct dv_json *envelope, const char *thing)
{
    const char *topic = dv_json_text(dv_json_get(envelope, "topic"));
    const char *colon = strchr(thing, ':');
    if (!topic || !colon)
        return false;
    size_t len = strlen(thing);
    size_t split = (size_t)(colon - thing);
    return strncmp(topic, thing, split) == 0 && topic[split] == '/' &&
           strncmp(topic + split + 1, colon + 1, len - split - 1) == 0 &&
           strcmp(topic + len, "/things/twin/commands/retrieve") == 0;
}

static int take_features(const struct dv_json *features,
                         struct dv_arena *arena,
                         struct dv_twin_seen *ret,
                         struct dv_error *err)
{
    struct dv_twin_seen seen = {0};
    size_t count = dv_json_count(features);
    if (count > FEATURES_MAX)
        return dv_error_set(err, DV_ERR_INVALID, "%zu features are over the limit of %u", count,
                            FEATURES_MAX);
    seen.features.items = dv_arena_array(arena, count + 1, sizeof(char *));
    if (!seen.features.items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for %zu features", count);
    for (const struct dv_json *f = dv_json_first(features); f; f = dv_json_next(f)) {
        char *id = dv_arena_strdup(arena, dv_json_key(f));
        if (!id)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for %zu features", count);
        seen.features.items[seen.features.count++] = id;
    }
    *ret = seen;
    return 0;
}

int dv_ditto_read_retrieved(struct dv_str bytes,
                            const char *thing,
                            const char *correlation_id,
                            struct dv_arena *arena,
                            struct dv_twin_seen *ret,
                            struct dv_error *err)
{
    DV_AUTO(dv_json) envelope = NULL;
    int r = dv_json_parse(bytes.data, bytes.len, &envelope, err);
    if (r < 0)
        return r;
    int64_t status;
    if (!is_about(envelope, thing) ||
        !has_text(dv_json_get(envelope, "headers"), "correlation-id", correlation_id) ||
        !dv_json_to_i64(dv_json_get(envelope, "status"), &status))
        return no_answer(err);
    const struct dv_json *value = dv_json_get(envelope, "value");
    if (status != 200 || !dv_json_is(value, DV_JSON_OBJECT))
        return dv_error_set(err, DV_ERR_INVALID, "it answers status %lld without a thing",
                            (long long)status);
    const struct dv_json *features = dv_json_get(value, "features");
    if (features && !dv_json_is(features, DV_JSON_OBJECT) && !dv_json_is(features, DV_JSON_NULL))
        return dv_error_set(err, DV_ERR_INVALID, "its features are %s",
                            dv_json_type_name(dv_json_type_of(features)));
    return take_features(features, arena, ret, err);
}
