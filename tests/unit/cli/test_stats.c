/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/cli_fake.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#define S  1000000000LL
#define MB (1LL << 20)

static struct dv_buf out;

static void setup(void)
{
    out = DV_BUF_INIT(1U << 20);
}

static void teardown(void)
{
    dv_buf_done(&out);
}

TestSuite(stats, .init = setup, .fini = teardown);

static struct dv_maybe is(int64_t value)
{
    return (struct dv_maybe){true, value};
}

static struct dv_sample sample_of(const char *id, int64_t cpu_ns)
{
    return (struct dv_sample){
        .id = (char *)id,
        .name = (char *)id,
        .pid = 7,
        .cpu_ns = is(cpu_ns),
        .memory_used = is(15 * MB + MB / 2),
        .memory_total = is(100 * MB),
        .net_read = is(610),
        .net_write = is(2048),
        .tasks = is(14),
    };
}

static const char *stats(const char *id, int64_t pid_now)
{
    struct dv_sample before[] = {sample_of("a", 0), sample_of("b", S)};
    struct dv_sample now[] = {sample_of("a", S / 2), sample_of("b", S), sample_of("c", 0)};
    struct dv_sample host_before = {.cpu_ns = is(0)};
    struct dv_sample host_now = {.cpu_ns = is(S), .tasks = is(90)};
    now[0].pid = pid_now;
    struct dv_samples first = {
        .cpu_total_ns = 10 * S, .host = &host_before, .containers = {before, 2}};
    struct dv_samples second = {.cpu_total_ns = 12 * S, .host = &host_now, .containers = {now, 3}};
    dv_buf_clear(&out);
    cli_print_stats(&first, &second, id, &out);
    return out.data;
}

Test(stats, each_container_has_a_line_and_the_gateway_the_last)
{
    const char *text = stats(NULL, 7);
    cr_assert_not_null(strstr(text, "NAME"));
    cr_assert_not_null(
        strstr(text, "a            25.0 %  16 MB / 100 MB         15.5 %  610 B / 2.0 KB"));
    cr_assert_not_null(strstr(text, "b             0.0 %"));
    cr_assert_not_null(strstr(text, "c                 -"), "it was not there before");
    cr_assert_not_null(strstr(text, "(gateway)    50.0 %"));
    cr_assert_not_null(strstr(text, "- / -"), "what is not known");
}

Test(stats, one_container_is_shown_alone)
{
    const char *text = stats("b", 7);
    cr_assert_not_null(strstr(text, "\nb "));
    cr_assert_null(strstr(text, "\na "));
    cr_assert_null(strstr(text, "(gateway)"));
}

Test(stats, another_run_of_a_container_has_no_share_yet)
{
    cr_assert_not_null(strstr(stats("a", 8), "a                 -"));
}

Test(stats, a_container_that_does_not_run_is_an_error)
{
    char *words[] = {(char *)"stats", (char *)"web", NULL};
    cli_fake.container = (struct dv_container_summary){
        .id = (char *)"1", .name = (char *)"web", .status = DV_STATUS_STOPPED};
    cr_assert_eq(cli_fake_run(cli_stats, words), CLI_FAILED);
    cr_assert_str_eq(cli_fake.error.text, "container 'web' does not run");
}

Test(stats, more_than_one_name_is_wrong_usage)
{
    char *words[] = {(char *)"stats", (char *)"a", (char *)"b", NULL};
    cr_assert_eq(cli_fake_run(cli_stats, words), CLI_USAGE);
}

Test(stats, an_answer_that_is_none_is_an_error)
{
    char *words[] = {(char *)"stats", NULL};
    cli_fake.value = "{\"containers\":5}";
    cr_assert_eq(cli_fake_run(cli_stats, words), CLI_FAILED);
    cr_assert_str_eq(cli_fake.operation, "samples");
    cr_assert_str_eq(cli_fake.args, "{\"pass\":0,\"from\":0}");
}
