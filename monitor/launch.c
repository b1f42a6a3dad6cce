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
#include <stdbool.h>
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

/* Options of a mount; `used` may pass the room, which is looked at once in the end. */
struct options {
    char text[OPTIONS_BYTES];
    size_t used;
};

static void add(struct options *options, const char *text)
{
    size_t len = strlen(text);
    if (options->used + len < sizeof(options->text))
        memcpy(options->text + options->used, text, len + 1);
    options->used += len;
}

/* A comma would end the option, a backslash makes the next character plain. */
static void add_path(struct options *options, const char *path)
{
    for (; *path; path++) {
        const char plain[] = {'\\', *path, '\0'};
        add(options, *path == ',' || *path == ':' || *path == '\\' ? plain : plain + 1);
    }
}

/* An overlay has two layers at least, or one to write to. */
static int mount_single_layer(const char *layer, const char *target)
{
    if (mount(layer, target, NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
        return fail("mount the root file system on", target);
    return 0;
}

/* Layer names are relative to their folder: 128 of them fit into the one page of options. */
static int mount_layers(const struct dv_monitor_launch *what)
{
    struct options options = {.used = 0};
    bool is_writable = what->upper && what->work;
    if (what->lower.count == 0) {
        errno = EINVAL;
        return fail("mount a root file system without layers on", what->target);
    }
    if (what->lower.count == 1 && !is_writable)
        return mount_single_layer(what->lower.items[0], what->target);
    for (size_t i = 0; i < what->lower.count; i++) {
        add(&options, i ? ":" : "lowerdir=");
        add_path(&options, what->lower.items[i]);
    }
    if (is_writable) {
        add(&options, ",upperdir=");
        add_path(&options, what->upper);
        add(&options, ",workdir=");
        add_path(&options, what->work);
    }
    if (options.used >= sizeof(options.text)) {
        errno = E2BIG;
        return fail("mount all the layers on", what->target);
    }
    if (mount("overlay", what->target, "overlay", 0, options.text) < 0)
        return fail("mount the root file system on", what->target);
    return 0;
}

static int mount_rootfs(const struct dv_monitor_launch *what)
{
    if (mkdir(what->target, 0711) < 0 && errno != EEXIST)
        return fail("make mount point", what->target);
    if (what->layers_dir && chdir(what->layers_dir) < 0)
        return fail("enter the layers", what->layers_dir);
    if (mount_layers(what) < 0)
        return -1;
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
    dv_autofree char **argv = calloc(what->argv.count + 1, sizeof(*argv));
    dv_autofree char **env = calloc(what->env.count + 1, sizeof(*env));
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
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
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
