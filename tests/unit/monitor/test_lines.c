/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/lines.h"

#include <criterion/criterion.h>
#include <string.h>

#define T    1719561600100000000LL /* 2024-06-28T08:00:00.1Z */
#define TIME "\"time\":\"2024-06-28T08:00:00.1Z\"}\n"

static void check(const char *bytes, size_t len, size_t step, const char *expected)
{
    struct dv_lines lines;
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1 << 20);
    dv_lines_init(&lines, "stdout");
    for (size_t at = 0; at < len; at += step)
        cr_assert_eq(
            dv_lines_add(&lines, bytes + at, len - at < step ? len - at : step, T, &out, NULL), 0);
    cr_assert_eq(dv_lines_end(&lines, &out, NULL), 0);
    cr_assert_str_eq(out.data ? out.data : "", expected, "step %zu: %s", step, out.data);
    dv_lines_done(&lines);
}

/* shows: K41 */
Test(lines, records_are_as_docker_and_kanto_write_them)
{
    static const struct {
        const char *bytes;
        const char *expected;
    } table[] = {
        {"", ""},
        {"hello\n", "{\"stream\":\"stdout\",\"log\":\"hello\\n\"," TIME},
        {"a\nb\n", "{\"stream\":\"stdout\",\"log\":\"a\\n\"," TIME
                   "{\"stream\":\"stdout\",\"log\":\"b\\n\"," TIME},
        {"no end", "{\"stream\":\"stdout\",\"log\":\"no end\\n\"," TIME},
        {"\n", "{\"stream\":\"stdout\",\"log\":\"\\n\"," TIME},
        {"dos\r\n", "{\"stream\":\"stdout\",\"log\":\"dos\\n\"," TIME},
        {"a\rb\n", "{\"stream\":\"stdout\",\"log\":\"a\\rb\\n\"," TIME},
        {"q\"b\\t\te\x1b<&>\n",
         "{\"stream\":\"stdout\",\"log\":\"q\\\"b\\\\t\\te\\u001b\\u003c\\u0026\\u003e\\n\"," TIME},
        {"\xff\xc3\xa9\xe2\x80\xa8\n",
         "{\"stream\":\"stdout\",\"log\":\"\\ufffd\xc3\xa9\\u2028\\n\"," TIME},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        for (size_t step = 1; step < 8; step++)
            check(table[i].bytes, strlen(table[i].bytes), step, table[i].expected);
}

/* shows: K41 */
Test(lines, a_long_line_becomes_records_of_which_only_the_last_ends)
{
    size_t len = 2 * DV_LOG_CHUNK + 100;
    char *bytes = malloc(len + 1);
    memset(bytes, 'x', len);
    bytes[len] = '\n';
    for (size_t step = 4096; step <= len + 1; step += 7001) {
        struct dv_lines lines;
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1 << 20);
        dv_lines_init(&lines, "stderr");
        for (size_t at = 0; at <= len; at += step)
            cr_assert_eq(dv_lines_add(&lines, bytes + at, len + 1 - at < step ? len + 1 - at : step,
                                      T, &out, NULL),
                         0);
        size_t records = 0;
        size_t text = 0;
        for (const char *at = out.data; (at = strstr(at, "\"log\":\"")) != NULL; records++) {
            at += 7;
            text += strspn(at, "x");
            cr_assert_leq(strspn(at, "x"), DV_LOG_CHUNK);
        }
        cr_assert_eq(text, len);
        cr_assert_eq(records, 3);
        const char *end = strstr(out.data, "\\n");
        cr_assert_not_null(end);
        cr_assert_null(strstr(end + 1, "\\n"), "only the last record has the line feed");
        dv_lines_done(&lines);
    }
    free(bytes);
}

Test(lines, a_cut_does_not_split_a_character)
{
    size_t len = DV_LOG_CHUNK + 10;
    char *bytes = malloc(len + 3);
    memset(bytes, 'x', len);
    memcpy(bytes + DV_LOG_CHUNK - 2, "\xe2\x82\xac", 3);
    bytes[len] = '\n';
    struct dv_lines lines;
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1 << 20);
    dv_lines_init(&lines, "stdout");
    cr_assert_eq(dv_lines_add(&lines, bytes, len + 1, T, &out, NULL), 0);
    cr_assert(strstr(out.data, "\xe2\x82\xac"));
    cr_assert_null(strstr(out.data, "ufffd"));
    dv_lines_done(&lines);
    free(bytes);
}
