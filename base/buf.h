/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A growing byte buffer with a ceiling. The bytes are always followed by a NUL that does not count,
 * so `data` reads as a C string once anything was appended. After a failed append the content is
 * unchanged. Not thread-safe: one owner.
 */
#include "base/cleanup.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dv_buf {
    char *data;      /* NULL while nothing was appended */
    size_t len;      /* bytes, without the NUL */
    size_t capacity; /* bytes allocated */
    size_t max;      /* ceiling for len */
};

#define DV_BUF_INIT(ceiling) ((struct dv_buf){.max = (ceiling)})

/* Frees the memory and empties the buffer; the ceiling stays. Accepts a zeroed buffer. */
void dv_buf_done(struct dv_buf *buf);
DV_DEFINE_CLEANUP_IN_PLACE(dv_buf, dv_buf_done)

/* LIMIT over the ceiling, NO_MEMORY when memory is short. */
__attribute__((warn_unused_result)) int
dv_buf_append(struct dv_buf *buf, const void *bytes, size_t len, struct dv_error *err);
__attribute__((warn_unused_result)) int
dv_buf_append_str(struct dv_buf *buf, const char *text, struct dv_error *err);
__attribute__((warn_unused_result, format(printf, 3, 4))) int
dv_buf_printf(struct dv_buf *buf, struct dv_error *err, const char *format, ...);

/* Makes room for `len` more bytes and returns where to write them in *ret; the caller adds what it
 * wrote to buf->len and calls dv_buf_terminate(). */
__attribute__((warn_unused_result)) int
dv_buf_reserve(struct dv_buf *buf, size_t len, char **ret, struct dv_error *err);
void dv_buf_terminate(struct dv_buf *buf);

/* Drops `len` bytes from the front. */
void dv_buf_consume(struct dv_buf *buf, size_t len);

/* As dv_buf_done(), for a secret: its bytes are overwritten first. A buffer that has grown may have
 * left parts of them in memory that it gave back. */
void dv_buf_wipe(struct dv_buf *buf);

/* Keeps the memory, forgets the content. */
void dv_buf_clear(struct dv_buf *buf);

/* Hands the bytes (NUL-terminated) to the caller, who frees them; the buffer is empty then. NULL
 * if nothing was ever appended. */
char *dv_buf_take(struct dv_buf *buf, size_t *ret_len);
