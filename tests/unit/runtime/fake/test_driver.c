/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fake/driver.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SECOND 1000000000LL

/* One machine under a clock that stands still, one driver on it. */
struct rig {
    struct dv_clock_fake clock;
    struct dv_fake_machine *machine;
    struct dv_runtime *driver;
    struct dv_arena *arena;
    int64_t delayed_ns;
};

static void count_delay(void *ctx, int64_t ns)
{
    struct rig *rig = ctx;
    rig->delayed_ns += ns;
}

static void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    dv_clock_fake_init(&rig->clock, 5 * SECOND, 1000 * SECOND);
    struct dv_fake_machine_options options = {
        .clock = &rig->clock.clock, .delay = count_delay, .delay_ctx = rig};
    cr_assert_eq(dv_fake_machine_new(&options, &rig->machine, NULL), 0);
    cr_assert_eq(dv_fake_driver_new(rig->machine, &rig->driver, NULL), 0);
    rig->arena = dv_arena_new(1U << 20);
    cr_assert_not_null(rig->arena);
}

static void rig_done(struct rig *rig)
{
    dv_arena_free(rig->arena);
    rig->driver->ops->free(rig->driver);
    dv_fake_machine_free(rig->machine);
}

static int create(struct rig *rig, char *id, struct dv_runtime_created *ret, struct dv_error *err)
{
    struct dv_container_spec spec = {.image_ref = (char *)"host/image:1"};
    struct dv_container_state state = {.status = DV_STATUS_CREATED};
    struct dv_container_record record = {
        .id = id, .name = (char *)"web", .spec = &spec, .state = &state};
    struct dv_runtime_create_job job = {.record = &record, .timeout_ms = 1000};
    return rig->driver->ops->create(rig->driver, &job, rig->arena, ret, err);
}

static int start(struct rig *rig, char *id, struct dv_error *err)
{
    struct dv_runtime_start_job job = {.id = id, .timeout_ms = 1000};
    return rig->driver->ops->start(rig->driver, &job, err);
}

static int send_signal(struct rig *rig, char *id, int64_t pid, int number)
{
    struct dv_runtime_signal_job job = {.id = id, .pid = pid, .signal = number};
    return rig->driver->ops->signal(rig->driver, &job, NULL);
}

static int pause_or_resume(struct rig *rig, char *id, bool is_resume)
{
    struct dv_runtime_pause_job job = {.id = id, .is_resume = is_resume, .timeout_ms = 1000};
    return rig->driver->ops->pause(rig->driver, &job, NULL);
}

static int release(struct rig *rig, char *id, struct dv_error *err)
{
    struct dv_runtime_release_job job = {.id = id, .timeout_ms = 1000};
    return rig->driver->ops->release(rig->driver, &job, err);
}

static int remove_all(struct rig *rig, char *id)
{
    struct dv_container_record record = {.id = id};
    struct dv_runtime_remove_job job = {.record = &record, .timeout_ms = 1000};
    return rig->driver->ops->remove(rig->driver, &job, NULL);
}

static struct dv_runtime_state state_of(struct rig *rig, char *id)
{
    struct dv_runtime_state_query query = {.id = id};
    struct dv_runtime_state state;
    cr_assert_eq(rig->driver->ops->state(rig->driver, &query, &state, NULL), 0);
    return state;
}

static int64_t run(struct rig *rig, char *id)
{
    struct dv_runtime_created created;
    cr_assert_eq(create(rig, id, &created, NULL), 0);
    cr_assert_eq(start(rig, id, NULL), 0);
    return created.pid;
}

Test(fake_driver, container_goes_through_its_life_and_leaves_nothing)
{
    struct rig rig;
    rig_init(&rig);
    struct dv_runtime_created created;
    cr_assert_eq(create(&rig, (char *)"a", &created, NULL), 0);
    cr_assert_eq(state_of(&rig, (char *)"a").status, DV_STATUS_CREATED);
    cr_assert_eq(start(&rig, (char *)"a", NULL), 0);
    struct dv_runtime_state state = state_of(&rig, (char *)"a");
    cr_assert_eq(state.status, DV_STATUS_RUNNING);
    cr_assert_eq(state.pid, created.pid);
    cr_assert_eq(state.start_ticks, created.start_ticks);
    cr_assert_eq(state.started_ns, 1000 * SECOND);
    cr_assert_eq(send_signal(&rig, (char *)"a", created.pid, SIGTERM), 0);
    state = state_of(&rig, (char *)"a");
    cr_assert_eq(state.status, DV_STATUS_EXITED);
    cr_assert(state.is_exit_known);
    cr_assert_eq(state.exit_code, 143);
    cr_assert_eq(release(&rig, (char *)"a", NULL), 0);
    cr_assert_eq(state_of(&rig, (char *)"a").status, DV_STATUS_UNKNOWN);
    cr_assert_eq(remove_all(&rig, (char *)"a"), 0);
    struct dv_fake_counts counts;
    dv_fake_machine_count(rig.machine, &counts);
    cr_assert_eq(counts.containers, 0);
    cr_assert_eq(counts.layers, 0);
    cr_assert_eq(counts.calls[DV_FAKE_CREATE], 1);
    rig_done(&rig);
}

Test(fake_driver, calls_may_be_repeated)
{
    struct rig rig;
    rig_init(&rig);
    int64_t pid = run(&rig, (char *)"a");
    cr_assert_eq(start(&rig, (char *)"a", NULL), 0);
    cr_assert_eq(pause_or_resume(&rig, (char *)"a", false), 0);
    cr_assert_eq(pause_or_resume(&rig, (char *)"a", false), 0);
    cr_assert_eq(pause_or_resume(&rig, (char *)"a", true), 0);
    cr_assert_eq(pause_or_resume(&rig, (char *)"a", true), 0);
    cr_assert_eq(send_signal(&rig, (char *)"a", pid, SIGKILL), 0);
    cr_assert_eq(send_signal(&rig, (char *)"a", pid, SIGKILL), 0);
    cr_assert_eq(release(&rig, (char *)"a", NULL), 0);
    cr_assert_eq(release(&rig, (char *)"a", NULL), 0);
    cr_assert_eq(remove_all(&rig, (char *)"a"), 0);
    cr_assert_eq(remove_all(&rig, (char *)"a"), 0);
    rig_done(&rig);
}

Test(fake_driver, running_container_is_not_released_nor_created_again)
{
    struct rig rig;
    rig_init(&rig);
    run(&rig, (char *)"a");
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(release(&rig, (char *)"a", &err), -DV_ERR_STATE);
    dv_error_clear(&err);
    struct dv_runtime_created created;
    cr_assert_eq(create(&rig, (char *)"a", &created, &err), -DV_ERR_STATE);
    rig_done(&rig);
}

Test(fake_driver, ended_container_is_created_anew_with_another_process)
{
    struct rig rig;
    rig_init(&rig);
    int64_t first = run(&rig, (char *)"a");
    cr_assert_eq(dv_fake_machine_end(rig.machine, "a", 3, false, NULL), 0);
    int64_t second = run(&rig, (char *)"a");
    cr_assert_neq(first, second);
    /* A signal meant for the first process must not reach the second. */
    cr_assert_eq(send_signal(&rig, (char *)"a", first, SIGKILL), 0);
    cr_assert_eq(state_of(&rig, (char *)"a").status, DV_STATUS_RUNNING);
    rig_done(&rig);
}

Test(fake_driver, scripted_failure_comes_once_and_changes_nothing)
{
    struct rig rig;
    rig_init(&rig);
    cr_assert_eq(dv_fake_machine_fail(rig.machine, DV_FAKE_CREATE, "web", 1, DV_ERR_FAILED,
                                      "no such file", NULL),
                 0);
    struct dv_error err = DV_ERROR_INIT;
    struct dv_runtime_created created;
    cr_assert_eq(create(&rig, (char *)"a", &created, &err), -DV_ERR_FAILED);
    cr_assert_str_eq(err.text, "no such file");
    struct dv_fake_counts counts;
    dv_fake_machine_count(rig.machine, &counts);
    cr_assert_eq(counts.containers + counts.layers, 0);
    cr_assert_eq(create(&rig, (char *)"a", &created, NULL), 0);

    cr_assert_eq(
        dv_fake_machine_fail(rig.machine, DV_FAKE_START, NULL, 2, DV_ERR_IO, "start broke", NULL),
        0);
    cr_assert_eq(start(&rig, (char *)"a", NULL), -DV_ERR_IO);
    cr_assert_eq(state_of(&rig, (char *)"a").status, DV_STATUS_CREATED);
    cr_assert_eq(start(&rig, (char *)"a", NULL), -DV_ERR_IO);
    cr_assert_eq(start(&rig, (char *)"a", NULL), 0);
    rig_done(&rig);
}

Test(fake_driver, program_ends_by_itself_when_its_time_has_passed)
{
    struct rig rig;
    rig_init(&rig);
    struct dv_fake_behaviour behaviour = {
        .ends_by_itself = true, .runs_ns = 2 * SECOND, .exit_code = 7};
    cr_assert_eq(dv_fake_machine_script(rig.machine, "host/image:1", &behaviour, NULL), 0);
    run(&rig, (char *)"a");
    dv_clock_fake_advance(&rig.clock, 2 * SECOND - 1);
    cr_assert_eq(state_of(&rig, (char *)"a").status, DV_STATUS_RUNNING);
    dv_clock_fake_advance(&rig.clock, 1);
    struct dv_runtime_state state = state_of(&rig, (char *)"a");
    cr_assert_eq(state.status, DV_STATUS_EXITED);
    cr_assert_eq(state.exit_code, 7);
    rig_done(&rig);
}

Test(fake_driver, program_that_ends_at_once_has_ended_when_start_returns)
{
    struct rig rig;
    rig_init(&rig);
    struct dv_fake_behaviour behaviour = {.ends_by_itself = true, .exit_code = 1};
    cr_assert_eq(dv_fake_machine_script(rig.machine, NULL, &behaviour, NULL), 0);
    run(&rig, (char *)"a");
    cr_assert_eq(state_of(&rig, (char *)"a").status, DV_STATUS_EXITED);
    rig_done(&rig);
}

Test(fake_driver, program_that_ignores_signals_ends_by_kill_only)
{
    struct rig rig;
    rig_init(&rig);
    struct dv_fake_behaviour behaviour = {.ignores_signals = true};
    cr_assert_eq(dv_fake_machine_script(rig.machine, "a", &behaviour, NULL), 0);
    int64_t pid = run(&rig, (char *)"a");
    cr_assert_eq(send_signal(&rig, (char *)"a", pid, SIGTERM), 0);
    cr_assert_eq(state_of(&rig, (char *)"a").status, DV_STATUS_RUNNING);
    cr_assert_eq(send_signal(&rig, (char *)"a", pid, SIGKILL), 0);
    cr_assert_eq(state_of(&rig, (char *)"a").exit_code, 137);
    rig_done(&rig);
}

Test(fake_driver, signal_to_a_frozen_container_acts_when_it_is_thawed)
{
    struct rig rig;
    rig_init(&rig);
    int64_t pid = run(&rig, (char *)"a");
    cr_assert_eq(pause_or_resume(&rig, (char *)"a", false), 0);
    cr_assert_eq(send_signal(&rig, (char *)"a", pid, SIGTERM), 0);
    cr_assert_eq(state_of(&rig, (char *)"a").status, DV_STATUS_PAUSED);
    cr_assert_eq(pause_or_resume(&rig, (char *)"a", true), 0);
    cr_assert_eq(state_of(&rig, (char *)"a").exit_code, 143);
    rig_done(&rig);
}

Test(fake_driver, slow_call_passes_its_time_and_times_out_at_the_deadline)
{
    struct rig rig;
    rig_init(&rig);
    struct dv_fake_behaviour slow = {.call_ns = SECOND / 2};
    cr_assert_eq(dv_fake_machine_script(rig.machine, "a", &slow, NULL), 0);
    struct dv_runtime_created created;
    cr_assert_eq(create(&rig, (char *)"a", &created, NULL), 0);
    cr_assert_eq(rig.delayed_ns, SECOND / 2);
    slow.call_ns = 5 * SECOND;
    cr_assert_eq(dv_fake_machine_script(rig.machine, "a", &slow, NULL), 0);
    cr_assert_eq(start(&rig, (char *)"a", NULL), -DV_ERR_TIMED_OUT);
    cr_assert_eq(rig.delayed_ns, SECOND / 2 + SECOND);
    rig_done(&rig);
}

Test(fake_driver, stop_signal_of_the_image_is_told)
{
    struct rig rig;
    rig_init(&rig);
    struct dv_fake_behaviour behaviour = {.stop_signal = "SIGQUIT"};
    cr_assert_eq(dv_fake_machine_script(rig.machine, "web", &behaviour, NULL), 0);
    struct dv_runtime_created created;
    cr_assert_eq(create(&rig, (char *)"a", &created, NULL), 0);
    cr_assert_str_eq(created.stop_signal, "SIGQUIT");
    rig_done(&rig);
}

Test(fake_driver, containers_survive_the_daemon)
{
    struct rig rig;
    rig_init(&rig);
    int64_t pid = run(&rig, (char *)"a");
    rig.driver->ops->free(rig.driver);
    cr_assert_eq(dv_fake_driver_new(rig.machine, &rig.driver, NULL), 0);
    struct dv_runtime_state state = state_of(&rig, (char *)"a");
    cr_assert_eq(state.status, DV_STATUS_RUNNING);
    cr_assert_eq(state.pid, pid);
    rig_done(&rig);
}

Test(fake_driver, reboot_ends_everything_but_writable_layers)
{
    struct rig rig;
    rig_init(&rig);
    run(&rig, (char *)"a");
    dv_fake_machine_reboot(rig.machine);
    cr_assert_eq(state_of(&rig, (char *)"a").status, DV_STATUS_UNKNOWN);
    struct dv_fake_counts counts;
    dv_fake_machine_count(rig.machine, &counts);
    cr_assert_eq(counts.layers, 1);
    cr_assert_eq(counts.records, 0);
    rig_done(&rig);
}

Test(fake_driver, nothing_is_started_while_the_monitor_is_dead)
{
    struct rig rig;
    rig_init(&rig);
    dv_fake_machine_set_monitor(rig.machine, false);
    struct dv_runtime_created created;
    cr_assert_eq(create(&rig, (char *)"a", &created, NULL), -DV_ERR_UNAVAILABLE);
    dv_fake_machine_set_monitor(rig.machine, true);
    cr_assert_eq(create(&rig, (char *)"a", &created, NULL), 0);
    rig_done(&rig);
}

Test(fake_driver, three_thousand_containers_are_found_by_their_ids)
{
    struct rig rig;
    rig_init(&rig);
    char id[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(id, sizeof(id), "c%d", i);
        run(&rig, id);
    }
    struct dv_fake_counts counts;
    dv_fake_machine_count(rig.machine, &counts);
    cr_assert_eq(counts.running, 3000);
    cr_assert_eq(dv_fake_machine_status(rig.machine, "c2999"), DV_STATUS_RUNNING);
    rig_done(&rig);
}
