/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "base/spawn.h"
#include "runtime/oci/driver.h"
#include "tests/support/needs.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void rig_init(struct rig *rig, const struct fake_answer *answers)
{
    memset(rig, 0, sizeof(*rig));
    dv_need_root(); /* FIFOs are given to the user of the container */
    scratch_init(&rig->scratch);
    made_record_init(&rig->made);
    image_write(&rig->scratch, "{\"Cmd\":[\"/bin/sh\"]}");
    fake_launcher_init(&rig->launcher, rig->scratch.mounts, answers);
    dv_clock_fake_init(&rig->clock, 1, WALL_NS);
    snprintf(rig->parent, sizeof(rig->parent), "/davit-test-oci-%d", getpid());
    rig->arena = dv_arena_new(4U << 20);
    struct dv_launcher *launcher = &rig->launcher.base;
    struct dv_oci_options options = {.home_dir = rig->scratch.home,
                                     .run_dir = rig->scratch.run,
                                     .runtime = "/usr/bin/fake-runc",
                                     .description = "fake 1.0",
                                     .cgroup_parent = rig->parent,
                                     .pids_limit = 100,
                                     .clock = &rig->clock.clock};
    cr_assert_eq(dv_oci_new(&options, &launcher, &rig->driver, &rig->err), 0, "%s", rig->err.text);
    cr_assert_null(launcher);
}

void rig_done(struct rig *rig)
{
    rig->driver->ops->free(rig->driver);
    cr_expect_eq(rig->launcher.freed, 1U);
    dv_arena_free(rig->arena);
    scratch_done(&rig->scratch);
}

int rig_create(struct rig *rig, struct dv_runtime_created *ret)
{
    struct dv_runtime_create_job job = {.record = &rig->made.record, .timeout_ms = TIMEOUT_MS};
    dv_error_clear(&rig->err);
    return rig->driver->ops->create(rig->driver, &job, rig->arena, ret, &rig->err);
}

int rig_start(struct rig *rig)
{
    struct dv_runtime_start_job job = {.id = rig->made.record.id, .timeout_ms = TIMEOUT_MS};
    dv_error_clear(&rig->err);
    return rig->driver->ops->start(rig->driver, &job, &rig->err);
}

int rig_release(struct rig *rig)
{
    struct dv_runtime_release_job job = {.id = rig->made.record.id, .timeout_ms = TIMEOUT_MS};
    dv_error_clear(&rig->err);
    return rig->driver->ops->release(rig->driver, &job, &rig->err);
}

int rig_remove(struct rig *rig)
{
    struct dv_runtime_remove_job job = {.record = &rig->made.record, .timeout_ms = TIMEOUT_MS};
    dv_error_clear(&rig->err);
    return rig->driver->ops->remove(rig->driver, &job, &rig->err);
}

struct dv_runtime_state rig_state(struct rig *rig)
{
    struct dv_runtime_state_query query = {.id = rig->made.record.id};
    struct dv_runtime_state state;
    cr_assert_eq(rig->driver->ops->state(rig->driver, &query, &state, NULL), 0);
    return state;
}

void expect_no_run(const struct rig *rig, const char *when)
{
    const char *const paths[] = {below(rig->scratch.run, "containers/c1"),
                                 below(rig->scratch.run, "runtime/c1"),
                                 below(rig->scratch.mounts, "c1")};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        cr_expect_not(is_there(paths[i]), "%s: %s is left", when, paths[i]);
}

void expect_nothing(const struct rig *rig, const char *when)
{
    expect_no_run(rig, when);
    cr_expect_not(is_there(below(rig->scratch.home, "containers/c1")), "%s: a layer is left", when);
}

pid_t start_sleeper(int64_t *ret_ticks)
{
    const char *const argv[] = {"sleep", "1000", NULL};
    struct dv_spawn spawn = {.path = "/bin/sleep", .argv = argv, .own_session = true};
    pid_t pid = 0;
    cr_assert_eq(dv_spawn_start(&spawn, &pid, NULL), 0);
    *ret_ticks = dv_process_start_ticks(pid);
    return pid;
}

void expect_killed(pid_t pid)
{
    dv_autoclose int fd = dv_pidfd_open(pid, 0);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    int status = 0;
    bool has_ended = fd < 0 || poll(&ended, 1, 10000) == 1;
    cr_expect(has_ended, "process %d lives", pid);
    if (!has_ended)
        kill(pid, SIGKILL);
    cr_expect_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
