/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/str.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct {
    enum dv_error_class class;
    const char *name;
    int number;
    int status;
    bool is_retryable;
    const char *ditto_code;
    const char *summary;
} rows[] = {
#define X(name, number, status, retry, ditto, text)                                                \
    {DV_ERR_##name, #name, (number), (status), (retry), (ditto), (text)},
#include "base/error.def"
#undef X
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

Test(error, facts_of_a_class_come_from_its_row)
{
    for (size_t i = 0; i < ROWS; i++) {
        enum dv_error_class class = rows[i].class;
        cr_assert_eq((int)class, rows[i].number);
        cr_assert_str_eq(dv_error_name(class), rows[i].name);
        cr_assert_str_eq(dv_error_ditto_code(class), rows[i].ditto_code);
        cr_assert_str_eq(dv_error_summary(class), rows[i].summary);
        cr_assert_eq(dv_error_status(class), rows[i].status);
        cr_assert_eq(dv_error_is_retryable(class), rows[i].is_retryable);
        cr_assert_eq(dv_error_class_of(rows[i].number), class);
    }
}

Test(error, numbers_and_names_are_unique_and_statuses_are_failures)
{
    for (size_t i = 0; i < ROWS; i++) {
        cr_assert_gt(rows[i].number, 0);
        cr_assert(rows[i].status >= 400 && rows[i].status <= 599, "%s", rows[i].name);
        cr_assert(rows[i].ditto_code[0] && rows[i].summary[0], "%s", rows[i].name);
        for (size_t j = 0; j < i; j++) {
            cr_assert_neq(rows[i].number, rows[j].number, "%s and %s", rows[i].name, rows[j].name);
            cr_assert_str_neq(rows[i].name, rows[j].name);
        }
    }
}

/* They travel in messages and journals: a renumbered class changes what others wrote. */
Test(error, numbers_stay_what_they_are)
{
    cr_assert_eq(DV_ERR_INVALID, 1);
    cr_assert_eq(DV_ERR_NOT_FOUND, 2);
    cr_assert_eq(DV_ERR_EXISTS, 3);
    cr_assert_eq(DV_ERR_STATE, 4);
    cr_assert_eq(DV_ERR_FAILED, 5);
    cr_assert_eq(DV_ERR_IO, 6);
    cr_assert_eq(DV_ERR_NO_MEMORY, 7);
    cr_assert_eq(DV_ERR_LIMIT, 8);
    cr_assert_eq(DV_ERR_BUSY, 9);
    cr_assert_eq(DV_ERR_TIMED_OUT, 10);
    cr_assert_eq(DV_ERR_UNDELIVERABLE, 11);
    cr_assert_eq(DV_ERR_CANCELED, 12);
    cr_assert_eq(DV_ERR_CORRUPT, 13);
    cr_assert_eq(DV_ERR_PROTOCOL, 14);
    cr_assert_eq(DV_ERR_UNSUPPORTED, 15);
    cr_assert_eq(DV_ERR_DENIED, 16);
    cr_assert_eq(DV_ERR_UNAVAILABLE, 17);
    cr_assert_eq(DV_ERR_INTERNAL, 18);
}

Test(error, an_unknown_number_reads_as_internal)
{
    static const long long numbers[] = {-1, -5, 19, 1000, 1LL << 32, (1LL << 32) + 1, -(1LL << 62)};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        cr_assert_eq(dv_error_class_of(numbers[i]), DV_ERR_INTERNAL, "%lld", numbers[i]);
    cr_assert_str_eq(dv_error_name((enum dv_error_class)1000), "INTERNAL");
    cr_assert_eq(dv_error_class_of(0), DV_ERR_NONE);
    cr_assert_eq(dv_error_status(DV_ERR_NONE), 200);
}

static int detect(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NOT_FOUND, "there is no '%s'", "web");
}

Test(error, setting_returns_the_class_and_remembers_the_place)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(detect(&err), -DV_ERR_NOT_FOUND);
    cr_assert_eq(err.class, DV_ERR_NOT_FOUND);
    cr_assert_eq(err.sys, 0);
    cr_assert_str_eq(err.where, "detect");
    cr_assert_str_eq(err.text, "there is no 'web'");
}

Test(error, without_an_object_only_the_class_comes_back)
{
    cr_assert_eq(detect(NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(dv_error_prefix(NULL, "start: "), -DV_ERR_FAILED);
    dv_error_clear(NULL);
}

Test(error, a_system_error_says_what_errno_means)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_error_sys(&err, DV_ERR_IO, ENOENT, "open '%s'", "/x"), -DV_ERR_IO);
    cr_assert_eq(err.sys, ENOENT);
    cr_assert_str_eq(err.text, "open '/x': No such file or directory");
    dv_error_clear(&err);
    cr_assert_eq(dv_error_sys(&err, DV_ERR_IO, 0, "read '%s'", "/x"), -DV_ERR_IO);
    cr_assert_str_eq(err.text, "read '/x'");
}

Test(error, callers_put_context_in_front)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(detect(&err), -DV_ERR_NOT_FOUND);
    cr_assert_eq(dv_error_prefix(&err, "start %d: ", 1), -DV_ERR_NOT_FOUND);
    cr_assert_eq(dv_error_prefix(&err, "run: "), -DV_ERR_NOT_FOUND);
    cr_assert_str_eq(err.text, "run: start 1: there is no 'web'");
    cr_assert_str_eq(err.where, "detect");
}

Test(error, a_handled_error_can_be_cleared_and_set_again)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_error_sys(&err, DV_ERR_IO, EIO, "a"), -DV_ERR_IO);
    dv_error_clear(&err);
    cr_assert_eq(err.class, DV_ERR_NONE);
    cr_assert_eq(err.sys, 0);
    cr_assert_null(err.where);
    cr_assert_str_eq(err.text, "");
    cr_assert_eq(detect(&err), -DV_ERR_NOT_FOUND);
}

/* `count` times a character of two bytes behind `lead` bytes of one. */
static void fill(char *text, size_t lead, size_t count)
{
    memset(text, 'x', lead);
    for (size_t i = 0; i < count; i++)
        memcpy(text + lead + 2 * i, "\xc3\xa9", 2);
    text[lead + 2 * count] = '\0';
}

Test(error, text_that_does_not_fit_is_cut_at_a_character)
{
    char text[2 * DV_ERROR_TEXT_MAX + 8];
    for (size_t lead = 0; lead < 4; lead++) {
        struct dv_error err = DV_ERROR_INIT;
        fill(text, lead, DV_ERROR_TEXT_MAX);
        cr_assert_eq(dv_error_set(&err, DV_ERR_FAILED, "%s", text), -DV_ERR_FAILED);
        size_t len = strlen(err.text);
        cr_assert_lt(len, DV_ERROR_TEXT_MAX);
        cr_assert_geq(len, DV_ERROR_TEXT_MAX - 3);
        cr_assert(dv_str_is_utf8(dv_str_of(err.text)), "lead %zu", lead);
        cr_assert_eq(strncmp(err.text, text, len), 0);
    }
}

Test(error, what_a_format_cuts_is_cut_at_a_character)
{
    struct dv_error err = DV_ERROR_INIT;
    (void)dv_error_set(&err, DV_ERR_INVALID, "'%.4s' is wrong", "abc\xc3\xa9");
    cr_assert_str_eq(err.text, "'abc' is wrong");
    (void)dv_error_prefix(&err, "%.1s: ", "\xc3\xa9");
    cr_assert_str_eq(err.text, ": 'abc' is wrong");
}

Test(error, a_prefix_pushes_the_end_out_at_a_character)
{
    char text[2 * DV_ERROR_TEXT_MAX + 8];
    for (size_t lead = 0; lead < 4; lead++) {
        struct dv_error err = DV_ERROR_INIT;
        fill(text, lead, 300);
        cr_assert_eq(dv_error_set(&err, DV_ERR_FAILED, "%s", text), -DV_ERR_FAILED);
        fill(text, 0, 200);
        cr_assert_eq(dv_error_prefix(&err, "%s: ", text), -DV_ERR_FAILED);
        cr_assert(dv_str_is_utf8(dv_str_of(err.text)), "lead %zu", lead);
        cr_assert_eq(strncmp(err.text, text, 400), 0);
        /* A prefix that fills all by itself. */
        fill(text, lead, DV_ERROR_TEXT_MAX);
        cr_assert_eq(dv_error_prefix(&err, "%s: ", text), -DV_ERR_FAILED);
        cr_assert(dv_str_is_utf8(dv_str_of(err.text)), "lead %zu", lead);
        cr_assert_geq(strlen(err.text), DV_ERROR_TEXT_MAX - 3);
    }
}

Test(error, the_meaning_of_errno_is_cut_with_the_text)
{
    char text[DV_ERROR_TEXT_MAX + 1];
    for (size_t len = DV_ERROR_TEXT_MAX - 30; len <= DV_ERROR_TEXT_MAX; len++) {
        struct dv_error err = DV_ERROR_INIT;
        fill(text, len, 0);
        cr_assert_eq(dv_error_sys(&err, DV_ERR_IO, ENOENT, "%s", text), -DV_ERR_IO);
        cr_assert_lt(strlen(err.text), DV_ERROR_TEXT_MAX);
        cr_assert_eq(err.sys, ENOENT);
    }
}

#ifndef NDEBUG
Test(error, setting_twice_is_a_bug, .signal = SIGABRT)
{
    struct dv_error err = DV_ERROR_INIT;
    (void)!detect(&err);
    (void)!detect(&err);
}

Test(error, a_prefix_needs_an_error, .signal = SIGABRT)
{
    struct dv_error err = DV_ERROR_INIT;
    (void)!dv_error_prefix(&err, "start: ");
}
#endif
