/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000LL

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int64_t real_monotonic(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_BOOTTIME);
}

static int64_t real_wall(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_REALTIME);
}

const struct dv_clock *dv_clock_real(void)
{
    static const struct dv_clock real = {real_monotonic, real_wall, NULL};
    return &real;
}

static int64_t fake_monotonic(void *ctx)
{
    return ((struct dv_clock_fake *)ctx)->monotonic_ns;
}

static int64_t fake_wall(void *ctx)
{
    return ((struct dv_clock_fake *)ctx)->wall_ns;
}

void dv_clock_fake_init(struct dv_clock_fake *fake, int64_t monotonic_ns, int64_t wall_ns)
{
    *fake = (struct dv_clock_fake){
        .clock = {fake_monotonic, fake_wall, fake},
        .monotonic_ns = monotonic_ns,
        .wall_ns = wall_ns,
    };
}

void dv_clock_fake_advance(struct dv_clock_fake *fake, int64_t ns)
{
    fake->monotonic_ns += ns;
    fake->wall_ns += ns;
}

char *dv_time_format(int64_t wall_ns, char text[DV_TIME_TEXT_SIZE])
{
    int64_t seconds = wall_ns / NS_PER_S;
    int64_t fraction = wall_ns % NS_PER_S;
    if (fraction < 0) {
        fraction += NS_PER_S;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm utc;
    gmtime_r(&when, &utc);
    size_t len = strftime(text, DV_TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    if (fraction) {
        char digits[16];
        snprintf(digits, sizeof(digits), "%09lld", (long long)fraction);
        size_t end = 9;
        while (digits[end - 1] == '0')
            end--;
        text[len++] = '.';
        memcpy(text + len, digits, end);
        len += end;
    }
    text[len++] = 'Z';
    text[len] = '\0';
    return text;
}

char *dv_time_tell(int64_t wall_ns, char text[DV_TIME_TOLD_SIZE])
{
    char stamp[DV_TIME_TEXT_SIZE];
    snprintf(text, DV_TIME_TOLD_SIZE, "this machine's clock shows %s%s",
             dv_time_format(wall_ns / NS_PER_S * NS_PER_S, stamp),
             dv_time_is_set(wall_ns) ? "" : ": it is not set");
    return text;
}

static bool take_number(const char **at, const char *end, int digits, int *ret)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (*at >= end || **at < '0' || **at > '9')
            return false;
        value = value * 10 + (**at - '0');
    }
    *ret = value;
    return true;
}

static bool take_char(const char **at, const char *end, const char *any)
{
    /* strchr finds the end of `any` too, but a NUL in the text is no separator. */
    if (*at >= end || **at == '\0' || !strchr(any, **at))
        return false;
    (*at)++;
    return true;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && is_leap ? 29 : days[month - 1];
}

static bool take_offset(const char **at, const char *end, int64_t *ret_seconds)
{
    *ret_seconds = 0;
    if (take_char(at, end, "Zz"))
        return true;
    if (*at >= end || (**at != '+' && **at != '-'))
        return false;
    int sign = *(*at)++ == '-' ? -1 : 1;
    int hours;
    int minutes;
    if (!take_number(at, end, 2, &hours) || !take_char(at, end, ":") ||
        !take_number(at, end, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_seconds = sign * (hours * 3600LL + minutes * 60LL);
    return true;
}

_Bool dv_time_parse(const char *text, size_t len, int64_t *ret_wall_ns)
{
    const char *at = text;
    const char *end = text + len;
    struct tm utc = {0};
    int year;
    int month;
    if (!take_number(&at, end, 4, &year) || !take_char(&at, end, "-") ||
        !take_number(&at, end, 2, &month) || !take_char(&at, end, "-") ||
        !take_number(&at, end, 2, &utc.tm_mday) || !take_char(&at, end, "Tt ") ||
        !take_number(&at, end, 2, &utc.tm_hour) || !take_char(&at, end, ":") ||
        !take_number(&at, end, 2, &utc.tm_min) || !take_char(&at, end, ":") ||
        !take_number(&at, end, 2, &utc.tm_sec))
        return false;
    int64_t fraction = 0;
    if (take_char(&at, end, ".")) {
        int64_t unit = NS_PER_S / 10;
        const char *first = at;
        for (; at < end && *at >= '0' && *at <= '9'; at++, unit /= 10)
            fraction += (*at - '0') * unit;
        if (at == first)
            return false;
    }
    int64_t offset;
    if (!take_offset(&at, end, &offset) || at != end)
        return false;
    /* Years beyond what 64-bit nanoseconds hold are no time stamps of ours. */
    if (year < 1 || year > 2261 || month < 1 || month > 12 || utc.tm_mday < 1 ||
        utc.tm_mday > days_of_month(year, month) || utc.tm_hour > 23 || utc.tm_min > 59 ||
        utc.tm_sec > 60)
        return false;
    if (year < 1678) { /* Go's zero time 0001-01-01 stands for "never" in records */
        *ret_wall_ns = 0;
        return true;
    }
    utc.tm_year = year - 1900;
    utc.tm_mon = month - 1;
    *ret_wall_ns = ((int64_t)timegm(&utc) - offset) * NS_PER_S + fraction;
    return true;
}
