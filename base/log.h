/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The log. Library code returns errors; actors and main programs log, once per failure. A line is
 * what failed, on which object, and whether it was retried or ignored, followed by key=value
 * fields in the text itself. The sink is set by main before the first thread and never after.
 * Any thread; a call may block as long as the sink's write does.
 */
#include <stdbool.h>

enum dv_log_level {
    DV_LOG_ERROR,
    DV_LOG_WARN,
    DV_LOG_INFO,
    DV_LOG_DEBUG,
    DV_LOG_TRACE,
};

/* `line` is UTF-8 without line feeds or other control characters: they were replaced. */
typedef void dv_log_sink(enum dv_log_level level, const char *line, void *ctx);

/* The default sink writes "LEVEL line" to standard error, level INFO. */
void dv_log_set(dv_log_sink *sink, void *ctx, enum dv_log_level level);
bool dv_log_is_on(enum dv_log_level level);

void dv_log(enum dv_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True at most once per `interval_s` for one call site: guards a line that could repeat. The number
 * of lines left out since then is added to the next one by the caller through *ret_skipped. */
struct dv_log_limit {
    long long next_ns;
    unsigned skipped;
};
bool dv_log_allow(struct dv_log_limit *limit, unsigned interval_s, unsigned *ret_skipped);

const char *dv_log_level_name(enum dv_log_level level);
bool dv_log_level_parse(const char *name, enum dv_log_level *ret); /* any case */
