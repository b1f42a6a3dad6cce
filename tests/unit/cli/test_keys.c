/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/keys.h"

#include <criterion/criterion.h>
#include <string.h>

static struct cli_keys good(const char *text)
{
    struct cli_keys keys;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(cli_keys_parse(text, &keys, &err), 0, "%s: %s", text, err.text);
    return keys;
}

Test(keys, texts_name_keys)
{
    struct cli_keys keys = good("ctrl-p,q,ctrl-],ctrl-@");
    cr_assert_eq(keys.count, 4U);
    cr_expect_arr_eq(keys.keys, "\x10q\x1d\0", 4);
    cr_expect_eq(good("").count, 0U);
    cr_expect_eq(good("ctrl-a").keys[0], 1);
}

Test(keys, what_is_no_key_is_refused_by_name)
{
    static const char *const bad[] = {
        ",",      "a,", "ctrl-",    "ctrl-1", "ctrl-pp",
        "Ctrl-p", "ab", "\xc3\xa4", " ",      "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cli_keys keys;
        struct dv_error err = DV_ERROR_INIT;
        cr_expect_lt(cli_keys_parse(bad[i], &keys, &err), 0, "'%s'", bad[i]);
        cr_expect(strstr(err.text, "--detach-keys"));
    }
}

Test(keys, only_the_whole_sequence_detaches_and_all_else_is_sent)
{
    static const struct {
        const char *keys;
        const char *typed[4]; /* in parts as they are read */
        const char *sent;
        bool is_over;
    } rows[] = {
        {"ctrl-p,ctrl-q", {"ls\n"}, "ls\n", false},
        {"ctrl-p,ctrl-q", {"a\x10\x11z"}, "a", true},
        {"ctrl-p,ctrl-q", {"a\x10", "\x11"}, "a", true},
        {"ctrl-p,ctrl-q", {"\x10", "x\x10"}, "\x10x", false},
        {"ctrl-p,ctrl-q", {"\x10\x10", "\x11"}, "\x10", true},
        {"ctrl-p,ctrl-q", {"\x11\x10"}, "\x11", false},
        {"a,a,b", {"aaab"}, "a", true},
        {"a,b,a,c", {"ababac"}, "ab", true},
        {"a", {"xa"}, "x", true},
        {"", {"\x10\x11"}, "\x10\x11", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cli_keys keys = good(rows[i].keys);
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1000);
        bool is_over = false;
        for (size_t part = 0; part < 4 && rows[i].typed[part] && !is_over; part++)
            is_over =
                cli_keys_filter(&keys, rows[i].typed[part], strlen(rows[i].typed[part]), &out);
        cr_expect_eq(is_over, rows[i].is_over, "row %zu", i);
        cr_expect_str_eq(out.data ? out.data : "", rows[i].sent, "row %zu", i);
    }
}
