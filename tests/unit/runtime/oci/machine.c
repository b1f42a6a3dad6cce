/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include "base/clock.h"
#include "base/durable.h"
#include "tests/support/direct_launcher.h"
#include "tests/support/needs.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define BUSYBOX   "/bin/busybox"
#define LAYER     "abcdef"
#define IMAGE_HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char *join(char path[PATH_MAX], const char *folder, const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

static void make_folder(const char *folder, const char *name)
{
    char path[PATH_MAX];
    cr_assert_eq(dv_dir_make(join(path, folder, name), 0755, NULL), 0, "%s", path);
}

static void make_file(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX];
    dv_autoclose int fd =
        open(join(path, folder, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void copy_program(const char *from, const char *to)
{
    dv_autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
    dv_autoclose int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    cr_assert(in >= 0 && out >= 0);
    char bytes[65536];
    ssize_t n;
    while ((n = read(in, bytes, sizeof(bytes))) > 0)
        cr_assert_eq(write(out, bytes, (size_t)n), n);
}

static void make_layer(struct machine *m)
{
    static const char *const programs[] = {"sh", "cat", "id", "hostname", "sleep", "mount", "env"};
    char layer[PATH_MAX];
    char path[PATH_MAX];
    join(layer, m->home, "layers/" LAYER);
    make_folder(layer, "bin");
    make_folder(layer, "etc");
    copy_program(BUSYBOX, join(path, layer, "bin/busybox"));
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        char link[64];
        snprintf(link, sizeof(link), "bin/%s", programs[i]);
        cr_assert_eq(symlink("busybox", join(path, layer, link)), 0);
    }
    make_file(layer, "etc/passwd", "root:x:0:0::/:/bin/sh\nweb:x:101:102::/:/bin/sh\n");
    make_file(layer, "etc/group", "root:x:0:\nlog:x:44:web\n");
}

void machine_image(struct machine *m, const char *config)
{
    char text[2048];
    make_folder(m->home, "images/blobs/sha256");
    snprintf(text, sizeof(text),
             "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{%s},"
             "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" IMAGE_HEX "\"]}}",
             config);
    make_file(m->home, "images/blobs/sha256/" IMAGE_HEX, text);
}

void machine_runs(struct machine *m, const char *script)
{
    char **cmd = dv_arena_array(m->arena, 3, sizeof(*cmd));
    cr_assert_not_null(cmd);
    cmd[0] = dv_arena_strdup(m->arena, "sh");
    cmd[1] = dv_arena_strdup(m->arena, "-c");
    cmd[2] = dv_arena_strdup(m->arena, script);
    m->spec.cmd = (struct dv_texts){cmd, 3};
}

static void fill_record(struct machine *m)
{
    snprintf(m->image_id, sizeof(m->image_id), "sha256:%s", IMAGE_HEX);
    m->layers[0] = (char *)LAYER;
    m->log = (struct dv_log_config){.max_files = 2, .max_size = (char *)"1M"};
    m->spec = (struct dv_container_spec){.image_ref = (char *)"host/image:1",
                                         .host_name = (char *)"web-host",
                                         .domain_name = (char *)"web-domain",
                                         .restart_policy = &m->policy,
                                         .log = &m->log};
    m->record = (struct dv_container_record){.id = (char *)"c1",
                                             .name = (char *)"web",
                                             .spec = &m->spec,
                                             .state = &m->state,
                                             .layers = {m->layers, 1},
                                             .image_id = m->image_id};
}

void machine_init(struct machine *m, const char *runtime)
{
    memset(m, 0, sizeof(*m));
    dv_need_root();
    dv_need_program(BUSYBOX);
    dv_need(access(runtime, X_OK) == 0, runtime);
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    dv_need(unshare(CLONE_NEWNS) == 0, "the right to make mount namespaces");
    cr_assert_eq(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
    if (strstr(runtime, "crun"))
        (void)umount("/sys/fs/cgroup/unified");
    snprintf(m->folder, sizeof(m->folder), "/tmp/davit-oci-XXXXXX");
    cr_assert_not_null(mkdtemp(m->folder));
    cr_assert_eq(chmod(m->folder, 0755), 0);
    join(m->home, m->folder, "home");
    join(m->run, m->folder, "run");
    join(m->mounts, m->folder, "mounts");
    make_folder(m->folder, "mounts");
    make_folder(m->folder, "run");
    cr_assert_eq(mount("davit", m->mounts, "tmpfs", 0, NULL), 0);
    /* As /run is on a machine with systemd. */
    cr_assert_eq(mount("run", m->run, "tmpfs", MS_NOEXEC | MS_NODEV | MS_NOSUID, NULL), 0);
    snprintf(m->parent, sizeof(m->parent), "/davit-test-%d", getpid());
    m->arena = dv_arena_new(8U << 20);
    cr_assert_eq(dv_cgroup_new(NULL, &m->cgroup, NULL), 0);
    fill_record(m);
    make_layer(m);
    machine_image(m, "\"Cmd\":[\"sh\"]");
    m->launcher = dv_direct_launcher_new(m->mounts);
    struct dv_launcher *launcher = m->launcher;
    struct dv_oci_options options = {.home_dir = m->home,
                                     .run_dir = m->run,
                                     .runtime = runtime,
                                     .description = "the test's",
                                     .cgroup_parent = m->parent,
                                     .pids_limit = 64,
                                     .clock = dv_clock_real()};
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_oci_new(&options, &launcher, &m->driver, &err), 0, "%s", err.text);
    cr_assert_null(launcher);
}

static size_t count_entries(const char *folder)
{
    dv_autoclosedir DIR *entries = opendir(folder);
    size_t count = 0;
    struct dirent *entry;
    while (entries && (entry = readdir(entries)))
        count += entry->d_name[0] != '.';
    return count;
}

void machine_done(struct machine *m)
{
    char path[PATH_MAX];
    char group[DV_CGROUP_PATH_MAX];
    cr_assert_eq(machine_remove(m), 0);
    m->driver->ops->free(m->driver);
    cr_expect_eq(dv_cgroup_path(m->parent, "c1", group, NULL), 0);
    cr_expect_not(dv_cgroup_exists(m->cgroup, group), "its control group is left");
    cr_expect_eq(count_entries(join(path, m->run, "containers")), 0, "files of a run are left");
    cr_expect_eq(count_entries(join(path, m->run, "runtime")), 0, "state of the runtime is left");
    cr_expect_eq(count_entries(m->mounts), 0, "a mount point is left");
    cr_expect_lt(access(join(path, m->home, "containers/c1/upper"), F_OK), 0, "a layer is left");
    cr_expect_eq(dv_cgroup_remove(m->cgroup, m->parent, NULL), 0);
    dv_cgroup_free(m->cgroup);
    dv_arena_free(m->arena);
    cr_expect_eq(umount(m->run), 0);
    cr_expect_eq(umount(m->mounts), 0);
    cr_expect_eq(dv_tree_remove(m->folder, NULL), 0);
}

int machine_create(struct machine *m, struct dv_runtime_created *ret, struct dv_error *err)
{
    struct dv_runtime_create_job job = {.record = &m->record, .timeout_ms = MACHINE_TIMEOUT_MS};
    return m->driver->ops->create(m->driver, &job, m->arena, ret, err);
}

void machine_start(struct machine *m)
{
    struct dv_runtime_start_job job = {.id = m->record.id, .timeout_ms = MACHINE_TIMEOUT_MS};
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(m->driver->ops->start(m->driver, &job, &err), 0, "%s", err.text);
}

pid_t machine_run(struct machine *m)
{
    struct dv_runtime_created created;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(machine_create(m, &created, &err), 0, "%s", err.text);
    machine_start(m);
    return (pid_t)created.pid;
}

enum dv_status machine_status(struct machine *m)
{
    struct dv_runtime_state_query query = {.id = m->record.id};
    struct dv_runtime_state state;
    cr_assert_eq(m->driver->ops->state(m->driver, &query, &state, NULL), 0);
    return state.status;
}

int machine_signal(struct machine *m, pid_t pid, int number)
{
    struct dv_runtime_signal_job job = {.id = m->record.id, .pid = pid, .signal = number};
    return m->driver->ops->signal(m->driver, &job, NULL);
}

int machine_release(struct machine *m, struct dv_error *err)
{
    struct dv_runtime_release_job job = {.id = m->record.id, .timeout_ms = MACHINE_TIMEOUT_MS};
    return m->driver->ops->release(m->driver, &job, err);
}

int machine_remove(struct machine *m)
{
    struct dv_runtime_remove_job job = {.record = &m->record, .timeout_ms = MACHINE_TIMEOUT_MS};
    struct dv_error err = DV_ERROR_INIT;
    int r = m->driver->ops->remove(m->driver, &job, &err);
    cr_expect_eq(r, 0, "%s", err.text);
    return r;
}

/* The container is created; reads what it writes after its start, to the end or up to `until`. */
static void start_and_read(struct machine *m, const char *until, char *text, size_t size)
{
    char path[PATH_MAX];
    dv_autoclose int out =
        open(join(path, m->run, "containers/c1/stdout"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    cr_assert_geq(out, 0);
    machine_start(m);
    size_t used = 0;
    struct pollfd ready = {.fd = out, .events = POLLIN};
    text[0] = '\0';
    while (used < size - 1 && !(until && strstr(text, until)) &&
           poll(&ready, 1, MACHINE_TIMEOUT_MS) == 1 && (ready.revents & POLLIN)) {
        ssize_t n = read(out, text + used, size - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
        text[used] = '\0';
    }
    cr_assert(!until || strstr(text, until), "it wrote '%s'", text);
}

pid_t machine_run_until(struct machine *m, const char *line)
{
    struct dv_runtime_created created;
    struct dv_error err = DV_ERROR_INIT;
    char text[1024];
    cr_assert_eq(machine_create(m, &created, &err), 0, "%s", err.text);
    start_and_read(m, line, text, sizeof(text));
    return (pid_t)created.pid;
}

int machine_output(struct machine *m, char *ret, size_t size)
{
    struct dv_runtime_created created;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(machine_create(m, &created, &err), 0, "%s", err.text);
    start_and_read(m, NULL, ret, size);
    int code = dv_direct_launcher_reap((pid_t)created.pid, MACHINE_TIMEOUT_MS);
    cr_assert_eq(machine_release(m, &err), 0, "%s", err.text);
    return code;
}
