/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"
#include "tests/support/direct_launcher.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNC "/usr/sbin/runc"
#define CRUN "/usr/bin/crun"

static void live_a_life(const char *runtime)
{
    struct machine m;
    char text[512];
    machine_init(&m, runtime);
    cr_assert_eq(machine_status(&m), DV_STATUS_UNKNOWN);
    machine_runs(&m, "echo hello; hostname; cat /etc/hostname; cat "
                     "/proc/sys/kernel/domainname; echo kept > /file; exit 7");
    cr_assert_eq(machine_output(&m, text, sizeof(text)), 7);
    cr_assert_str_eq(text, "hello\nweb-host\nweb-host\nweb-domain\n");
    cr_assert_eq(machine_status(&m), DV_STATUS_UNKNOWN);
    machine_runs(&m, "cat /file");
    cr_assert_eq(machine_output(&m, text, sizeof(text)), 0);
    cr_assert_str_eq(text, "kept\n", "the writable layer stays over runs");
    machine_done(&m);
}

Test(oci_driver, container_of_runc_lives_and_leaves_nothing, .timeout = 100)
{
    live_a_life(RUNC);
}

Test(oci_driver, container_of_crun_lives_and_leaves_nothing, .timeout = 100)
{
    live_a_life(CRUN);
}

static void walk_through_states(const char *runtime)
{
    struct machine m;
    struct dv_runtime_created created;
    struct dv_error err = DV_ERROR_INIT;
    machine_init(&m, runtime);
    machine_runs(&m, "exec sleep 1000");
    cr_assert_eq(machine_create(&m, &created, &err), 0, "%s", err.text);
    cr_assert_gt(created.start_ticks, 0);
    cr_assert_eq(machine_status(&m), DV_STATUS_CREATED);
    machine_start(&m);
    machine_start(&m);
    cr_assert_eq(machine_status(&m), DV_STATUS_RUNNING);
    struct dv_runtime_created second;
    cr_assert_eq(machine_create(&m, &second, &err), -DV_ERR_STATE);
    struct dv_runtime_pause_job pause = {.id = m.record.id, .timeout_ms = 5000};
    for (int i = 0; i < 2; i++)
        cr_assert_eq(m.driver->ops->pause(m.driver, &pause, NULL), 0);
    cr_assert_eq(machine_status(&m), DV_STATUS_PAUSED);
    pause.is_resume = true;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(m.driver->ops->pause(m.driver, &pause, NULL), 0);
    cr_assert_eq(machine_status(&m), DV_STATUS_RUNNING);
    pause.is_resume = false;
    cr_assert_eq(m.driver->ops->pause(m.driver, &pause, NULL), 0);
    cr_assert_eq(machine_signal(&m, (pid_t)created.pid, SIGKILL), 0);
    cr_assert_eq(dv_direct_launcher_reap((pid_t)created.pid, MACHINE_TIMEOUT_MS), 137,
                 "a frozen container is killed");
    cr_assert_eq(machine_status(&m), DV_STATUS_EXITED);
    dv_error_clear(&err);
    cr_assert_eq(m.driver->ops->pause(m.driver, &pause, &err), -DV_ERR_STATE);
    machine_done(&m);
}

Test(oci_driver, states_of_runc_are_seen, .timeout = 100)
{
    walk_through_states(RUNC);
}

Test(oci_driver, states_of_crun_are_seen, .timeout = 100)
{
    walk_through_states(CRUN);
}

Test(oci_driver, running_container_is_neither_released_nor_removed, .timeout = 100)
{
    struct machine m;
    struct dv_error err = DV_ERROR_INIT;
    machine_init(&m, RUNC);
    machine_runs(&m, "exec sleep 1000");
    pid_t pid = machine_run(&m);
    struct dv_runtime_remove_job job = {.record = &m.record, .timeout_ms = 5000};
    cr_assert_eq(m.driver->ops->remove(m.driver, &job, &err), -DV_ERR_STATE);
    dv_error_clear(&err);
    cr_assert_eq(machine_release(&m, &err), -DV_ERR_STATE);
    cr_assert_eq(machine_status(&m), DV_STATUS_RUNNING);
    cr_assert_eq(machine_signal(&m, pid, SIGKILL), 0);
    cr_assert_eq(dv_direct_launcher_reap(pid, MACHINE_TIMEOUT_MS), 137);
    machine_done(&m);
}

Test(oci_driver, signal_is_handled_by_the_program, .timeout = 100)
{
    struct machine m;
    machine_init(&m, RUNC);
    machine_runs(&m, "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    pid_t pid = machine_run_until(&m, "ready\n");
    cr_assert_eq(machine_signal(&m, pid, SIGTERM), 0);
    cr_assert_eq(dv_direct_launcher_reap(pid, MACHINE_TIMEOUT_MS), 3);
    machine_done(&m);
}

Test(oci_driver, signal_to_a_process_of_the_past_is_no_error_and_hits_nobody, .timeout = 100)
{
    struct machine m;
    char text[64];
    machine_init(&m, RUNC);
    machine_runs(&m, "exit 0");
    cr_assert_eq(machine_output(&m, text, sizeof(text)), 0);
    cr_assert_eq(machine_signal(&m, 4194303, SIGTERM), 0);
    /* This very process has that pid, but not that start time. */
    struct dv_runtime_signal_job job = {
        .id = m.record.id, .pid = getpid(), .start_ticks = 1, .signal = SIGKILL};
    cr_assert_eq(m.driver->ops->signal(m.driver, &job, NULL), 0);
    machine_done(&m);
}

Test(oci_driver, signal_to_all_reaches_the_children, .timeout = 100)
{
    struct machine m;
    machine_init(&m, RUNC);
    machine_runs(&m, "trap 'wait; exit 4' USR1; "
                     "(trap 'echo child; exit 0' USR1; echo armed; while :; do sleep 0.05; done) & "
                     "wait; wait");
    pid_t pid = machine_run_until(&m, "armed\n");
    struct dv_runtime_signal_job job = {
        .id = m.record.id, .pid = pid, .signal = SIGUSR1, .to_all = true};
    cr_assert_eq(m.driver->ops->signal(m.driver, &job, NULL), 0);
    cr_assert_eq(dv_direct_launcher_reap(pid, MACHINE_TIMEOUT_MS), 4);
    machine_done(&m);
}

static void fail_to_find(const char *runtime)
{
    struct machine m;
    struct dv_runtime_created created;
    struct dv_error err = DV_ERROR_INIT;
    char *cmd[] = {(char *)"no-such-program"};
    machine_init(&m, runtime);
    m.spec.cmd = (struct dv_texts){cmd, 1};
    cr_assert_eq(machine_create(&m, &created, &err), -DV_ERR_FAILED);
    cr_assert_not_null(strstr(err.text, "no-such-program"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "executable file"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "not found in $PATH"), "%s", err.text);
    cr_assert_null(strstr(err.text, "create failed"), "%s", err.text);
    cr_assert_eq(machine_status(&m), DV_STATUS_UNKNOWN);
    machine_done(&m);
}

Test(oci_driver, missing_program_is_named_by_runc, .timeout = 100)
{
    fail_to_find(RUNC);
}

Test(oci_driver, missing_program_is_named_by_crun, .timeout = 100)
{
    fail_to_find(CRUN);
}

Test(oci_driver, create_that_fails_early_starts_no_program_and_leaves_nothing, .timeout = 100)
{
    struct machine m;
    struct dv_runtime_created created;
    struct dv_error err = DV_ERROR_INIT;
    machine_init(&m, RUNC);
    struct dv_mount_point mount = {.source = (char *)"/nowhere", .destination = (char *)"/data"};
    m.spec.mount_points = (struct dv_mount_point_list){&mount, 1};
    cr_assert_eq(machine_create(&m, &created, &err), -DV_ERR_FAILED);
    cr_assert_not_null(strstr(err.text, "/nowhere"), "%s", err.text);
    m.spec.mount_points.count = 0;
    machine_image(&m, "\"User\":\"nobody-here\",\"Cmd\":[\"sh\"]");
    dv_error_clear(&err);
    cr_assert_eq(machine_create(&m, &created, &err), -DV_ERR_INVALID);
    cr_assert_not_null(strstr(err.text, "nobody-here"), "%s", err.text);
    cr_assert_eq(dv_direct_launcher_count(m.launcher), 0);
    char path[PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s/containers/c1", m.home);
    cr_assert_lt(access(path, F_OK), 0, "a folder is left");
    machine_done(&m);
}

/* The runtime is killed while its init process, in a session of its own, waits for it. */
static void run_out_of_time(const char *runtime)
{
    struct machine m;
    struct dv_runtime_created created;
    struct dv_error err = DV_ERROR_INIT;
    char *args[] = {(char *)"sleep", (char *)"100"};
    struct dv_hook hook = {.path = (char *)"/bin/sleep", .args = {args, 2}, .type = 0};
    machine_init(&m, runtime);
    machine_runs(&m, "exit 0");
    m.spec.hooks = (struct dv_hook_list){&hook, 1};
    struct dv_runtime_create_job job = {.record = &m.record, .timeout_ms = 2000};
    cr_assert_eq(m.driver->ops->create(m.driver, &job, m.arena, &created, &err), -DV_ERR_TIMED_OUT,
                 "%s", err.text);
    cr_expect_eq(machine_status(&m), DV_STATUS_UNKNOWN);
    /* Only what is dead already is left to be reaped. */
    pid_t pid;
    do
        pid = waitpid(-1, NULL, WNOHANG);
    while (pid > 0);
    cr_expect(pid < 0 && errno == ECHILD, "a process is left");
    m.spec.hooks.count = 0;
    dv_error_clear(&err);
    cr_assert_eq(machine_create(&m, &created, &err), 0, "%s", err.text);
    cr_assert_eq(machine_release(&m, &err), 0, "%s", err.text);
    cr_assert_eq(dv_direct_launcher_reap((pid_t)created.pid, MACHINE_TIMEOUT_MS), 137);
    machine_done(&m);
}

Test(oci_driver, create_of_runc_that_is_killed_leaves_nothing, .timeout = 100)
{
    run_out_of_time(RUNC);
}

Test(oci_driver, create_of_crun_that_is_killed_leaves_nothing, .timeout = 100)
{
    run_out_of_time(CRUN);
}

Test(oci_driver, created_container_can_be_given_up, .timeout = 100)
{
    struct machine m;
    struct dv_runtime_created created;
    struct dv_runtime_created second;
    struct dv_error err = DV_ERROR_INIT;
    machine_init(&m, RUNC);
    machine_runs(&m, "exit 0");
    cr_assert_eq(machine_create(&m, &created, &err), 0, "%s", err.text);
    cr_assert_eq(machine_create(&m, &second, &err), 0, "%s", err.text);
    cr_assert_neq(created.pid, second.pid);
    cr_assert_eq(dv_direct_launcher_reap((pid_t)created.pid, MACHINE_TIMEOUT_MS), 137);
    cr_assert_eq(machine_release(&m, &err), 0, "%s", err.text);
    cr_assert_eq(dv_direct_launcher_reap((pid_t)second.pid, MACHINE_TIMEOUT_MS), 137);
    machine_done(&m);
}

Test(oci_driver, start_that_nobody_noted_is_seen_nevertheless, .timeout = 100)
{
    static const char *const runtimes[] = {RUNC, CRUN};
    for (size_t i = 0; i < 2; i++) {
        struct machine m;
        struct dv_error err = DV_ERROR_INIT;
        char path[PATH_MAX + 64];
        machine_init(&m, runtimes[i]);
        machine_runs(&m, "exec sleep 1000");
        pid_t pid = machine_run(&m);
        /* As if davitd had died between the runtime's start and its own note. */
        snprintf(path, sizeof(path), "%s/containers/c1/started", m.run);
        cr_assert_eq(unlink(path), 0);
        cr_assert_eq(machine_status(&m), DV_STATUS_RUNNING);
        cr_assert_eq(machine_release(&m, &err), -DV_ERR_STATE);
        cr_assert_eq(machine_signal(&m, pid, SIGKILL), 0);
        cr_assert_eq(dv_direct_launcher_reap(pid, MACHINE_TIMEOUT_MS), 137);
        machine_done(&m);
    }
}

Test(oci_driver, process_is_confined, .timeout = 100)
{
    struct machine m;
    char text[2048];
    machine_init(&m, RUNC);
    machine_image(&m,
                  "\"User\":\"web\",\"Env\":[\"A=1\"],\"WorkingDir\":\"/etc\",\"Cmd\":[\"sh\"]");
    machine_runs(&m, "id; pwd; echo $A $HOSTNAME; cat /proc/self/status; echo x > /sys/x || echo "
                     "sys is read-only; mount -t tmpfs t /tmp || echo no mount");
    cr_assert_eq(machine_output(&m, text, sizeof(text)), 0);
    cr_expect_not_null(strstr(text, "uid=101(web) gid=102"), "%s", text);
    cr_expect_not_null(strstr(text, "44(log)"), "%s", text);
    cr_expect_not_null(strstr(text, "/etc\n1 web-host\n"), "%s", text);
    cr_expect_not_null(strstr(text, "NoNewPrivs:\t1"), "%s", text);
    cr_expect_not_null(strstr(text, "Seccomp:\t2"), "%s", text);
    cr_expect_not_null(strstr(text, "CapBnd:\t00000000a80425fb"), "%s", text);
    cr_expect_not_null(strstr(text, "sys is read-only\n"), "%s", text);
    cr_expect_not_null(strstr(text, "no mount\n"), "%s", text);
    machine_done(&m);
}

Test(oci_driver, privileged_container_is_not_confined, .timeout = 100)
{
    struct machine m;
    char text[2048];
    machine_init(&m, RUNC);
    m.spec.is_privileged = true;
    machine_runs(&m, "cat /proc/self/status; mount -t tmpfs t /mnt 2>/dev/null || mount -t tmpfs t "
                     "/etc && echo mounted");
    cr_assert_eq(machine_output(&m, text, sizeof(text)), 0);
    cr_expect_not_null(strstr(text, "NoNewPrivs:\t0"), "%s", text);
    cr_expect_not_null(strstr(text, "Seccomp:\t0"), "%s", text);
    cr_expect_not_null(strstr(text, "mounted\n"), "%s", text);
    machine_done(&m);
}

/* Whether a mount made on the host below a shared source shows inside, and the other way round. */
static void travel(enum dv_propagation how, bool inwards, bool outwards)
{
    struct machine m;
    char source[PATH_MAX];
    char inner[PATH_MAX + 16];
    char file[PATH_MAX + 32];
    machine_init(&m, RUNC);
    snprintf(source, sizeof(source), "%s/source", m.folder);
    cr_assert_eq(mkdir(source, 0755), 0);
    cr_assert_eq(mount("s", source, "tmpfs", 0, NULL), 0);
    cr_assert_eq(mount(NULL, source, NULL, MS_SHARED, NULL), 0);
    snprintf(inner, sizeof(inner), "%s/host", source);
    cr_assert_eq(mkdir(inner, 0755), 0);
    snprintf(file, sizeof(file), "%s/inside", source);
    cr_assert_eq(mkdir(file, 0755), 0);
    struct dv_mount_point point = {
        .source = source, .destination = (char *)"/data", .propagation = how};
    m.spec.mount_points = (struct dv_mount_point_list){&point, 1};
    m.spec.is_privileged = true;
    machine_runs(&m, "mount -t tmpfs t /data/inside; echo x > /data/inside/mark; echo ready; "
                     "until [ -e /data/go ]; do sleep 0.05; done; [ -e /data/host/mark ]");
    pid_t pid = machine_run_until(&m, "ready\n");
    snprintf(file, sizeof(file), "%s/inside/mark", source);
    cr_expect_eq(access(file, F_OK) == 0, outwards, "mode %d outwards", how);
    cr_assert_eq(mount("h", inner, "tmpfs", 0, NULL), 0);
    snprintf(file, sizeof(file), "%s/host/mark", source);
    dv_autoclose int mark = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    snprintf(file, sizeof(file), "%s/go", source);
    dv_autoclose int go = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    cr_assert(mark >= 0 && go >= 0);
    cr_expect_eq(dv_direct_launcher_reap(pid, MACHINE_TIMEOUT_MS) == 0, inwards, "mode %d inwards",
                 how);
    dv_close(&mark);
    dv_close(&go);
    cr_assert_eq(machine_release(&m, NULL), 0);
    cr_assert_eq(umount2(source, MNT_DETACH), 0);
    m.spec.mount_points.count = 0;
    machine_done(&m);
}

Test(oci_driver, mounts_travel_as_their_mode_says, .timeout = 110)
{
    travel(DV_PROPAGATION_RPRIVATE, false, false);
    travel(DV_PROPAGATION_PRIVATE, false, false);
    travel(DV_PROPAGATION_RSLAVE, true, false);
    travel(DV_PROPAGATION_SLAVE, true, false);
    travel(DV_PROPAGATION_RSHARED, true, true);
    travel(DV_PROPAGATION_SHARED, true, true);
}

static long long memory_limit(const struct machine *m)
{
    char path[PATH_MAX];
    char text[64] = "";
    bool is_v2 = dv_cgroup_layout(m->cgroup) == DV_CGROUP_V2;
    snprintf(path, sizeof(path), "%s%s/%s/%s", dv_cgroup_mount_of(m->cgroup, "memory"), m->parent,
             m->record.id, is_v2 ? "memory.max" : "memory.limit_in_bytes");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_gt(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    return strtoll(text, NULL, 10);
}

/* Limits are those of the description at first, then those of an update, also of a frozen one. */
static void change_limits(const char *runtime)
{
    struct machine m;
    struct dv_error err = DV_ERROR_INIT;
    char memory[] = "64M";
    struct dv_resources resources = {.memory = memory};
    machine_init(&m, runtime);
    struct dv_runtime_update_job job = {
        .id = m.record.id, .memory = 96 << 20, .reservation = 32 << 20, .swap = -1};
    cr_assert_eq(m.driver->ops->update(m.driver, &job, &err), -DV_ERR_NOT_FOUND, "%s", err.text);
    m.spec.resources = &resources;
    machine_runs(&m, "exec sleep 1000");
    pid_t pid = machine_run(&m);
    cr_expect_eq(memory_limit(&m), 64 << 20);
    err = DV_ERROR_INIT;
    cr_expect_eq(m.driver->ops->update(m.driver, &job, &err), 0, "%s", err.text);
    cr_expect_eq(memory_limit(&m), 96 << 20);
    struct dv_runtime_pause_job pause = {.id = m.record.id, .timeout_ms = 5000};
    cr_assert_eq(m.driver->ops->pause(m.driver, &pause, NULL), 0);
    job.memory = 48 << 20;
    cr_expect_eq(m.driver->ops->update(m.driver, &job, &err), 0, "%s", err.text);
    cr_expect_eq(memory_limit(&m), 48 << 20);
    cr_expect_eq(machine_status(&m), DV_STATUS_PAUSED);
    cr_assert_eq(machine_signal(&m, pid, SIGKILL), 0);
    cr_assert_eq(dv_direct_launcher_reap(pid, MACHINE_TIMEOUT_MS), 137);
    machine_done(&m);
}

Test(oci_driver, limits_change_under_runc, .timeout = 100)
{
    change_limits(RUNC);
}

Test(oci_driver, limits_change_under_crun, .timeout = 100)
{
    change_limits(CRUN);
}
