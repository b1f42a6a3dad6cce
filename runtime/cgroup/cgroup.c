/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup/cgroup.h"

#include "base/clock.h"
#include "base/str.h"
#include "runtime/cgroup/files.h"
#include "runtime/cgroup/layout.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define NS_PER_MS       1000000LL
#define ROUND_NS        (2 * NS_PER_MS) /* between two looks at the kernel's progress */
#define ROUNDS_TO_THAW  10
#define PROC_CGROUP_MAX 16384U
#define EVENTS_MAX      512U

int dv_cgroup_path(const char *parent,
                   const char *name,
                   char ret[DV_CGROUP_PATH_MAX],
                   struct dv_error *err)
{
    if (parent[0] != '/' || strstr(parent, "..") || !name[0] || strchr(name, '/') ||
        strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
        return dv_error_set(err, DV_ERR_INVALID,
                            "'%s' below '%s' is no control group: the parent must be an absolute "
                            "path without '..' and the name a single one",
                            name, parent);
    size_t len = strlen(parent);
    while (len > 0 && parent[len - 1] == '/')
        len--;
    int n = snprintf(ret, DV_CGROUP_PATH_MAX, "%.*s/%s", (int)len, parent, name);
    if (n < 0 || (size_t)n >= DV_CGROUP_PATH_MAX)
        return dv_error_set(err, DV_ERR_LIMIT,
                            "the control group path of '%s' is longer than %u bytes", name,
                            DV_CGROUP_PATH_MAX - 1);
    return 0;
}

/* Opens the group in one hierarchy; -errno. */
static int open_group(const struct dv_cgroup_hierarchy *hierarchy, const char *path)
{
    char full[2 * DV_CGROUP_PATH_MAX];
    snprintf(full, sizeof(full), "%s%s", hierarchy->mount, path);
    int fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

bool dv_cgroup_exists(const struct dv_cgroup *cgroup, const char *path)
{
    for (size_t i = 0; i < cgroup->count; i++) {
        int fd = open_group(&cgroup->hierarchies[i], path);
        if (fd >= 0) {
            dv_close(&fd);
            return true;
        }
    }
    return false;
}

/* Calls fn for the group and each one below it, inner ones first. Takes over `dir`. */
static int walk(int dir, unsigned depth, int (*fn)(int dir, void *ctx), void *ctx)
{
    dv_autoclosedir DIR *entries = fdopendir(dir);
    if (!entries) {
        int r = -errno;
        dv_close(&dir);
        return r;
    }
    struct dirent *entry;
    while (depth < DV_CGROUP_DEPTH_MAX && (entry = readdir(entries))) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        int child =
            openat(dirfd(entries), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (child < 0)
            continue;
        int r = walk(child, depth + 1, fn, ctx);
        if (r < 0)
            return r;
    }
    return fn(dirfd(entries), ctx);
}

struct procs {
    pid_t *pids;
    size_t count;
    size_t capacity;
};

static int add_pid(struct procs *procs, pid_t pid)
{
    if (procs->count == procs->capacity) {
        size_t capacity = procs->capacity ? procs->capacity * 2 : 64;
        if (capacity > DV_CGROUP_PROCS_MAX)
            return -E2BIG;
        pid_t *grown = realloc(procs->pids, capacity * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        procs->pids = grown;
        procs->capacity = capacity;
    }
    procs->pids[procs->count++] = pid;
    return 0;
}

/* More processes than the limit are left to the next round. */
static int collect(int dir, void *ctx)
{
    int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    dv_autofclose FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (!file) {
        dv_close(&fd);
        return 0;
    }
    char line[32];
    while (fgets(line, sizeof(line), file)) {
        long pid = strtol(line, NULL, 10);
        int r = pid > 0 ? add_pid(ctx, (pid_t)pid) : 0;
        if (r < 0)
            return r == -E2BIG ? 0 : r;
    }
    return 0;
}

/* The hierarchy to read members from: any has them all. */
static const struct dv_cgroup_hierarchy *hierarchy_with(const struct dv_cgroup *cgroup,
                                                        const char *path)
{
    static const char *const preferred[] = {"freezer", "pids", "memory", "devices", "cpu"};
    for (size_t i = 0; i < sizeof(preferred) / sizeof(preferred[0]); i++) {
        for (size_t j = 0; j < cgroup->count; j++) {
            const struct dv_cgroup_hierarchy *hierarchy = &cgroup->hierarchies[j];
            if (!hierarchy->is_v2 && !dv_cgroup_has_word(hierarchy->controllers, preferred[i]))
                continue;
            if (hierarchy->is_v2 && cgroup->layout != DV_CGROUP_V2)
                continue;
            int fd = open_group(hierarchy, path);
            if (fd >= 0) {
                dv_close(&fd);
                return hierarchy;
            }
        }
    }
    for (size_t j = 0; j < cgroup->count; j++) {
        int fd = open_group(&cgroup->hierarchies[j], path);
        if (fd >= 0) {
            dv_close(&fd);
            return &cgroup->hierarchies[j];
        }
    }
    return NULL;
}

static bool is_member(pid_t pid, const char *path)
{
    char name[64];
    char text[PROC_CGROUP_MAX];
    snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
    if (dv_cgroup_read_file(AT_FDCWD, name, text, sizeof(text)) <= 0)
        return false;
    size_t len = strlen(path);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        const char *group = strchr(line, ':');
        group = group ? strchr(group + 1, ':') : NULL;
        if (group && strncmp(group + 1, path, len) == 0 &&
            (group[1 + len] == '\0' || group[1 + len] == '/'))
            return true;
    }
    return false;
}

/* The pid may have a new owner since it was read: the descriptor pins the process, then it is
 * looked at once more. */
static void signal_member(pid_t pid, const char *path, int number)
{
    dv_autoclose int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd >= 0 && is_member(pid, path))
        (void)syscall(SYS_pidfd_send_signal, fd, number, NULL, 0);
}

static int
list_members(const struct dv_cgroup_hierarchy *hierarchy, const char *path, struct procs *procs)
{
    procs->count = 0;
    int dir = open_group(hierarchy, path);
    if (dir < 0)
        return dir == -ENOENT ? 0 : dir;
    return walk(dir, 0, collect, procs);
}

int dv_cgroup_signal(const struct dv_cgroup *cgroup,
                     const char *path,
                     int number,
                     struct dv_error *err)
{
    const struct dv_cgroup_hierarchy *hierarchy = hierarchy_with(cgroup, path);
    if (!hierarchy)
        return 0;
    struct procs procs = {.pids = NULL};
    int r = list_members(hierarchy, path, &procs);
    for (size_t i = 0; r == 0 && i < procs.count; i++)
        signal_member(procs.pids[i], path, number);
    free(procs.pids);
    if (r < 0)
        return dv_error_sys(err, DV_ERR_IO, -r, "cannot read the members of %s", path);
    return 0;
}

static void wait_a_round(void)
{
    const struct timespec round = {.tv_nsec = ROUND_NS};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &round, NULL);
}

static int64_t deadline_of(int timeout_ms)
{
    return dv_clock_monotonic_ns(dv_clock_real()) + timeout_ms * NS_PER_MS;
}

static bool is_past(int64_t deadline_ns)
{
    return dv_clock_monotonic_ns(dv_clock_real()) >= deadline_ns;
}

/* Where the freezer of this group is; -1 and *ret_is_v2 untouched if there is none. */
static int open_freezer(const struct dv_cgroup *cgroup, const char *path, bool *ret_is_v2)
{
    for (size_t i = 0; i < cgroup->count; i++) {
        const struct dv_cgroup_hierarchy *hierarchy = &cgroup->hierarchies[i];
        if (hierarchy->is_v2 ? cgroup->layout != DV_CGROUP_V2
                             : !dv_cgroup_has_word(hierarchy->controllers, "freezer"))
            continue;
        int fd = open_group(hierarchy, path);
        if (fd >= 0) {
            *ret_is_v2 = hierarchy->is_v2;
            return fd;
        }
    }
    return -1;
}

static bool read_frozen(int dir, bool is_v2)
{
    char text[EVENTS_MAX];
    if (dv_cgroup_read_file(dir, is_v2 ? "cgroup.events" : "freezer.state", text, sizeof(text)) < 0)
        return false;
    return is_v2 ? strstr(text, "frozen 1") != NULL : strncmp(text, "FROZEN", 6) == 0;
}

static int write_frozen(int dir, bool is_v2, bool is_frozen)
{
    if (is_v2)
        return dv_cgroup_write_file(dir, "cgroup.freeze", is_frozen ? "1" : "0");
    return dv_cgroup_write_file(dir, "freezer.state", is_frozen ? "FROZEN" : "THAWED");
}

bool dv_cgroup_is_frozen(const struct dv_cgroup *cgroup, const char *path)
{
    bool is_v2 = false;
    dv_autoclose int dir = open_freezer(cgroup, path, &is_v2);
    return dir >= 0 && read_frozen(dir, is_v2);
}

int dv_cgroup_freeze(const struct dv_cgroup *cgroup,
                     const char *path,
                     bool is_frozen,
                     int timeout_ms,
                     struct dv_error *err)
{
    const char *verb = is_frozen ? "freeze" : "thaw";
    bool is_v2 = false;
    dv_autoclose int dir = open_freezer(cgroup, path, &is_v2);
    if (dir < 0)
        return dv_cgroup_exists(cgroup, path)
                   ? dv_error_set(err, DV_ERR_UNSUPPORTED,
                                  "cannot %s %s: this kernel has no freezer for control groups",
                                  verb, path)
                   : dv_error_set(err, DV_ERR_NOT_FOUND, "cannot %s %s: no such group", verb, path);
    int64_t deadline_ns = deadline_of(timeout_ms);
    unsigned round = 0;
    do {
        /* A v1 group can stay half frozen for ever: members that fork escape until it is told
         * again, and one that waits in the kernel for a frozen one, as in an exec of several
         * threads, never gets to its own freezing unless all are let go for a moment. */
        if (is_frozen && !is_v2 && ++round % ROUNDS_TO_THAW == 0) {
            (void)write_frozen(dir, is_v2, false);
            wait_a_round();
        }
        int r = write_frozen(dir, is_v2, is_frozen);
        if (r < 0)
            return dv_error_sys(err, DV_ERR_FAILED, -r, "cannot %s %s", verb, path);
        if (read_frozen(dir, is_v2) == is_frozen)
            return 0;
        wait_a_round();
    } while (!is_past(deadline_ns));
    (void)write_frozen(dir, is_v2, !is_frozen);
    return dv_error_set(err, DV_ERR_TIMED_OUT,
                        "cannot %s %s: the kernel has not done it within %d ms", verb, path,
                        timeout_ms);
}

/* One round of killing; the number of processes there were, or -errno. */
static int
kill_round(const struct dv_cgroup_hierarchy *hierarchy, const char *path, struct procs *procs)
{
    int r = list_members(hierarchy, path, procs);
    if (r < 0 || procs->count == 0)
        return r;
    dv_autoclose int dir = hierarchy->is_v2 ? open_group(hierarchy, path) : -1;
    if (dir < 0 || dv_cgroup_write_file(dir, "cgroup.kill", "1") < 0)
        for (size_t i = 0; i < procs->count; i++)
            signal_member(procs->pids[i], path, SIGKILL);
    return (int)procs->count;
}

int dv_cgroup_kill(const struct dv_cgroup *cgroup,
                   const char *path,
                   int timeout_ms,
                   struct dv_error *err)
{
    const struct dv_cgroup_hierarchy *hierarchy = hierarchy_with(cgroup, path);
    if (!hierarchy)
        return 0;
    int64_t deadline_ns = deadline_of(timeout_ms);
    struct procs procs = {.pids = NULL};
    int r;
    while ((r = kill_round(hierarchy, path, &procs)) > 0 && !is_past(deadline_ns)) {
        bool is_v2 = false;
        dv_autoclose int freezer = open_freezer(cgroup, path, &is_v2);
        if (freezer >= 0)
            (void)write_frozen(freezer, is_v2, false);
        wait_a_round();
    }
    pid_t left = r > 0 ? procs.pids[0] : 0;
    free(procs.pids);
    if (r < 0)
        return dv_error_sys(err, DV_ERR_IO, -r, "cannot read the members of %s", path);
    if (r > 0)
        return dv_error_set(err, DV_ERR_TIMED_OUT,
                            "%d processes of %s, one of them %d, did not end within %d ms after "
                            "SIGKILL",
                            r, path, left, timeout_ms);
    return 0;
}

/* Removes the children of `dir`, inner ones first. */
static int remove_children(int dir, unsigned depth)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0)
        return -errno;
    dv_autoclosedir DIR *entries = fdopendir(copy);
    if (!entries) {
        dv_close(&copy);
        return -ENOMEM;
    }
    struct dirent *entry;
    while ((entry = readdir(entries))) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        dv_autoclose int child =
            openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (child >= 0 && depth < DV_CGROUP_DEPTH_MAX) {
            int r = remove_children(child, depth + 1);
            if (r < 0)
                return r;
        }
        if (unlinkat(dir, entry->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

static int remove_from(const struct dv_cgroup_hierarchy *hierarchy, const char *path)
{
    dv_autoclose int dir = open_group(hierarchy, path);
    if (dir < 0)
        return dir == -ENOENT ? 0 : dir;
    int r = remove_children(dir, 0);
    if (r < 0)
        return r;
    char full[2 * DV_CGROUP_PATH_MAX];
    snprintf(full, sizeof(full), "%s%s", hierarchy->mount, path);
    return rmdir(full) < 0 && errno != ENOENT ? -errno : 0;
}

int dv_cgroup_remove(const struct dv_cgroup *cgroup, const char *path, struct dv_error *err)
{
    for (size_t i = 0; i < cgroup->count; i++) {
        int r = remove_from(&cgroup->hierarchies[i], path);
        if (r < 0)
            return dv_error_sys(err, r == -EBUSY ? DV_ERR_BUSY : DV_ERR_IO, -r,
                                "cannot remove the control group %s%s",
                                cgroup->hierarchies[i].mount, path);
    }
    return 0;
}
