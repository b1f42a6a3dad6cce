/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spawn.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first version of the kernel's struct pidfd_info; Debian 12's headers do not have it. */
struct pidfd_info_v0 {
    uint64_t mask;
    uint64_t cgroup_id;
    uint32_t ids[11];
    int32_t exit_code;
};
_Static_assert(sizeof(struct pidfd_info_v0) == 64, "layout is the kernel's");
#define PIDFD_INFO_WITH_EXIT (1ULL << 3)
#define PIDFD_GET_INFO_V0    _IOWR(0xFF, 11, struct pidfd_info_v0)

struct descriptors {
    struct dv_spawn_fd items[DV_SPAWN_FDS_MAX];
    bool is_copy[DV_SPAWN_FDS_MAX];
    size_t count;
    int last; /* highest target */
};

static void close_copies(struct descriptors *fds)
{
    for (size_t i = 0; i < fds->count; i++)
        if (fds->is_copy[i])
            dv_close(&fds->items[i].from);
}

/* A source that is also somebody's target would be overwritten before it is used: such sources are
 * moved above all targets first. */
static int move_sources(const struct dv_spawn *what, struct descriptors *ret, struct dv_error *err)
{
    if (what->fd_count > DV_SPAWN_FDS_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "start %s: more than %d descriptors", what->path,
                            DV_SPAWN_FDS_MAX);
    for (size_t i = 0; i < what->fd_count; i++)
        if (what->fds[i].to > ret->last)
            ret->last = what->fds[i].to;
    for (size_t i = 0; i < what->fd_count; i++) {
        struct dv_spawn_fd *item = &ret->items[i];
        *item = what->fds[i];
        if (item->from <= ret->last) {
            int copy = fcntl(item->from, F_DUPFD_CLOEXEC, ret->last + 1);
            if (copy < 0)
                return dv_error_sys(err, DV_ERR_FAILED, errno, "start %s: copy descriptor %d",
                                    what->path, item->from);
            item->from = copy;
            ret->is_copy[i] = true;
        }
        ret->count++;
    }
    return 0;
}

static bool is_target(const struct descriptors *fds, int fd)
{
    for (size_t i = 0; i < fds->count; i++)
        if (fds->items[i].to == fd)
            return true;
    return false;
}

static int add_actions(posix_spawn_file_actions_t *actions,
                       const struct dv_spawn *what,
                       const struct descriptors *fds)
{
    int r = what->cwd ? posix_spawn_file_actions_addchdir_np(actions, what->cwd) : 0;
    for (size_t i = 0; r == 0 && i < fds->count; i++)
        r = posix_spawn_file_actions_adddup2(actions, fds->items[i].from, fds->items[i].to);
    for (int fd = 0; r == 0 && fd < fds->last; fd++)
        if (!is_target(fds, fd))
            r = posix_spawn_file_actions_addclose(actions, fd);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(actions, fds->last + 1);
    return r;
}

static int set_attributes(posix_spawnattr_t *attributes, bool own_session)
{
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (own_session)
        flags = (short)(flags | POSIX_SPAWN_SETSID);
    int r = posix_spawnattr_setsigmask(attributes, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attributes, &all);
    return r == 0 ? posix_spawnattr_setflags(attributes, flags) : r;
}

static enum dv_error_class class_of(int sys)
{
    switch (sys) {
    case ENOENT:
    case ENOTDIR:
        return DV_ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return DV_ERR_DENIED;
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return DV_ERR_LIMIT;
    default:
        return DV_ERR_FAILED;
    }
}

int dv_spawn_start(const struct dv_spawn *what, pid_t *ret_pid, struct dv_error *err)
{
    static const char *const no_environment[] = {NULL};
    struct descriptors fds = {.last = -1};
    int r = move_sources(what, &fds, err);
    if (r < 0) {
        close_copies(&fds);
        return r;
    }
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int sys = add_actions(&actions, what, &fds);
    if (sys == 0)
        sys = set_attributes(&attributes, what->own_session);
    pid_t pid = 0;
    if (sys == 0)
        sys = posix_spawn(&pid, what->path, &actions, &attributes, (char *const *)what->argv,
                          (char *const *)(what->envp ? what->envp : no_environment));
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close_copies(&fds);
    if (sys != 0)
        return dv_error_sys(err, class_of(sys), sys, "start %s", what->path);
    *ret_pid = pid;
    return 0;
}

int dv_pidfd_open(pid_t pid, int64_t start_ticks)
{
    int fd = pidfd_open(pid, 0);
    /* Read after the pidfd was opened: if it is the right process now, it was then. */
    if (fd >= 0 && start_ticks && dv_process_start_ticks(pid) != start_ticks) {
        dv_close(&fd);
        errno = ESRCH;
    }
    return fd;
}

int dv_pidfd_signal(int pidfd, int number)
{
    return pidfd_send_signal(pidfd, number, NULL, 0);
}

bool dv_pidfd_exit_status(int pidfd, int *ret_status)
{
    struct pidfd_info_v0 info = {.mask = PIDFD_INFO_WITH_EXIT};
    if (ioctl(pidfd, PIDFD_GET_INFO_V0, &info) < 0 || !(info.mask & PIDFD_INFO_WITH_EXIT))
        return false;
    *ret_status = info.exit_code;
    return true;
}

/* The fields of /proc/<pid>/stat from number 3 on, in `text`; NULL if there is no such process. The
 * name in field 2 may hold anything: what follows begins behind the last ')'. */
static const char *read_stat(pid_t pid, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    dv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);
    if (len <= 0)
        return NULL;
    text[len] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end && name_end[1] == ' ' ? name_end + 2 : NULL;
}

static int64_t stat_field(const char *from_third, int number)
{
    const char *at = from_third;
    for (int field = 3; at && field < number; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return at ? strtoll(at, NULL, 10) : 0;
}

int64_t dv_process_start_ticks(pid_t pid)
{
    char text[1024];
    const char *fields = read_stat(pid, text, sizeof(text));
    return fields ? stat_field(fields, 22) : 0;
}

bool dv_process_zombie_status(pid_t pid, int64_t start_ticks, int *ret_status)
{
    char text[1024];
    const char *fields = read_stat(pid, text, sizeof(text));
    if (!fields || fields[0] != 'Z' || (start_ticks && stat_field(fields, 22) != start_ticks))
        return false;
    *ret_status = (int)stat_field(fields, 52);
    return true;
}

int dv_exit_code_of(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
