/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void dv_jw_init(struct dv_json_writer *w, struct dv_buf *out)
{
    *w = (struct dv_json_writer){.out = out, .error = DV_ERROR_INIT};
}

static void put(struct dv_json_writer *w, const char *bytes, size_t len)
{
    if (w->error.class == DV_ERR_NONE)
        (void)!dv_buf_append(w->out, bytes, len, &w->error);
}

static void put_str(struct dv_json_writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static void before_value(struct dv_json_writer *w)
{
    if (w->needs_comma)
        put(w, ",", 1);
    w->needs_comma = true;
}

static void open_container(struct dv_json_writer *w, const char *bracket)
{
    before_value(w);
    put(w, bracket, 1);
    w->depth++;
    w->needs_comma = false;
}

static void close_container(struct dv_json_writer *w, const char *bracket)
{
    put(w, bracket, 1);
    w->depth--;
    w->needs_comma = true;
}

void dv_jw_object(struct dv_json_writer *w)
{
    open_container(w, "{");
}

void dv_jw_object_end(struct dv_json_writer *w)
{
    close_container(w, "}");
}

void dv_jw_array(struct dv_json_writer *w)
{
    open_container(w, "[");
}

void dv_jw_array_end(struct dv_json_writer *w)
{
    close_container(w, "]");
}

/* The length of the valid sequence at `p`, 0 if there is none. */
static size_t sequence_at(const char *p, size_t left)
{
    for (size_t len = 1; len <= 4 && len <= left; len++)
        if (dv_str_is_utf8((struct dv_str){p, len}))
            return len;
    return 0;
}

static void put_escaped(struct dv_json_writer *w, unsigned code)
{
    char text[8];
    snprintf(text, sizeof(text), "\\u%04x", code);
    put_str(w, text);
}

static void put_character(struct dv_json_writer *w, const char *p, size_t len)
{
    if (len == 3 && memcmp(p, "\xE2\x80\xA8", 3) == 0) {
        put_escaped(w, 0x2028);
        return;
    }
    if (len == 3 && memcmp(p, "\xE2\x80\xA9", 3) == 0) {
        put_escaped(w, 0x2029);
        return;
    }
    if (len > 1) {
        put(w, p, len);
        return;
    }
    switch (*p) {
    case '"':
        put(w, "\\\"", 2);
        break;
    case '\\':
        put(w, "\\\\", 2);
        break;
    case '\n':
        put(w, "\\n", 2);
        break;
    case '\r':
        put(w, "\\r", 2);
        break;
    case '\t':
        put(w, "\\t", 2);
        break;
    case '<':
    case '>':
    case '&':
        put_escaped(w, (unsigned char)*p);
        break;
    default:
        if ((unsigned char)*p < 0x20)
            put_escaped(w, (unsigned char)*p);
        else
            put(w, p, 1);
    }
}

static bool is_plain(char byte)
{
    unsigned char u = (unsigned char)byte;
    return u >= 0x20 && u < 0x80 && !strchr("\"\\<>&", byte);
}

static void put_quoted(struct dv_json_writer *w, const char *text, size_t len)
{
    put(w, "\"", 1);
    size_t at = 0;
    while (at < len) {
        size_t run = at;
        while (run < len && is_plain(text[run]))
            run++;
        if (run > at) {
            put(w, text + at, run - at);
            at = run;
            continue;
        }
        size_t step = sequence_at(text + at, len - at);
        if (step == 0) {
            put_escaped(w, 0xFFFD);
            step = 1;
        } else {
            put_character(w, text + at, step);
        }
        at += step;
    }
    put(w, "\"", 1);
}

void dv_jw_key(struct dv_json_writer *w, const char *key)
{
    before_value(w);
    put_quoted(w, key, strlen(key));
    put(w, ":", 1);
    w->needs_comma = false;
}

void dv_jw_text(struct dv_json_writer *w, const char *text)
{
    if (text)
        dv_jw_text_len(w, text, strlen(text));
    else
        dv_jw_null(w);
}

void dv_jw_text_len(struct dv_json_writer *w, const char *text, size_t len)
{
    before_value(w);
    put_quoted(w, text, len);
}

void dv_jw_i64(struct dv_json_writer *w, int64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    before_value(w);
    put_str(w, text);
}

void dv_jw_double(struct dv_json_writer *w, double value)
{
    char text[40];
    if (!isfinite(value)) {
        if (w->error.class == DV_ERR_NONE)
            dv_error_set(&w->error, DV_ERR_INVALID, "JSON has no form for an infinite number");
        return;
    }
    for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        double back = strtod(text, NULL);
        if (!(back < value) && !(back > value))
            break;
    }
    before_value(w);
    put_str(w, text);
}

void dv_jw_bool(struct dv_json_writer *w, bool value)
{
    before_value(w);
    put_str(w, value ? "true" : "false");
}

void dv_jw_null(struct dv_json_writer *w)
{
    before_value(w);
    put_str(w, "null");
}

void dv_jw_raw(struct dv_json_writer *w, const char *json, size_t len)
{
    before_value(w);
    put(w, json, len);
}

static void put_children(struct dv_json_writer *w, const struct dv_json *node)
{
    for (const struct dv_json *at = dv_json_first(node); at; at = dv_json_next(at)) {
        if (dv_json_is(node, DV_JSON_OBJECT))
            dv_jw_key(w, dv_json_key(at));
        dv_jw_node(w, at);
    }
}

void dv_jw_node(struct dv_json_writer *w, const struct dv_json *node)
{
    int64_t whole;
    switch (dv_json_type_of(node)) {
    case DV_JSON_NULL:
        dv_jw_null(w);
        break;
    case DV_JSON_BOOL:
        dv_jw_bool(w, dv_json_bool(node));
        break;
    case DV_JSON_NUMBER:
        /* Whole numbers that a double holds exactly keep their plain form. */
        if (dv_json_to_i64(node, &whole) && whole >= -(1LL << 53) && whole <= 1LL << 53)
            dv_jw_i64(w, whole);
        else
            dv_jw_double(w, dv_json_number(node));
        break;
    case DV_JSON_STRING:
        dv_jw_text(w, dv_json_text(node));
        break;
    case DV_JSON_ARRAY:
        dv_jw_array(w);
        put_children(w, node);
        dv_jw_array_end(w);
        break;
    case DV_JSON_OBJECT:
        dv_jw_object(w);
        put_children(w, node);
        dv_jw_object_end(w);
        break;
    }
}

void dv_jw_member_text(struct dv_json_writer *w, const char *key, const char *text)
{
    dv_jw_key(w, key);
    dv_jw_text(w, text);
}

void dv_jw_member_i64(struct dv_json_writer *w, const char *key, int64_t value)
{
    dv_jw_key(w, key);
    dv_jw_i64(w, value);
}

void dv_jw_member_bool(struct dv_json_writer *w, const char *key, bool value)
{
    dv_jw_key(w, key);
    dv_jw_bool(w, value);
}

int dv_jw_done(struct dv_json_writer *w, struct dv_error *err)
{
    if (w->error.class == DV_ERR_NONE)
        return 0;
    if (err)
        *err = w->error;
    return -(int)w->error.class;
}
