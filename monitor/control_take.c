/* SPDX-License-Identifier: Apache-2.0 */
/* The state that the program before has left, taken over: the same process, the same children and
 * the same descriptors. */
#include "base/log.h"
#include "messages/codec.h"
#include "monitor/control.h"
#include "monitor/protocol.h"
#include "monitor/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAUNCH_ARENA (2U << 20)
#define TEXT_MAX     65536U

struct taking {
    struct monitor *m;
    struct dv_log_restore log;
    struct mon_client *clients[MON_CLIENTS_MAX];
    size_t client_count;
    unsigned container_count;
    char program[65]; /* of the writer */
};

static int no_memory(const char *what, struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to take over %s", what);
}

/* -- parts ---------------------------------------------------------------------------------- */

static int take_container(struct taking *t,
                          const struct dv_monitor_state_container *what,
                          struct dv_error *err)
{
    struct monitor *m = t->m;
    struct mon_container *container =
        mon_containers_restore(m->containers, what->what, mon_state_take_fd(what->process_fd));
    int other_side = mon_state_take_fd(what->other_side_fd);
    struct mon_tty *tty = other_side < 0 ? NULL : calloc(1, sizeof(*tty));
    if (!container || (other_side >= 0 && !tty)) {
        dv_close(&other_side);
        return no_memory("a container", err);
    }
    container->console = mon_state_take_fd(what->console_fd);
    if (container->pidfd >= 0)
        mon_watch_adopted(m, container);
    if (tty) {
        *tty = (struct mon_tty){.next = m->ttys, .pid = container->pid, .fd = other_side};
        m->ttys = tty;
    }
    t->container_count++;
    return 0;
}

static int
take_client(struct taking *t, const struct dv_monitor_state_client *what, struct dv_error *err)
{
    struct monitor *m = t->m;
    struct mon_client *client =
        t->client_count < MON_CLIENTS_MAX ? calloc(1, sizeof(*client)) : NULL;
    if (!client)
        return no_memory("a client", err);
    client->source = MON_CLIENT;
    client->fd = mon_state_take_fd(what->connection_fd);
    client->has_said_hello = what->has_said_hello;
    client->version = (int)what->version;
    client->wants_exits = what->wants_exits;
    client->wants_consoles = what->wants_exits && what->version >= MON_CONSOLE_VERSION;
    client->must_tell_consoles = what->must_tell_consoles;
    client->is_stream = what->is_stream;
    client->told = what->told;
    client->rows = what->rows;
    client->columns = what->columns;
    client->is_dead = client->fd < 0;
    if (what->waits_for && !(client->waits_for = strdup(what->waits_for)))
        client->is_dead = true; /* it asks again */
    client->next = m->clients;
    m->clients = client;
    m->client_count++;
    t->clients[t->client_count++] = client;
    mon_watch(m, client->fd, client);
    return 0;
}

static int
take_launch(struct taking *t, const struct dv_monitor_state_launch *what, struct dv_error *err)
{
    struct monitor *m = t->m;
    size_t number = (size_t)what->client;
    uint64_t newest = m->launch_sequence;
    struct mon_launch *launch =
        mon_launch_new(m, number && number <= t->client_count ? t->clients[number - 1] : NULL);
    void *copy = NULL;
    if (!launch)
        return no_memory("a program", err);
    m->launch_sequence = newest;
    launch->text = DV_BUF_INIT(TEXT_MAX);
    launch->sequence = (uint64_t)what->sequence;
    launch->pid = (pid_t)what->pid;
    launch->deadline_ns = what->deadline_ns;
    launch->is_timed_out = what->is_timed_out;
    launch->output = mon_state_take_fd(what->output_fd);
    launch->streams[0] = mon_state_take_fd(what->stdout_fd);
    launch->streams[1] = mon_state_take_fd(what->stderr_fd);
    launch->console.fd = mon_state_take_fd(what->console_fd);
    launch->console.is_connected = what->is_console_connected;
    launch->console.terminal = mon_state_take_fd(what->terminal_fd);
    launch->exec_own[0] = mon_state_take_fd(what->exec_input_fd);
    launch->exec_own[1] = mon_state_take_fd(what->exec_output_fd);
    launch->exec_own[2] = mon_state_take_fd(what->exec_errors_fd);
    launch->next = m->launches;
    m->launches = launch;
    m->launch_count++;
    launch->arena = dv_arena_new(LAUNCH_ARENA);
    int r = launch->arena
                ? dv_copy(&dv_schema_monitor_launch, what->what, launch->arena, &copy, err)
                : no_memory("a program", err);
    if (r == 0 && what->text.len)
        r = dv_buf_append(&launch->text, what->text.data, what->text.len, err);
    if (r < 0)
        return r;
    launch->what = copy;
    if (what->exec_id)
        launch->exec_id = dv_arena_strdup(launch->arena, what->exec_id);
    if (what->exec_process)
        launch->exec_process = dv_arena_strdup(launch->arena, what->exec_process);
    mon_watch(m, launch->output, launch);
    mon_watch(m, launch->console.fd, &launch->console);
    return 0;
}

static int
take_exec(struct taking *t, const struct dv_monitor_state_exec *what, struct dv_error *err)
{
    struct mon_exec *exec = calloc(1, sizeof(*exec));
    if (!exec)
        return no_memory("a process in a container", err);
    *exec = (struct mon_exec){t->m->execs, (pid_t)what->pid, (uint64_t)what->sequence};
    t->m->execs = exec;
    return 0;
}

static void take_stray(struct taking *t, const struct dv_monitor_state_stray *what)
{
    if (t->m->stray_count < MON_STRAYS_MAX)
        t->m->strays[t->m->stray_count++] = (struct mon_stray){
            (pid_t)what->pid, (int)what->status, what->wall_ns, (uint64_t)what->sequence};
}

static int take_frame(void *ctx, uint16_t kind, const void *body, struct dv_error *err)
{
    struct taking *t = ctx;
    switch (kind) {
    case DV_KIND_monitor_state: {
        const struct dv_monitor_state *head = body;
        t->m->launch_sequence = (uint64_t)head->launch_sequence;
        snprintf(t->program, sizeof(t->program), "%s", head->program ? head->program : "?");
        return 0;
    }
    case DV_KIND_monitor_state_container:
        return take_container(t, body, err);
    case DV_KIND_monitor_state_client:
        return take_client(t, body, err);
    case DV_KIND_monitor_state_launch:
        return take_launch(t, body, err);
    case DV_KIND_monitor_state_exec:
        return take_exec(t, body, err);
    case DV_KIND_monitor_state_stray:
        take_stray(t, body);
        return 0;
    case DV_KIND_container_exited:
        mon_records_restore(t->m->records, body);
        return 0;
    default:
        return dv_log_thread_restore(t->m->log, &t->log, kind, body, err);
    }
}

/* -- all of it ------------------------------------------------------------------------------ */

static int take_head(void *ctx, uint16_t kind, const void *body, struct dv_error *err)
{
    struct monitor *m = ctx;
    if (kind != DV_KIND_monitor_state)
        return 0;
    const struct dv_monitor_state *head = body;
    m->lock = mon_state_take_fd(head->lock_fd);
    m->listener = mon_state_take_fd(head->listener_fd);
    if (m->lock < 0 || m->listener < 0)
        return dv_error_set(err, DV_ERR_STATE, "the socket of the program before is not open");
    return 0;
}

static int read_state(int fd, mon_state_fn *fn, void *ctx, struct dv_error *err)
{
    const void *bytes;
    size_t len;
    int r = mon_state_map(fd, &bytes, &len, err);
    if (r < 0)
        return r;
    r = mon_state_read(bytes, len, fn, ctx, err);
    mon_state_unmap(bytes, len);
    return r;
}

int mon_take_head(struct monitor *m, int fd, struct dv_error *err)
{
    int r = read_state(fd, take_head, m, err);
    if (r < 0)
        (void)dv_error_prefix(err, "the program before has left what cannot be taken over: ");
    m->has_taken_over = r == 0;
    return r;
}

/* Also an older davitd skips a second welcome. */
static void tell_clients(struct monitor *m)
{
    for (struct mon_client *client = m->clients; client; client = client->next)
        if (client->wants_exits && !client->is_dead)
            mon_welcome(client);
    mon_tell_exits(m);
}

int mon_take_state(struct monitor *m, int fd, struct dv_error *err)
{
    struct taking taking = {.m = m};
    dv_log_thread_begin(m->log);
    int r = read_state(fd, take_frame, &taking, err);
    dv_log_thread_commit(m->log);
    free(taking.log.sources);
    dv_close(&fd);
    if (r < 0)
        return dv_error_prefix(err, "take over from the program before: ");
    dv_log(DV_LOG_INFO,
           "davit-monitor " MON_PROGRAM
           " took over from %s: %u containers, %u programs, %u clients",
           taking.program, taking.container_count, m->launch_count, m->client_count);
    tell_clients(m);
    return 0;
}
