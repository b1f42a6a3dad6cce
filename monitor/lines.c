/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/lines.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

void dv_lines_init(struct dv_lines *lines, const char *stream)
{
    *lines = (struct dv_lines){.stream = stream, .rest = DV_BUF_INIT(DV_LOG_CHUNK + 1)};
}

void dv_lines_done(struct dv_lines *lines)
{
    dv_buf_done(&lines->rest);
}

static size_t sequence_at(const char *p, size_t left)
{
    for (size_t len = 1; len <= 4 && len <= left; len++)
        if (dv_str_is_utf8((struct dv_str){p, len}))
            return len;
    return 0;
}

static int put_character(const char *p, size_t len, struct dv_buf *out, struct dv_error *err)
{
    if (len == 0)
        return dv_buf_append_str(out, "\\ufffd", err);
    if (len == 3 && memcmp(p, "\xE2\x80\xA8", 3) == 0)
        return dv_buf_append_str(out, "\\u2028", err);
    if (len == 3 && memcmp(p, "\xE2\x80\xA9", 3) == 0)
        return dv_buf_append_str(out, "\\u2029", err);
    switch (*p) {
    case '"':
        return dv_buf_append_str(out, "\\\"", err);
    case '\\':
        return dv_buf_append_str(out, "\\\\", err);
    case '\n':
        return dv_buf_append_str(out, "\\n", err);
    case '\r':
        return dv_buf_append_str(out, "\\r", err);
    case '\t':
        return dv_buf_append_str(out, "\\t", err);
    default:
        break;
    }
    if ((unsigned char)*p < 0x20 || strchr("<>&", *p))
        return dv_buf_printf(out, err, "\\u%04x", (unsigned)(unsigned char)*p);
    return dv_buf_append(out, p, len, err);
}

static bool is_plain(char byte)
{
    unsigned char u = (unsigned char)byte;
    return u >= 0x20 && u < 0x80 && byte != '"' && byte != '\\' && byte != '<' && byte != '>' &&
           byte != '&';
}

static int put_text(struct dv_str text, struct dv_buf *out, struct dv_error *err)
{
    size_t at = 0;
    int r = 0;
    while (r == 0 && at < text.len) {
        size_t run = at;
        while (run < text.len && is_plain(text.data[run]))
            run++;
        if (run > at) {
            r = dv_buf_append(out, text.data + at, run - at, err);
            at = run;
            continue;
        }
        size_t step = sequence_at(text.data + at, text.len - at);
        r = put_character(text.data + at, step, out, err);
        at += step ? step : 1;
    }
    return r;
}

static int put_record(const char *stream,
                      struct dv_str text,
                      bool is_end,
                      int64_t wall_ns,
                      struct dv_buf *out,
                      struct dv_error *err)
{
    char stamp[DV_TIME_TEXT_SIZE];
    int r = dv_buf_printf(out, err, "{\"stream\":\"%s\",", stream);
    if (r == 0 && (text.len || is_end))
        r = dv_buf_append_str(out, "\"log\":\"", err);
    if (r == 0)
        r = put_text(text, out, err);
    if (r == 0 && is_end)
        r = dv_buf_append_str(out, "\\n", err);
    if (r == 0 && (text.len || is_end))
        r = dv_buf_append_str(out, "\",", err);
    return r < 0 ? r
                 : dv_buf_printf(out, err, "\"time\":\"%s\"}\n", dv_time_format(wall_ns, stamp));
}

/* Where a line of more than a chunk is cut: not inside a character. */
static size_t cut_at(const char *bytes, size_t len)
{
    size_t cut = len;
    while (cut > len - 4 && ((unsigned char)bytes[cut] & 0xC0U) == 0x80U)
        cut--;
    return ((unsigned char)bytes[cut] & 0xC0U) == 0x80U ? len : cut;
}

static int
finish_line(struct dv_lines *lines, struct dv_str tail, struct dv_buf *out, struct dv_error *err)
{
    /* The carriage return may have come before the line feed in another read. */
    int r = 0;
    if (!lines->rest.len) {
        if (tail.len && tail.data[tail.len - 1] == '\r')
            tail.len--;
        r = put_record(lines->stream, tail, true, lines->rest_ns, out, err);
    } else {
        r = dv_buf_append(&lines->rest, tail.data, tail.len, err);
        struct dv_str whole = {lines->rest.data, lines->rest.len};
        if (whole.len && whole.data[whole.len - 1] == '\r')
            whole.len--;
        if (r == 0)
            r = put_record(lines->stream, whole, true, lines->rest_ns, out, err);
    }
    dv_buf_clear(&lines->rest);
    lines->is_long = false;
    lines->rest_ns = 0;
    return r;
}

/* Takes up to a chunk of a line that has no end yet. It is cut when it is known to be longer, so
 * that the records do not depend on how the bytes arrived. */
static int
carry_over(struct dv_lines *lines, struct dv_str *bytes, struct dv_buf *out, struct dv_error *err)
{
    size_t room = DV_LOG_CHUNK + 1 - lines->rest.len;
    size_t take = bytes->len < room ? bytes->len : room;
    int r = dv_buf_append(&lines->rest, bytes->data, take, err);
    if (r < 0)
        return r;
    bytes->data += take;
    bytes->len -= take;
    if (lines->rest.len <= DV_LOG_CHUNK)
        return 0;
    size_t cut = cut_at(lines->rest.data, DV_LOG_CHUNK);
    r = put_record(lines->stream, (struct dv_str){lines->rest.data, cut}, false, lines->rest_ns,
                   out, err);
    dv_buf_consume(&lines->rest, cut);
    lines->is_long = true;
    return r;
}

int dv_lines_add(struct dv_lines *lines,
                 const char *bytes,
                 size_t len,
                 int64_t wall_ns,
                 struct dv_buf *out,
                 struct dv_error *err)
{
    struct dv_str left = {bytes, len};
    int r = 0;
    while (r == 0 && left.len) {
        if (!lines->rest_ns)
            lines->rest_ns = wall_ns;
        const char *end = memchr(left.data, '\n', left.len);
        size_t line = end ? (size_t)(end - left.data) : left.len;
        if (end && lines->rest.len + line <= DV_LOG_CHUNK) {
            r = finish_line(lines, (struct dv_str){left.data, line}, out, err);
            left.data += line + 1;
            left.len -= line + 1;
            continue;
        }
        struct dv_str part = {left.data, line};
        r = carry_over(lines, &part, out, err);
        left.len -= line - part.len;
        left.data = part.data;
    }
    return r;
}

int dv_lines_end(struct dv_lines *lines, struct dv_buf *out, struct dv_error *err)
{
    if (!lines->rest.len && !lines->is_long)
        return 0;
    return finish_line(lines, (struct dv_str){"", 0}, out, err);
}

int dv_lines_note(const struct dv_lines *lines,
                  const char *text,
                  int64_t wall_ns,
                  struct dv_buf *out,
                  struct dv_error *err)
{
    return put_record(lines->stream, dv_str_of(text), true, wall_ns, out, err);
}
