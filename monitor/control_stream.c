/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams for clients: of a container, or of one more process in it. This thread prepares the
 * descriptors and answers; from then on the client is the log thread's.
 */
#include "base/log.h"
#include "base/spawn.h"
#include "monitor/control.h"
#include "monitor/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXEC_ID_BYTES 32

/* No container has a slash in its id. */
static void id_of_exec(char ret[static EXEC_ID_BYTES], uint64_t sequence)
{
    snprintf(ret, EXEC_ID_BYTES, "exec/%llu", (unsigned long long)sequence);
}

static void turn_away(struct mon_client *client, const struct dv_error *err)
{
    mon_refuse(client, err);
    client->is_dead = true;
}

/* Strangers must not take the places of davitd's own connections and launches. */
static bool has_room(const struct monitor *m, struct dv_error *err)
{
    unsigned count = 0;
    for (const struct mon_client *client = m->clients; client; client = client->next)
        count += client->is_stream && !client->is_dead;
    if (!dv_log_thread_has_room(m->log))
        dv_error_set(err, DV_ERR_BUSY, "%d clients are attached to containers already",
                     DV_LOG_CLIENTS_MAX);
    else if (count > MON_STREAMS_MAX)
        dv_error_set(err, DV_ERR_BUSY, "%d clients wait for streams of containers already",
                     MON_STREAMS_MAX);
    return err->class == DV_ERR_NONE;
}

/* The answer, and then the connection is this thread's no more. */
static bool hand_over(struct monitor *m,
                      struct mon_client *client,
                      bool is_tty,
                      bool takes_input,
                      struct dv_log_client *ret)
{
    struct dv_monitor_attached attached = {.is_tty = is_tty, .takes_input = takes_input};
    bool is_there = !client->is_dead &&
                    dv_monitor_send(client->fd, &dv_schema_monitor_attached, &attached, NULL) == 0;
    client->is_dead = true;
    if (!is_there)
        return false;
    (void)epoll_ctl(m->epoll, EPOLL_CTL_DEL, client->fd, NULL);
    *ret = (struct dv_log_client){
        .fd = dv_steal_fd(&client->fd), .input = -1, .is_tty = is_tty, .takes_input = takes_input};
    return true;
}

/* -- of a container ------------------------------------------------------------------------- */

static int open_input(const struct monitor *m, const char *id)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/containers/%s/stdin", m->run_dir, id);
    return open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
}

/* Before the program asks for it, where it is started only now. */
static void set_size(const struct mon_client *client, int terminal)
{
    const struct winsize size = {.ws_row = (unsigned short)client->rows,
                                 .ws_col = (unsigned short)client->columns};
    if (size.ws_row && size.ws_col)
        (void)ioctl(terminal, TIOCSWINSZ, &size); /* of a FIFO there is none */
}

static void begin(struct monitor *m,
                  struct mon_client *client,
                  const char *id,
                  bool is_tty,
                  bool takes_input,
                  int terminal)
{
    struct dv_log_client what;
    struct dv_error err = DV_ERROR_INIT;
    /* The size of a terminal may be changed also by who may not type. */
    dv_autoclose int input = is_tty        ? fcntl(terminal, F_DUPFD_CLOEXEC, 0)
                             : takes_input ? open_input(m, id)
                                           : -1;
    if ((is_tty || takes_input) && input < 0)
        dv_error_sys(&err, DV_ERR_IO, errno, "open the standard input of container '%s'", id);
    else
        (void)has_room(m, &err);
    if (err.class) {
        turn_away(client, &err);
        return;
    }
    set_size(client, input);
    if (!hand_over(m, client, is_tty, takes_input, &what))
        return;
    what.input = dv_steal_fd(&input);
    if (dv_log_thread_attach(m->log, id, &what, &err) < 0)
        dv_log(DV_LOG_WARN, "a client is not attached to container '%s': %s", id, err.text);
}

void mon_stream_begin(
    struct monitor *m, const char *id, bool is_tty, bool takes_input, int terminal)
{
    for (struct mon_client *client = m->clients; client; client = client->next)
        if (client->waits_for && !client->is_dead && strcmp(client->waits_for, id) == 0)
            begin(m, client, id, is_tty, takes_input, terminal);
}

static bool has_input(const struct monitor *m, const struct mon_container *container)
{
    if (container->is_tty)
        return container->takes_input;
    dv_autoclose int input = open_input(m, container->id);
    return input >= 0;
}

static bool is_id(const char *id)
{
    return id[0] != '.' && !strchr(id, '/');
}

void mon_stream_attach(struct monitor *m,
                       struct mon_client *client,
                       const struct dv_monitor_attach *what)
{
    struct dv_error err = DV_ERROR_INIT;
    const struct mon_container *container =
        mon_containers_find_id(m->containers, what->container_id);
    /* After a restart of this process davitd has the terminal and is about to give it back. */
    client->rows = what->rows;
    client->columns = what->columns;
    bool is_ready = container && (!container->is_tty || container->console >= 0);
    if (is_ready) {
        begin(m, client, container->id, container->is_tty, has_input(m, container),
              container->console);
        return;
    }
    if (!has_room(m, &err)) {
        turn_away(client, &err);
        return;
    }
    if ((container || what->waits) && is_id(what->container_id)) {
        client->waits_for = strdup(what->container_id);
        if (client->waits_for) {
            /* From now on it misses nothing. */
            static const struct dv_done done;
            client->is_dead = dv_monitor_send(client->fd, &dv_schema_done, &done, NULL) < 0;
            return;
        }
        dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory for one more client");
    } else {
        dv_error_set(&err, DV_ERR_STATE, "container '%s' is not running", what->container_id);
    }
    turn_away(client, &err);
}

/* -- of one more process -------------------------------------------------------------------- */

void mon_stream_exec(struct monitor *m,
                     struct mon_client *client,
                     const struct dv_monitor_exec *what)
{
    struct dv_error err = DV_ERROR_INIT;
    if (!mon_containers_find_id(m->containers, what->container_id))
        dv_error_set(&err, DV_ERR_STATE, "container '%s' is not running", what->container_id);
    if (err.class == DV_ERR_NONE && has_room(m, &err))
        mon_launch_begin_in(m, client, what->launch, what);
    else
        turn_away(client, &err);
}

int mon_exec_open(struct mon_launch *launch, struct dv_error *err)
{
    for (size_t i = 0; i < 3; i++) {
        int ends[2];
        bool is_input = i == 0;
        if (is_input && !launch->what->takes_input)
            continue;
        if (pipe2(ends, O_CLOEXEC) < 0)
            return dv_error_sys(err, DV_ERR_LIMIT, errno, "make a pipe for a program");
        launch->exec_own[i] = ends[is_input ? 1 : 0];
        launch->exec_its[i] = ends[is_input ? 0 : 1];
        (void)fcntl(launch->exec_own[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

/* What davit-launch or the runtime said where the program's errors would have gone. */
static void read_errors(struct mon_launch *launch)
{
    char text[DV_ERROR_TEXT_MAX];
    ssize_t got;
    if (launch->text.len || launch->exec_own[2] < 0)
        return;
    got = read(launch->exec_own[2], text, sizeof(text));
    if (got > 0)
        (void)!dv_buf_append(&launch->text, text, (size_t)got, NULL);
}

static void refuse_exec(struct mon_launch *launch)
{
    struct dv_error err = DV_ERROR_INIT;
    read_errors(launch);
    if (launch->text.len)
        dv_error_set(&err, DV_ERR_FAILED, "%.*s", (int)launch->text.len, launch->text.data);
    else
        dv_error_set(&err, DV_ERR_FAILED, "%s gave no reason", launch->what->argv.items[0]);
    if (!launch->client)
        return;
    turn_away(launch->client, &err);
}

static void begin_session(struct monitor *m, struct mon_launch *launch)
{
    struct dv_log_client what;
    struct dv_error err = DV_ERROR_INIT;
    char id[EXEC_ID_BYTES];
    bool is_tty = launch->what->console_path != NULL;
    int out = dv_steal_fd(is_tty ? &launch->console.terminal : &launch->exec_own[1]);
    int in_error = dv_steal_fd(&launch->exec_own[2]);
    dv_autoclose int input =
        is_tty ? fcntl(out, F_DUPFD_CLOEXEC, 0) : dv_steal_fd(&launch->exec_own[0]);
    id_of_exec(id, launch->sequence);
    if (!launch->client ||
        !hand_over(m, launch->client, is_tty, launch->what->takes_input, &what)) {
        dv_close(&out); /* the process finds its streams closed */
        dv_close(&in_error);
        return;
    }
    what.input = dv_steal_fd(&input);
    if (dv_log_thread_add_session(m->log, id, out, in_error, &what, &err) < 0)
        dv_log(DV_LOG_WARN, "a process in container '%s' has no client: %s", launch->exec_id,
               err.text);
}

static void tell_ended(struct monitor *m, uint64_t sequence, int status)
{
    char id[EXEC_ID_BYTES];
    id_of_exec(id, sequence);
    dv_log_thread_ended(m->log, id, true, dv_exit_code_of(status));
}

void mon_exec_started(struct monitor *m, struct mon_launch *launch, pid_t pid)
{
    struct mon_stray stray;
    bool has_streams =
        launch->what->console_path ? launch->console.terminal >= 0 : launch->exec_own[1] >= 0;
    struct mon_exec *exec = pid && has_streams ? calloc(1, sizeof(*exec)) : NULL;
    /* Of this one process alone; the container's own are not touched. */
    if (launch->what->runtime_log)
        (void)unlink(launch->what->runtime_log);
    if (launch->what->pid_file)
        (void)unlink(launch->what->pid_file);
    if (launch->exec_process) /* before the client hears anything */
        (void)unlink(launch->exec_process);
    launch->exec_process = NULL;
    if (!exec) {
        refuse_exec(launch);
        return;
    }
    begin_session(m, launch);
    if (mon_take_stray(m, pid, &stray)) {
        tell_ended(m, launch->sequence, stray.status);
        free(exec);
        return;
    }
    exec->pid = pid;
    exec->sequence = launch->sequence;
    exec->next = m->execs;
    m->execs = exec;
}

bool mon_exec_ended(struct monitor *m, pid_t pid, int status)
{
    struct mon_exec **at = &m->execs;
    while (*at && (*at)->pid != pid)
        at = &(*at)->next;
    if (!*at)
        return false;
    struct mon_exec *exec = *at;
    *at = exec->next;
    tell_ended(m, exec->sequence, status);
    free(exec);
    return true;
}
