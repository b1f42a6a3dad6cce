/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A launch: davit-launch is started with the request in a memory file as descriptor 3 and a pipe as
 * standard error; it becomes the program. The answer goes out when the program has ended.
 */
#include "base/clock.h"
#include "base/durable.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/str.h"
#include "messages/codec.h"
#include "monitor/control.h"
#include "monitor/protocol.h"
#include "runtime/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARENA_MAX  (2U << 20)
#define OUTPUT_MAX DV_LAUNCH_STDERR_MAX
#define NS_PER_MS  1000000

static void answer_failure(struct mon_client *client, const struct dv_error *error)
{
    struct dv_failure failure = {
        .class = (int64_t)error->class, .sys = error->sys, .text = (char *)error->text};
    if (client && dv_monitor_send(client->fd, &dv_schema_failure, &failure, NULL) < 0)
        client->is_dead = true;
}

void mon_launch_free(struct monitor *m, struct mon_launch *launch)
{
    struct mon_launch **at = &m->launches;
    while (*at && *at != launch)
        at = &(*at)->next;
    if (*at) {
        *at = launch->next;
        m->launch_count--;
    }
    mon_console_close(m, launch);
    if (launch->exec_process)
        (void)unlink(launch->exec_process);
    dv_close(&launch->output);
    dv_close(&launch->streams[0]);
    dv_close(&launch->streams[1]);
    for (size_t i = 0; i < 3; i++) {
        dv_close(&launch->exec_own[i]);
        dv_close(&launch->exec_its[i]);
    }
    dv_buf_done(&launch->text);
    dv_arena_free(launch->arena);
    free(launch);
}

/* -- begin ---------------------------------------------------------------------------------- */

static int open_fifo(const char *path, int *ret_writer)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    *ret_writer = fd < 0 ? -1 : open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    return fd;
}

static int begin_log(struct monitor *m, struct mon_launch *launch, struct dv_error *err)
{
    const struct dv_monitor_launch *what = launch->what;
    if (!what->container_id || !what->stdout_path || !what->stderr_path)
        return 0;
    int out = open_fifo(what->stdout_path, &launch->streams[0]);
    int in_error = open_fifo(what->stderr_path, &launch->streams[1]);
    if (launch->streams[0] < 0 || launch->streams[1] < 0) {
        int saved = errno;
        dv_close(&out);
        dv_close(&in_error);
        return dv_error_sys(err, DV_ERR_IO, saved, "open the output of container '%s'",
                            what->container_id);
    }
    dv_log_thread_begin(m->log);
    int r = dv_log_thread_add(m->log, what->container_id, out, in_error, what->log, err);
    if (r == 0)
        mon_stream_begin(m, what->container_id, false, what->stdin_path != NULL, -1);
    dv_log_thread_commit(m->log);
    return r;
}

static int make_request(const struct dv_monitor_launch *what, int *ret_fd, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) frame = DV_BUF_INIT(DV_MONITOR_FRAME_BYTES + 16);
    int r = dv_monitor_encode(&dv_schema_monitor_launch, what, &frame, err);
    if (r < 0)
        return r;
    dv_autoclose int fd = memfd_create("davit-launch", MFD_CLOEXEC);
    if (fd < 0 || write(fd, frame.data, frame.len) != (ssize_t)frame.len ||
        lseek(fd, 0, SEEK_SET) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "hand the request to davit-launch");
    *ret_fd = dv_steal_fd(&fd);
    return 0;
}

static int start_program(struct monitor *m, struct mon_launch *launch, struct dv_error *err)
{
    dv_autoclose int request = -1;
    dv_autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int pipe_fds[2];
    int r = make_request(launch->what, &request, err);
    if (r < 0)
        return r;
    if (null < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make a pipe for a program");
    launch->output = pipe_fds[0];
    dv_autoclose int write_end = pipe_fds[1];
    (void)fcntl(launch->output, F_SETFL, O_NONBLOCK);
    const struct dv_spawn_fd fds[] = {
        {launch->exec_its[0] >= 0 ? launch->exec_its[0] : null, 0},
        {launch->exec_its[1] >= 0 ? launch->exec_its[1] : null, 1},
        {launch->exec_its[2] >= 0 ? launch->exec_its[2] : write_end, 2},
        {request, 3},
    };
    const char *const argv[] = {"davit-launch", NULL};
    struct dv_spawn spawn = {
        .path = m->launch_program,
        .argv = argv,
        .fds = fds,
        .fd_count = 4,
        .own_session = true,
    };
    r = dv_spawn_start(&spawn, &launch->pid, err);
    if (r < 0)
        return r;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = launch};
    (void)epoll_ctl(m->epoll, EPOLL_CTL_ADD, launch->output, &event);
    for (size_t i = 0; i < 3; i++)
        dv_close(&launch->exec_its[i]);
    return 0;
}

struct mon_launch *mon_launch_new(struct monitor *m, struct mon_client *client)
{
    struct mon_launch *launch =
        m->launch_count < MON_LAUNCHES_MAX ? calloc(1, sizeof(*launch)) : NULL;
    if (!launch)
        return NULL;
    launch->source = MON_LAUNCH_OUTPUT;
    launch->client = client;
    launch->output = -1;
    launch->streams[0] = -1;
    launch->streams[1] = -1;
    launch->console = (struct mon_console_socket){
        .source = MON_LAUNCH_CONSOLE, .launch = launch, .fd = -1, .terminal = -1};
    for (size_t i = 0; i < 3; i++) {
        launch->exec_own[i] = -1;
        launch->exec_its[i] = -1;
    }
    launch->sequence = ++m->launch_sequence;
    return launch;
}

void mon_launch_begin(struct monitor *m,
                      struct mon_client *client,
                      const struct dv_monitor_launch *what)
{
    mon_launch_begin_in(m, client, what, NULL);
}

void mon_launch_begin_in(struct monitor *m,
                         struct mon_client *client,
                         const struct dv_monitor_launch *what,
                         const struct dv_monitor_exec *exec)
{
    struct dv_error err = DV_ERROR_INIT;
    struct mon_launch *launch = mon_launch_new(m, client);
    if (!launch) {
        dv_error_set(&err, DV_ERR_BUSY, "%u programs are running already", m->launch_count);
        answer_failure(client, &err);
        return;
    }
    launch->text = DV_BUF_INIT(OUTPUT_MAX);
    launch->deadline_ns = dv_clock_monotonic_ns(dv_clock_real()) + what->timeout_ms * NS_PER_MS;
    launch->arena = dv_arena_new(ARENA_MAX);
    void *copy = NULL;
    int r = launch->arena ? dv_copy(&dv_schema_monitor_launch, what, launch->arena, &copy, &err)
                          : dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory for a launch");
    launch->what = copy;
    if (r == 0 && exec) {
        launch->exec_id = dv_arena_strdup(launch->arena, exec->container_id);
        if (exec->process_path)
            launch->exec_process = dv_arena_strdup(launch->arena, exec->process_path);
    }
    if (r == 0 && what->console_path)
        r = mon_console_listen(m, launch, &err);
    else if (r == 0 && exec)
        r = mon_exec_open(launch, &err);
    if (r == 0 && !exec)
        r = begin_log(m, launch, &err);
    if (r == 0)
        r = start_program(m, launch, &err);
    if (r < 0) {
        answer_failure(client, &err);
        mon_launch_free(m, launch);
        return;
    }
    launch->next = m->launches;
    m->launches = launch;
    m->launch_count++;
    DV_FAULT(LAUNCH_BEGUN);
}

/* -- meanwhile ------------------------------------------------------------------------------ */

void mon_launch_output(struct monitor *m, struct mon_launch *launch)
{
    (void)m;
    char chunk[4096];
    ssize_t got = read(launch->output, chunk, sizeof(chunk));
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        dv_close(&launch->output);
        return;
    }
    /* What is beyond the limit is read and dropped, so that the program does not wait. */
    size_t room = OUTPUT_MAX - launch->text.len;
    (void)!dv_buf_append(&launch->text, chunk, (size_t)got < room ? (size_t)got : room, NULL);
}

int mon_launch_check_time(struct monitor *m)
{
    int64_t now = dv_clock_monotonic_ns(dv_clock_real());
    int64_t nearest = INT64_MAX;
    for (struct mon_launch *launch = m->launches; launch; launch = launch->next) {
        if (launch->is_timed_out)
            continue;
        if (launch->deadline_ns > now) {
            if (launch->deadline_ns < nearest)
                nearest = launch->deadline_ns;
            continue;
        }
        launch->is_timed_out = true;
        (void)kill(-launch->pid, SIGKILL);
        (void)kill(launch->pid, SIGKILL);
    }
    if (nearest == INT64_MAX)
        return -1;
    int64_t wait_ms = (nearest - now) / NS_PER_MS + 1;
    return wait_ms > 60000 ? 60000 : (int)wait_ms;
}

void mon_launch_forget_client(struct monitor *m, const struct mon_client *client)
{
    for (struct mon_launch *launch = m->launches; launch; launch = launch->next)
        if (launch->client == client)
            launch->client = NULL;
}

/* -- the end -------------------------------------------------------------------------------- */

static pid_t read_pid_file(const char *path)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(64);
    struct dv_str number;
    struct dv_str rest;
    int64_t pid;
    if (!path || dv_file_read(path, &text, NULL) < 0 || !text.data)
        return 0;
    dv_str_cut((struct dv_str){text.data, text.len}, '\n', &number, &rest);
    return dv_str_to_i64(number, 1, INT32_MAX, &pid, NULL) == 0 ? (pid_t)pid : 0;
}

/* The runtime's own log says more than its standard error, which was the container's. */
static void read_runtime_log(struct mon_launch *launch)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1U << 20);
    if (!launch->what->runtime_log || dv_file_read(launch->what->runtime_log, &text, NULL) < 0 ||
        !text.len)
        return;
    size_t from = text.len > OUTPUT_MAX ? text.len - OUTPUT_MAX : 0;
    dv_buf_clear(&launch->text);
    (void)!dv_buf_append(&launch->text, text.data + from, text.len - from, NULL);
}

static void
remember_container(struct monitor *m, struct mon_launch *launch, pid_t pid, int64_t ticks)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_monitor_container container = {
        .id = launch->what->container_id,
        .pid = pid,
        .start_ticks = ticks,
        .stdout_path = launch->what->stdout_path,
        .stderr_path = launch->what->stderr_path,
        .log = launch->what->log,
        .oom_path = launch->what->oom_path,
        .is_tty = launch->what->console_path != NULL,
        .takes_input = launch->what->takes_input,
    };
    if (mon_containers_add(m->containers, &container, -1, &err) < 0)
        dv_log(DV_LOG_ERROR, "container '%s': %s", container.id, err.text);
    struct mon_container *known = mon_containers_find(m->containers, pid);
    if (known && launch->console.terminal >= 0)
        mon_console_has(m, known, dv_steal_fd(&launch->console.terminal), launch->what->log);
    if (known)
        mon_adopt_strays(m, known);
}

/* The program did what it was asked for, as far as it says. */
static void answer_launched(struct monitor *m, struct mon_launch *launch, int exit_code)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_monitor_launched launched = {.exit_code = exit_code};
    if (exit_code == 0)
        launched.pid = read_pid_file(launch->what->pid_file);
    else
        read_runtime_log(launch);
    /* It passed the terminal before it ended. */
    if (launch->what->console_path && exit_code == 0)
        mon_console_event(m, launch);
    if (launched.pid)
        launched.start_ticks = dv_process_start_ticks((pid_t)launched.pid);
    if (launch->exec_id) {
        mon_exec_started(m, launch, exit_code == 0 ? (pid_t)launched.pid : 0);
        return;
    }
    if (launched.pid && launch->what->console_path && launch->console.terminal < 0) {
        /* What it made cannot be used; nobody will start it. */
        (void)kill((pid_t)launched.pid, SIGKILL);
        dv_error_set(&err, DV_ERR_FAILED, "%s passed no terminal", launch->what->argv.items[0]);
        answer_failure(launch->client, &err);
        return;
    }
    if (launched.pid && launch->what->container_id)
        remember_container(m, launch, (pid_t)launched.pid, launched.start_ticks);
    launched.stderr_text.data = (uint8_t *)launch->text.data;
    launched.stderr_text.len = launch->text.len;
    if (launch->client &&
        dv_monitor_send(launch->client->fd, &dv_schema_monitor_launched, &launched, NULL) < 0)
        launch->client->is_dead = true;
}

bool mon_launch_ended(struct monitor *m, pid_t pid, int status)
{
    struct mon_launch *launch = m->launches;
    while (launch && launch->pid != pid)
        launch = launch->next;
    if (!launch)
        return false;
    while (launch->output >= 0 && launch->text.len < OUTPUT_MAX) {
        size_t before = launch->text.len;
        mon_launch_output(m, launch);
        if (launch->text.len == before)
            break;
    }
    struct dv_error err = DV_ERROR_INIT;
    DV_FAULT(LAUNCH_OVER);
    if (launch->is_timed_out) {
        dv_error_set(&err, DV_ERR_TIMED_OUT, "%s was killed after %lld ms",
                     launch->what->argv.items[0], (long long)launch->what->timeout_ms);
        answer_failure(launch->client, &err);
    } else {
        answer_launched(m, launch, dv_exit_code_of(status));
    }
    mon_launch_free(m, launch);
    mon_forget_strays(m);
    return true;
}
