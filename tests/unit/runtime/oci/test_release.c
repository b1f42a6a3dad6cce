/* SPDX-License-Identifier: Apache-2.0 */
/* The driver over a launcher that answers as told: start, release, remove, and again. */
#include "base/spawn.h"
#include "rig.h"
#include "runtime/oci/driver.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

/* -- the life after ------------------------------------------------------------------------- */

Test(oci_release, start_needs_a_create_and_is_done_once)
{
    int64_t ticks;
    pid_t pid = start_sleeper(&ticks);
    const struct fake_answer answers[] = {
        {.verb = "create", .pid = pid, .start_ticks = ticks},
        {.verb = "start", .exit_code = 1, .text = "cannot start a stopped process\n"},
        {.verb = "start", .r = -DV_ERR_TIMED_OUT, .text = "killed"},
        {.verb = NULL}};
    struct rig rig;
    struct dv_runtime_created created;
    rig_init(&rig, answers);
    cr_expect_eq(rig_start(&rig), -DV_ERR_STATE);
    cr_expect_eq(rig.launcher.call_count, 0U);
    cr_assert_eq(rig_create(&rig, &created), 0, "%s", rig.err.text);
    cr_expect_eq(rig_start(&rig), -DV_ERR_FAILED);
    cr_expect_not_null(strstr(rig.err.text, "cannot start a stopped process"), "%s", rig.err.text);
    cr_expect_eq(rig_start(&rig), -DV_ERR_TIMED_OUT);
    cr_expect_eq(rig_state(&rig).status, DV_STATUS_CREATED);
    cr_assert_eq(rig_start(&rig), 0, "%s", rig.err.text);
    cr_assert_eq(rig_start(&rig), 0, "%s", rig.err.text);
    cr_expect_eq(fake_count(&rig.launcher, "start"), 3U);
    struct dv_runtime_state state = rig_state(&rig);
    cr_expect_eq(state.status, DV_STATUS_RUNNING);
    cr_expect_eq(state.pid, pid);
    cr_expect_eq(state.start_ticks, ticks);
    cr_expect_eq(state.started_ns, WALL_NS);
    kill(pid, SIGKILL);
    expect_killed(pid);
    rig_done(&rig);
}

Test(oci_release, running_container_is_neither_created_again_nor_released)
{
    int64_t ticks;
    pid_t pid = start_sleeper(&ticks);
    const struct fake_answer answers[] = {{.verb = "create", .pid = pid, .start_ticks = ticks},
                                          {.verb = NULL}};
    struct rig rig;
    struct dv_runtime_created created;
    rig_init(&rig, answers);
    cr_assert_eq(rig_create(&rig, &created), 0, "%s", rig.err.text);
    cr_assert_eq(rig_start(&rig), 0, "%s", rig.err.text);
    cr_expect_eq(rig_create(&rig, &created), -DV_ERR_STATE);
    cr_expect_eq(rig_release(&rig), -DV_ERR_STATE);
    cr_expect_eq(rig_remove(&rig), -DV_ERR_STATE);
    cr_expect_eq(rig_state(&rig).status, DV_STATUS_RUNNING);
    cr_expect_eq(fake_count(&rig.launcher, "delete"), 0U);
    kill(pid, SIGKILL);
    expect_killed(pid);
    cr_expect_eq(rig_state(&rig).status, DV_STATUS_EXITED);
    cr_expect_eq(rig_release(&rig), 0, "%s", rig.err.text);
    cr_expect_eq(fake_count(&rig.launcher, "delete"), 1U);
    expect_no_run(&rig, "released");
    rig_done(&rig);
}

Test(oci_release, process_number_that_was_given_again_is_not_the_container)
{
    int64_t ticks;
    pid_t pid = start_sleeper(&ticks);
    const struct fake_answer answers[] = {{.verb = "create", .pid = pid, .start_ticks = ticks - 1},
                                          {.verb = NULL}};
    struct rig rig;
    struct dv_runtime_created created;
    rig_init(&rig, answers);
    cr_assert_eq(rig_create(&rig, &created), 0, "%s", rig.err.text);
    cr_assert_eq(rig_start(&rig), 0, "%s", rig.err.text);
    cr_expect_eq(rig_state(&rig).status, DV_STATUS_EXITED);
    cr_expect_eq(rig_release(&rig), 0, "%s", rig.err.text);
    cr_expect_eq(dv_process_start_ticks(pid), ticks, "a stranger was killed");
    kill(pid, SIGKILL);
    expect_killed(pid);
    rig_done(&rig);
}

Test(oci_release, create_after_a_create_releases_the_first)
{
    const struct fake_answer answers[] = {{.verb = "create", .pid = GONE_PID, .start_ticks = 1},
                                          {.verb = NULL}};
    struct rig rig;
    struct dv_runtime_created created;
    rig_init(&rig, answers);
    cr_assert_eq(rig_create(&rig, &created), 0, "%s", rig.err.text);
    file_write(below(rig.scratch.run, "containers/c1/stale"), "x");
    cr_expect_lt(rig_create(&rig, &created), 0, "no pid this time");
    cr_assert_eq(rig.launcher.call_count, 4U);
    cr_expect_str_eq(rig.launcher.calls[1].verb, "delete");
    cr_expect_str_eq(rig.launcher.calls[2].verb, "create");
    cr_expect_str_eq(rig.launcher.calls[3].verb, "delete");
    expect_no_run(&rig, "failed");
    rig_done(&rig);
}

Test(oci_release, release_and_remove_may_be_repeated)
{
    const struct fake_answer answers[] = {{.verb = "create", .pid = GONE_PID, .start_ticks = 1},
                                          {.verb = NULL}};
    struct rig rig;
    struct dv_runtime_created created;
    rig_init(&rig, answers);
    cr_expect_eq(rig_release(&rig), 0, "%s", rig.err.text);
    cr_expect_eq(rig_remove(&rig), 0, "%s", rig.err.text);
    cr_expect_eq(rig.launcher.call_count, 0U);
    cr_assert_eq(rig_create(&rig, &created), 0, "%s", rig.err.text);
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(rig_release(&rig), 0, "%s", rig.err.text);
        expect_no_run(&rig, "released");
        cr_expect(is_there(below(rig.scratch.home, "containers/c1/upper")), "files survive a run");
    }
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(rig_remove(&rig), 0, "%s", rig.err.text);
        cr_expect_not(is_there(below(rig.scratch.home, "containers/c1/upper")));
        cr_expect_not(is_there(below(rig.scratch.home, "containers/c1/work")));
    }
    cr_expect_eq(fake_count(&rig.launcher, "delete"), 1U);
    rig_done(&rig);
}

/* -- the driver itself ---------------------------------------------------------------------- */

Test(oci_release, folder_that_is_too_long_for_paths_is_refused)
{
    static char long_path[DV_OCI_DIR_MAX + 2];
    struct fake_launcher fake;
    struct dv_error err = DV_ERROR_INIT;
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[0] = '/';
    fake_launcher_init(&fake, "/mounts", NULL);
    struct dv_launcher *launcher = &fake.base;
    struct dv_runtime *driver = NULL;
    struct dv_oci_options options = {.home_dir = long_path,
                                     .run_dir = "/nonexistent",
                                     .runtime = "/usr/bin/fake-runc",
                                     .description = "fake 1.0",
                                     .cgroup_parent = "/davit",
                                     .clock = dv_clock_real()};
    cr_expect_eq(dv_oci_new(&options, &launcher, &driver, &err), -DV_ERR_LIMIT);
    cr_expect_not_null(strstr(err.text, "3500"), "%s", err.text);
    cr_expect_eq(launcher, &fake.base, "the launcher stays with the caller");
    cr_expect_null(driver);
    cr_expect_eq(fake.freed, 0U);
}

Test(oci_release, driver_describes_itself)
{
    struct rig rig;
    rig_init(&rig, NULL);
    cr_expect_str_eq(rig.driver->ops->describe(rig.driver), "fake 1.0");
    rig_done(&rig);
}
