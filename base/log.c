/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LINE_MAX_BYTES 2048

static const char *const level_names[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};

static void to_stderr(enum dv_log_level level, const char *line, void *ctx)
{
    (void)ctx;
    char stamp[DV_TIME_TEXT_SIZE];
    dv_time_format(dv_clock_wall_ns(dv_clock_real()) / 1000000 * 1000000, stamp);
    fprintf(stderr, "%s %-5s %s\n", stamp, level_names[level], line);
}

/* Written once by main before any other thread exists, read-only afterwards. */
static struct {
    dv_log_sink *sink;
    void *ctx;
    enum dv_log_level level;
} current = {to_stderr, NULL, DV_LOG_INFO};

void dv_log_set(dv_log_sink *sink, void *ctx, enum dv_log_level level)
{
    current.sink = sink ? sink : to_stderr;
    current.ctx = ctx;
    current.level = level;
}

bool dv_log_is_on(enum dv_log_level level)
{
    return level <= current.level;
}

/* Length of the character at the beginning of `text`, 0: there is none. */
static size_t character_at(const char *text)
{
    for (size_t len = 1; len <= 4 && text[len - 1]; len++)
        if (dv_str_is_utf8((struct dv_str){text, len}))
            return len;
    return 0;
}

/* C0, DEL and C1, which is two bytes: a terminal acts on U+009B as on ESC [. */
static bool is_control(const char *text, size_t len)
{
    unsigned char first = (unsigned char)text[0];
    if (len == 1)
        return first < 0x20 || first == 0x7F;
    return len == 2 && first == 0xC2 && (unsigned char)text[1] < 0xA0;
}

/* Text from outside must not forge lines or drive a terminal: a blank stands for each control
 * character, a question mark for each byte that is no character. What was cut off in the middle of
 * a character goes. */
static void make_harmless(char *line, bool is_cut)
{
    char *to = line;
    const char *from = line;
    while (*from) {
        size_t len = character_at(from);
        bool is_at_the_end = strnlen(from, 4) < 4;
        if (len == 0 && is_cut && is_at_the_end && (unsigned char)*from >= 0xC0)
            break;
        if (len == 0 || is_control(from, len)) {
            *to++ = len ? ' ' : '?';
            from += len ? len : 1;
            continue;
        }
        memmove(to, from, len);
        to += len;
        from += len;
    }
    *to = '\0';
}

void dv_log(enum dv_log_level level, const char *format, ...)
{
    if (!dv_log_is_on(level))
        return;
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (len < 0)
        line[0] = '\0';
    make_harmless(line, len >= (int)sizeof(line));
    current.sink(level, line, current.ctx);
}

bool dv_log_allow(struct dv_log_limit *limit, unsigned interval_s, unsigned *ret_skipped)
{
    long long now = dv_clock_monotonic_ns(dv_clock_real());
    if (limit->next_ns && now < limit->next_ns) {
        limit->skipped++;
        return false;
    }
    limit->next_ns = now + (long long)interval_s * 1000000000LL;
    if (ret_skipped)
        *ret_skipped = limit->skipped;
    limit->skipped = 0;
    return true;
}

const char *dv_log_level_name(enum dv_log_level level)
{
    return level_names[level];
}

bool dv_log_level_parse(const char *name, enum dv_log_level *ret)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcasecmp(name, level_names[i]) == 0) {
            *ret = (enum dv_log_level)i;
            return true;
        }
    }
    return false;
}
