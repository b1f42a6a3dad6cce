/* SPDX-License-Identifier: Apache-2.0 */
/* The promises of the kit with real threads, and what only threads have: limits, stuck cells. */
#include "scenarios.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(system, .timeout = 60);

#define SCENARIO_TEST(name)                                                                        \
    Test(system, name)                                                                             \
    {                                                                                              \
        scenario_run_threads(scenario_find(#name));                                                \
    }

SCENARIO_TEST(ask_is_answered)
SCENARIO_TEST(handler_error_is_the_answer)
SCENARIO_TEST(forgotten_request_is_answered)
SCENARIO_TEST(unknown_address_is_undeliverable)
SCENARIO_TEST(unknown_kind_is_answered)
SCENARIO_TEST(ask_times_out_once)
SCENARIO_TEST(full_mailbox_is_busy)
SCENARIO_TEST(answers_are_held)
SCENARIO_TEST(lost_events_are_told)
SCENARIO_TEST(stopped_address_is_free_again)
SCENARIO_TEST(open_requests_fail_with_their_cell)
SCENARIO_TEST(ending_cell_cancels_its_asks)
SCENARIO_TEST(cell_ends_itself)
SCENARIO_TEST(mailbox_of_an_ended_cell_is_undeliverable)
SCENARIO_TEST(failed_start_is_told)
SCENARIO_TEST(mailbox_of_a_failed_start_is_undeliverable)
SCENARIO_TEST(containers_share_hosts)
SCENARIO_TEST(timers_fire_in_order)
SCENARIO_TEST(ready_descriptor_is_told)
SCENARIO_TEST(request_is_answered_by_another)
SCENARIO_TEST(trace_copies_messages)
SCENARIO_TEST(figures_are_counted)

static struct test_env env;

static struct dv_system *start_system(unsigned hosts)
{
    struct dv_system *kit = NULL;
    struct dv_error err = DV_ERROR_INIT;
    struct dv_system_options options = {
        .types = test_types, .env = &env, .shared_hosts_max = hosts};
    cr_assert_eq(pipe2(env.gate, O_CLOEXEC), 0);
    cr_assert_eq(dv_system_new(&options, &kit, &err), 0, "%s", err.text);
    return kit;
}

static int spawn(struct dv_system *kit, const char *address, struct dv_error *err)
{
    struct dv_exit_watch_cmd start = {.id = (char *)"run", .pid = 1};
    return dv_system_spawn(kit, address, "test_container", &start, err);
}

Test(system, stop_names_the_cell_that_is_stuck)
{
    struct dv_error err = DV_ERROR_INIT;
    char text[TEST_TEXT];
    DV_AUTO(dv_system) kit = start_system(8);
    cr_assert_eq(spawn(kit, "b", &err), 0);
    cr_assert_eq(spawn(kit, "stuck", &err), 0);
    test_tell(kit, "b", "post stuck gate", 1, 0, text);
    cr_assert_eq(dv_system_stop(kit, NULL, 100, &err), -DV_ERR_TIMED_OUT);
    cr_assert(strstr(err.text, "'stuck'"), "%s", err.text);
    cr_assert_eq(write(env.gate[1], "x", 1), 1);
    dv_error_clear(&err);
    cr_assert_eq(dv_system_stop(kit, NULL, 20000, &err), 0, "%s", err.text);
}

Test(system, spawn_is_refused_when_descriptors_run_out)
{
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO(dv_system) kit = start_system(64);
    struct rlimit old;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct rlimit low = {100, old.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    char address[16];
    int r = 0;
    int started = 0;
    for (; started < 64 && r == 0; started++) {
        snprintf(address, sizeof(address), "c%d", started);
        r = spawn(kit, address, &err);
    }
    cr_assert_eq(r, -DV_ERR_LIMIT, "%d %s", r, err.text);
    cr_assert(started > 3, "%d", started);
    cr_assert(strstr(err.text, "descriptors"), "%s", err.text);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    dv_error_clear(&err);
    cr_assert_eq(spawn(kit, address, &err), 0, "%s", err.text);
}

static bool has_thread(const char *name)
{
    glob_t found;
    bool is_there = false;
    cr_assert_eq(glob("/proc/self/task/*/comm", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char text[32] = "";
        FILE *file = fopen(found.gl_pathv[i], "r");
        if (file && fgets(text, sizeof(text), file))
            text[strcspn(text, "\n")] = '\0';
        if (file)
            fclose(file);
        is_there |= strcmp(text, name) == 0;
    }
    globfree(&found);
    return is_there;
}

Test(system, a_thread_is_called_like_its_first_cell)
{
    struct dv_error err = DV_ERROR_INIT;
    char text[TEST_TEXT];
    DV_AUTO(dv_system) kit = start_system(1);
    cr_assert_eq(spawn(kit, "first-with-a-long-name", &err), 0, "%s", err.text);
    cr_assert_eq(spawn(kit, "second", &err), 0, "%s", err.text);
    cr_assert_str_eq(test_tell(kit, "second", "echo", 3, 0, text), "missed 3");
    cr_assert(has_thread("first-with-a-lo"));
    cr_assert_not(has_thread("second"));
}

Test(system, two_systems_do_not_know_each_other)
{
    struct dv_error err = DV_ERROR_INIT;
    char text[TEST_TEXT];
    DV_AUTO(dv_system) one = start_system(2);
    DV_AUTO(dv_system) two = start_system(2);
    cr_assert_eq(spawn(one, "c", &err), 0, "%s", err.text);
    cr_assert_str_eq(test_tell(one, "c", "echo", 3, 0, text), "missed 3");
    cr_assert(strstr(test_tell(two, "c", "echo", 3, 0, text), "UNDELIVERABLE"));
    cr_assert_eq(spawn(two, "c", &err), 0, "%s", err.text);
    cr_assert_str_eq(test_tell(two, "c", "echo", 4, 0, text), "missed 4");
}
