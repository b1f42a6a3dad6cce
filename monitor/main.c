/* SPDX-License-Identifier: Apache-2.0 */
/*
 * davit-monitor: parent of all containers. It reaps them, writes their output to their logs and
 * starts programs for davitd. It outlives davitd; containers outlive it.
 */
#include "base/durable.h"
#include "base/log.h"
#include "base/str.h"
#include "monitor/control.h"
#include "monitor/protocol.h"
#include "monitor/state.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <unistd.h>

#define TMPFS_MAGIC 0x01021994
#define BACKLOG     128

static const char usage[] =
    "davit-monitor: parent of the containers that davitd runs\n"
    "\n"
    "  davit-monitor [--run-dir DIR] [--launch-program FILE] [--log-level LEVEL]\n"
    "  davit-monitor --check-state FD\n"
    "  davit-monitor --version\n"
    "\n"
    "DIR is davitd's davit.run_dir, by default /run/davit. On SIGHUP it becomes the program that "
    "has\n"
    "its file's name then, and keeps all it has; --check-state is how it asks that program "
    "before,\n"
    "--take-state FD how it hands over.\n";

static int take_lock(struct monitor *m, struct dv_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/monitor.lock", m->run_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return dv_error_set(err, DV_ERR_BUSY,
                            "another davit-monitor serves '%s'; give this one its own --run-dir",
                            m->run_dir);
    m->lock = fd; /* held until the process ends */
    return 0;
}

/* Root file systems of containers are mounted below it, in mount namespaces of their own. */
static int mount_place(const struct monitor *m, struct dv_error *err)
{
    char path[PATH_MAX];
    struct statfs info;
    struct stat above;
    struct stat here;
    snprintf(path, sizeof(path), "%s/" DV_MONITOR_MOUNTS, m->run_dir);
    int r = dv_dir_make(path, 0711, err);
    if (r < 0)
        return r;
    bool is_mounted = stat(m->run_dir, &above) == 0 && stat(path, &here) == 0 &&
                      above.st_dev != here.st_dev && statfs(path, &info) == 0 &&
                      info.f_type == TMPFS_MAGIC;
    if (!is_mounted && mount("davit", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0711") < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "mount a tmpfs on '%s'", path);
    if (mount(NULL, path, NULL, MS_PRIVATE, NULL) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make '%s' private", path);
    return 0;
}

/* Containers have copies of the mount in namespaces of their own and lose nothing. */
static void unmount_place(const struct monitor *m)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/" DV_MONITOR_MOUNTS, m->run_dir);
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
        dv_log(DV_LOG_WARN, "unmount '%s': %s", path, strerror(errno));
}

static int listen_on(struct monitor *m, struct dv_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int used =
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/" DV_MONITOR_SOCKET, m->run_dir);
    if (used < 0 || (size_t)used >= sizeof(address.sun_path))
        return dv_error_set(err, DV_ERR_INVALID, "--run-dir '%s' is too long for a socket below it",
                            m->run_dir);
    (void)unlink(address.sun_path); /* the lock says that nobody listens */
    m->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(0177);
    int r = m->listener < 0 ? -1
                            : bind(m->listener, (const struct sockaddr *)&address, sizeof(address));
    int saved = errno;
    umask(old);
    if (r < 0 || listen(m->listener, BACKLOG) < 0)
        return dv_error_sys(err, DV_ERR_IO, r < 0 ? saved : errno, "listen on '%s'",
                            address.sun_path);
    return 0;
}

static int block_signals(struct monitor *m, struct dv_error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_DFL); /* one that is ignored would never be read */
    m->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return m->signals < 0 ? dv_error_sys(err, DV_ERR_INTERNAL, errno, "watch signals") : 0;
}

/* `state`: what the program that this process was before has left, -1: it was none. */
static int prepare(struct monitor *m, int state, struct dv_error *err)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return dv_error_sys(err, DV_ERR_INTERNAL, errno, "become parent of orphans");
    int r = dv_dir_make(m->run_dir, 0711, err);
    if (r == 0 && state >= 0)
        r = mon_take_head(m, mon_state_take_fd(state), err);
    if (r == 0 && !m->has_taken_over)
        r = take_lock(m, err);
    if (r == 0)
        r = mount_place(m, err);
    if (r == 0)
        r = block_signals(m, err);
    if (r == 0)
        r = mon_records_new(m->run_dir, &m->records, err);
    if (r < 0)
        return r;
    m->containers = mon_containers_new(m->run_dir);
    m->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!m->containers || m->epoll < 0)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to begin");
    r = dv_log_thread_start(&m->log, err);
    if (r < 0)
        return r;
    return m->has_taken_over ? mon_take_state(m, state, err) : listen_on(m, err);
}

static int find_programs(struct monitor *m, struct dv_error *err)
{
    static const char name[] = "/davit-launch";
    static const char gone[] = " (deleted)";
    ssize_t len = readlink("/proc/self/exe", m->program, PATH_MAX - sizeof(name));
    if (len <= 0)
        return dv_error_sys(err, DV_ERR_INTERNAL, errno, "tell where davit-monitor itself is");
    m->program[len] = '\0';
    /* Replaced since this process began: the name is what counts. */
    char *end = m->program + len - (sizeof(gone) - 1);
    if (end > m->program && strcmp(end, gone) == 0)
        *end = '\0';
    snprintf(m->launch_program, sizeof(m->launch_program), "%.*s%s",
             (int)(strrchr(m->program, '/') - m->program), m->program, name);
    return 0;
}

/* The number of a descriptor, -1 if the text is none. */
static int number_of(const char *text)
{
    int64_t number;
    return dv_str_to_i64(dv_str_of(text), STDERR_FILENO + 1, MON_FD_MAX, &number, NULL) == 0
               ? (int)number
               : -1;
}

/* What the next program is started with: --take-state is last, if it is there. */
static void keep_arguments(struct monitor *m, char **argv)
{
    for (char **at = argv; *at; at++)
        if (strcmp(*at, "--take-state") == 0) {
            *at = NULL;
            break;
        }
    m->argv = (const char *const *)argv;
}

/* 1: nothing more to do. */
static int
read_options(struct monitor *m, int argc, char **argv, int *ret_state, struct dv_error *err)
{
    enum dv_log_level level = DV_LOG_INFO;
    snprintf(m->run_dir, sizeof(m->run_dir), "/run/davit");
    int r = find_programs(m, err);
    for (int i = 1; r == 0 && i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 1;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("davit-monitor " MON_PROGRAM);
            return 1;
        }
        if (!value)
            return dv_error_set(err, DV_ERR_INVALID, "%s is unknown or needs a value", argv[i]);
        int fd = number_of(value);
        if (strcmp(argv[i], "--check-state") == 0 && fd >= 0) {
            r = mon_check_state(fd, err);
            return r < 0 ? r : 1;
        }
        if (strcmp(argv[i], "--take-state") == 0 && fd >= 0)
            *ret_state = fd;
        else if (strcmp(argv[i], "--run-dir") == 0 && value[0] == '/' &&
                 strlen(value) < sizeof(m->run_dir))
            snprintf(m->run_dir, sizeof(m->run_dir), "%s", value);
        else if (strcmp(argv[i], "--launch-program") == 0 && value[0] == '/')
            snprintf(m->launch_program, sizeof(m->launch_program), "%s", value);
        else if (strcmp(argv[i], "--log-level") != 0 || !dv_log_level_parse(value, &level))
            return dv_error_set(err, DV_ERR_INVALID, "%s %s is not understood", argv[i], value);
    }
    dv_log_set(NULL, NULL, level);
    keep_arguments(m, argv);
    return r;
}

int main(int argc, char **argv)
{
    static struct monitor m;
    struct dv_error err = DV_ERROR_INIT;
    int state = -1;
    int r = read_options(&m, argc, argv, &state, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = prepare(&m, state, &err);
    if (r == 0) {
        dv_log(DV_LOG_INFO, "davit-monitor serves %s", m.run_dir);
        r = mon_control_run(&m, &err);
    }
    if (r < 0) {
        fprintf(stderr, "davit-monitor: %s\n", err.text);
        return 1;
    }
    dv_log(DV_LOG_INFO, "davit-monitor ends, containers go on running");
    dv_log_thread_stop(m.log);
    unmount_place(&m);
    mon_containers_free(m.containers);
    mon_records_free(m.records);
    return 0;
}
