/* SPDX-License-Identifier: Apache-2.0 */
/*
 * davit-launch: prepares what one program needs and becomes it. The request is a frame of
 * monitor_launch in descriptor 3; standard error tells failures before the program runs.
 *
 * The mount namespace is left with the propagation that the host has: the OCI runtime decides about
 * it per mount, and the place where the root file system goes is a private mount already.
 */
#include "base/buf.h"
#include "messages/messages.h"
#include "monitor/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define REQUEST_FD    3
#define EXIT_PREPARE  125
#define OPTIONS_BYTES 4096 /* one page: what the kernel takes */
#define ARENA_MAX     (2U << 20)

static int fail(const char *what, const char *object)
{
    fprintf(stderr, "davit-launch: %s '%s': %s\n", what, object ? object : "", strerror(errno));
    return -1;
}

static const struct dv_monitor_launch *read_request(struct dv_arena *arena)
{
    DV_AUTO_IN_PLACE(dv_buf) frame = DV_BUF_INIT(DV_MONITOR_FRAME_BYTES);
    struct dv_error err = DV_ERROR_INIT;
    char chunk[16384];
    ssize_t got;
    uint16_t kind = 0;
    void *body = NULL;
    while ((got = read(REQUEST_FD, chunk, sizeof(chunk))) > 0)
        if (dv_buf_append(&frame, chunk, (size_t)got, &err) < 0)
            break;
    close(REQUEST_FD);
    if (err.class == DV_ERR_NONE &&
        dv_monitor_decode(frame.data, frame.len, arena, &kind, &body, &err) == 0 &&
        kind == DV_KIND_monitor_launch)
        return body;
    fprintf(stderr, "davit-launch: the request cannot be read: %s\n", err.text);
    return NULL;
}

/* Layer names are relative to their folder: 128 of them fit into the one page of options. */
static int mount_rootfs(const struct dv_monitor_launch *what)
{
    char options[OPTIONS_BYTES];
    size_t used = 0;
    if (mkdir(what->target, 0711) < 0 && errno != EEXIST)
        return fail("make mount point", what->target);
    if (what->layers_dir && chdir(what->layers_dir) < 0)
        return fail("enter the layers", what->layers_dir);
    for (size_t i = 0; i < what->lower.count && used < sizeof(options); i++)
        used += (size_t)snprintf(options + used, sizeof(options) - used, "%s%s",
                                 i ? ":" : "lowerdir=", what->lower.items[i]);
    if (used < sizeof(options) && what->upper && what->work)
        used += (size_t)snprintf(options + used, sizeof(options) - used, ",upperdir=%s,workdir=%s",
                                 what->upper, what->work);
    if (used >= sizeof(options)) {
        errno = E2BIG;
        return fail("mount the root file system on", what->target);
    }
    if (mount("overlay", what->target, "overlay", 0, options) < 0)
        return fail("mount the root file system on", what->target);
    return chdir("/") < 0 ? fail("enter", "/") : 0;
}

/* O_RDWR: a FIFO opened so never waits for the other side and never breaks without it. */
static int open_stream(const char *path, int target)
{
    int fd = open(path ? path : "/dev/null", O_RDWR | O_NOCTTY);
    if (fd < 0)
        return fail("open stream", path);
    if (fd != target) {
        if (dup2(fd, target) < 0)
            return fail("place stream", path);
        close(fd);
    }
    return 0;
}

/* The service protects davit-monitor from the kernel's choice of a victim; what it starts must not
 * inherit that, or containers would outlive everything else when memory is short. Where it cannot
 * be written the program keeps what it has. */
static void reset_oom_score(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, "0", 1);
    close(fd);
}

static int become_program(const struct dv_monitor_launch *what)
{
    char **argv = calloc(what->argv.count + 1, sizeof(*argv));
    char **env = calloc(what->env.count + 1, sizeof(*env));
    /* Failures of the exec itself still go to the monitor. */
    int report = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    if (!argv || !env || report < 0)
        return fail("prepare", what->argv.items[0]);
    memcpy(argv, what->argv.items, what->argv.count * sizeof(*argv));
    if (what->env.count)
        memcpy(env, what->env.items, what->env.count * sizeof(*env));
    if (what->stdin_path || what->stdout_path || what->stderr_path) {
        if (open_stream(what->stdin_path, STDIN_FILENO) < 0 ||
            open_stream(what->stdout_path, STDOUT_FILENO) < 0 ||
            open_stream(what->stderr_path, STDERR_FILENO) < 0)
            return -1;
    }
    execve(argv[0], argv, env);
    dprintf(report, "davit-launch: run '%s': %s\n", argv[0], strerror(errno));
    return -1;
}

int main(void)
{
    struct dv_arena *arena = dv_arena_new(ARENA_MAX);
    const struct dv_monitor_launch *what = arena ? read_request(arena) : NULL;
    if (!what)
        return EXIT_PREPARE;
    umask(0022);
    reset_oom_score();
    if (what->target) {
        if (unshare(CLONE_NEWNS) < 0) {
            fail("make a mount namespace for", what->argv.items[0]);
            return EXIT_PREPARE;
        }
        if (mount_rootfs(what) < 0)
            return EXIT_PREPARE;
    }
    (void)become_program(what);
    return EXIT_PREPARE;
}
