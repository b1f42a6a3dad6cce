/* SPDX-License-Identifier: Apache-2.0 */
/* The wall clock jumps by years while the whole daemon works: nothing but time stamps may tell. */
#include "tests/support/daemon_sim.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS  1000000LL
#define YEAR_NS    (365 * 24 * 3600 * 1000000000LL)
#define LIST_BYTES (64U << 20)

static struct daemon_sim *sim;
static int64_t begin_wall_ns;

static void start_daemon(void)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(daemon_sim_start(sim, &err), 0, "%s", err.text);
}

static void setup(void)
{
    sim = daemon_sim_new(11);
    begin_wall_ns = sim->clock.wall_ns;
    fake_cloud_set_link(sim->cloud, true);
    start_daemon();
}

static void teardown(void)
{
    daemon_sim_free(sim);
}

TestSuite(clocks, .init = setup, .fini = teardown);

/* Ahead, back, and to the beginning of all clocks. */
static const int jumps[] = {5, -30, -54};

/* From where a test begins, so that no clock goes before 1970, which no machine shows. */
static void jump(int years)
{
    sim->clock.wall_ns = begin_wall_ns + years * YEAR_NS;
}

static size_t create(const char *policy, char id[129])
{
    jump(0);
    char args[512];
    char key[32];
    snprintf(key, sizeof(key), "key-%zu", fake_cloud_commands(sim->cloud));
    snprintf(args, sizeof(args),
             "{\"imageRef\":\"reg.sim/app:1\",\"start\":true,\"config\":{\"restartPolicy\":{%s}}}",
             policy);
    size_t index =
        fake_cloud_send(sim->cloud, "ContainerFactory", "createWithConfig", args, key, true);
    daemon_sim_run(sim, 500);
    const struct fake_command *sent = fake_cloud_command(sim->cloud, index);
    cr_assert_eq(sent->status, 200, "%s", sent->error);
    snprintf(id, 129, "%.*s", (int)strcspn(sent->value + 1, "\""), sent->value + 1);
    return index;
}

/* What counts of a record, copied. */
struct known {
    struct dv_container_state state;
    int64_t run_ms;
    int64_t wait_ms;
};

static struct known known(const char *id)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(LIST_BYTES);
    const struct dv_container_list *list;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(daemon_sim_list(sim, arena, &list, &err), 0, "%s", err.text);
    for (size_t i = 0; i < list->containers.count; i++) {
        const struct dv_container_record *record = &list->containers.items[i];
        if (strcmp(record->id, id) != 0)
            continue;
        struct dv_container_state state = *record->state;
        state.error = NULL;
        return (struct known){state, (record->run_ended_ns - record->run_started_ns) / NS_PER_MS,
                              record->restart_wait_ms};
    }
    cr_assert_fail("%s is not known", id);
    return (struct known){0};
}

static bool is_running(const char *id)
{
    return dv_fake_machine_status(sim->machine, id) == DV_STATUS_RUNNING;
}

static void end(const char *id)
{
    cr_assert_eq(dv_fake_machine_end(sim->machine, id, 1, false, NULL), 0);
}

Test(clocks, a_pending_restart_comes_when_it_would_have_come)
{
    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        char id[129];
        create("\"type\":\"always\"", id);
        end(id);
        daemon_sim_run(sim, 300);
        cr_assert_not(is_running(id));
        jump(jumps[i]);
        daemon_sim_run(sim, 300);
        cr_expect_not(is_running(id), "%d years: not sooner", jumps[i]);
        daemon_sim_run(sim, 700);
        cr_expect(is_running(id), "%d years: not later", jumps[i]);
    }
}

/* A wait of four seconds after three quick ends, and the first one again after a long run. */
static void check_back_off(int years, bool is_restarted, int64_t run_ms, int64_t wait_ms)
{
    char id[129];
    create("\"type\":\"always\"", id);
    for (int i = 0; i < 2; i++) {
        end(id);
        daemon_sim_run(sim, 3000);
        cr_assert(is_running(id));
    }
    if (is_restarted)
        daemon_sim_crash(sim);
    jump(years);
    if (is_restarted)
        start_daemon();
    daemon_sim_run(sim, run_ms);
    end(id);
    daemon_sim_run(sim, 100);
    cr_expect_eq(known(id).wait_ms, wait_ms, "%d years, restarted %d, %lld ms: %lld ms", years,
                 is_restarted, (long long)run_ms, (long long)known(id).wait_ms);
}

Test(clocks, a_run_is_as_long_as_it_was)
{
    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        for (int is_restarted = 0; is_restarted < 2; is_restarted++) {
            check_back_off(jumps[i], is_restarted, 2000, 4000);
            check_back_off(jumps[i], is_restarted, 20000, 1000);
        }
    }
}

Test(clocks, an_end_while_the_daemon_is_away_is_as_long_ago_as_it_was)
{
    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        char id[129];
        create("\"type\":\"always\"", id);
        end(id);
        daemon_sim_run(sim, 3000);
        cr_assert(is_running(id));
        daemon_sim_crash(sim);
        end(id); /* after 2 s, which makes it a short run */
        jump(jumps[i]);
        dv_clock_fake_advance(&sim->clock, 60000 * NS_PER_MS);
        start_daemon();
        daemon_sim_run(sim, 500);
        cr_expect_eq(known(id).wait_ms, 2000, "%d years: %lld ms", jumps[i],
                     (long long)known(id).wait_ms);
    }
}

/* The answer is lost with the daemon; who asked sends the same command again. */
static void check_repeat(int years, bool is_rebooted)
{
    char id[129];
    size_t index = create("\"type\":\"always\"", id);
    size_t before = fake_cloud_features(sim->cloud);
    if (is_rebooted)
        daemon_sim_reboot(sim);
    else
        daemon_sim_crash(sim);
    jump(years);
    start_daemon();
    daemon_sim_run(sim, 5000);
    size_t again = fake_cloud_repeat(sim->cloud, index);
    daemon_sim_run(sim, 5000);
    const struct fake_command *sent = fake_cloud_command(sim->cloud, again);
    cr_expect_eq(sent->status, 200, "%s", sent->error);
    cr_expect(strstr(sent->value, id), "%d years, rebooted %d: %s", years, is_rebooted,
              sent->value);
    cr_expect_eq(fake_cloud_features(sim->cloud), before, "%d years, rebooted %d", years,
                 is_rebooted);
}

Test(clocks, a_repeat_has_no_second_effect)
{
    check_repeat(5, false);
    check_repeat(-30, false);
    check_repeat(30, false);
    check_repeat(-5, true);
    check_repeat(-53, true); /* a machine that begins in 1970 */
}

Test(clocks, a_repeat_of_what_was_answered_in_1970_has_no_second_effect)
{
    begin_wall_ns -= 54 * YEAR_NS;
    check_repeat(54, true);
}

Test(clocks, a_stamp_is_by_the_clock_of_its_moment_and_lengths_are_by_none)
{
    char id[129];
    create("\"type\":\"no\"", id);
    daemon_sim_run(sim, 7000);
    int64_t started_ns = known(id).state.started_ns;
    jump(-30);
    end(id);
    daemon_sim_run(sim, 500);
    struct known after = known(id);
    cr_expect_lt(after.state.finished_ns, started_ns - 29 * YEAR_NS);
    cr_expect(after.run_ms >= 7000 && after.run_ms < 8000, "%lld ms", (long long)after.run_ms);
}
