/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/direct_launcher.h"

#include "base/cleanup.h"
#include "base/spawn.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ARGUMENTS_MAX 64
#define OPTIONS_MAX   4096

struct direct {
    struct dv_launcher port; /* first: the port's view of it */
    char mount_root[PATH_MAX];
    unsigned count;
};

/* Mounts, closes the descriptor that kept its own messages apart, and becomes the program. */
static const char script[] = "cd \"$1\" && mount -t overlay -o \"$2\" overlay \"$3\" >&9 2>&9 && "
                             "cd / && shift 3 && exec 9>&- && exec \"$@\"";

static const char *mount_root(struct dv_launcher *launcher)
{
    return ((struct direct *)launcher)->mount_root;
}

static void write_options(const struct dv_launch_rootfs *rootfs, char options[OPTIONS_MAX])
{
    size_t used = 0;
    for (size_t i = 0; rootfs->lower[i]; i++)
        used += (size_t)snprintf(options + used, OPTIONS_MAX - used, "%s%s",
                                 i ? ":" : "lowerdir=", rootfs->lower[i]);
    snprintf(options + used, OPTIONS_MAX - used, ",upperdir=%s,workdir=%s", rootfs->upper,
             rootfs->work);
}

static int open_stream(const char *path)
{
    int fd = open(path ? path : "/dev/null", O_RDWR | O_NOCTTY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "cannot open %s", path);
    return fd;
}

static size_t read_tail(const char *path, struct dv_launch_result *ret)
{
    dv_autofclose FILE *file = fopen(path, "re");
    size_t len = file ? fread(ret->stderr_text, 1, DV_LAUNCH_STDERR_MAX, file) : 0;
    ret->stderr_text[len] = '\0';
    return len;
}

int dv_direct_launcher_reap(pid_t pid, int timeout_ms)
{
    dv_autoclose int fd = dv_pidfd_open(pid, 0);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    int status;
    if (fd >= 0 && poll(&ended, 1, timeout_ms) != 1)
        return -1;
    return waitpid(pid, &status, 0) == pid ? dv_exit_code_of(status) : -1;
}

static void read_pid(const struct dv_launch *what, struct dv_launch_result *ret)
{
    dv_autofclose FILE *file = what->pid_file ? fopen(what->pid_file, "re") : NULL;
    char text[32];
    if (!file || !fgets(text, sizeof(text), file))
        return;
    ret->pid = (int32_t)strtol(text, NULL, 10);
    ret->start_ticks = dv_process_start_ticks(ret->pid);
}

static int run(const struct dv_launch *what,
               const char *const *argv,
               struct dv_launch_result *ret,
               struct dv_error *err)
{
    const struct dv_launch_stdio *stdio = &what->stdio;
    bool is_captured = !stdio->in && !stdio->out && !stdio->err;
    char said[] = "/tmp/davit-direct-XXXXXX";
    dv_autoclose int capture = mkostemp(said, O_CLOEXEC);
    cr_assert_geq(capture, 0);
    dv_autoclose int in = open_stream(stdio->in);
    dv_autoclose int out = open_stream(stdio->out);
    dv_autoclose int error = open_stream(stdio->err);
    const struct dv_spawn_fd fds[] = {
        {in, 0}, {out, 1}, {is_captured ? capture : error, 2}, {capture, 9}};
    struct dv_spawn spawn = {
        .path = argv[0],
        .argv = argv,
        .envp = what->envp,
        .fds = fds,
        .fd_count = 4,
        .own_session = true,
    };
    pid_t pid = 0;
    int r = dv_spawn_start(&spawn, &pid, err);
    if (r == 0) {
        ret->exit_code = dv_direct_launcher_reap(pid, what->timeout_ms);
        if (ret->exit_code < 0) {
            r = dv_error_set(err, DV_ERR_TIMED_OUT, "%s was killed after %d ms", what->argv[0],
                             what->timeout_ms);
            (void)kill(-pid, SIGKILL);
            cr_assert_eq(dv_direct_launcher_reap(pid, what->timeout_ms), 128 + SIGKILL);
        }
        if (ret->exit_code == 0)
            read_pid(what, ret);
        if (!is_captured && what->runtime_log)
            ret->stderr_len = read_tail(what->runtime_log, ret);
        if (ret->stderr_len == 0)
            ret->stderr_len = read_tail(said, ret);
    }
    (void)unlink(said);
    return r;
}

static int launch(struct dv_launcher *launcher,
                  const struct dv_launch *what,
                  struct dv_launch_result *ret,
                  struct dv_error *err)
{
    struct direct *direct = (struct direct *)launcher;
    char options[OPTIONS_MAX];
    const char *argv[ARGUMENTS_MAX];
    size_t count = 0;
    direct->count++;
    *ret = (struct dv_launch_result){.exit_code = 0};
    if (what->rootfs.target) {
        (void)mkdir(what->rootfs.target, 0711);
        write_options(&what->rootfs, options);
        const char *const before[] = {"/usr/bin/unshare",
                                      "--mount",
                                      "--propagation",
                                      "unchanged",
                                      "/bin/sh",
                                      "-c",
                                      script,
                                      "sh",
                                      what->rootfs.layers_dir,
                                      options,
                                      what->rootfs.target};
        for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
            argv[count++] = before[i];
    }
    for (size_t i = 0; what->argv[i]; i++) {
        cr_assert_lt(count, ARGUMENTS_MAX - 1);
        argv[count++] = what->argv[i];
    }
    argv[count] = NULL;
    return run(what, argv, ret, err);
}

static void free_launcher(struct dv_launcher *launcher)
{
    free(launcher);
}

struct dv_launcher *dv_direct_launcher_new(const char *root)
{
    struct direct *direct = calloc(1, sizeof(*direct));
    cr_assert_not_null(direct);
    direct->port =
        (struct dv_launcher){.launch = launch, .mount_root = mount_root, .free = free_launcher};
    snprintf(direct->mount_root, sizeof(direct->mount_root), "%s", root);
    return &direct->port;
}

unsigned dv_direct_launcher_count(const struct dv_launcher *launcher)
{
    return ((const struct direct *)launcher)->count;
}
