/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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

void dv_log(enum dv_log_level level, const char *format, ...)
{
    if (!dv_log_is_on(level))
        return;
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    /* Text from outside must not forge lines or drive a terminal. */
    for (char *at = line; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            *at = ' ';
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
