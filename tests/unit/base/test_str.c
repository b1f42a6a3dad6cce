/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

Test(str, a_view_equals_a_text_of_the_same_length_and_bytes_only)
{
    cr_assert(dv_str_eq(DV_STR("abc"), "abc"));
    cr_assert(dv_str_eq((struct dv_str){NULL, 0}, ""));
    cr_assert(dv_str_eq(dv_str_of(NULL), ""));
    cr_assert_not(dv_str_eq(DV_STR("abc"), "ab"));
    cr_assert_not(dv_str_eq(DV_STR("ab"), "abc"));
    cr_assert_not(dv_str_eq(DV_STR("abc"), "abC"));
    cr_assert_not(dv_str_eq(DV_STR("ab\0c"), "ab"));
}

Test(str, case_is_ignored_for_ascii_letters_only)
{
    cr_assert(dv_str_ieq(DV_STR("On-Failure"), "oN-fAILURE"));
    cr_assert(dv_str_ieq((struct dv_str){NULL, 0}, ""));
    cr_assert_not(dv_str_ieq(DV_STR("abc"), "abcd"));
    /* '@' and '`', '[' and '{' differ as letters do. */
    cr_assert_not(dv_str_ieq(DV_STR("@["), "`{"));
    cr_assert_not(dv_str_ieq(DV_STR("\xc3\x84"), "\xc3\xa4"));
}

Test(str, a_prefix_is_no_longer_than_the_view)
{
    cr_assert(dv_str_starts_with(DV_STR("Container:1"), "Container:"));
    cr_assert(dv_str_starts_with(DV_STR("abc"), "abc"));
    cr_assert(dv_str_starts_with((struct dv_str){NULL, 0}, ""));
    cr_assert_not(dv_str_starts_with(DV_STR("ab"), "abc"));
    cr_assert_not(dv_str_starts_with(DV_STR("xbc"), "ab"));
}

Test(str, utf8_is_checked_as_unicode_defines_it)
{
    static const struct {
        struct dv_str text;
        bool is_valid;
    } table[] = {
        {DV_STR(""), true},
        {DV_STR("plain"), true},
        {DV_STR("a\0b"), true},
        {DV_STR("\x7f"), true},
        {DV_STR("\x80"), false},                 /* a continuation alone */
        {DV_STR("\xc0\x80"), false},             /* overlong NUL */
        {DV_STR("\xc1\xbf"), false},             /* overlong U+007F */
        {DV_STR("\xc2\x80"), true},              /* U+0080 */
        {DV_STR("\xdf\xbf"), true},              /* U+07FF */
        {DV_STR("\xc3"), false},                 /* cut off */
        {DV_STR("\xc3("), false},                /* no continuation */
        {DV_STR("\xe0\x9f\xbf"), false},         /* overlong U+07FF */
        {DV_STR("\xe0\xa0\x80"), true},          /* U+0800 */
        {DV_STR("\xe2\x82\xac"), true},          /* U+20AC */
        {DV_STR("\xe2\x82"), false},             /* cut off */
        {DV_STR("\xe2\x82("), false},            /* no second continuation */
        {DV_STR("\xed\x9f\xbf"), true},          /* U+D7FF */
        {DV_STR("\xed\xa0\x80"), false},         /* surrogate U+D800 */
        {DV_STR("\xed\xbf\xbf"), false},         /* surrogate U+DFFF */
        {DV_STR("\xee\x80\x80"), true},          /* U+E000 */
        {DV_STR("\xef\xbf\xbf"), true},          /* U+FFFF */
        {DV_STR("\xf0\x8f\xbf\xbf"), false},     /* overlong U+FFFF */
        {DV_STR("\xf0\x90\x80\x80"), true},      /* U+10000 */
        {DV_STR("\xf4\x8f\xbf\xbf"), true},      /* U+10FFFF */
        {DV_STR("\xf4\x90\x80\x80"), false},     /* beyond */
        {DV_STR("\xf5\x80\x80\x80"), false},     /* beyond */
        {DV_STR("\xf8\x88\x80\x80\x80"), false}, /* five bytes */
        {DV_STR("\xff"), false},
        {DV_STR("good \xe2\x82\xac then \xfe"), false},
    };
    for (size_t i = 0; i < COUNT(table); i++)
        cr_assert_eq(dv_str_is_utf8(table[i].text), table[i].is_valid, "row %zu", i);
    cr_assert(dv_str_is_utf8((struct dv_str){NULL, 0}));
}

Test(str, mend_drops_cut_characters_and_marks_what_is_none)
{
    static const char *const table[][2] = {
        {"", ""},
        {"plain \xe2\x82\xac", "plain \xe2\x82\xac"},
        {"cut '\xe2\x82'", "cut ''"},
        {"cut '\xf0\x90\x80", "cut '"},
        {"cut \xc3", "cut "},
        {"\xe2\x82\xe2\x82\xac", "\xe2\x82\xac"},
        {"a\xff\x80z", "a??z"},
        {"\xc0\xaf", "??"},
        {"\xed\xa0\x80", ""},
    };
    char text[32];
    for (size_t i = 0; i < COUNT(table); i++) {
        snprintf(text, sizeof(text), "%s", table[i][0]);
        cr_assert_str_eq(dv_str_mend(text), table[i][1], "row %zu", i);
        cr_assert(dv_str_is_utf8(dv_str_of(text)), "row %zu", i);
    }
    cr_assert_null(dv_str_mend(NULL));
}

Test(str, cut_splits_at_the_first_separator)
{
    static const struct {
        struct dv_str text;
        bool is_cut;
        const char *head;
        const char *tail;
    } table[] = {
        {DV_STR("a=b=c"), true, "a", "b=c"}, {DV_STR("=b"), true, "", "b"},
        {DV_STR("a="), true, "a", ""},       {DV_STR("="), true, "", ""},
        {DV_STR("abc"), false, "abc", ""},   {DV_STR(""), false, "", ""},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct dv_str head;
        struct dv_str tail;
        cr_assert_eq(dv_str_cut(table[i].text, '=', &head, &tail), table[i].is_cut, "row %zu", i);
        cr_assert(dv_str_eq(head, table[i].head), "row %zu", i);
        cr_assert(dv_str_eq(tail, table[i].tail), "row %zu", i);
    }
}

Test(str, cut_may_write_over_the_view_that_it_splits)
{
    struct dv_str rest = DV_STR("a,b,c");
    struct dv_str head;
    char seen[8] = "";
    bool is_more = true;
    while (is_more) {
        is_more = dv_str_cut(rest, ',', &head, &rest);
        strncat(seen, head.data, head.len);
    }
    cr_assert_str_eq(seen, "abc");
}

Test(str, a_copy_ends_with_nul)
{
    char *copy = dv_str_dup((struct dv_str){"abcdef", 3});
    cr_assert_str_eq(copy, "abc");
    free(copy);
    copy = dv_str_dup((struct dv_str){NULL, 0});
    cr_assert_str_eq(copy, "");
    free(copy);
}

Test(str, whole_numbers_are_read_within_their_range)
{
    static const struct {
        const char *text;
        int64_t min;
        int64_t max;
        int64_t expected;
    } table[] = {
        {"0", 0, 0, 0},
        {"-0", 0, 0, 0},
        {"007", 0, 10, 7},
        {"65535", 1, 65535, 65535},
        {"-1", -1, 1, -1},
        {"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t value = 4711;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(
            dv_str_to_i64(dv_str_of(table[i].text), table[i].min, table[i].max, &value, &err), 0,
            "%s: %s", table[i].text, err.text);
        cr_assert_eq(value, table[i].expected, "%s", table[i].text);
    }
}

Test(str, what_is_no_whole_number_is_refused_and_writes_nothing)
{
    static const struct dv_str table[] = {
        DV_STR(""),
        DV_STR("-"),
        DV_STR("+1"),
        DV_STR(" 1"),
        DV_STR("1 "),
        DV_STR("1.0"),
        DV_STR("1e3"),
        DV_STR("0x10"),
        DV_STR("--1"),
        DV_STR("1-"),
        DV_STR("1\0"),
        DV_STR("9223372036854775808"),
        DV_STR("-9223372036854775809"),
        DV_STR("99999999999999999999999999"),
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t value = 4711;
        cr_assert_eq(dv_str_to_i64(table[i], INT64_MIN, INT64_MAX, &value, NULL), -DV_ERR_INVALID,
                     "row %zu", i);
        cr_assert_eq(value, 4711, "row %zu", i);
    }
}

Test(str, a_number_out_of_range_is_refused_with_the_range)
{
    int64_t value = 4711;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_str_to_i64(DV_STR("70000"), 1, 65535, &value, &err), -DV_ERR_INVALID);
    cr_assert_str_eq(err.text, "'70000' is not a whole number (1..65535)");
    cr_assert_eq(value, 4711);
    cr_assert_eq(dv_str_to_i64(DV_STR("0"), 1, 65535, &value, NULL), -DV_ERR_INVALID);
}

Test(str, durations_are_read_as_go_writes_them)
{
    static const struct {
        const char *text;
        int64_t expected_ns;
    } table[] = {
        {"0", 0},
        {"-0", 0},
        {"+0", 0},
        {"0s", 0},
        {"1ns", 1},
        {"1us", 1000},
        {"1\xc2\xb5s", 1000}, /* micro sign */
        {"1\xce\xbcs", 1000}, /* Greek mu */
        {"250ms", 250000000},
        {"1.5s", 1500000000},
        {".5s", 500000000},
        {"1.s", 1000000000},
        {"+2s", 2000000000},
        {"-2s", -2000000000},
        {"1m30s", 90000000000},
        {"1h1m1s1ms1us1ns", 3661001001001},
        {"-1.5h", -5400000000000},
        {"0.3333333333333333333h", 1199999999999},
        {"0.9ns", 0}, /* cut, not rounded */
        {"9223372036854775807ns", INT64_MAX},
        {"-9223372036854775807ns", -INT64_MAX},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t value = 4711;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(dv_str_to_duration_ns(dv_str_of(table[i].text), &value, &err), 0, "%s",
                     err.text);
        cr_assert_eq(value, table[i].expected_ns, "%s: %" PRId64, table[i].text, value);
    }
}

Test(str, what_is_no_duration_is_refused_and_writes_nothing)
{
    static const struct dv_str table[] = {
        DV_STR(""),
        DV_STR("-"),
        DV_STR("1"),
        DV_STR("00"),
        DV_STR("s"),
        DV_STR("."),
        DV_STR(".s"),
        DV_STR("1 s"),
        DV_STR(" 1s"),
        DV_STR("1s "),
        DV_STR("1d"),
        DV_STR("1S"),
        DV_STR("1s2"),
        DV_STR("1..5s"),
        DV_STR("1.5.5s"),
        DV_STR("1s-1s"),
        DV_STR("--1s"),
        DV_STR("1\xc2s"),
        DV_STR("1s\0"),
        DV_STR("9223372036854775808ns"),
        DV_STR("2562048h"),
        DV_STR("2562047h2562047h"),
        DV_STR("99999999999999999999999h"),
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t value = 4711;
        cr_assert_eq(dv_str_to_duration_ns(table[i], &value, NULL), -DV_ERR_INVALID, "row %zu", i);
        cr_assert_eq(value, 4711, "row %zu", i);
    }
    struct dv_error err = DV_ERROR_INIT;
    int64_t value;
    cr_assert_eq(dv_str_to_duration_ns(DV_STR("soon"), &value, &err), -DV_ERR_INVALID);
    cr_assert_str_eq(err.text, "'soon' is not a duration (like 1m30s, 1.5s or 250ms)");
}

/* shows: K31, D9 */
Test(str, sizes_are_read_with_base_1024)
{
    static const struct {
        const char *text;
        int64_t expected;
    } table[] = {
        {"0", 0},
        {"4096", 4096},
        {"4096b", 4096},
        {"1K", 1024},
        {"1k", 1024},
        {"200M", 209715200},
        {"200 m", 209715200},
        {"1.5 g", 1610612736},
        {"0.5k", 512},
        {"1.0009765625K", 1025},
        {"1.9", 1}, /* cut to whole bytes */
        {"9223372036854775807", INT64_MAX},
        {"8589934591G", 9223372035781033984},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t value = 4711;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(dv_str_to_size(dv_str_of(table[i].text), &value, &err), 0, "%s", err.text);
        cr_assert_eq(value, table[i].expected, "%s: %" PRId64, table[i].text, value);
    }
}

Test(str, what_is_no_size_is_refused_and_writes_nothing)
{
    static const struct dv_str table[] = {
        DV_STR(""),
        DV_STR("M"),
        DV_STR("-1"),
        DV_STR("+1"),
        DV_STR(".5k"),
        DV_STR("1."),
        DV_STR("1.k"),
        DV_STR("1..5"),
        DV_STR(" 1"),
        DV_STR("1 "),
        DV_STR("1  M"),
        DV_STR("1KB"),
        DV_STR("1KiB"),
        DV_STR("1T"),
        DV_STR("0x10"),
        DV_STR("1e3"),
        DV_STR("1\0"),
        DV_STR("9223372036854775808"),
        DV_STR("8589934592G"),
        DV_STR("99999999999999999999999"),
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t value = 4711;
        cr_assert_eq(dv_str_to_size(table[i], &value, NULL), -DV_ERR_INVALID, "row %zu", i);
        cr_assert_eq(value, 4711, "row %zu", i);
    }
    struct dv_error err = DV_ERROR_INIT;
    int64_t value;
    cr_assert_eq(dv_str_to_size(DV_STR("big"), &value, &err), -DV_ERR_INVALID);
    cr_assert_str_eq(err.text, "'big' is not a size (a number with an optional unit B, K, M or G)");
}

static const char *key(size_t index, void *ctx)
{
    (void)ctx;
    static const char *const keys[] = {
        "name",        "hostName",
        "networkMode", "a_key_that_is_longer_than_any_typing_error_could_be_and_is_left_out_then",
        "mountPoints",
    };
    return index < COUNT(keys) ? keys[index] : NULL;
}

Test(str, the_nearest_key_is_proposed_only_if_it_is_near)
{
    static const struct {
        const char *text;
        const char *expected;
    } table[] = {
        {"nmae", "name"},
        {"NAME", "name"},
        {"hostname", "hostName"},
        {"networMode", "networkMode"},
        {"network", NULL},
        {"mountPoint", "mountPoints"},
        {"something else", NULL},
        {"", NULL},
        {"a_key_that_is_longer_than_any_typing_error_could_be_and_is_left_out_then", NULL},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        const char *found = dv_str_nearest(dv_str_of(table[i].text), key, NULL);
        if (table[i].expected)
            cr_assert(found && strcmp(found, table[i].expected) == 0, "%s: %s", table[i].text,
                      found ? found : "none");
        else
            cr_assert_null(found, "%s: %s", table[i].text, found);
    }
}

static const char *nothing(size_t index, void *ctx)
{
    (void)index;
    (void)ctx;
    return NULL;
}

Test(str, without_candidates_there_is_no_nearest)
{
    cr_assert_null(dv_str_nearest(DV_STR("name"), nothing, NULL));
}
