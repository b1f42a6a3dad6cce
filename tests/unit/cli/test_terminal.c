/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "cli/cli.h"

#include "json/json.h"
#include <criterion/criterion.h>
#include <string.h>

static struct dv_buf out;

static void setup(void)
{
    out = DV_BUF_INIT(1U << 20);
}

static void teardown(void)
{
    dv_buf_done(&out);
}

TestSuite(terminal, .init = setup, .fini = teardown);

/* A byte that a terminal, of UTF-8 or of one-byte characters, might act on. */
static bool is_harmless(const char *text, const char *allowed)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (strchr(allowed, *p))
            continue;
        if (*p < 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] < 0xA0))
            return false;
    }
    return dv_str_is_utf8(dv_str_of(text));
}

Test(terminal, controls_are_shown_instead_of_obeyed)
{
    static const struct {
        const char *text;
        const char *shown;
    } table[] = {
        {"plain caf\xc3\xa9 \xf0\x9f\x9a\xa2", "plain caf\xc3\xa9 \xf0\x9f\x9a\xa2"},
        {"\x1b[2J", "\\x1b[2J"},
        {"\x1b]0;title\x07", "\\x1b]0;title\\x07"},
        {"a\nb\r\tc", "a\\nb\\r\\tc"},
        {"\x7f", "\\x7f"},
        {"\xc2\x9b"
         "31m",
         "\\u009b31m"},
        {"\xc2\x80\xc2\x9f\xc2\xa0", "\\u0080\\u009f\xc2\xa0"},
        {"\x9b"
         "31m",
         "\\x9b31m"},
        {"\xc3", "\\xc3"},
        {"\xe2\x80\xae"
         "txt.exe",
         "\\u202etxt.exe"},
        {"\xe2\x81\xa6\xe2\x81\xa9", "\\u2066\\u2069"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        dv_buf_clear(&out);
        cli_text(&out, table[i].text);
        cr_expect_str_eq(out.len ? out.data : "", table[i].shown, "row %zu", i);
    }
}

Test(terminal, no_byte_at_all_gets_through)
{
    for (unsigned first = 1; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            char text[] = {'a', (char)first, (char)second, '\0'};
            dv_buf_clear(&out);
            cli_text(&out, text);
            cr_assert(is_harmless(out.data, ""), "%02x %02x", first, second);
            dv_buf_clear(&out);
            cli_log_text(&out, text);
            cr_assert(is_harmless(out.data, "\n\t\r"), "%02x %02x in a log", first, second);
            dv_buf_clear(&out);
            cli_json(&out, text);
            cr_assert(is_harmless(out.data, "\n\t\r"), "%02x %02x in JSON", first, second);
        }
    }
}

Test(terminal, width_is_of_what_is_shown)
{
    cr_expect_eq(cli_width(""), 0);
    cr_expect_eq(cli_width("abc"), 3);
    cr_expect_eq(cli_width("caf\xc3\xa9"), 4);
    cr_expect_eq(cli_width("a\x1b"
                           "b"),
                 6);
    cr_expect_eq(cli_width("\xc2\x9b"), 6);
}

Test(terminal, line_cannot_be_forged_from_inside)
{
    cli_line(&out, "%-6s %s %d", "web", "x\nweb2 RUNNING\x1b[A", 7);
    cr_expect_str_eq(out.data, "web    x\\nweb2 RUNNING\\x1b[A 7\n");
}

Test(terminal, line_that_does_not_fit_is_left_out_whole)
{
    dv_buf_done(&out);
    out = DV_BUF_INIT(10);
    cli_line(&out, "%s", "12345");
    cli_line(&out, "%s", "12345");
    cr_expect_str_eq(out.data, "12345\n");
}

Test(terminal, json_says_the_same_without_controls)
{
    static const char json[] = "{\n\t\"a\": \"\xc2\x9b"
                               "31m \x7f caf\xc3\xa9 \xe2\x80\xae\"}\r\n";
    cli_json(&out, json);
    cr_expect_str_eq(out.data, "{\n\t\"a\": \"\\u009b31m \\u007f caf\xc3\xa9 \\u202e\"}\r\n");
    DV_AUTO(dv_json) before = NULL;
    DV_AUTO(dv_json) after = NULL;
    cr_assert_eq(dv_json_parse(json, strlen(json), &before, NULL), 0);
    cr_assert_eq(dv_json_parse(out.data, out.len, &after, NULL), 0);
    cr_expect_str_eq(dv_json_text(dv_json_get(before, "a")), dv_json_text(dv_json_get(after, "a")));
}

Test(terminal, log_keeps_its_lines_and_colours)
{
    static const struct {
        const char *text;
        const char *shown;
    } table[] = {
        {"a\tb\n", "a\tb\n"},
        {"a\r\n", "a\r\n"},
        {"50 %\r60 %\n", "50 %\\r60 %\n"},
        {"\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n"},
        {"\x1b[1;31mred\x1b[m\n", "\x1b[1;31mred\x1b[m\n"},
        {"\x1b[31mred\n", "\x1b[31mred\x1b[0m\n"}, /* ends with the text */
        {"\x1b[31mred", "\x1b[31mred\x1b[0m"},
        {"\x1b[2J\n", "\\x1b[2J\n"},
        {"\x1b[31", "\\x1b[31"},
        {"\x1b[?25l\n", "\\x1b[?25l\n"},
        {"\x1b[>4;1m\n", "\\x1b[>4;1m\n"}, /* no colour: what the keyboard sends */
        {"\x1b[000000000000000000000000000000000000000m\n",
         "\\x1b[000000000000000000000000000000000000000m\n"},
        {"\xc2\x9b"
         "31mred\n",
         "\\u009b31mred\n"},
        {"\x07\x08\x7f\n", "\\x07\\x08\\x7f\n"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        dv_buf_clear(&out);
        cli_log_text(&out, table[i].text);
        cr_expect_str_eq(out.data, table[i].shown, "row %zu: %s", i, out.data);
    }
}
