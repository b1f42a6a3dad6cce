/* SPDX-License-Identifier: Apache-2.0 */
/* The driver over a runtime that fails, is late, or leaves processes: what is left of it. */
#include "base/durable.h"
#include "rig.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/oci/driver.h"
#include "tests/support/needs.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

Test(oci_create_failures, failed_create_tells_the_reason_and_leaves_nothing)
{
    static const struct {
        struct fake_answer answer;
        enum dv_error_class class;
        const char *says;
        size_t deletes;
    } rows[] = {
        {{.verb = "create",
          .exit_code = 1,
          .text = "{\"level\":\"error\",\"msg\":\"runc create failed: no such thing\"}\n"},
         DV_ERR_FAILED,
         "fake-runc: no such thing",
         1},
        {{.verb = "create", .exit_code = 1, .leaves_nothing = true},
         DV_ERR_FAILED,
         "it gave no reason",
         0},
        {{.verb = "create", .exit_code = 125, .text = "davit-launch: mount: Invalid argument\n"},
         DV_ERR_FAILED,
         "Invalid argument",
         1},
        {{.verb = "create", .exit_code = 137}, DV_ERR_FAILED, "fake-runc", 1},
        {{.verb = "create", .r = -DV_ERR_TIMED_OUT, .text = "killed after 5000 ms"},
         DV_ERR_TIMED_OUT,
         "killed after 5000 ms",
         1},
        {{.verb = "create", .r = -DV_ERR_UNAVAILABLE, .text = "the monitor is away"},
         DV_ERR_UNAVAILABLE,
         "the monitor is away",
         1},
        {{.verb = "create", .pid = 0}, DV_ERR_FAILED, "pid file", 1},
        {{.verb = "create", .pid = GONE_PID, .start_ticks = 0}, DV_ERR_FAILED, "has ended", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct fake_answer answers[] = {rows[i].answer, {.verb = NULL}};
        struct rig rig;
        struct dv_runtime_created created = {.pid = 4711};
        rig_init(&rig, answers);
        cr_expect_eq(rig_create(&rig, &created), -(int)rows[i].class, "row %zu", i);
        cr_expect_not_null(strstr(rig.err.text, rows[i].says), "%s", rig.err.text);
        cr_expect_eq(created.pid, 4711, "an output of a failed call");
        cr_expect_eq(fake_count(&rig.launcher, "delete"), rows[i].deletes, "row %zu", i);
        expect_nothing(&rig, rows[i].says);
        cr_expect_eq(rig_state(&rig).status, DV_STATUS_UNKNOWN);
        rig_done(&rig);
    }
}

Test(oci_create_failures, delete_is_forced_and_has_a_deadline)
{
    const struct fake_answer answers[] = {{.verb = "create", .exit_code = 1}, {.verb = NULL}};
    struct rig rig;
    struct dv_runtime_created created;
    char wanted[1024];
    rig_init(&rig, answers);
    cr_assert_eq(rig_create(&rig, &created), -DV_ERR_FAILED);
    cr_assert_eq(rig.launcher.call_count, 2U);
    const struct fake_call *call = &rig.launcher.calls[1];
    snprintf(wanted, sizeof(wanted), "/usr/bin/fake-runc --root %s/runtime delete --force c1",
             rig.scratch.run);
    cr_expect_str_eq(call->command, wanted);
    cr_expect_eq(call->timeout_ms, TIMEOUT_MS);
    cr_expect_str_eq(call->stdio, "- - -");
    cr_expect_str_eq(call->rootfs, "");
    rig_done(&rig);
}

/* A state that is half written, or a hook that hangs. */
Test(oci_create_failures, delete_that_fails_leaves_nothing_either)
{
    static const struct fake_answer ways[] = {
        {.verb = "delete", .exit_code = 1, .text = "no such container"},
        {.verb = "delete", .r = -DV_ERR_TIMED_OUT, .text = "killed"},
    };
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const struct fake_answer answers[] = {
            {.verb = "create", .exit_code = 1, .text = "the first reason"},
            ways[i],
            {.verb = NULL}};
        struct rig rig;
        struct dv_runtime_created created;
        rig_init(&rig, answers);
        cr_expect_eq(rig_create(&rig, &created), -DV_ERR_FAILED);
        cr_expect_not_null(strstr(rig.err.text, "the first reason"), "%s", rig.err.text);
        expect_nothing(&rig, ways[i].text);
        rig_done(&rig);
    }
}

Test(oci_create_failures, what_stays_without_a_monitor_goes_with_the_next_release)
{
    const struct fake_answer answers[] = {
        {.verb = "create", .r = -DV_ERR_UNAVAILABLE, .text = "the monitor is away"},
        {.verb = "delete", .r = -DV_ERR_UNAVAILABLE, .text = "the monitor is away"},
        {.verb = "delete", .r = -DV_ERR_UNAVAILABLE, .text = "the monitor is still away"},
        {.verb = NULL}};
    struct rig rig;
    struct dv_runtime_created created;
    rig_init(&rig, answers);
    cr_assert_eq(rig_create(&rig, &created), -DV_ERR_UNAVAILABLE);
    cr_expect_eq(rig_state(&rig).status, DV_STATUS_CREATED, "it says that there is something");
    cr_assert_eq(rig_release(&rig), -DV_ERR_UNAVAILABLE);
    cr_expect_not_null(strstr(rig.err.text, "still away"), "%s", rig.err.text);
    cr_assert_eq(rig_release(&rig), 0, "%s", rig.err.text);
    expect_no_run(&rig, "released");
    cr_assert_eq(rig_remove(&rig), 0, "%s", rig.err.text);
    cr_expect_not(is_there(below(rig.scratch.home, "containers/c1/upper")));
    cr_expect_not(is_there(below(rig.scratch.home, "containers/c1/work")));
    rig_done(&rig);
}

Test(oci_create_failures, failed_create_keeps_the_files_of_earlier_runs)
{
    const struct fake_answer answers[] = {{.verb = "create", .exit_code = 1}, {.verb = NULL}};
    struct rig rig;
    struct dv_runtime_created created;
    rig_init(&rig, answers);
    const char *kept = below(rig.scratch.home, "containers/c1/upper/kept");
    file_write(kept, "x");
    file_write(below(rig.scratch.home, "containers/c1/config.json"), "{}");
    cr_assert_eq(rig_create(&rig, &created), -DV_ERR_FAILED);
    cr_expect(is_there(kept));
    cr_assert_eq(rig_remove(&rig), 0, "%s", rig.err.text);
    cr_expect_not(is_there(kept));
    cr_expect(is_there(below(rig.scratch.home, "containers/c1/config.json")), "the record");
    rig_done(&rig);
}

/* -- processes that a runtime leaves -------------------------------------------------------- */

struct left {
    const struct rig *rig;
    pid_t pid;
    bool is_placed;
};

static bool enter(const char *group, pid_t pid)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%d", pid);
    if (dv_dir_make(group, 0755, NULL) < 0)
        return false;
    dv_autoclose int fd = open(below(group, "cgroup.procs"), O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, (size_t)len) == len;
}

/* As a runtime that is killed between the start of the init process, which leads a session of its
 * own by then, and the end of its own work. */
static void leave_init(struct fake_launcher *launcher, const struct dv_launch *what)
{
    static const char *const controllers[] = {"freezer", "pids", "memory"};
    struct left *left = launcher->ctx;
    struct dv_cgroup *found = NULL;
    int64_t ticks;
    (void)what;
    cr_assert_eq(dv_cgroup_new(NULL, &found, NULL), 0);
    DV_AUTO(dv_cgroup) cgroup = found;
    left->pid = start_sleeper(&ticks);
    left->is_placed = dv_cgroup_mount_of(cgroup, "freezer") != NULL;
    for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++) {
        const char *mount = dv_cgroup_mount_of(cgroup, controllers[i]);
        if (mount && left->is_placed)
            left->is_placed = enter(below(mount, "%s/c1", left->rig->parent + 1), left->pid);
    }
}

static void give_up(const struct fake_answer *answer)
{
    const struct fake_answer answers[] = {*answer, {.verb = NULL}};
    struct rig rig;
    struct dv_runtime_created created;
    rig_init(&rig, answers);
    struct left left = {.rig = &rig};
    rig.launcher.ctx = &left;
    int r = rig_create(&rig, &created);
    if (!left.is_placed) {
        kill(left.pid, SIGKILL);
        waitpid(left.pid, NULL, 0);
        rig_done(&rig);
    }
    dv_need(left.is_placed, "writable control groups");
    cr_expect_lt(r, 0);
    expect_killed(left.pid);
    expect_nothing(&rig, rig.err.text);
    struct dv_cgroup *found = NULL;
    char group[DV_CGROUP_PATH_MAX];
    cr_assert_eq(dv_cgroup_new(NULL, &found, NULL), 0);
    DV_AUTO(dv_cgroup) cgroup = found;
    cr_assert_eq(dv_cgroup_path(rig.parent, "c1", group, NULL), 0);
    cr_expect_not(dv_cgroup_exists(cgroup, group), "its control group is left");
    cr_expect_eq(dv_cgroup_remove(cgroup, rig.parent, NULL), 0);
    rig_done(&rig);
}

Test(oci_create_failures, init_process_of_a_failed_create_is_killed, .timeout = 60)
{
    give_up(&(struct fake_answer){.verb = "create", .exit_code = 1, .act = leave_init});
}

Test(oci_create_failures, init_process_of_a_timed_out_create_is_killed, .timeout = 60)
{
    give_up(&(struct fake_answer){
        .verb = "create", .r = -DV_ERR_TIMED_OUT, .text = "killed", .act = leave_init});
}

Test(oci_create_failures, init_process_without_a_state_of_the_runtime_is_killed, .timeout = 60)
{
    give_up(&(struct fake_answer){.verb = "create",
                                  .r = -DV_ERR_TIMED_OUT,
                                  .text = "killed",
                                  .leaves_nothing = true,
                                  .act = leave_init});
}
