/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The two clocks, behind a port so that a test can turn them. Timers, back-off and deadlines use
 * the monotonic clock only; the wall clock only makes time stamps. Any thread.
 */
#include <stddef.h>
#include <stdint.h>

struct dv_clock {
    int64_t (*monotonic_ns)(void *ctx); /* CLOCK_BOOTTIME: goes on during suspend */
    int64_t (*wall_ns)(void *ctx);      /* since 1970-01-01 UTC */
    void *ctx;
};

/* The machine's clocks; static, never freed. */
const struct dv_clock *dv_clock_real(void);

/* A clock that stands still until told. Not thread-safe. */
struct dv_clock_fake {
    struct dv_clock clock;
    int64_t monotonic_ns;
    int64_t wall_ns;
};
void dv_clock_fake_init(struct dv_clock_fake *fake, int64_t monotonic_ns, int64_t wall_ns);
void dv_clock_fake_advance(struct dv_clock_fake *fake, int64_t ns); /* both clocks */

static inline int64_t dv_clock_monotonic_ns(const struct dv_clock *clock)
{
    return clock->monotonic_ns(clock->ctx);
}

static inline int64_t dv_clock_wall_ns(const struct dv_clock *clock)
{
    return clock->wall_ns(clock->ctx);
}

/* False for a wall clock that nobody has set since the machine began without one: it shows a time
 * before davit existed, mostly 1970. */
#define DV_TIME_SET_NS (INT64_C(1672531200) * 1000000000) /* 2023-01-01 */
static inline _Bool dv_time_is_set(int64_t wall_ns)
{
    return wall_ns >= DV_TIME_SET_NS;
}

/* RFC 3339 in UTC with up to nine digits of fraction, trailing zeros cut:
 * "2024-06-28T08:00:00.1Z". Needs DV_TIME_TEXT_SIZE bytes; returns `text`. */
#define DV_TIME_TEXT_SIZE 40
char *dv_time_format(int64_t wall_ns, char text[DV_TIME_TEXT_SIZE]);

/* What the wall clock shows, for the text of an error of TLS: certificates are judged by it.
 * "this machine's clock shows 1970-01-01T00:00:12Z: it is not set". Returns `text`. */
#define DV_TIME_TOLD_SIZE 96
char *dv_time_tell(int64_t wall_ns, char text[DV_TIME_TOLD_SIZE]);

/* Reads the form of dv_time_format (any fraction length, Z or numeric offset). False if it is no
 * time. */
_Bool dv_time_parse(const char *text, size_t len, int64_t *ret_wall_ns);
