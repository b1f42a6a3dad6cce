/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Strict JSON (RFC 8259), read into a tree and written as a stream. cJSON is inside and does not
 * show. A tree belongs to one owner and is read-only after parsing, so any number of threads may
 * read it. Nothing blocks.
 *
 * Strict means: one value, nothing but white space around it; valid UTF-8; no duplicate keys,
 * where keys equal after ASCII case folding are duplicates; no NUL in a string (\u0000); no lone
 * surrogates; nesting up to DV_JSON_DEPTH_MAX; a number that a double cannot hold is refused. An
 * error is INVALID and says what is wrong at which line and column.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_JSON_DEPTH_MAX 32
#define DV_JSON_BYTES_MAX (4U << 20) /* default ceiling of dv_json_parse */

enum dv_json_type {
    DV_JSON_NULL,
    DV_JSON_BOOL,
    DV_JSON_NUMBER,
    DV_JSON_STRING,
    DV_JSON_ARRAY,
    DV_JSON_OBJECT,
};

struct dv_json; /* a node; the root owns the tree */

__attribute__((warn_unused_result)) int
dv_json_parse(const char *bytes, size_t len, struct dv_json **ret, struct dv_error *err);
/* For documents of others that have maps with keys of their own, such as labels of an image: keys
 * that differ in case are two keys. */
__attribute__((warn_unused_result)) int
dv_json_parse_cased(const char *bytes, size_t len, struct dv_json **ret, struct dv_error *err);
void dv_json_free(struct dv_json *root); /* roots only; NULL is allowed */
DV_DEFINE_CLEANUP(dv_json, dv_json_free)

/* All getters accept NULL and answer as for an absent node. */
bool dv_json_is(const struct dv_json *node, enum dv_json_type type);
enum dv_json_type dv_json_type_of(const struct dv_json *node); /* NULL reads as DV_JSON_NULL */
const char *dv_json_type_name(enum dv_json_type type);         /* "a string" */

/* Members of an object, by key in any ASCII case, the exact one first; NULL if absent. */
const struct dv_json *dv_json_get(const struct dv_json *object, const char *key);

/* Iteration over members or items in document order. */
const struct dv_json *dv_json_first(const struct dv_json *container);
const struct dv_json *dv_json_next(const struct dv_json *node);
const char *dv_json_key(const struct dv_json *member); /* NULL for array items */
size_t dv_json_count(const struct dv_json *container);

const char *dv_json_text(const struct dv_json *node); /* NULL if it is no string; borrowed */
bool dv_json_bool(const struct dv_json *node);        /* false if it is no boolean */
double dv_json_number(const struct dv_json *node);    /* 0 if it is no number */
/* True if the node is a number without fraction within -2^63..2^63-1. */
bool dv_json_to_i64(const struct dv_json *node, int64_t *ret);

/* A stream of one value into a buffer. The first failure sticks: check it once with dv_jw_done().
 * Text must be valid UTF-8 (invalid bytes are written as U+FFFD); `<`, `>`, `&`, U+2028 and U+2029
 * are written as \u00XX like Kanto does, so that bytes compare equal. */
struct dv_json_writer {
    struct dv_buf *out;
    struct dv_error error;
    unsigned depth;
    bool needs_comma;
};

void dv_jw_init(struct dv_json_writer *w, struct dv_buf *out); /* appends to *out, borrowed */
void dv_jw_object(struct dv_json_writer *w);                   /* { */
void dv_jw_object_end(struct dv_json_writer *w);               /* } */
void dv_jw_array(struct dv_json_writer *w);
void dv_jw_array_end(struct dv_json_writer *w);
void dv_jw_key(struct dv_json_writer *w, const char *key);
void dv_jw_text(struct dv_json_writer *w, const char *text); /* NULL writes null */
void dv_jw_text_len(struct dv_json_writer *w, const char *text, size_t len);
void dv_jw_i64(struct dv_json_writer *w, int64_t value);
void dv_jw_double(struct dv_json_writer *w, double value); /* shortest text that reads back equal */
void dv_jw_bool(struct dv_json_writer *w, bool value);
void dv_jw_null(struct dv_json_writer *w);
void dv_jw_node(struct dv_json_writer *w, const struct dv_json *node);
void dv_jw_raw(struct dv_json_writer *w, const char *json, size_t len); /* one valid JSON value */

/* Shorthands for members. */
void dv_jw_member_text(struct dv_json_writer *w, const char *key, const char *text);
void dv_jw_member_i64(struct dv_json_writer *w, const char *key, int64_t value);
void dv_jw_member_bool(struct dv_json_writer *w, const char *key, bool value);

/* 0, or the first failure moved to *err. */
__attribute__((warn_unused_result)) int dv_jw_done(struct dv_json_writer *w, struct dv_error *err);
