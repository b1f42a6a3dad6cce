/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Borrowed views on text and strict parsers for the few text forms that travel everywhere:
 * integers, durations, sizes. Nothing here allocates except dv_str_dup. Any thread.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view: not owned, not NUL-terminated. */
struct dv_str {
    const char *data;
    size_t len;
};

#define DV_STR(literal) ((struct dv_str){(literal), sizeof(literal) - 1})
/* For printf: "%.*s", DV_STR_ARG(view). */
#define DV_STR_ARG(view) (int)(view).len, (view).data

static inline struct dv_str dv_str_of(const char *text)
{
    return (struct dv_str){text, text ? strlen(text) : 0};
}

bool dv_str_eq(struct dv_str a, const char *b);
bool dv_str_ieq(struct dv_str a, const char *b); /* ASCII letters in any case */
bool dv_str_starts_with(struct dv_str a, const char *prefix);
bool dv_str_is_utf8(struct dv_str a); /* no surrogates, no overlong forms, up to U+10FFFF */

/* Makes a text UTF-8 in place and returns it: a character that was cut, as "%.64s" may do, goes,
 * other bytes become '?'. NULL is returned as it is. */
char *dv_str_mend(char *text);

/* Splits at the first `separator`: *head before it, *tail behind it. False, and all in *head, if
 * there is none. */
bool dv_str_cut(struct dv_str text, char separator, struct dv_str *head, struct dv_str *tail);

/* A NUL-terminated copy, owned by the caller; NULL when memory is short. */
char *dv_str_dup(struct dv_str text);

/* Decimal, optional '-', nothing around it. INVALID names the text and the range. */
__attribute__((warn_unused_result)) int
dv_str_to_i64(struct dv_str text, int64_t min, int64_t max, int64_t *ret, struct dv_error *err);

/* Duration as Go writes it: "1m30s", "1.5s", ".5s", "250ms", "-2s", "0"; units ns us µs ms s m h.
 * In nanoseconds; INVALID beyond 292 years or for any other form. */
__attribute__((warn_unused_result)) int
dv_str_to_duration_ns(struct dv_str text, int64_t *ret_ns, struct dv_error *err);

/* Size: digits with optional fraction, optional blank, optional unit B, K, M, G in any case, base
 * 1024 ("200M", "1.5 g", "4096"). Cut to whole bytes. INVALID names the text and the form. */
__attribute__((warn_unused_result)) int
dv_str_to_size(struct dv_str text, int64_t *ret_bytes, struct dv_error *err);

/* The candidate nearest to `text` by edit distance, for "did you mean"; NULL when none is near.
 * `candidate(i, ctx)` yields the i-th or NULL at the end. */
const char *
dv_str_nearest(struct dv_str text, const char *(*candidate)(size_t index, void *ctx), void *ctx);
