/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/spawn.h"
#include "monitor/protocol.h"
#include "tests/support/needs.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAUNCH_MS 60000

struct stage stage;

void stage_setup(void)
{
    dv_need_root();
    dv_need(unshare(CLONE_NEWNS) == 0, "the right to make a mount namespace");
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    stage.err = DV_ERROR_INIT;
    snprintf(stage.run_dir, sizeof(stage.run_dir), "/tmp/davit-monitor-XXXXXX");
    cr_assert_not_null(mkdtemp(stage.run_dir));
    snprintf(stage.socket_path, sizeof(stage.socket_path), "%s/monitor.sock", stage.run_dir);
}

void stage_teardown(void)
{
    char path[128];
    /* A test that failed may have left some that wait for ever. */
    for (size_t i = 0; i < stage.started_count; i++) {
        const struct dv_exit_watch_cmd *one = &stage.started[i];
        dv_autoclose int pidfd = dv_pidfd_open((pid_t)one->pid, one->start_ticks);
        if (pidfd >= 0)
            (void)dv_pidfd_signal(pidfd, SIGKILL);
    }
    if (stage.monitor)
        (void)end_monitor(SIGTERM);
    if (stage.launcher)
        stage.launcher->free(stage.launcher);
    if (stage.exits)
        stage.exits->free(stage.exits);
    snprintf(path, sizeof(path), "%s/mounts", stage.run_dir);
    (void)umount2(path, MNT_DETACH);
    if (stage.run_dir[0])
        (void)!dv_tree_remove(stage.run_dir, NULL);
}

int64_t now_ns(void)
{
    return dv_clock_monotonic_ns(dv_clock_real());
}

void path_to(char ret[static 256], const char *id, const char *name)
{
    snprintf(ret, 256, "%s/containers/%s%s%s", stage.run_dir, id, name[0] ? "/" : "", name);
}

unsigned entries_of(const char *path)
{
    unsigned count = 0;
    dv_autoclosedir DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    return count;
}

/* -- the monitor ---------------------------------------------------------------------------- */

int connect_raw(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", stage.socket_path);
    dv_autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? dv_steal_fd(&fd)
                                                                                : -1;
}

void await_monitor(void)
{
    dv_autoclose int connection = -1;
    wait_for((connection = connect_raw()) >= 0, "davit-monitor listens");
}

int end_monitor(int number)
{
    int status = 0;
    cr_assert_eq(kill(stage.monitor, number), 0);
    cr_assert_eq(waitpid(stage.monitor, &status, 0), stage.monitor);
    stage.monitor = 0;
    return dv_exit_code_of(status);
}

unsigned descriptors_of_monitor(void)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)stage.monitor);
    return entries_of(path);
}

unsigned exit_records(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/exits", stage.run_dir);
    return entries_of(path);
}

/* -- the daemon ----------------------------------------------------------------------------- */

void open_launcher(void)
{
    cr_assert_eq(dv_monitor_launcher_new(stage.socket_path, &stage.launcher, &stage.err), 0, "%s",
                 stage.err.text);
}

void open_exits(void)
{
    const struct dv_monitor_exits_options options = {stage.run_dir, dv_clock_real(), GRACE_NS};
    cr_assert_eq(dv_monitor_exits_new(&options, &stage.exits, &stage.err), 0, "%s", stage.err.text);
}

void make_place(const char *id, bool has_fifos)
{
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    char path[256];
    path_to(path, id, "");
    cr_assert_eq(dv_dir_make(path, 0700, &stage.err), 0, "%s", stage.err.text);
    for (size_t i = 0; has_fifos && i < 3; i++) {
        path_to(path, id, names[i]);
        cr_assert(mkfifo(path, 0600) == 0 || errno == EEXIST);
    }
}

struct dv_exit_watch_cmd
launch(const char *runtime, const char *id, const char *script, bool is_tty)
{
    static const char *const names[] = {"stdin", "stdout", "stderr", "pid", "json.log"};
    static struct dv_launch_result result;
    char paths[5][256];
    char console[128];
    make_place(id, !is_tty);
    for (size_t i = 0; i < 5; i++)
        path_to(paths[i], id, names[i]);
    snprintf(console, sizeof(console), "%s/tty.1", stage.run_dir);
    const char *fake[] = {DV_FAKE_RUNTIME, script, paths[3], is_tty ? console : NULL, NULL};
    const char *other[] = {"/bin/sh", "-c", runtime, DV_FAKE_RUNTIME, script, paths[3], NULL};
    const char *env[] = {"PATH=/usr/bin:/bin", NULL};
    struct dv_launch what = {
        .container_id = id,
        .argv = runtime ? other : fake,
        .envp = env,
        .log = {.path = paths[4]},
        .pid_file = paths[3],
        .timeout_ms = LAUNCH_MS,
    };
    if (is_tty)
        what.stdio = (struct dv_launch_stdio){.console = console, .takes_input = true};
    else
        what.stdio = (struct dv_launch_stdio){.in = paths[0], .out = paths[1], .err = paths[2]};
    cr_assert_eq(stage.launcher->launch(stage.launcher, &what, &result, &stage.err), 0, "%s",
                 stage.err.text);
    cr_assert_eq(result.exit_code, 0, "%s", result.stderr_text);
    cr_assert_gt(result.pid, 1);
    cr_assert_neq(access(console, F_OK), 0, "the socket for the terminal is removed");
    struct dv_exit_watch_cmd cmd = {
        .id = (char *)id, .pid = result.pid, .start_ticks = result.start_ticks};
    if (result.start_ticks) {
        cr_assert_lt(stage.started_count, sizeof(stage.started) / sizeof(stage.started[0]));
        stage.started[stage.started_count++] = cmd;
    }
    return cmd;
}

void watch(const struct dv_exit_watch_cmd *cmd)
{
    cr_assert_eq(stage.exits->watch(stage.exits, cmd, &stage.err), 0, "%s", stage.err.text);
}

struct dv_container_exited next_exit(struct dv_arena *arena)
{
    struct dv_container_exited exit;
    int64_t until = now_ns() + WAIT_NS;
    for (;;) {
        int r = stage.exits->next(stage.exits, arena, &exit, &stage.err);
        cr_assert_geq(r, 0, "%s", stage.err.text);
        if (r > 0)
            break;
        int64_t wake = stage.exits->deadline_ns(stage.exits);
        cr_assert_lt(now_ns(), until, "no exit is reported");
        wake = wake < until ? wake : until;
        struct pollfd ready = {.fd = stage.exits->fd(stage.exits), .events = POLLIN};
        (void)poll(&ready, 1, wake > now_ns() ? (int)((wake - now_ns()) / 1000000) + 1 : 0);
    }
    stage.exits->acknowledge(stage.exits, &exit);
    return exit;
}

void expect_exit(const char *id, int code)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    struct dv_container_exited exit = next_exit(arena);
    cr_assert_str_eq(exit.id, id);
    cr_assert(exit.is_code_known, "%s", exit.id);
    cr_assert_eq(exit.exit_code, code, "%s: %d", id, (int)exit.exit_code);
}

void type(int fd, const char *text)
{
    const struct dv_monitor_input input = {.data = {(uint8_t *)text, strlen(text)}};
    cr_assert_eq(dv_monitor_send(fd, &dv_schema_monitor_input, &input, &stage.err), 0, "%s",
                 stage.err.text);
}
