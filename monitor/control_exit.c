/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of containers: reaped children, and processes of an earlier monitor, which belong to another
 * parent now and are seen through a pidfd.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/spawn.h"
#include "monitor/control.h"
#include "monitor/oom.h"
#include "monitor/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

void mon_tell_exits(struct monitor *m)
{
    for (struct mon_client *client = m->clients; client; client = client->next) {
        const struct dv_container_exited *exit;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        if (!client->wants_exits || client->is_dead)
            continue;
        if (client->must_tell_consoles)
            event.events |= EPOLLOUT;
        while ((exit = mon_records_next(m->records, client->told)) != NULL) {
            int r = dv_monitor_send(client->fd, &dv_schema_container_exited, exit, NULL);
            if (r == -DV_ERR_BUSY) {
                event.events |= EPOLLOUT;
                break;
            }
            if (r < 0) {
                client->is_dead = true;
                break;
            }
            client->told = exit->record;
        }
        if (!client->is_dead)
            (void)epoll_ctl(m->epoll, EPOLL_CTL_MOD, client->fd, &event);
    }
}

void mon_exit_of_container(
    struct monitor *m, struct mon_container *container, int status, bool is_known, int64_t wall_ns)
{
    struct dv_container_exited exit = {
        .id = container->id,
        .pid = container->pid,
        .exit_code = is_known ? dv_exit_code_of(status) : 0,
        .is_code_known = is_known,
        .finished_ns = wall_ns,
        .ended_ns = dv_clock_monotonic_ns(dv_clock_real()),
    };
    /* Before anybody learns of the end: then the control group goes. */
    exit.is_oom_killed = exit.exit_code != 0 && mon_has_oom_kills(container->oom_path);
    /* Without a code the end is davitd's to judge: it may know more through its own pidfd. */
    DV_FAULT(MONITOR_EXIT);
    if (is_known)
        mon_records_add(m->records, &exit);
    DV_FAULT(MONITOR_RECORDED);
    dv_log_thread_ended(m->log, container->id, is_known, (int)exit.exit_code);
    mon_console_ended(m, container);
    mon_containers_forget(m->containers, container);
    mon_tell_exits(m);
}

static void keep_stray(struct monitor *m, pid_t pid, int status)
{
    if (!m->launches || m->stray_count == MON_STRAYS_MAX)
        return; /* the helper of some runtime */
    m->strays[m->stray_count++] =
        (struct mon_stray){pid, status, dv_clock_wall_ns(dv_clock_real()), m->launch_sequence};
}

void mon_forget_strays(struct monitor *m)
{
    uint64_t oldest = UINT64_MAX;
    unsigned kept = 0;
    for (const struct mon_launch *launch = m->launches; launch; launch = launch->next)
        if (launch->sequence < oldest)
            oldest = launch->sequence;
    for (unsigned i = 0; i < m->stray_count; i++)
        if (m->strays[i].sequence >= oldest)
            m->strays[kept++] = m->strays[i];
    m->stray_count = kept;
}

bool mon_take_stray(struct monitor *m, pid_t pid, struct mon_stray *ret)
{
    for (unsigned i = 0; i < m->stray_count; i++) {
        if (m->strays[i].pid != pid)
            continue;
        *ret = m->strays[i];
        m->strays[i] = m->strays[--m->stray_count];
        return true;
    }
    return false;
}

void mon_adopt_strays(struct monitor *m, struct mon_container *container)
{
    struct mon_stray stray;
    if (mon_take_stray(m, container->pid, &stray))
        mon_exit_of_container(m, container, stray.status, true, stray.wall_ns);
}

void mon_reap(struct monitor *m)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (mon_launch_ended(m, pid, status))
            continue;
        struct mon_container *container = mon_containers_find(m->containers, pid);
        if (container)
            mon_exit_of_container(m, container, status, true, dv_clock_wall_ns(dv_clock_real()));
        else if (!mon_exec_ended(m, pid, status))
            keep_stray(m, pid, status);
    }
}

/* -- containers of an earlier monitor ------------------------------------------------------- */

/* A reading end that sees the end also if the last writer went before it was opened. */
static int reopen_fifo(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    int writer = fd < 0 ? -1 : open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    dv_close(&writer);
    return fd;
}

static void resume_log(struct monitor *m, const struct dv_monitor_container *what)
{
    struct dv_error err = DV_ERROR_INIT;
    if (!what->stdout_path || !what->stderr_path)
        return;
    int out = reopen_fifo(what->stdout_path);
    int in_error = reopen_fifo(what->stderr_path);
    if (out < 0 || in_error < 0) {
        dv_close(&out);
        dv_close(&in_error);
        return; /* released meanwhile */
    }
    if (dv_log_thread_add(m->log, what->id, out, in_error, what->log, &err) < 0)
        dv_log(DV_LOG_ERROR, "container '%s': %s", what->id, err.text);
}

static void take_over_one(void *ctx, const struct dv_monitor_container *what)
{
    struct monitor *m = ctx;
    struct dv_error err = DV_ERROR_INIT;
    resume_log(m, what);
    int pidfd = dv_pidfd_open((pid_t)what->pid, what->start_ticks);
    if (pidfd < 0)
        return; /* ended between the two monitors: davitd has seen it */
    if (mon_containers_add(m->containers, what, pidfd, &err) < 0)
        dv_log(DV_LOG_ERROR, "container '%s': %s", what->id, err.text);
    mon_watch_adopted(m, mon_containers_find(m->containers, (pid_t)what->pid));
}

void mon_watch_adopted(struct monitor *m, const struct mon_container *container)
{
    struct mon_adopted *adopted = container ? calloc(1, sizeof(*adopted)) : NULL;
    if (!adopted) {
        dv_log(DV_LOG_ERROR, "no memory: the end of one container will be seen by davitd only");
        return;
    }
    adopted->source = MON_CONTAINER;
    adopted->pid = container->pid;
    adopted->next = m->adopted;
    m->adopted = adopted;
    mon_watch(m, container->pidfd, adopted);
}

void mon_take_over(struct monitor *m)
{
    mon_containers_load(m->containers, take_over_one, m);
}

void mon_adopted_ended(struct monitor *m, struct mon_adopted *adopted)
{
    struct mon_container *container = mon_containers_find(m->containers, adopted->pid);
    int status = 0;
    if (container) {
        bool is_known = dv_process_zombie_status(container->pid, container->start_ticks, &status) ||
                        dv_pidfd_exit_status(container->pidfd, &status);
        mon_exit_of_container(m, container, status, is_known, dv_clock_wall_ns(dv_clock_real()));
    }
    struct mon_adopted **at = &m->adopted;
    while (*at != adopted)
        at = &(*at)->next;
    *at = adopted->next;
    free(adopted);
}
