/* SPDX-License-Identifier: Apache-2.0 */
#include "needs.h"
#include "runtime/cgroup/cgroup.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

static const char *const controllers[] = {"freezer", "pids", "memory"};

/* A group of our own with one sleeping process in it. */
struct rig {
    struct dv_cgroup *cgroup;
    char path[DV_CGROUP_PATH_MAX];
    pid_t pid;
};

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    dv_close(&fd);
    return ok;
}

static bool enter(struct rig *rig, const char *mount)
{
    char path[2 * DV_CGROUP_PATH_MAX];
    char pid[32];
    snprintf(path, sizeof(path), "%s%s", mount, rig->path);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return false;
    snprintf(path, sizeof(path), "%s%s/cgroup.procs", mount, rig->path);
    snprintf(pid, sizeof(pid), "%d", rig->pid);
    return write_text(path, pid);
}

static void rig_init(struct rig *rig)
{
    dv_need_root();
    cr_assert_eq(dv_cgroup_new(NULL, &rig->cgroup, NULL), 0);
    dv_need(dv_cgroup_mount_of(rig->cgroup, "freezer") != NULL, "a control group freezer");
    char name[64];
    snprintf(name, sizeof(name), "davit-test-%d", getpid());
    cr_assert_eq(dv_cgroup_path("/", name, rig->path, NULL), 0);
    char *argv[] = {(char *)"sleep", (char *)"1000", NULL};
    cr_assert_eq(posix_spawnp(&rig->pid, "sleep", NULL, NULL, argv, environ), 0);
    bool ok = true;
    for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++) {
        const char *mount = dv_cgroup_mount_of(rig->cgroup, controllers[i]);
        if (mount)
            ok = ok && enter(rig, mount);
    }
    if (!ok) {
        kill(rig->pid, SIGKILL);
        waitpid(rig->pid, NULL, 0);
    }
    dv_need(ok, "writable control groups");
}

static void rig_done(struct rig *rig)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_expect_eq(dv_cgroup_remove(rig->cgroup, rig->path, &err), 0, "%s", err.text);
    cr_expect_not(dv_cgroup_exists(rig->cgroup, rig->path));
    dv_cgroup_free(rig->cgroup);
}

static int reap_within(pid_t pid, int timeout_ms)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    cr_assert_geq(fd, 0);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    cr_assert_eq(poll(&ended, 1, timeout_ms), 1, "process %d did not end", pid);
    dv_close(&fd);
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

Test(cgroup, path_is_checked)
{
    char path[DV_CGROUP_PATH_MAX];
    cr_assert_eq(dv_cgroup_path("/davit", "web", path, NULL), 0);
    cr_assert_str_eq(path, "/davit/web");
    cr_assert_eq(dv_cgroup_path("/", "web", path, NULL), 0);
    cr_assert_str_eq(path, "/web");
    cr_assert_eq(dv_cgroup_path("/a/b/", "web", path, NULL), 0);
    cr_assert_str_eq(path, "/a/b/web");
    cr_assert_eq(dv_cgroup_path("davit", "web", path, NULL), -DV_ERR_INVALID);
    cr_assert_eq(dv_cgroup_path("/davit/../x", "web", path, NULL), -DV_ERR_INVALID);
    cr_assert_eq(dv_cgroup_path("/davit", "a/b", path, NULL), -DV_ERR_INVALID);
    cr_assert_eq(dv_cgroup_path("/davit", "..", path, NULL), -DV_ERR_INVALID);
    cr_assert_eq(dv_cgroup_path("/davit", "", path, NULL), -DV_ERR_INVALID);
}

Test(cgroup, signal_reaches_members)
{
    struct rig rig;
    rig_init(&rig);
    cr_assert_eq(dv_cgroup_signal(rig.cgroup, rig.path, SIGTERM, NULL), 0);
    int status = reap_within(rig.pid, 10000);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    cr_assert_eq(dv_cgroup_signal(rig.cgroup, rig.path, SIGTERM, NULL), 0);
    rig_done(&rig);
}

Test(cgroup, freezing_is_seen_and_taken_back)
{
    struct rig rig;
    rig_init(&rig);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_not(dv_cgroup_is_frozen(rig.cgroup, rig.path));
    cr_assert_eq(dv_cgroup_freeze(rig.cgroup, rig.path, true, 5000, &err), 0, "%s", err.text);
    cr_assert(dv_cgroup_is_frozen(rig.cgroup, rig.path));
    cr_assert_eq(dv_cgroup_freeze(rig.cgroup, rig.path, true, 5000, &err), 0, "%s", err.text);
    cr_assert_eq(dv_cgroup_freeze(rig.cgroup, rig.path, false, 5000, &err), 0, "%s", err.text);
    cr_assert_not(dv_cgroup_is_frozen(rig.cgroup, rig.path));
    cr_assert_eq(dv_cgroup_kill(rig.cgroup, rig.path, 0, NULL), -DV_ERR_TIMED_OUT);
    reap_within(rig.pid, 10000);
    rig_done(&rig);
}

Test(cgroup, kill_ends_frozen_members)
{
    struct rig rig;
    rig_init(&rig);
    cr_assert_eq(dv_cgroup_freeze(rig.cgroup, rig.path, true, 5000, NULL), 0);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_cgroup_kill(rig.cgroup, rig.path, 5000, &err), 0, "%s", err.text);
    int status = reap_within(rig.pid, 10000);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    rig_done(&rig);
}

Test(cgroup, group_with_members_is_not_removed)
{
    struct rig rig;
    rig_init(&rig);
    cr_assert_eq(dv_cgroup_remove(rig.cgroup, rig.path, NULL), -DV_ERR_BUSY);
    cr_assert_eq(dv_cgroup_kill(rig.cgroup, rig.path, 5000, NULL), 0);
    reap_within(rig.pid, 10000);
    rig_done(&rig);
}

Test(cgroup, groups_below_are_killed_and_removed)
{
    struct rig rig;
    rig_init(&rig);
    char inner[2 * DV_CGROUP_PATH_MAX];
    char procs[2 * DV_CGROUP_PATH_MAX + 32];
    char pid[32];
    snprintf(inner, sizeof(inner), "%s%s/a", dv_cgroup_mount_of(rig.cgroup, "freezer"), rig.path);
    cr_assert_eq(mkdir(inner, 0755), 0);
    snprintf(procs, sizeof(procs), "%s/cgroup.procs", inner);
    snprintf(pid, sizeof(pid), "%d", rig.pid);
    cr_assert(write_text(procs, pid));
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_cgroup_kill(rig.cgroup, rig.path, 5000, &err), 0, "%s", err.text);
    reap_within(rig.pid, 10000);
    rig_done(&rig);
}

Test(cgroup, group_that_does_not_exist_is_no_error)
{
    struct dv_cgroup *cgroup;
    cr_assert_eq(dv_cgroup_new(NULL, &cgroup, NULL), 0);
    const char *path = "/davit-test-none/x";
    cr_assert_not(dv_cgroup_exists(cgroup, path));
    cr_assert_eq(dv_cgroup_signal(cgroup, path, SIGKILL, NULL), 0);
    cr_assert_eq(dv_cgroup_kill(cgroup, path, 10, NULL), 0);
    cr_assert_eq(dv_cgroup_remove(cgroup, path, NULL), 0);
    cr_assert_eq(dv_cgroup_freeze(cgroup, path, true, 10, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_not(dv_cgroup_is_frozen(cgroup, path));
    dv_cgroup_free(cgroup);
}
