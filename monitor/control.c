/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: clients come, say hello, ask; signals tell of ended children. */
#include "monitor/control.h"

#include "base/arena.h"
#include "base/log.h"
#include "monitor/protocol.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS               64
#define ARENA_MAX            (2U << 20)
#define CONTAINERS_PER_FRAME 400

void mon_watch(struct monitor *m, int fd, void *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    if (fd >= 0 && epoll_ctl(m->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        dv_log(DV_LOG_ERROR, "descriptor %d is not watched: %s", fd, strerror(errno));
}

/* -- clients -------------------------------------------------------------------------------- */

static void accept_client(struct monitor *m)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    int fd = accept4(m->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct mon_client *client = NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid() &&
        m->client_count < MON_CLIENTS_MAX)
        client = calloc(1, sizeof(*client));
    if (!client) {
        dv_log(DV_LOG_WARN, "a client is turned away");
        close(fd);
        return;
    }
    client->source = MON_CLIENT;
    client->fd = fd;
    client->next = m->clients;
    m->clients = client;
    m->client_count++;
    mon_watch(m, fd, client);
}

static void drop_dead(struct monitor *m)
{
    struct mon_client **at = &m->clients;
    while (*at) {
        struct mon_client *client = *at;
        if (!client->is_dead) {
            at = &client->next;
            continue;
        }
        *at = client->next;
        m->client_count--;
        mon_launch_forget_client(m, client);
        dv_close(&client->fd);
        free(client->waits_for);
        free(client);
    }
}

static void answer(struct mon_client *client, const struct dv_schema *schema, const void *body)
{
    struct dv_error err = DV_ERROR_INIT;
    if (dv_monitor_send(client->fd, schema, body, &err) < 0) {
        dv_log(DV_LOG_DEBUG, "a client is dropped: %s", err.text);
        client->is_dead = true;
    }
}

void mon_refuse(struct mon_client *client, const struct dv_error *error)
{
    struct dv_failure failure = {
        .class = (int64_t)error->class, .sys = error->sys, .text = (char *)error->text};
    answer(client, &dv_schema_failure, &failure);
}

void mon_welcome(struct mon_client *client)
{
    struct dv_monitor_welcome welcome = {
        .version = client->version, .pid = getpid(), .program = (char *)MON_PROGRAM};
    answer(client, &dv_schema_monitor_welcome, &welcome);
}

static void
take_hello(struct monitor *m, struct mon_client *client, const struct dv_monitor_hello *hello)
{
    struct dv_error err = DV_ERROR_INIT;
    int64_t version = hello->version < DV_MONITOR_VERSION ? hello->version : DV_MONITOR_VERSION;
    if (version < hello->oldest || version < DV_MONITOR_VERSION - 1 || version < 1) {
        dv_error_set(&err, DV_ERR_PROTOCOL,
                     "davit-monitor speaks version %d, the client %lld to %lld", DV_MONITOR_VERSION,
                     (long long)hello->oldest, (long long)hello->version);
        mon_refuse(client, &err);
        client->is_dead = true;
        return;
    }
    client->version = (int)version;
    mon_welcome(client);
    client->has_said_hello = true;
    client->wants_exits = hello->role == DV_MONITOR_ROLE_EVENTS;
    client->wants_consoles = client->wants_exits && version >= MON_CONSOLE_VERSION;
    client->is_stream = hello->role == DV_MONITOR_ROLE_STREAM;
    if (client->wants_consoles)
        mon_console_tell_all(m, client);
    mon_tell_exits(m);
}

struct listing {
    struct mon_client *client;
    struct dv_monitor_container items[CONTAINERS_PER_FRAME];
    struct dv_monitor_containers frame;
};

static void flush(struct listing *listing, bool is_last)
{
    listing->frame.items.items = listing->items;
    listing->frame.is_last = is_last;
    answer(listing->client, &dv_schema_monitor_containers, &listing->frame);
    listing->frame.items.count = 0;
}

static void list_one(void *ctx, const struct mon_container *container)
{
    struct listing *listing = ctx;
    if (listing->frame.items.count == CONTAINERS_PER_FRAME)
        flush(listing, false);
    listing->items[listing->frame.items.count++] = (struct dv_monitor_container){
        .id = (char *)container->id,
        .pid = container->pid,
        .start_ticks = container->start_ticks,
    };
}

/* Once, and before the client has become a stranger's. */
static void
take_stream_frame(struct monitor *m, struct mon_client *client, uint16_t kind, const void *body)
{
    struct dv_error err = DV_ERROR_INIT;
    bool is_busy = client->waits_for != NULL;
    for (const struct mon_launch *launch = m->launches; launch; launch = launch->next)
        is_busy |= launch->client == client;
    if (!is_busy && kind == DV_KIND_monitor_attach) {
        mon_stream_attach(m, client, body);
    } else if (!is_busy && kind == DV_KIND_monitor_exec) {
        mon_stream_exec(m, client, body);
    } else {
        dv_error_set(&err, DV_ERR_PROTOCOL, "a frame of kind %u is not expected now", kind);
        mon_refuse(client, &err);
        client->is_dead = true;
    }
}

static void take_frame(
    struct monitor *m, struct mon_client *client, uint16_t kind, const void *body, int *passed)
{
    struct dv_error err = DV_ERROR_INIT;
    if (!client->has_said_hello && kind != DV_KIND_monitor_hello) {
        dv_error_set(&err, DV_ERR_PROTOCOL, "monitor_hello is expected first");
        mon_refuse(client, &err);
        client->is_dead = true;
        return;
    }
    if (client->is_stream) {
        take_stream_frame(m, client, kind, body);
        return;
    }
    switch (kind) {
    case DV_KIND_monitor_hello:
        take_hello(m, client, body);
        break;
    case DV_KIND_monitor_launch:
        mon_launch_begin(m, client, body);
        break;
    case DV_KIND_monitor_acknowledge:
        mon_records_remove(m->records, ((const struct dv_monitor_acknowledge *)body)->record);
        break;
    case DV_KIND_monitor_console:
        mon_console_take(m, body, dv_steal_fd(passed));
        break;
    case DV_KIND_monitor_query: {
        static struct listing listing;
        listing = (struct listing){.client = client};
        mon_containers_each(m->containers, list_one, &listing);
        flush(&listing, true);
        break;
    }
    default:
        dv_error_set(&err, DV_ERR_PROTOCOL, "a frame of kind %u is not for davit-monitor", kind);
        mon_refuse(client, &err);
    }
}

static void read_client(struct monitor *m, struct mon_client *client)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    uint16_t kind;
    void *body;
    if (!arena)
        return;
    dv_autoclose int passed = -1;
    int r = dv_monitor_receive_fd(client->fd, arena, &kind, &body, &passed, &err);
    if (r > 0) {
        take_frame(m, client, kind, body, &passed);
    } else if (r < 0) {
        if (r != -DV_ERR_UNAVAILABLE)
            dv_log(DV_LOG_WARN, "a client is dropped: %s", err.text);
        client->is_dead = true;
    }
}

/* -- the loop ------------------------------------------------------------------------------- */

/* True if the monitor is to end. */
static bool read_signals(struct monitor *m)
{
    struct signalfd_siginfo info;
    bool must_end = false;
    while (read(m->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        must_end |= info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
        m->must_upgrade |= info.ssi_signo == SIGHUP;
    }
    mon_reap(m);
    return must_end;
}

static bool serve(struct monitor *m, const struct epoll_event *event)
{
    switch (*(enum mon_source *)event->data.ptr) {
    case MON_LISTENER:
        accept_client(m);
        break;
    case MON_SIGNALS:
        return read_signals(m);
    case MON_CLIENT: {
        struct mon_client *client = event->data.ptr;
        if ((event->events & EPOLLOUT) && client->must_tell_consoles)
            mon_console_tell_all(m, client);
        if (event->events & EPOLLOUT)
            mon_tell_exits(m);
        if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            read_client(m, client);
        break;
    }
    case MON_LAUNCH_OUTPUT:
        mon_launch_output(m, event->data.ptr);
        break;
    case MON_LAUNCH_CONSOLE:
        mon_console_event(m, ((struct mon_console_socket *)event->data.ptr)->launch);
        break;
    case MON_CONTAINER:
        mon_adopted_ended(m, event->data.ptr);
        break;
    }
    return false;
}

int mon_control_run(struct monitor *m, struct dv_error *err)
{
    struct epoll_event event = {.events = EPOLLIN};
    m->listener_source = MON_LISTENER;
    m->signals_source = MON_SIGNALS;
    event.data.ptr = &m->listener_source;
    int r = epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->listener, &event);
    event.data.ptr = &m->signals_source;
    if (r == 0)
        r = epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->signals, &event);
    if (r < 0)
        return dv_error_sys(err, DV_ERR_INTERNAL, errno, "watch the socket");
    if (!m->has_taken_over) {
        mon_take_over(m);
        mon_console_restore(m);
    }
    mon_reap(m); /* what ended before signals were watched */
    for (bool must_end = false; !must_end;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(m->epoll, events, EVENTS, mon_launch_check_time(m));
        if (count < 0 && errno != EINTR)
            return dv_error_sys(err, DV_ERR_INTERNAL, errno, "wait for events");
        /* Reaping frees launches that other events of this round may be about, so it comes last. */
        const struct epoll_event *signals = NULL;
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &m->signals_source)
                signals = &events[i];
            else
                must_end |= serve(m, &events[i]);
        }
        if (signals)
            must_end |= serve(m, signals);
        drop_dead(m);
        if (m->must_upgrade && !must_end)
            mon_upgrade(m);
        m->must_upgrade = false;
    }
    return 0;
}
