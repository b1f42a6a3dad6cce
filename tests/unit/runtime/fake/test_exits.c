/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fake/driver.h"
#include "runtime/fake/exits.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>

#define SECOND 1000000000LL

struct rig {
    struct dv_clock_fake clock;
    struct dv_fake_machine *machine;
    struct dv_runtime *driver;
    struct dv_exit_source *source;
    struct dv_arena *arena;
};

static void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    dv_clock_fake_init(&rig->clock, 5 * SECOND, 1000 * SECOND);
    struct dv_fake_machine_options options = {.clock = &rig->clock.clock};
    cr_assert_eq(dv_fake_machine_new(&options, &rig->machine, NULL), 0);
    cr_assert_eq(dv_fake_driver_new(rig->machine, &rig->driver, NULL), 0);
    cr_assert_eq(dv_fake_exits_new(rig->machine, &rig->source, NULL), 0);
    rig->arena = dv_arena_new(1U << 16);
    cr_assert_not_null(rig->arena);
}

static void rig_done(struct rig *rig)
{
    dv_arena_free(rig->arena);
    rig->source->free(rig->source);
    rig->driver->ops->free(rig->driver);
    dv_fake_machine_free(rig->machine);
}

/* Starts it and watches it. */
static int64_t run(struct rig *rig, char *id)
{
    struct dv_container_spec spec = {.image_ref = (char *)"host/image:1"};
    struct dv_container_record record = {.id = id, .name = id, .spec = &spec};
    struct dv_runtime_create_job create = {.record = &record, .timeout_ms = 1000};
    struct dv_runtime_created created;
    cr_assert_eq(rig->driver->ops->create(rig->driver, &create, rig->arena, &created, NULL), 0);
    struct dv_exit_watch_cmd watch = {.id = id, .pid = created.pid};
    cr_assert_eq(rig->source->watch(rig->source, &watch, NULL), 0);
    struct dv_runtime_start_job start = {.id = id, .timeout_ms = 1000};
    cr_assert_eq(rig->driver->ops->start(rig->driver, &start, NULL), 0);
    return created.pid;
}

static int next(struct rig *rig, struct dv_container_exited *ret)
{
    return rig->source->next(rig->source, rig->arena, ret, NULL);
}

static bool is_readable(struct rig *rig)
{
    struct pollfd fd = {.fd = rig->source->fd(rig->source), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

static size_t record_count(struct rig *rig)
{
    struct dv_fake_counts counts;
    dv_fake_machine_count(rig->machine, &counts);
    return counts.records;
}

Test(fake_exits, exit_is_reported_once_and_kept_until_acknowledged)
{
    struct rig rig;
    rig_init(&rig);
    struct dv_container_exited exit;
    cr_assert_eq(next(&rig, &exit), 0);
    int64_t pid = run(&rig, (char *)"a");
    cr_assert_eq(next(&rig, &exit), 0);
    cr_assert_not(is_readable(&rig));
    cr_assert_eq(dv_fake_machine_end(rig.machine, "a", 9, true, NULL), 0);
    cr_assert(is_readable(&rig));
    cr_assert_eq(next(&rig, &exit), 1);
    cr_assert_str_eq(exit.id, "a");
    cr_assert_eq(exit.pid, pid);
    cr_assert_eq(exit.exit_code, 9);
    cr_assert(exit.is_code_known);
    cr_assert(exit.is_oom_killed);
    struct dv_container_exited again;
    cr_assert_eq(next(&rig, &again), 0);
    cr_assert_not(is_readable(&rig));
    cr_assert_eq(record_count(&rig), 1);
    rig.source->acknowledge(rig.source, &exit);
    cr_assert_eq(record_count(&rig), 0);
    rig_done(&rig);
}

Test(fake_exits, next_daemon_gets_what_the_last_one_did_not_acknowledge)
{
    struct rig rig;
    rig_init(&rig);
    run(&rig, (char *)"a");
    run(&rig, (char *)"b");
    struct dv_container_exited exit;
    cr_assert_eq(dv_fake_machine_end(rig.machine, "a", 1, false, NULL), 0);
    cr_assert_eq(next(&rig, &exit), 1);
    rig.source->free(rig.source);
    cr_assert_eq(dv_fake_machine_end(rig.machine, "b", 2, false, NULL), 0);
    cr_assert_eq(dv_fake_exits_new(rig.machine, &rig.source, NULL), 0);
    cr_assert(is_readable(&rig));
    cr_assert_eq(next(&rig, &exit), 1);
    cr_assert_str_eq(exit.id, "a");
    cr_assert_eq(next(&rig, &exit), 1);
    cr_assert_str_eq(exit.id, "b");
    cr_assert_eq(exit.exit_code, 2);
    cr_assert_eq(next(&rig, &exit), 0);
    rig_done(&rig);
}

Test(fake_exits, deadline_names_the_end_to_come)
{
    struct rig rig;
    rig_init(&rig);
    struct dv_fake_behaviour behaviour = {
        .ends_by_itself = true, .runs_ns = 3 * SECOND, .exit_code = 4};
    cr_assert_eq(dv_fake_machine_script(rig.machine, NULL, &behaviour, NULL), 0);
    struct dv_container_exited exit;
    cr_assert_eq(next(&rig, &exit), 0);
    cr_assert_eq(rig.source->deadline_ns(rig.source), INT64_MAX);
    run(&rig, (char *)"a");
    cr_assert(is_readable(&rig), "a closer deadline must wake who waits for the old one");
    cr_assert_eq(next(&rig, &exit), 0);
    cr_assert_eq(rig.source->deadline_ns(rig.source), 8 * SECOND);
    dv_clock_fake_advance(&rig.clock, 3 * SECOND);
    cr_assert_eq(next(&rig, &exit), 1);
    cr_assert_eq(exit.exit_code, 4);
    cr_assert_eq(rig.source->deadline_ns(rig.source), INT64_MAX);
    rig_done(&rig);
}

Test(fake_exits, exit_under_a_dead_monitor_is_seen_without_its_code_after_a_grace_time)
{
    struct rig rig;
    rig_init(&rig);
    run(&rig, (char *)"a");
    dv_fake_machine_set_monitor(rig.machine, false);
    cr_assert_not(rig.source->is_connected(rig.source));
    cr_assert_eq(dv_fake_machine_end(rig.machine, "a", 5, false, NULL), 0);
    struct dv_container_exited exit;
    cr_assert_eq(next(&rig, &exit), 0);
    int64_t due = rig.source->deadline_ns(rig.source);
    cr_assert_neq(due, INT64_MAX);
    dv_clock_fake_advance(&rig.clock, due - rig.clock.monotonic_ns);
    cr_assert_eq(next(&rig, &exit), 1);
    cr_assert_not(exit.is_code_known);
    cr_assert_eq(exit.exit_code, 255);
    dv_fake_machine_set_monitor(rig.machine, true);
    cr_assert_eq(next(&rig, &exit), 0);
    rig_done(&rig);
}

Test(fake_exits, record_made_before_the_monitor_died_comes_when_it_lives_again)
{
    struct rig rig;
    rig_init(&rig);
    run(&rig, (char *)"a");
    cr_assert_eq(dv_fake_machine_end(rig.machine, "a", 5, false, NULL), 0);
    dv_fake_machine_set_monitor(rig.machine, false);
    struct dv_container_exited exit;
    cr_assert_eq(next(&rig, &exit), 0);
    dv_fake_machine_set_monitor(rig.machine, true);
    cr_assert(is_readable(&rig));
    cr_assert_eq(next(&rig, &exit), 1);
    cr_assert_eq(exit.exit_code, 5);
    cr_assert_eq(next(&rig, &exit), 0);
    rig_done(&rig);
}

Test(fake_exits, watch_of_a_process_of_the_past_is_answered)
{
    struct rig rig;
    rig_init(&rig);
    struct dv_exit_watch_cmd watch = {.id = (char *)"gone", .pid = 4711};
    cr_assert_eq(rig.source->watch(rig.source, &watch, NULL), 0);
    cr_assert(is_readable(&rig));
    struct dv_container_exited exit;
    cr_assert_eq(next(&rig, &exit), 1);
    cr_assert_str_eq(exit.id, "gone");
    cr_assert_not(exit.is_code_known);
    cr_assert_eq(next(&rig, &exit), 0);
    rig_done(&rig);
}

Test(fake_exits, watch_that_comes_after_the_report_brings_no_second_one)
{
    struct rig rig;
    rig_init(&rig);
    int64_t pid = run(&rig, (char *)"a");
    cr_assert_eq(dv_fake_machine_end(rig.machine, "a", 0, false, NULL), 0);
    struct dv_container_exited exit;
    cr_assert_eq(next(&rig, &exit), 1);
    rig.source->acknowledge(rig.source, &exit);
    struct dv_exit_watch_cmd watch = {.id = (char *)"a", .pid = pid};
    cr_assert_eq(rig.source->watch(rig.source, &watch, NULL), 0);
    cr_assert_eq(next(&rig, &exit), 0);
    rig_done(&rig);
}
