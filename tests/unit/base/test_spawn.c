/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/spawn.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static struct dv_error err;

static void reset(void)
{
    err = DV_ERROR_INIT;
}

TestSuite(spawn, .init = reset);

static pid_t run(const char *script, const struct dv_spawn_fd *fds, size_t count)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct dv_spawn what = {.path = "/bin/sh", .argv = argv, .fds = fds, .fd_count = count};
    pid_t pid = 0;
    cr_assert_eq(dv_spawn_start(&what, &pid, &err), 0, "%s", err.text);
    return pid;
}

static int code_of(pid_t pid)
{
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return dv_exit_code_of(status);
}

Test(spawn, exit_codes_and_signals_are_told_apart)
{
    cr_assert_eq(code_of(run("exit 0", NULL, 0)), 0);
    cr_assert_eq(code_of(run("exit 3", NULL, 0)), 3);
    cr_assert_eq(code_of(run("kill -KILL $$", NULL, 0)), 137);
}

Test(spawn, absent_program_is_not_found_and_named)
{
    const char *argv[] = {"x", NULL};
    struct dv_spawn what = {.path = "/nonexistent/x", .argv = argv};
    pid_t pid;
    cr_assert_eq(dv_spawn_start(&what, &pid, &err), -DV_ERR_NOT_FOUND);
    cr_assert(strstr(err.text, "/nonexistent/x"), "%s", err.text);
}

Test(spawn, descriptors_may_swap_places)
{
    int a[2];
    int b[2];
    cr_assert_eq(pipe2(a, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(b, O_CLOEXEC), 0);
    /* What is descriptor a[1] here becomes b[1] there and the other way round. */
    struct dv_spawn_fd fds[] = {{a[1], b[1]}, {b[1], a[1]}};
    char script[96];
    snprintf(script, sizeof(script), "printf A >/proc/self/fd/%d; printf B >/proc/self/fd/%d", b[1],
             a[1]);
    cr_assert_eq(code_of(run(script, fds, 2)), 0);
    char got;
    cr_assert_eq(read(a[0], &got, 1), 1);
    cr_assert_eq(got, 'A');
    cr_assert_eq(read(b[0], &got, 1), 1);
    cr_assert_eq(got, 'B');
}

Test(spawn, descriptors_that_are_not_listed_are_closed)
{
    int leaked = fcntl(0, F_DUPFD, 9); /* on purpose without close-on-exec */
    cr_assert_geq(leaked, 9);
    int out[2];
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    struct dv_spawn_fd fds[] = {{out[1], 1}};
    cr_assert_eq(code_of(run("ls /proc/self/fd | tr '\\n' ' '", fds, 1)), 0);
    char text[256] = "";
    cr_assert_gt(read(out[0], text, sizeof(text) - 1), 0);
    cr_assert_null(strstr(text, "9"), "%s", text);
}

Test(spawn, signals_have_default_actions_and_are_not_blocked)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    signal(SIGTERM, SIG_IGN);
    cr_assert_eq(code_of(run("kill -TERM $$; exit 1", NULL, 0)), 128 + SIGTERM);
}

Test(spawn, start_time_tells_processes_apart)
{
    pid_t pid = run("exec sleep 60", NULL, 0);
    int64_t ticks = dv_process_start_ticks(pid);
    cr_assert_gt(ticks, 0);
    dv_autoclose int right = dv_pidfd_open(pid, ticks);
    cr_assert_geq(right, 0);
    errno = 0;
    cr_assert_eq(dv_pidfd_open(pid, ticks + 1), -1);
    cr_assert_eq(errno, ESRCH);
    cr_assert_eq(dv_pidfd_signal(right, SIGKILL), 0);
    struct pollfd ended = {.fd = right, .events = POLLIN};
    cr_assert_eq(poll(&ended, 1, 10000), 1);
    cr_assert_eq(code_of(pid), 137);
    cr_assert_eq(dv_process_start_ticks(pid), 0);
    int status;
    if (dv_pidfd_exit_status(right, &status)) /* needs Linux 6.15 */
        cr_assert_eq(dv_exit_code_of(status), 137);
}
