/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of the daemon and of containers on their way to a terminal. They come from strangers: cloud
 * payloads, registries, programs in containers. Nothing of them may move the cursor, change the
 * title, answer for the keyboard or turn text around: such characters are shown as \x1b or \u009b
 * instead. Pure.
 */
#include "base/str.h"
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_SIZE     12
#define LINE_MAX_BYTES (16U << 20)
#define SGR_MAX        32

/* A character, or a byte that is none. */
struct character {
    uint32_t code;
    size_t len;
    bool is_valid;
};

static struct character character_at(struct dv_str text)
{
    const unsigned char *p = (const unsigned char *)text.data;
    for (size_t len = 1; len <= 4 && len <= text.len; len++) {
        if (!dv_str_is_utf8((struct dv_str){text.data, len}))
            continue;
        uint32_t code = len == 1 ? p[0] : p[0] & (0x7FU >> len);
        for (size_t i = 1; i < len; i++)
            code = code << 6 | (p[i] & 0x3FU);
        return (struct character){code, len, true};
    }
    return (struct character){p[0], 1, false};
}

/* C0, DEL, C1, and what changes the direction of the text around it. */
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

/* What stands for a character that may not be printed; NULL: it may. */
static const char *shown_as(const struct character *c, char text[SHOWN_SIZE])
{
    if (c->is_valid && !is_control(c->code))
        return NULL;
    if (c->is_valid && c->code == '\n')
        return "\\n";
    if (c->is_valid && c->code == '\r')
        return "\\r";
    if (c->is_valid && c->code == '\t')
        return "\\t";
    snprintf(text, SHOWN_SIZE, c->is_valid && c->code >= 0x80 ? "\\u%04x" : "\\x%02x",
             (unsigned)c->code);
    return text;
}

void cli_text(struct dv_buf *out, const char *text)
{
    struct dv_str left = dv_str_of(text);
    char replaced[SHOWN_SIZE];
    while (left.len) {
        struct character c = character_at(left);
        const char *shown = shown_as(&c, replaced);
        if (shown)
            (void)!dv_buf_append_str(out, shown, NULL);
        else
            (void)!dv_buf_append(out, left.data, c.len, NULL);
        left = (struct dv_str){left.data + c.len, left.len - c.len};
    }
}

int cli_width(const char *text)
{
    struct dv_str left = dv_str_of(text);
    char replaced[SHOWN_SIZE];
    int width = 0;
    while (left.len) {
        struct character c = character_at(left);
        const char *shown = shown_as(&c, replaced);
        width += shown ? (int)strlen(shown) : 1;
        left = (struct dv_str){left.data + c.len, left.len - c.len};
    }
    return width;
}

void cli_line(struct dv_buf *out, const char *format, ...)
{
    DV_AUTO_IN_PLACE(dv_buf) raw = DV_BUF_INIT(LINE_MAX_BYTES);
    DV_AUTO_IN_PLACE(dv_buf) line = DV_BUF_INIT(6 * LINE_MAX_BYTES);
    va_list args;
    char *room;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0 || dv_buf_reserve(&raw, (size_t)len + 1, &room, NULL) < 0)
        return;
    va_start(args, format);
    vsnprintf(room, (size_t)len + 1, format, args);
    va_end(args);
    cli_text(&line, room);
    if (dv_buf_append(&line, "\n", 1, NULL) == 0)
        (void)!dv_buf_append(out, line.data, line.len, NULL);
}

void cli_json(struct dv_buf *out, const char *json)
{
    struct dv_str left = dv_str_of(json);
    while (left.len) {
        struct character c = character_at(left);
        bool is_space = c.code == '\n' || c.code == '\t' || c.code == '\r';
        if (c.is_valid && (is_space || !is_control(c.code)))
            (void)!dv_buf_append(out, left.data, c.len, NULL);
        else
            (void)!dv_buf_printf(out, NULL, "\\u%04x", c.is_valid ? (unsigned)c.code : 0xFFFDU);
        left = (struct dv_str){left.data + c.len, left.len - c.len};
    }
}

/* Length of a colour sequence (ESC [ digits m) at the beginning of `text`, 0: none. */
static size_t colour_at(struct dv_str text, bool *ret_is_reset)
{
    size_t at = 2;
    bool is_reset = true;
    if (text.len < 3 || text.data[0] != '\x1b' || text.data[1] != '[')
        return 0;
    while (at < text.len && at < SGR_MAX &&
           ((text.data[at] >= '0' && text.data[at] <= '9') || text.data[at] == ';')) {
        is_reset = is_reset && text.data[at] == '0';
        at++;
    }
    if (at == text.len || text.data[at] != 'm')
        return 0;
    *ret_is_reset = is_reset;
    return at + 1;
}

void cli_log_text(struct dv_buf *out, const char *text)
{
    struct dv_str left = dv_str_of(text);
    char replaced[SHOWN_SIZE];
    bool is_plain = true;
    while (left.len) {
        struct character c = character_at(left);
        size_t colour = colour_at(left, &is_plain);
        bool is_passed = colour || left.data[0] == '\n' || left.data[0] == '\t' ||
                         (left.data[0] == '\r' && left.len > 1 && left.data[1] == '\n');
        const char *shown = is_passed ? NULL : shown_as(&c, replaced);
        size_t step = colour ? colour : c.len;
        if (!is_plain && left.len == 1 && left.data[0] == '\n') {
            (void)!dv_buf_append_str(out, "\x1b[0m", NULL);
            is_plain = true;
        }
        if (shown)
            (void)!dv_buf_append_str(out, shown, NULL);
        else
            (void)!dv_buf_append(out, left.data, step, NULL);
        left = (struct dv_str){left.data + step, left.len - step};
    }
    if (!is_plain)
        (void)!dv_buf_append_str(out, "\x1b[0m", NULL);
}
