/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals. The runtime makes one inside the container and passes the other side over a socket.
 * This process owns it; davitd has a duplicate, which it gives back to the next monitor, and so has
 * the service manager where there is one. So the program in the container is not hung up when one
 * of them dies.
 */
#include "base/log.h"
#include "monitor/control.h"
#include "monitor/fdstore.h"
#include "monitor/protocol.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME_MAX_BYTES 256 /* what a runtime sends beside the descriptor */

/* -- from the runtime ----------------------------------------------------------------------- */

static bool is_path_taken(const struct monitor *m, const char *path)
{
    for (const struct mon_launch *launch = m->launches; launch; launch = launch->next)
        if (launch->what->console_path && strcmp(launch->what->console_path, path) == 0)
            return true;
    return false;
}

static void watch(struct monitor *m, struct mon_console_socket *console)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = console};
    (void)epoll_ctl(m->epoll, EPOLL_CTL_ADD, console->fd, &event);
}

int mon_console_listen(struct monitor *m, struct mon_launch *launch, struct dv_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = launch->what->console_path;
    if (strlen(path) >= sizeof(address.sun_path))
        return dv_error_set(err, DV_ERR_INVALID, "'%s' is longer than a socket's path may be",
                            path);
    if (is_path_taken(m, path))
        return dv_error_set(err, DV_ERR_BUSY, "another program uses '%s' now", path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    (void)unlink(path);
    dv_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make a socket for a terminal");
    mode_t old = umask(0177);
    int r = bind(fd, (const struct sockaddr *)&address, sizeof(address));
    int saved = errno;
    umask(old);
    if (r < 0 || listen(fd, 1) < 0)
        return dv_error_sys(err, DV_ERR_IO, r < 0 ? saved : errno, "listen on '%s'", path);
    launch->console.fd = dv_steal_fd(&fd);
    watch(m, &launch->console);
    return 0;
}

static int receive_terminal(int fd)
{
    char name[NAME_MAX_BYTES];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {name, sizeof(name)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    int passed = -1;
    struct winsize size;
    if (recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
        return errno == EAGAIN || errno == EINTR ? -1 : -2;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len >= CMSG_LEN(sizeof(passed)))
        memcpy(&passed, CMSG_DATA(header), sizeof(passed));
    if (passed < 0)
        return -2;
    if (ioctl(passed, TIOCGWINSZ, &size) < 0) { /* no terminal */
        close(passed);
        return -2;
    }
    (void)fcntl(passed, F_SETFL, O_NONBLOCK);
    return passed;
}

static void done(struct monitor *m, struct mon_launch *launch)
{
    struct mon_console_socket *console = &launch->console;
    if (console->fd < 0)
        return;
    (void)epoll_ctl(m->epoll, EPOLL_CTL_DEL, console->fd, NULL);
    dv_close(&console->fd);
    (void)unlink(launch->what->console_path);
}

void mon_console_event(struct monitor *m, struct mon_launch *launch)
{
    struct mon_console_socket *console = &launch->console;
    if (console->fd >= 0 && !console->is_connected) {
        int fd = accept4(console->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        done(m, launch);
        console->fd = fd;
        console->is_connected = true;
        watch(m, console);
    }
    if (console->fd < 0)
        return;
    int passed = receive_terminal(console->fd);
    if (passed == -1)
        return; /* not yet */
    done(m, launch);
    console->terminal = passed < 0 ? -1 : passed;
}

void mon_console_close(struct monitor *m, struct mon_launch *launch)
{
    if (launch->what)
        done(m, launch);
    dv_close(&launch->console.terminal);
}

/* -- the other side ------------------------------------------------------------------------- */

/* A program may close all of its terminal and open it again later. Without anybody there reading
 * would fail meanwhile, as it does after the end; so somebody always is, until the container has
 * ended. Where the kernel cannot open it, such a program is read no more. */
static void hold_other_side(struct monitor *m, pid_t pid, int terminal)
{
    struct mon_tty *tty = calloc(1, sizeof(*tty));
    if (!tty)
        return;
    tty->fd = ioctl(terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty->fd < 0) {
        free(tty);
        return;
    }
    tty->pid = pid;
    tty->next = m->ttys;
    m->ttys = tty;
}

void mon_console_ended(struct monitor *m, const struct mon_container *container)
{
    struct mon_tty **at = &m->ttys;
    if (container->console < 0)
        return;
    mon_fdstore_remove(container->id, container->pid);
    while (*at && (*at)->pid != container->pid)
        at = &(*at)->next;
    struct mon_tty *tty = *at;
    if (!tty)
        return;
    *at = tty->next;
    dv_close(&tty->fd);
    free(tty);
}

/* -- to and from davitd --------------------------------------------------------------------- */

static bool tell(struct mon_client *client, const struct mon_container *container)
{
    struct dv_monitor_console what = {.id = (char *)container->id, .pid = container->pid};
    int r =
        dv_monitor_send_fd(client->fd, &dv_schema_monitor_console, &what, container->console, NULL);
    if (r < 0 && r != -DV_ERR_BUSY)
        client->is_dead = true;
    return r == 0;
}

static void tell_one(void *ctx, const struct mon_container *container)
{
    struct mon_client *client = ctx;
    if (container->console >= 0 && !client->is_dead && !client->must_tell_consoles)
        client->must_tell_consoles = !tell(client, container);
}

/* It may get one again that it has: it knows them by process. */
void mon_console_tell_all(struct monitor *m, struct mon_client *client)
{
    client->must_tell_consoles = false;
    mon_containers_each(m->containers, tell_one, client);
}

void mon_console_has(struct monitor *m,
                     struct mon_container *container,
                     int terminal,
                     const struct dv_monitor_log *log)
{
    struct dv_error err = DV_ERROR_INIT;
    container->console = terminal;
    hold_other_side(m, container->pid, terminal);
    int copy = fcntl(terminal, F_DUPFD_CLOEXEC, 0);
    dv_log_thread_begin(m->log);
    if (copy < 0)
        dv_error_sys(&err, DV_ERR_LIMIT, errno, "have its terminal twice");
    else if (dv_log_thread_add(m->log, container->id, copy, -1, log, &err) == 0)
        mon_stream_begin(m, container->id, true, container->takes_input, terminal);
    dv_log_thread_commit(m->log);
    if (err.class)
        dv_log(DV_LOG_ERROR, "container '%s': %s", container->id, err.text);
    mon_fdstore_put(container->id, container->pid, terminal);
    for (struct mon_client *client = m->clients; client; client = client->next)
        if (client->wants_consoles && !client->is_dead && !tell(client, container))
            client->must_tell_consoles = true;
    mon_tell_exits(m); /* asks for room where there was none */
}

struct giving {
    struct monitor *m;
    struct mon_container *container;
    int *terminal;
};

static void give_back(void *ctx, const struct dv_monitor_container *what)
{
    const struct giving *giving = ctx;
    mon_console_has(giving->m, giving->container, dv_steal_fd(giving->terminal), what->log);
}

void mon_console_take(struct monitor *m, const struct dv_monitor_console *what, int terminal)
{
    dv_autoclose int owned = terminal;
    struct mon_container *container = mon_containers_find(m->containers, (pid_t)what->pid);
    if (owned < 0 || !container || strcmp(container->id, what->id) != 0 || !container->is_tty ||
        container->console >= 0)
        return; /* ended meanwhile, or known already */
    struct giving giving = {m, container, &owned};
    mon_containers_load_one(m->containers, what->id, give_back, &giving);
}

static void restore(void *ctx, const struct dv_monitor_console *what, int terminal)
{
    mon_console_take(ctx, what, terminal);
}

/* Sockets of launches that an earlier monitor did not see the end of. */
static void remove_sockets(const struct monitor *m)
{
    dv_autoclosedir DIR *dir = opendir(m->run_dir);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL)
        if (entry->d_type == DT_SOCK &&
            (strncmp(entry->d_name, "tty.", 4) == 0 || strncmp(entry->d_name, "ttx.", 4) == 0))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
}

void mon_console_restore(struct monitor *m)
{
    remove_sockets(m);
    mon_fdstore_take(restore, m);
}
