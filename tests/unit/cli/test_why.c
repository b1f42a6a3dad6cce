/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <criterion/criterion.h>
#include <string.h>

#define S   1000000000LL
#define NOW (1719561600 * S)

static struct dv_buf out;
static struct dv_restart_policy policy;
static struct dv_container_end ends[2];

static void setup(void)
{
    out = DV_BUF_INIT(1U << 20);
    policy = (struct dv_restart_policy){.type = DV_RESTART_ON_FAILURE, .max_retry_count = 20};
    ends[0] = (struct dv_container_end){
        .ran_ms = 800, .finished_ns = NOW - 4 * S, .exit_code = 1, .is_code_known = true};
    ends[1] = ends[0];
    ends[1].finished_ns = NOW - 40 * S;
}

static void teardown(void)
{
    dv_buf_done(&out);
}

TestSuite(why, .init = setup, .fini = teardown);

static struct dv_container_why collector(enum dv_status status)
{
    return (struct dv_container_why){
        .id = "3f0c",
        .name = "collector",
        .status = status,
        .since_ns = NOW - 4 * S,
        .pid = -1,
        .policy = &policy,
        .ends = {ends, 2},
    };
}

static void expect(const struct dv_container_why *why, const char *text)
{
    dv_buf_clear(&out);
    cli_print_why(why, NOW, &out);
    cr_expect_str_eq(out.data, text);
}

static void expect_part(const struct dv_container_why *why, const char *part)
{
    dv_buf_clear(&out);
    cli_print_why(why, NOW, &out);
    cr_expect(strstr(out.data, part), "'%s' is not in\n%s", part, out.data);
}

Test(why, one_that_waits_says_what_comes_when_and_what_is_wrong)
{
    struct dv_container_why why = collector(DV_STATUS_EXITED);
    why.restart_count = 17;
    why.restart_in_ms = (struct dv_maybe){true, 32000};
    why.pattern = DV_PATTERN_AT_ONCE;
    why.pattern_count = 18;
    why.has_log = true;
    expect(&why,
           "collector is waiting for a restart; it is down since 4.0 s ago\n"
           "  next      restart 18 in 32 s (policy on-failure, 17 of 20 retries used)\n"
           "  last end  code 1 after 0.8 s, 4.0 s ago\n"
           "  before    code 1 after 0.8 s, 40 s ago\n"
           "  pattern   18 ends, all code 1 within a second: likely its configuration, not load\n"
           "  output    davit logs --last-run collector\n");
    why.restart_in_ms.value = 0;
    expect_part(&why, "restart 18 as soon as it is its turn");
}

Test(why, one_that_runs_says_what_a_failure_would_bring)
{
    struct dv_container_why why = collector(DV_STATUS_RUNNING);
    why.pid = 4711;
    why.since_ns = NOW - 300 * S;
    why.next_wait_ms = (struct dv_maybe){true, 400};
    why.ends.count = 0;
    expect(&why, "collector runs, started 5 min ago, as process 4711\n"
                 "  next      runs on; after a failure it is restarted in 0.4 s (policy "
                 "on-failure, 0 of 20 retries used)\n");
    why.next_wait_ms.is_set = false;
    policy.type = DV_RESTART_NO;
    expect_part(&why, "it stays down when it ends (policy no)");
}

Test(why, each_reason_to_stay_down_has_its_words)
{
    static const struct {
        enum dv_rest_reason rest;
        const char *part;
    } table[] = {
        {DV_REST_NEVER_STARTED, "nothing until davit start collector"},
        {DV_REST_STOPPED, "a stop by a command is final"},
        {DV_REST_POLICY, "its restart policy is on-failure"},
        {DV_REST_SUCCEEDED, "after a failure only, and it succeeded"},
        {DV_REST_RETRIES_USED, "gives up, 20 of 20 retries used"},
        {DV_REST_START_FAILED, "a start by a command is not repeated"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dv_container_why why = collector(DV_STATUS_STOPPED);
        why.rest = table[i].rest;
        why.restart_count = 20;
        expect_part(&why, table[i].part);
    }
    struct dv_container_why why = collector(DV_STATUS_STOPPED);
    why.rest = DV_REST_STOPPED;
    why.is_started_at_boot = true;
    expect_part(&why, "a boot of the machine starts it");
}

Test(why, each_pattern_has_its_words)
{
    static const struct {
        enum dv_end_pattern pattern;
        const char *part;
    } table[] = {
        {DV_PATTERN_LATER, "3 ends, all code 1, after 1.2 s to 90 s: it works at first"},
        {DV_PATTERN_SAME_CODE, "3 ends, all code 1, after 1.2 s to 90 s\n"},
        {DV_PATTERN_NOT_STARTED, "3 starts failed"},
        {DV_PATTERN_OUT_OF_MEMORY, "each for want of memory"},
        {DV_PATTERN_SUCCEEDS, "all with success"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dv_container_why why = collector(DV_STATUS_EXITED);
        why.pattern = table[i].pattern;
        why.pattern_count = 3;
        why.shortest_ms = 1200;
        why.longest_ms = 90000;
        expect_part(&why, table[i].part);
    }
}

Test(why, a_stop_under_way_says_when_sigkill_comes)
{
    struct dv_container_why why = collector(DV_STATUS_RUNNING);
    why.doing = "stop";
    why.doing_ms = 4000;
    why.limit_ms = (struct dv_maybe){true, 6000};
    why.is_kill_next = true;
    why.waiting = 2;
    expect_part(&why, "  now       stop since 4.0 s, SIGKILL in 6.0 s\n"
                      "            2 more operations wait\n");
}

Test(why, what_is_not_known_is_said_so)
{
    struct dv_container_why why = collector(DV_STATUS_EXITED);
    ends[0].is_code_known = false;
    ends[0].ran_ms = -1;
    ends[0].finished_ns = NOW + S;
    expect_part(&why, "code not known after an unknown time, at an unknown time");
    why = collector(DV_STATUS_STOPPED);
    ends[0].is_failed_start = true;
    why.error = "no such file: \x1b[31m/bin/x";
    expect_part(&why, "collector could not be started");
    expect_part(&why, "last end  did not start");
    cr_expect_not(strchr(out.data, '\x1b'), "nothing drives the terminal");
}

Test(why, a_connected_container_says_where_it_is_reached)
{
    struct dv_port_mapping port = {.proto = (char *)"tcp",
                                   .host_ip = (char *)"0.0.0.0",
                                   .chosen_port = 8081,
                                   .container_port = 80};
    struct dv_network_settings settings = {
        .address = (char *)"172.17.0.2", .bridge = (char *)"davit0", .ports = {&port, 1}};
    struct dv_container_why why = collector(DV_STATUS_RUNNING);
    why.network = &settings;
    cli_print_why(&why, NOW, &out);
    cr_assert_not_null(strstr(out.data,
                              "\n  network   172.17.0.2 on davit0\n"
                              "            port 8081/tcp of 0.0.0.0 leads to its port 80\n"));
}
