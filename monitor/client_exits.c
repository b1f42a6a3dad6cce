/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an end is learned from, in order: the monitor's record, which has the code and survives;
 * the pidfd with PIDFD_GET_INFO, where the kernel keeps the code; the pidfd alone: code unknown.
 * What was reported is remembered for a while, so that a record that comes late, or again after a
 * reconnect, is only acknowledged.
 */
#include "base/cleanup.h"
#include "base/durable.h"
#include "base/log.h"
#include "base/spawn.h"
#include "messages/codec.h"
#include "monitor/client.h"
#include "monitor/client_console.h"
#include "monitor/connect.h"
#include "monitor/oom.h"
#include "monitor/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BUCKETS      4096
#define REPORTED_MAX 4096
#define RECONNECT_NS 500000000LL
#define CODE_LOOK_NS 100000000LL
#define FRAME_ARENA  (64U << 10)
#define FILE_BYTES   (64U << 10)

struct watched {
    struct watched *next; /* in its bucket */
    struct watched *next_ended;
    char id[129];
    pid_t pid;
    int64_t start_ticks;
    int pidfd;
    int streams[2];   /* reading ends, never read */
    int64_t ended_ns; /* monotonic; 0: it runs */
    int64_t ended_wall_ns;
    bool has_status;
    int status;
};

/* An end that davitd was told of; the next run of the container may have the same process id. */
struct reported {
    pid_t pid; /* 0: free */
    uint64_t id_hash;
    int64_t record; /* 0: seen through the pidfd */
    bool is_older;  /* a later run has that process id */
};

struct source {
    struct dv_exit_source base;
    char socket_path[PATH_MAX];
    char containers_dir[PATH_MAX - 160];
    const struct dv_clock *clock;
    int64_t grace_ns;
    int epoll;
    int fd; /* event connection, -1: none */
    struct mon_peer peer;
    int64_t reconnect_ns;
    struct watched *buckets[BUCKETS];
    struct watched *ended; /* seen through the pidfd, wait for a code */
    struct mon_console *consoles;
    struct reported reported[REPORTED_MAX];
    size_t reported_next;
};

static int64_t now_ns(const struct source *s)
{
    return dv_clock_monotonic_ns(s->clock);
}

static uint64_t hash_of(const char *id)
{
    uint64_t hash = 14695981039346656037U;
    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 1099511628211U;
    return hash;
}

/* That of the newest run. */
static struct reported *find_reported(struct source *s, const char *id, pid_t pid)
{
    uint64_t hash = hash_of(id);
    for (size_t i = 0; i < REPORTED_MAX; i++)
        if (s->reported[i].pid == pid && s->reported[i].id_hash == hash && !s->reported[i].is_older)
            return &s->reported[i];
    return NULL;
}

/* A record comes again after each new connection until its acknowledgement has arrived. */
static bool is_repeated(struct source *s, const struct dv_container_exited *exit)
{
    for (size_t i = 0; i < REPORTED_MAX; i++)
        if (s->reported[i].record == exit->record && s->reported[i].pid == (pid_t)exit->pid)
            return true;
    const struct reported *reported = find_reported(s, exit->id, (pid_t)exit->pid);
    return reported && !reported->record;
}

static void remember_reported(struct source *s, const char *id, pid_t pid, int64_t record)
{
    s->reported[s->reported_next] =
        (struct reported){.pid = pid, .id_hash = hash_of(id), .record = record};
    s->reported_next = (s->reported_next + 1) % REPORTED_MAX;
}

/* -- watched processes ---------------------------------------------------------------------- */

static struct watched **bucket_of(struct source *s, pid_t pid)
{
    return &s->buckets[(unsigned)pid % BUCKETS];
}

static struct watched *find(struct source *s, const char *id, pid_t pid)
{
    struct watched *watched = *bucket_of(s, pid);
    while (watched && (watched->pid != pid || strcmp(watched->id, id) != 0))
        watched = watched->next;
    return watched;
}

static void free_watched(struct watched *watched)
{
    dv_close(&watched->pidfd);
    dv_close(&watched->streams[0]);
    dv_close(&watched->streams[1]);
    free(watched);
}

static void unwatch(struct source *s, struct watched *watched)
{
    struct watched **at = bucket_of(s, watched->pid);
    while (*at != watched)
        at = &(*at)->next;
    *at = watched->next;
    at = &s->ended;
    while (*at && *at != watched)
        at = &(*at)->next_ended;
    if (*at)
        *at = watched->next_ended;
    /* Not left to the close: a child that is being spawned may have a copy. */
    if (watched->pidfd >= 0)
        (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, watched->pidfd, NULL);
    free_watched(watched);
}

/* Nobody may have reaped it yet; then its status is in /proc. */
static bool look_for_code(struct watched *watched)
{
    if (!watched->has_status)
        watched->has_status =
            dv_process_zombie_status(watched->pid, watched->start_ticks, &watched->status);
    if (!watched->has_status && watched->pidfd >= 0)
        watched->has_status = dv_pidfd_exit_status(watched->pidfd, &watched->status);
    return watched->has_status;
}

static void mark_ended(struct source *s, struct watched *watched)
{
    if (watched->ended_ns)
        return;
    (void)look_for_code(watched);
    watched->ended_ns = now_ns(s);
    watched->ended_wall_ns = dv_clock_wall_ns(s->clock);
    watched->next_ended = s->ended;
    s->ended = watched;
    if (watched->pidfd >= 0)
        (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, watched->pidfd, NULL);
}

static int open_stream(const struct source *s, const char *id, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s/%s", s->containers_dir, id, name);
    return open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
}

static bool is_there(pid_t pid, int64_t start_ticks)
{
    dv_autoclose int pidfd = start_ticks > 0 ? dv_pidfd_open(pid, start_ticks) : -1;
    return pidfd >= 0;
}

static int
watch(struct dv_exit_source *base, const struct dv_exit_watch_cmd *cmd, struct dv_error *err)
{
    struct source *s = (struct source *)base;
    pid_t pid = (pid_t)cmd->pid;
    struct reported *reported = find_reported(s, cmd->id, pid);
    if (reported && is_there(pid, cmd->start_ticks))
        reported->is_older = true; /* a later run got the same process id */
    else if (reported || find(s, cmd->id, pid))
        return 0;
    struct watched *watched = calloc(1, sizeof(*watched));
    if (!watched)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to watch container '%s'", cmd->id);
    snprintf(watched->id, sizeof(watched->id), "%s", cmd->id);
    watched->pid = pid;
    watched->start_ticks = cmd->start_ticks;
    watched->pidfd = dv_pidfd_open(pid, cmd->start_ticks);
    int saved = errno;
    watched->streams[0] = open_stream(s, cmd->id, "stdout");
    watched->streams[1] = open_stream(s, cmd->id, "stderr");
    if (watched->pidfd < 0 && saved != ESRCH) {
        free_watched(watched);
        return dv_error_sys(err, DV_ERR_FAILED, saved, "watch process %d of container '%s'", pid,
                            cmd->id);
    }
    struct watched **bucket = bucket_of(s, pid);
    watched->next = *bucket;
    *bucket = watched;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watched};
    if (watched->pidfd < 0)
        mark_ended(s, watched);
    else if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, watched->pidfd, &event) < 0) {
        saved = errno;
        unwatch(s, watched);
        return dv_error_sys(err, DV_ERR_FAILED, saved, "watch container '%s'", cmd->id);
    }
    return 0;
}

/* -- the monitor ---------------------------------------------------------------------------- */

static void disconnect(struct source *s)
{
    (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->fd, NULL);
    dv_close(&s->fd);
    s->reconnect_ns = now_ns(s);
}

static void connect_if_due(struct source *s)
{
    struct dv_error err = DV_ERROR_INIT;
    if (s->fd >= 0 || now_ns(s) < s->reconnect_ns)
        return;
    s->reconnect_ns = now_ns(s) + RECONNECT_NS;
    if (mon_connect(s->socket_path, DV_MONITOR_ROLE_EVENTS, &s->fd, &s->peer, &err) < 0) {
        s->fd = -1;
        return;
    }
    /* While the monitor can take no more, sending waits for some seconds. */
    if (s->peer.version >= MON_STREAMS_VERSION && mon_console_give(s->consoles, s->fd, &err) < 0)
        dv_log(DV_LOG_ERROR, "terminals are not given to davit-monitor: %s", err.text);
    (void)fcntl(s->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    (void)epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->fd, &event);
}

static void acknowledge(struct dv_exit_source *base, const struct dv_container_exited *exit)
{
    struct source *s = (struct source *)base;
    struct dv_monitor_acknowledge frame = {.record = exit->record};
    /* Without a connection the record comes again and is acknowledged then. */
    if (exit->record > 0 && s->fd >= 0 &&
        dv_monitor_send(s->fd, &dv_schema_monitor_acknowledge, &frame, NULL) < 0)
        disconnect(s);
}

/* 1: an exit to report, 0: none, also when the connection is gone. */
static int take_record(struct source *s, struct dv_arena *arena, struct dv_container_exited *ret)
{
    struct dv_error err = DV_ERROR_INIT;
    while (s->fd >= 0) {
        uint16_t kind;
        void *body;
        int passed = -1;
        int r = dv_monitor_receive_fd(s->fd, arena, &kind, &body, &passed, &err);
        if (r == 0)
            return 0;
        if (r < 0) {
            disconnect(s);
            return 0;
        }
        if (kind == DV_KIND_monitor_console) {
            mon_console_keep(&s->consoles, body, passed);
            continue;
        }
        dv_close(&passed);
        if (kind == DV_KIND_monitor_welcome)
            mon_peer_is(&s->peer, body); /* it was upgraded */
        if (kind != DV_KIND_container_exited)
            continue;
        const struct dv_container_exited *exit = body;
        mon_console_drop(&s->consoles, exit->id, (pid_t)exit->pid);
        if (is_repeated(s, exit)) {
            acknowledge(&s->base, exit);
            continue;
        }
        struct watched *watched = find(s, exit->id, (pid_t)exit->pid);
        if (watched)
            unwatch(s, watched);
        remember_reported(s, exit->id, (pid_t)exit->pid, exit->record);
        *ret = *exit;
        return 1;
    }
    return 0;
}

/* -- ends that the monitor does not tell ---------------------------------------------------- */

/* While the monitor is there it gets the whole grace time: its record is the better one. */
static bool is_due(const struct source *s, struct watched *watched)
{
    int64_t age = now_ns(s) - watched->ended_ns;
    bool has_code = look_for_code(watched);
    return age >= s->grace_ns || (has_code && s->fd < 0);
}

/* Where the kernel counts is in the file that the monitor has left of this container. */
static bool has_oom_kills(const struct source *s, const struct watched *watched)
{
    char path[PATH_MAX];
    void *what;
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(FILE_BYTES);
    DV_AUTO(dv_arena) arena = dv_arena_new(4 * FILE_BYTES);
    snprintf(path, sizeof(path), "%s/%s/log", s->containers_dir, watched->id);
    if (!arena || dv_file_read(path, &bytes, NULL) < 0 ||
        dv_decode(&dv_schema_monitor_container, bytes.data, bytes.len, arena, &what, NULL) < 0)
        return false;
    const struct dv_monitor_container *container = what;
    return container->pid == watched->pid && mon_has_oom_kills(container->oom_path);
}

static int take_ended(struct source *s, struct dv_arena *arena, struct dv_container_exited *ret)
{
    for (struct watched *watched = s->ended; watched; watched = watched->next_ended) {
        if (!is_due(s, watched))
            continue;
        *ret = (struct dv_container_exited){
            .id = dv_arena_strdup(arena, watched->id),
            .pid = watched->pid,
            .is_code_known = watched->has_status,
            .exit_code = watched->has_status ? dv_exit_code_of(watched->status) : 0,
            .finished_ns = watched->ended_wall_ns,
            .ended_ns = watched->ended_ns,
        };
        ret->is_oom_killed =
            (!ret->is_code_known || ret->exit_code != 0) && has_oom_kills(s, watched);
        mon_console_drop(&s->consoles, watched->id, watched->pid);
        remember_reported(s, watched->id, watched->pid, 0);
        unwatch(s, watched);
        return ret->id ? 1 : 0;
    }
    return 0;
}

static void look_at_processes(struct source *s)
{
    struct epoll_event events[64];
    int count = epoll_wait(s->epoll, events, 64, 0);
    for (int i = 0; i < count; i++)
        if (events[i].data.ptr)
            mark_ended(s, events[i].data.ptr);
}

static int next_exit(struct dv_exit_source *base,
                     struct dv_arena *arena,
                     struct dv_container_exited *ret,
                     struct dv_error *err)
{
    (void)err;
    struct source *s = (struct source *)base;
    connect_if_due(s);
    if (take_record(s, arena, ret))
        return 1;
    look_at_processes(s);
    return take_ended(s, arena, ret);
}

static int64_t deadline(struct dv_exit_source *base)
{
    const struct source *s = (const struct source *)base;
    int64_t nearest = s->fd < 0 ? s->reconnect_ns : INT64_MAX;
    for (const struct watched *watched = s->ended; watched; watched = watched->next_ended) {
        int64_t due = watched->ended_ns + s->grace_ns;
        /* Without a monitor the code may show as soon as somebody has reaped the process. */
        if (s->fd < 0 && now_ns(s) + CODE_LOOK_NS < due)
            due = now_ns(s) + CODE_LOOK_NS;
        if (due < nearest)
            nearest = due;
    }
    return nearest;
}

static int fd_of(struct dv_exit_source *base)
{
    return ((struct source *)base)->epoll;
}

static bool is_connected(struct dv_exit_source *base)
{
    return ((struct source *)base)->fd >= 0;
}

static const char *program(struct dv_exit_source *base)
{
    const struct source *s = (const struct source *)base;
    return s->fd >= 0 && s->peer.program[0] ? s->peer.program : NULL;
}

static void free_source(struct dv_exit_source *base)
{
    struct source *s = (struct source *)base;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (s->buckets[i]) {
            struct watched *watched = s->buckets[i];
            s->buckets[i] = watched->next;
            free_watched(watched);
        }
    }
    mon_console_drop_all(&s->consoles);
    dv_close(&s->fd);
    dv_close(&s->epoll);
    free(s);
}

int dv_monitor_exits_new(const struct dv_monitor_exits_options *options,
                         struct dv_exit_source **ret,
                         struct dv_error *err)
{
    struct source *s = calloc(1, sizeof(*s));
    if (!s)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the exit source");
    s->base = (struct dv_exit_source){fd_of,    watch,        next_exit, acknowledge,
                                      deadline, is_connected, program,   free_source};
    s->clock = options->clock;
    s->grace_ns = options->grace_ns;
    s->fd = -1;
    snprintf(s->socket_path, sizeof(s->socket_path), "%s/" DV_MONITOR_SOCKET, options->run_dir);
    snprintf(s->containers_dir, sizeof(s->containers_dir), "%s/containers", options->run_dir);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0) {
        free(s);
        return dv_error_sys(err, DV_ERR_INTERNAL, errno, "make an epoll descriptor");
    }
    connect_if_due(s);
    *ret = &s->base;
    return 0;
}
