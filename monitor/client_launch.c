/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "monitor/client.h"
#include "monitor/connect.h"
#include "monitor/protocol.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_MAX       (2U << 20)
#define ANSWER_EXTRA_MS 5000 /* the monitor keeps the deadline; this is for one that hangs */

struct launcher {
    struct dv_launcher base;
    int fd; /* -1: not connected */
    struct mon_peer peer;
    char socket_path[PATH_MAX];
    char mounts[PATH_MAX];
};

static size_t count_of(const char *const *texts)
{
    size_t count = 0;
    while (texts && texts[count])
        count++;
    return count;
}

static struct dv_texts texts_of(const char *const *texts)
{
    return (struct dv_texts){(char **)texts, count_of(texts)};
}

static int send_request(struct launcher *l, const struct dv_launch *what, struct dv_error *err)
{
    struct dv_monitor_log log = {
        .path = (char *)what->log.path,
        .max_size_bytes = what->log.max_size_bytes,
        .max_files = what->log.max_files,
        .max_buffer_bytes = what->log.max_buffer_bytes,
    };
    struct dv_monitor_launch request = {
        .container_id = (char *)what->container_id,
        .argv = texts_of(what->argv),
        .env = texts_of(what->envp),
        .layers_dir = (char *)what->rootfs.layers_dir,
        .lower = texts_of(what->rootfs.lower),
        .upper = (char *)what->rootfs.upper,
        .work = (char *)what->rootfs.work,
        .target = (char *)what->rootfs.target,
        .stdin_path = (char *)what->stdio.in,
        .stdout_path = (char *)what->stdio.out,
        .stderr_path = (char *)what->stdio.err,
        .log = &log,
        .pid_file = (char *)what->pid_file,
        .runtime_log = (char *)what->runtime_log,
        .timeout_ms = what->timeout_ms,
        .oom_path = (char *)what->oom_path,
        .console_path = (char *)what->stdio.console,
        .takes_input = what->stdio.takes_input,
    };
    if (what->stdio.console && l->peer.version < MON_STREAMS_VERSION)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "the running davit-monitor is older than davitd and knows no "
                            "terminals; restart it, containers go on running");
    return dv_monitor_send(l->fd, &dv_schema_monitor_launch, &request, err);
}

/* A connection that the monitor has closed meanwhile shows only when it is used. */
static int send_connected(struct launcher *l, const struct dv_launch *what, struct dv_error *err)
{
    struct dv_error first = DV_ERROR_INIT;
    if (l->fd >= 0) {
        struct pollfd gone = {.fd = l->fd, .events = POLLIN};
        /* Nothing may come unasked: what is readable now is the end. */
        if (poll(&gone, 1, 0) == 0 && send_request(l, what, &first) == 0)
            return 0;
        dv_close(&l->fd);
    }
    int r = mon_connect(l->socket_path, DV_MONITOR_ROLE_REQUESTS, &l->fd, &l->peer, err);
    return r < 0 ? r : send_request(l, what, err);
}

static int wait_answer(struct launcher *l, int timeout_ms, struct dv_error *err)
{
    struct pollfd wait = {.fd = l->fd, .events = POLLIN};
    int r;
    do
        r = poll(&wait, 1, timeout_ms + ANSWER_EXTRA_MS);
    while (r < 0 && errno == EINTR);
    if (r > 0)
        return 0;
    dv_close(&l->fd);
    return dv_error_sys(err, DV_ERR_UNAVAILABLE, ETIMEDOUT,
                        "davit-monitor does not answer in time");
}

static int
take_answer(uint16_t kind, const void *body, struct dv_launch_result *ret, struct dv_error *err)
{
    if (kind == DV_KIND_failure) {
        const struct dv_failure *failure = body;
        dv_error_set(err, dv_error_class_of(failure->class), "%s", failure->text);
        return -(int)dv_error_class_of(failure->class);
    }
    if (kind != DV_KIND_monitor_launched)
        return dv_error_set(err, DV_ERR_PROTOCOL, "davit-monitor answers a launch with kind %u",
                            kind);
    const struct dv_monitor_launched *launched = body;
    ret->exit_code = (int)launched->exit_code;
    ret->pid = (int32_t)launched->pid;
    ret->start_ticks = launched->start_ticks;
    ret->stderr_len = launched->stderr_text.len < DV_LAUNCH_STDERR_MAX ? launched->stderr_text.len
                                                                       : DV_LAUNCH_STDERR_MAX;
    if (ret->stderr_len)
        memcpy(ret->stderr_text, launched->stderr_text.data, ret->stderr_len);
    ret->stderr_text[ret->stderr_len] = '\0';
    return 0;
}

static int launch(struct dv_launcher *base,
                  const struct dv_launch *what,
                  struct dv_launch_result *ret,
                  struct dv_error *err)
{
    struct launcher *l = (struct launcher *)base;
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    uint16_t kind = 0;
    void *body = NULL;
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a launch");
    int r = send_connected(l, what, err);
    if (r == 0)
        r = wait_answer(l, what->timeout_ms, err);
    if (r == 0)
        r = dv_monitor_receive(l->fd, arena, &kind, &body, err);
    if (r < 0) {
        dv_close(&l->fd);
        return r;
    }
    return take_answer(kind, body, ret, err);
}

static const char *mount_root(struct dv_launcher *base)
{
    return ((struct launcher *)base)->mounts;
}

static void free_launcher(struct dv_launcher *base)
{
    struct launcher *l = (struct launcher *)base;
    dv_close(&l->fd);
    free(l);
}

int dv_monitor_launcher_new(const char *socket_path, struct dv_launcher **ret, struct dv_error *err)
{
    struct launcher *l = calloc(1, sizeof(*l));
    if (!l)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a launcher");
    l->base = (struct dv_launcher){launch, mount_root, free_launcher};
    l->fd = -1;
    snprintf(l->socket_path, sizeof(l->socket_path), "%s", socket_path);
    const char *slash = strrchr(socket_path, '/');
    snprintf(l->mounts, sizeof(l->mounts), "%.*s/" DV_MONITOR_MOUNTS,
             slash ? (int)(slash - socket_path) : 1, slash ? socket_path : ".");
    *ret = &l->base;
    return 0;
}
