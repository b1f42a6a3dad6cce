/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/ditto/envelope.h"

#include "base/str.h"

#include "json/json.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define UNKNOWN_TOPIC "unknown/unknown/things/twin/errors"
#define UNKNOWN_PATH  "/"
#define JSON_TYPE     "application/json"

struct reading {
    struct dv_str bytes;
    const char *our_thing;
    struct dv_arena *arena;
    struct dv_ditto_request *request;
    const struct dv_json *root;
    bool is_out_of_memory;
};

static char *keep(struct reading *r, struct dv_str text)
{
    char *copy = dv_arena_strndup(r->arena, text.data, text.len);
    if (!copy)
        r->is_out_of_memory = true;
    return copy;
}

/* Ends the checks: `false` tells the caller to stop. */
static bool refuse(struct reading *r, enum dv_error_class class, const char *text)
{
    r->request->verdict = DV_DITTO_REFUSED;
    r->request->error_class = class;
    r->request->error_text = text;
    return false;
}

__attribute__((format(printf, 3, 4))) static bool
refuse_as(struct reading *r, enum dv_error_class class, const char *format, ...)
{
    struct dv_error error = DV_ERROR_INIT;
    char text[DV_ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    dv_error_set(&error, class, "%s", text);
    return refuse(r, class, keep(r, dv_str_of(error.text)));
}

static bool has_type(struct reading *r, const char *key, enum dv_json_type type)
{
    const struct dv_json *node = dv_json_get(r->root, key);
    if (!node || dv_json_is(node, DV_JSON_NULL) || dv_json_is(node, type))
        return true;
    return refuse_as(r, DV_ERR_INVALID, "envelope field '%s' must be %s, not %s", key,
                     dv_json_type_name(type), dv_json_type_name(dv_json_type_of(node)));
}

static bool has_integer(struct reading *r, const char *key)
{
    int64_t ignored;
    const struct dv_json *node = dv_json_get(r->root, key);
    if (!node || dv_json_is(node, DV_JSON_NULL) || dv_json_to_i64(node, &ignored))
        return true;
    return refuse_as(r, DV_ERR_INVALID, "envelope field '%s' must be an integer", key);
}

static bool check_fields(struct reading *r)
{
    if (!dv_json_is(r->root, DV_JSON_OBJECT))
        return refuse_as(r, DV_ERR_INVALID, "the envelope must be an object, not %s",
                         dv_json_type_name(dv_json_type_of(r->root)));
    return has_type(r, "topic", DV_JSON_STRING) && has_type(r, "headers", DV_JSON_OBJECT) &&
           has_type(r, "path", DV_JSON_STRING) && has_integer(r, "status") &&
           has_integer(r, "revision") && has_type(r, "timestamp", DV_JSON_STRING);
}

static const struct dv_json *header(const struct reading *r, const char *name)
{
    const struct dv_json *node = dv_json_get(dv_json_get(r->root, "headers"), name);
    return dv_json_is(node, DV_JSON_NULL) ? NULL : node;
}

/* What a refusal needs to know of the headers, whichever check fails. */
static void read_answer_headers(struct reading *r)
{
    const struct dv_json *required = header(r, "response-required");
    if (!required)
        r->request->answer = DV_DITTO_ANSWER_NO;
    else if (!dv_json_is(required, DV_JSON_BOOL))
        r->request->answer = DV_DITTO_ANSWER_UNKNOWN;
    else
        r->request->answer = dv_json_bool(required) ? DV_DITTO_ANSWER_YES : DV_DITTO_ANSWER_NO;

    const char *id = dv_json_text(header(r, "correlation-id"));
    if (id && id[0] && strlen(id) <= DV_DITTO_CORRELATION_MAX)
        r->request->correlation_id = keep(r, dv_str_of(id));
}

/* namespace/name/things/live/messages[/subject]; what follows "messages" is not looked at. */
static bool is_live(struct dv_str behind_name)
{
    return dv_str_eq(behind_name, "things/live/messages") ||
           dv_str_starts_with(behind_name, "things/live/messages/");
}

/* Sets topic, path and thing, or refuses, or leaves the message alone (IGNORED). */
static bool check_address(struct reading *r)
{
    const char *topic = dv_json_text(dv_json_get(r->root, "topic"));
    const char *path = dv_json_text(dv_json_get(r->root, "path"));
    struct dv_str namespace, name, rest, more;
    if (!topic || !topic[0])
        return refuse(r, DV_ERR_INVALID, "envelope field 'topic' is missing or empty");
    if (!dv_str_cut(dv_str_of(topic), '/', &namespace, &rest) ||
        !dv_str_cut(rest, '/', &name, &more))
        return refuse(r, DV_ERR_INVALID,
                      "envelope field 'topic' must have the form "
                      "<namespace>/<name>/things/live/messages/<operation>");
    if (!is_live(more)) {
        r->request->verdict = DV_DITTO_IGNORED;
        return false;
    }
    if (!path || !path[0])
        return refuse(r, DV_ERR_INVALID, "envelope field 'path' is missing or empty");
    r->request->topic = keep(r, dv_str_of(topic));
    r->request->path = keep(r, dv_str_of(path));
    r->request->thing =
        dv_arena_printf(r->arena, "%.*s:%.*s", DV_STR_ARG(namespace), DV_STR_ARG(name));
    if (!r->request->thing)
        r->is_out_of_memory = true;
    return !r->is_out_of_memory;
}

/* The parts of a path that is an inbox; feature is empty for the inbox of the thing. */
static bool split_path(struct dv_str path, struct dv_str *ret_feature, struct dv_str *ret_operation)
{
    static const struct dv_str features = DV_STR("/features/");
    static const struct dv_str inbox = DV_STR("inbox/messages/");
    struct dv_str feature = {"", 0}, rest;
    if (path.len > features.len && memcmp(path.data, features.data, features.len) == 0) {
        path = (struct dv_str){path.data + features.len, path.len - features.len};
        if (!dv_str_cut(path, '/', &feature, &rest) || feature.len == 0)
            return false;
    } else if (path.data[0] == '/') {
        rest = (struct dv_str){path.data + 1, path.len - 1};
    } else {
        return false;
    }
    if (rest.len <= inbox.len || memcmp(rest.data, inbox.data, inbox.len) != 0)
        return false;
    *ret_feature = feature;
    *ret_operation = (struct dv_str){rest.data + inbox.len, rest.len - inbox.len};
    return memchr(ret_operation->data, '/', ret_operation->len) == NULL;
}

static bool check_headers(struct reading *r, bool has_value)
{
    if (r->request->answer == DV_DITTO_ANSWER_UNKNOWN)
        return refuse(r, DV_ERR_INVALID, "header 'response-required' must be true or false");
    const struct dv_json *id = header(r, "correlation-id");
    if (id && !dv_json_is(id, DV_JSON_STRING))
        return refuse(r, DV_ERR_INVALID, "header 'correlation-id' must be a string");
    if (!id || !dv_json_text(id)[0])
        return refuse(r, DV_ERR_INVALID, "header 'correlation-id' is missing or empty");
    if (!r->request->correlation_id)
        return refuse_as(r, DV_ERR_INVALID, "header 'correlation-id' is longer than %d bytes",
                         DV_DITTO_CORRELATION_MAX);
    const struct dv_json *type = header(r, "content-type");
    if (type && !dv_json_is(type, DV_JSON_STRING))
        return refuse(r, DV_ERR_INVALID, "header 'content-type' must be a string");
    if (!has_value)
        return true;
    if (!type || !dv_json_text(type)[0])
        return refuse(r, DV_ERR_INVALID,
                      "a message with a value needs the header 'content-type' " JSON_TYPE);
    if (strcmp(dv_json_text(type), JSON_TYPE) != 0)
        return refuse_as(r, DV_ERR_INVALID, "content-type '%s' is not supported, only " JSON_TYPE,
                         dv_json_text(type));
    return true;
}

static bool check_target(struct reading *r, bool is_inbox, struct dv_str feature)
{
    const struct dv_ditto_request *request = r->request;
    if (strcmp(request->thing, r->our_thing) != 0)
        return refuse_as(r, DV_ERR_NOT_FOUND, "thing '%s' is not found here, only '%s'",
                         request->thing, r->our_thing);
    if (!is_inbox)
        return refuse_as(r, DV_ERR_INVALID,
                         "path '%s' must have the form /features/<feature>/inbox/messages/"
                         "<operation>",
                         request->path);
    if (feature.len == 0)
        return refuse_as(r, DV_ERR_NOT_FOUND, "the thing itself has no operation '%s'",
                         request->operation);
    if (feature.len > DV_DITTO_FEATURE_MAX)
        return refuse_as(r, DV_ERR_INVALID, "no feature has an id of more than %d bytes",
                         DV_DITTO_FEATURE_MAX);
    if (strlen(request->operation) > DV_DITTO_OPERATION_MAX)
        return refuse_as(r, DV_ERR_NOT_FOUND, "no operation has a name of more than %d bytes",
                         DV_DITTO_OPERATION_MAX);
    return true;
}

static size_t skip_blanks(struct dv_str json, size_t at)
{
    while (at < json.len && strchr(" \t\r\n", json.data[at]))
        at++;
    return at;
}

static size_t skip_string(struct dv_str json, size_t at)
{
    for (at++; at < json.len && json.data[at] != '"'; at++)
        at += json.data[at] == '\\';
    return at + 1;
}

static size_t skip_value(struct dv_str json, size_t at)
{
    unsigned depth = 0;
    while (at < json.len) {
        char c = json.data[at];
        if (c == '"') {
            at = skip_string(json, at);
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
        } else if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
            break;
        } else {
            if (c == '}' || c == ']')
                depth--;
            at++;
        }
    }
    return at;
}

/* The bytes of the index-th member of an object that has already been parsed. They are passed on as
 * they came, because a number would lose digits on its way through a double. */
static struct dv_str member_bytes(struct dv_str json, size_t index)
{
    size_t at = skip_blanks(json, 0) + 1;
    for (;;) {
        at = skip_string(json, skip_blanks(json, at)); /* key */
        at = skip_blanks(json, at) + 1;                /* colon */
        size_t start = skip_blanks(json, at);
        at = skip_value(json, start);
        if (index == 0 || at >= json.len) {
            size_t end = at < json.len ? at : json.len;
            while (end > start && strchr(" \t\r\n", json.data[end - 1]))
                end--;
            return (struct dv_str){json.data + start, end > start ? end - start : 0};
        }
        index--;
        at++;
    }
}

static const char *value_bytes(struct reading *r)
{
    const struct dv_json *value = dv_json_get(r->root, "value");
    if (dv_json_is(value, DV_JSON_NULL))
        return NULL;
    size_t index = 0;
    for (const struct dv_json *member = dv_json_first(r->root); member;
         member = dv_json_next(member), index++) {
        if (member == value)
            return keep(r, member_bytes(r->bytes, index));
    }
    return NULL;
}

static void read_envelope(struct reading *r)
{
    struct dv_ditto_request *request = r->request;
    if (!check_fields(r))
        return;
    read_answer_headers(r);
    if (!check_address(r))
        return;
    struct dv_str feature, operation;
    bool is_inbox = split_path(dv_str_of(request->path), &feature, &operation);
    if (is_inbox)
        request->operation = keep(r, operation);
    request->value = value_bytes(r);
    if (r->is_out_of_memory || !check_headers(r, request->value != NULL) ||
        !check_target(r, is_inbox, feature))
        return;
    request->feature = keep(r, feature);
    request->verdict = DV_DITTO_COMMAND;
}

int dv_ditto_parse(const void *bytes,
                   size_t len,
                   const char *thing,
                   struct dv_arena *arena,
                   struct dv_ditto_request *ret,
                   struct dv_error *err)
{
    struct dv_ditto_request request = {
        .answer = DV_DITTO_ANSWER_UNKNOWN,
        .topic = UNKNOWN_TOPIC,
        .path = UNKNOWN_PATH,
    };
    struct reading r = {
        .bytes = {bytes, len},
        .our_thing = thing,
        .arena = arena,
        .request = &request,
    };
    DV_AUTO(dv_json) root = NULL;
    struct dv_error problem = DV_ERROR_INIT;
    if (len > DV_DITTO_PAYLOAD_MAX) {
        refuse_as(&r, DV_ERR_INVALID, "the message has %zu bytes, at most %u are accepted", len,
                  DV_DITTO_PAYLOAD_MAX);
    } else if (dv_json_parse(bytes, len, &root, &problem) < 0) {
        if (problem.class == DV_ERR_NO_MEMORY)
            r.is_out_of_memory = true;
        else
            refuse_as(&r, DV_ERR_INVALID, "the message is no JSON envelope: %s", problem.text);
    } else {
        r.root = root;
        read_envelope(&r);
    }
    if (r.is_out_of_memory)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to read a message of %zu bytes", len);
    *ret = request;
    return 0;
}
