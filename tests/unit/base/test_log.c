/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct {
    char line[4096];
    enum dv_log_level level;
    unsigned count;
} seen;

static void sink(enum dv_log_level level, const char *line, void *ctx)
{
    cr_assert_eq(ctx, &seen);
    seen.level = level;
    seen.count++;
    snprintf(seen.line, sizeof(seen.line), "%s", line);
}

static void setup(void)
{
    memset(&seen, 0, sizeof(seen));
    dv_log_set(sink, &seen, DV_LOG_INFO);
}

static void teardown(void)
{
    dv_log_set(NULL, NULL, DV_LOG_INFO);
}

TestSuite(log, .init = setup, .fini = teardown);

Test(log, a_line_reaches_the_sink_with_its_level)
{
    dv_log(DV_LOG_WARN, "start '%s' failed container=%d", "web", 7);
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(seen.level, DV_LOG_WARN);
    cr_assert_str_eq(seen.line, "start 'web' failed container=7");
}

Test(log, levels_above_the_limit_are_left_out)
{
    static const enum dv_log_level levels[] = {DV_LOG_ERROR, DV_LOG_WARN, DV_LOG_INFO, DV_LOG_DEBUG,
                                               DV_LOG_TRACE};
    for (unsigned limit = 0; limit < 5; limit++) {
        seen.count = 0;
        dv_log_set(sink, &seen, levels[limit]);
        for (unsigned i = 0; i < 5; i++) {
            cr_assert_eq(dv_log_is_on(levels[i]), i <= limit);
            dv_log(levels[i], "x");
        }
        cr_assert_eq(seen.count, limit + 1);
    }
}

Test(log, control_characters_cannot_forge_a_line)
{
    dv_log(DV_LOG_INFO, "%s", "a\nERROR b\r\x1b[2J\tc\x7f\xc3\xa9");
    cr_assert_str_eq(seen.line, "a ERROR b  [2J c \xc3\xa9");
    cr_assert_eq(seen.count, 1);
}

Test(log, nothing_in_a_line_drives_a_terminal)
{
    static const struct {
        const char *text;
        const char *line;
    } table[] = {
        {"a\xc2\x9b"
         "2Jb",
         "a 2Jb"}, /* U+009B, the one-character form of ESC [ */
        {"\xc2\x80\xc2\x9f", "  "},
        {"\xc2\xa0\xc2\xa9", "\xc2\xa0\xc2\xa9"}, /* the first that are none */
        {"a\x9b"
         "2J",
         "a?2J"}, /* the same on a terminal of one-byte characters */
        {"\x1b]0;title\x07", " ]0;title "},
        {"\x7f", " "},
        {"\xc3", "?"},
        {"\xe2\x82", "??"},
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"\xf0\x9f\x9a\xa2", "\xf0\x9f\x9a\xa2"},
        {"\xed\xa0\x80", "???"}, /* a surrogate */
        {"\xc0\x9b", "??"},      /* overlong */
        {"\xff\xc2", "??"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        dv_log(DV_LOG_INFO, "%s", table[i].text);
        cr_expect_str_eq(seen.line, table[i].line, "row %zu: '%s'", i, seen.line);
    }
}

Test(log, a_long_line_is_not_cut_inside_a_character)
{
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x9a\xa2"};
    for (size_t i = 0; i < 3; i++) {
        for (size_t shift = 0; shift < 4; shift++) {
            char text[4096] = "xxxx";
            size_t step = strlen(characters[i]);
            text[shift] = '\0';
            for (size_t at = shift; at + step < sizeof(text) - 1; at += step)
                memcpy(text + at, characters[i], step + 1);
            dv_log(DV_LOG_INFO, "%s", text);
            size_t len = strlen(seen.line);
            cr_assert(len >= 2040 && len < 2048, "%zu", len);
            cr_assert_eq((len - shift) % step, 0);
            cr_assert_eq(memcmp(seen.line, text, len), 0);
        }
    }
}

Test(log, a_long_line_is_cut)
{
    char text[4000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    dv_log(DV_LOG_INFO, "%s", text);
    size_t len = strlen(seen.line);
    cr_assert(len >= 1024 && len < sizeof(text) - 1, "%zu", len);
    cr_assert_eq(strncmp(seen.line, text, len), 0);
}

Test(log, a_repeated_line_is_let_through_once_in_its_interval)
{
    struct dv_log_limit limit = {0};
    unsigned skipped = 4711;
    cr_assert(dv_log_allow(&limit, 3600, &skipped));
    cr_assert_eq(skipped, 0);
    skipped = 4711;
    for (int i = 0; i < 3; i++)
        cr_assert_not(dv_log_allow(&limit, 3600, &skipped));
    cr_assert_eq(skipped, 4711);
    /* The interval ends. */
    limit.next_ns = dv_clock_monotonic_ns(dv_clock_real());
    cr_assert(dv_log_allow(&limit, 3600, &skipped));
    cr_assert_eq(skipped, 3);
    cr_assert_not(dv_log_allow(&limit, 3600, NULL));
    limit.next_ns = dv_clock_monotonic_ns(dv_clock_real());
    cr_assert(dv_log_allow(&limit, 3600, NULL));
    cr_assert_eq(limit.skipped, 0);
}

Test(log, without_an_interval_every_line_is_let_through)
{
    struct dv_log_limit limit = {0};
    unsigned skipped;
    for (int i = 0; i < 3; i++)
        cr_assert(dv_log_allow(&limit, 0, &skipped));
}

Test(log, names_of_levels_are_read_in_any_case)
{
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
    static const char *const lower[] = {"error", "warn", "Info", "dEBUG", "trace"};
    for (unsigned i = 0; i < 5; i++) {
        enum dv_log_level level = DV_LOG_ERROR;
        cr_assert(dv_log_level_parse(names[i], &level));
        cr_assert_eq((unsigned)level, i);
        cr_assert(dv_log_level_parse(lower[i], &level));
        cr_assert_eq((unsigned)level, i);
        cr_assert_str_eq(dv_log_level_name(level), names[i]);
    }
}

Test(log, other_names_are_refused_and_write_nothing)
{
    static const char *const names[] = {"", "warning", "err", "INFO ", "0"};
    for (unsigned i = 0; i < 5; i++) {
        enum dv_log_level level = DV_LOG_TRACE;
        cr_assert_not(dv_log_level_parse(names[i], &level), "%s", names[i]);
        cr_assert_eq(level, DV_LOG_TRACE);
    }
}
