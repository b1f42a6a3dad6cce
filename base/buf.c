/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64

void dv_buf_done(struct dv_buf *buf)
{
    free(buf->data);
    buf->data = NULL;
    buf->len = 0;
    buf->capacity = 0;
}

void dv_buf_wipe(struct dv_buf *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->capacity);
    dv_buf_done(buf);
}

int dv_buf_reserve(struct dv_buf *buf, size_t len, char **ret, struct dv_error *err)
{
    if (buf->len > buf->max || len > buf->max - buf->len)
        return dv_error_set(err, DV_ERR_LIMIT, "buffer would hold more than its limit of %zu bytes",
                            buf->max);
    size_t need = buf->len + len + 1;
    if (need > buf->capacity) {
        size_t capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
        while (capacity < need)
            capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
        if (capacity > buf->max + 1)
            capacity = buf->max + 1;
        char *grown = realloc(buf->data, capacity);
        if (!grown)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot grow a buffer to %zu bytes",
                                capacity);
        buf->data = grown;
        buf->capacity = capacity;
    }
    *ret = buf->data + buf->len;
    return 0;
}

void dv_buf_terminate(struct dv_buf *buf)
{
    if (buf->data) {
        assert(buf->len < buf->capacity);
        buf->data[buf->len] = '\0';
    }
}

int dv_buf_append(struct dv_buf *buf, const void *bytes, size_t len, struct dv_error *err)
{
    char *room;
    int r = dv_buf_reserve(buf, len, &room, err);
    if (r < 0)
        return r;
    if (len)
        memcpy(room, bytes, len);
    buf->len += len;
    dv_buf_terminate(buf);
    return 0;
}

int dv_buf_append_str(struct dv_buf *buf, const char *text, struct dv_error *err)
{
    return dv_buf_append(buf, text, strlen(text), err);
}

int dv_buf_printf(struct dv_buf *buf, struct dv_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int r = 0;
    char *room;
    if (need < 0)
        r = dv_error_set(err, DV_ERR_INTERNAL, "cannot format text for a buffer");
    else
        r = dv_buf_reserve(buf, (size_t)need, &room, err);
    if (r == 0) {
        vsnprintf(room, (size_t)need + 1, format, again);
        buf->len += (size_t)need;
    }
    va_end(again);
    return r;
}

void dv_buf_consume(struct dv_buf *buf, size_t len)
{
    assert(len <= buf->len);
    if (!len)
        return;
    memmove(buf->data, buf->data + len, buf->len - len);
    buf->len -= len;
    dv_buf_terminate(buf);
}

void dv_buf_clear(struct dv_buf *buf)
{
    buf->len = 0;
    dv_buf_terminate(buf);
}

char *dv_buf_take(struct dv_buf *buf, size_t *ret_len)
{
    char *data = buf->data;
    if (ret_len)
        *ret_len = buf->len;
    buf->data = NULL;
    buf->len = 0;
    buf->capacity = 0;
    return data;
}
