/* SPDX-License-Identifier: Apache-2.0 */
/* create: folders, streams, files for /etc, the bundle, then the runtime. */
#include "base/durable.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/str.h"
#include "runtime/cgroup/memory.h"
#include "runtime/image/layer_seal.h"
#include "runtime/oci/driver.h"
#include "runtime/oci/etc.h"
#include "runtime/oci/mount.h"
#include "runtime/oci/rootfs.h"
#include "runtime/oci/seccomp.h"
#include "runtime/oci/spec.h"
#include "runtime/oci/state.h"
#include "spec/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESOLVED_FILE "/run/systemd/resolve/resolv.conf"

#define PASSWD_MAX    (1U << 20)
#define HOST_FILE_MAX (256U << 10)
#define LAYERS_MAX    128

#define STOP_SIGNAL_MAX 32 /* characters, as in runtime_created */

/* All that one create needs at hand. */
struct work {
    struct dv_oci_driver *driver;
    const struct dv_container_record *record;
    struct dv_arena *arena;
    struct dv_oci_place place;
    char layers_dir[PATH_MAX];
    char upper[PATH_MAX];
    char work_dir[PATH_MAX];
    char target[PATH_MAX];
    char streams[3][PATH_MAX];
    char console[PATH_MAX];
    char log[PATH_MAX]; /* json.log */
    const char *lower[LAYERS_MAX + 1];
    char host_name[65];
    struct dv_oci_image image;
    struct dv_oci_user user;
    struct dv_oci_devices devices;
    bool is_layer_new; /* the writable layer is of this call */
};

static bool is_host_network(const struct work *w)
{
    return w->record->spec->network_mode == DV_NETWORK_HOST;
}

/* -- what the image says -------------------------------------------------------------------- */

static int load_image(struct work *w, struct dv_error *err)
{
    const char *id = w->record->image_id;
    if (!id || strncmp(id, "sha256:", 7) != 0 || strspn(id + 7, "0123456789abcdef") != 64 ||
        strlen(id) != 71)
        return dv_error_set(err, DV_ERR_CORRUPT, "its record names no image configuration");
    char path[PATH_MAX];
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_OCI_IMAGE_BYTES_MAX);
    snprintf(path, sizeof(path), "%s/images/blobs/sha256/%s", w->driver->home_dir, id + 7);
    int r = dv_file_read(path, &text, err);
    if (r < 0)
        return dv_error_prefix(err, "the configuration of its image: ");
    return dv_oci_image_parse(text.data ? text.data : "", text.len, w->arena, &w->image, err);
}

static struct dv_launch_rootfs rootfs_of(const struct work *w)
{
    return (struct dv_launch_rootfs){
        .layers_dir = w->layers_dir,
        .lower = w->lower,
        .upper = w->upper,
        .work = w->work_dir,
        .target = w->target,
    };
}

static int find_user(struct work *w, struct dv_error *err)
{
    struct dv_launch_rootfs rootfs = rootfs_of(w);
    DV_AUTO_IN_PLACE(dv_buf) passwd = DV_BUF_INIT(PASSWD_MAX);
    DV_AUTO_IN_PLACE(dv_buf) group = DV_BUF_INIT(PASSWD_MAX);
    int r = dv_oci_rootfs_read(&rootfs, "etc/passwd", &passwd, err);
    if (r >= 0)
        r = dv_oci_rootfs_read(&rootfs, "etc/group", &group, err);
    if (r < 0)
        return r;
    return dv_oci_user_resolve(w->image.user, (struct dv_str){passwd.data, passwd.len},
                               (struct dv_str){group.data, group.len}, w->arena, &w->user, err);
}

/* -- files ---------------------------------------------------------------------------------- */

static int make_folders(struct work *w, struct dv_error *err)
{
    const char *const folders[] = {w->place.bundle, w->upper, w->work_dir};
    w->is_layer_new = access(w->upper, F_OK) < 0;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        int r = dv_dir_make(folders[i], i == 0 ? 0711 : 0755, err);
        if (r < 0)
            return r;
    }
    /* Its mode is that of the root directory, whatever the umask is. */
    if (w->is_layer_new && chmod(w->upper, 0755) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open '%s' to all users", w->upper);
    return 0;
}

static int make_stream(const struct work *w, const char *path, struct dv_error *err)
{
    if (mkfifo(path, 0600) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make FIFO '%s'", path);
    /* A program that opens /dev/stdout again needs the right to. */
    if (chown(path, w->user.uid, w->user.gid) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "give FIFO '%s' to its user", path);
    return 0;
}

/* A path of a socket is short, so the id is not part of it. Two containers with the same name for
 * theirs can only not be created at the same moment: the second is refused. */
static void name_console(struct work *w)
{
    char name[24];
    uint32_t hash = 2166136261U;
    for (const char *c = w->record->id; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619U;
    snprintf(name, sizeof(name), "tty.%08x", (unsigned)hash);
    dv_oci_place_join(w->console, w->driver->run_dir, name);
}

static int make_streams(struct work *w, struct dv_error *err)
{
    int r = 0;
    if (w->record->spec->tty) {
        name_console(w);
        return 0;
    }
    if (w->record->spec->open_stdin)
        r = make_stream(w, w->streams[0], err);
    if (r == 0)
        r = make_stream(w, w->streams[1], err);
    return r < 0 ? r : make_stream(w, w->streams[2], err);
}

static int read_host_file(const char *path, struct dv_buf *out, struct dv_error *err)
{
    char real[PATH_MAX];
    /* resolv.conf is often a link into /run. */
    if (!realpath(path, real))
        return 0;
    int r = dv_file_read(real, out, err);
    if (r == -DV_ERR_NOT_FOUND) {
        dv_error_clear(err);
        return 0;
    }
    return r;
}

static int write_etc(struct work *w, struct dv_error *err)
{
    const struct dv_container_spec *spec = w->record->spec;
    DV_AUTO_IN_PLACE(dv_buf) host = DV_BUF_INIT(HOST_FILE_MAX);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(HOST_FILE_MAX);
    int r;
    if (is_host_network(w)) {
        r = read_host_file("/etc/hosts", &host, err);
        if (r == 0)
            r = dv_oci_etc_hosts_of_host((struct dv_str){host.data, host.len}, &spec->extra_hosts,
                                         &out, err);
    } else {
        r = dv_oci_etc_hosts(w->host_name, spec->domain_name, NULL, &spec->extra_hosts, &out, err);
    }
    if (r == 0)
        r = dv_oci_place_write(w->place.run, "hosts", 0644, out.data, out.len, err);
    dv_buf_clear(&host);
    dv_buf_clear(&out);
    if (r == 0)
        r = read_host_file("/etc/resolv.conf", &host, err);
    /* The servers behind the stub of systemd-resolved, which only the host reaches. */
    if (r == 0 && !is_host_network(w) && dv_oci_etc_is_stub((struct dv_str){host.data, host.len}) &&
        access(RESOLVED_FILE, R_OK) == 0) {
        dv_buf_clear(&host);
        r = read_host_file(RESOLVED_FILE, &host, err);
    }
    if (r == 0 && is_host_network(w))
        r = dv_buf_append(&out, host.data, host.len, err);
    else if (r == 0)
        r = dv_oci_etc_resolv((struct dv_str){host.data, host.len}, w->driver->has_ip6, &out, err);
    if (r == 0)
        r = dv_oci_place_write(w->place.run, "resolv.conf", 0644, out.data, out.len, err);
    dv_buf_clear(&out);
    if (r == 0)
        r = dv_oci_etc_hostname(w->host_name, &out, err);
    return r < 0 ? r : dv_oci_place_write(w->place.run, "hostname", 0644, out.data, out.len, err);
}

static int write_bundle(struct work *w, struct dv_error *err)
{
    char cgroup_path[DV_CGROUP_PATH_MAX];
    struct dv_oci_driver *driver = w->driver;
    int r = dv_cgroup_path(driver->cgroup_parent, w->record->id, cgroup_path, err);
    if (r < 0)
        return r;
    struct dv_oci_spec_input input = {
        .record = w->record,
        .image = &w->image,
        .user = &w->user,
        .devices = &w->devices,
        .host_name = w->host_name,
        .rootfs = w->target,
        .etc_dir = w->place.run,
        .cgroup_path = cgroup_path,
        .is_cgroup_v2 = dv_cgroup_layout(driver->cgroup) == DV_CGROUP_V2,
        .with_seccomp = dv_oci_seccomp_is_known(),
        .capabilities = driver->capabilities,
        .pids_limit = driver->pids_limit,
        .with_oom_group = dv_cgroup_has_oom_group(driver->cgroup),
    };
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_OCI_SPEC_BYTES_MAX);
    r = dv_oci_spec_write(&input, &text, err);
    /* Its environment may hold what only the container is to know. */
    return r < 0
               ? r
               : dv_oci_place_write(w->place.bundle, "config.json", 0600, text.data, text.len, err);
}

/* -- the log -------------------------------------------------------------------------------- */

static int64_t size_of(const char *text, int64_t fallback)
{
    int64_t bytes;
    return text && dv_str_to_size(dv_str_of(text), &bytes, NULL) == 0 ? bytes : fallback;
}

static int log_of(struct work *w, struct dv_launch_log *ret, struct dv_error *err)
{
    const struct dv_log_config *log = w->record->spec->log;
    *ret = (struct dv_launch_log){0};
    if (log->type == DV_LOG_TYPE_NONE)
        return 0;
    if (log->root_dir) {
        if (strlen(log->root_dir) > DV_OCI_DIR_MAX)
            return dv_error_set(err, DV_ERR_LIMIT,
                                "config.log.rootDir: it has more than %u characters",
                                DV_OCI_DIR_MAX);
        snprintf(w->log, sizeof(w->log), "%s/%s", log->root_dir, w->record->id);
        int r = dv_dir_make(w->log, 0755, err);
        if (r < 0)
            return dv_error_prefix(err, "config.log.rootDir: ");
        snprintf(w->log, sizeof(w->log), "%s/%s/json.log", log->root_dir, w->record->id);
    } else {
        dv_oci_place_join(w->log, w->place.data, "json.log");
    }
    ret->path = w->log;
    ret->max_size_bytes = size_of(log->max_size, 100 << 20);
    ret->max_files = log->max_files ? log->max_files : 1;
    if (log->mode == DV_LOG_MODE_NON_BLOCKING)
        ret->max_buffer_bytes = size_of(log->max_buffer_size, 1 << 20);
    return 0;
}

/* -- the call ------------------------------------------------------------------------------- */

/* What is no signal would not fit into the answer, or mean nothing to who stops the container. */
static char *stop_signal_of(const struct dv_oci_image *image)
{
    int number;
    bool is_signal = image->stop_signal && strlen(image->stop_signal) <= STOP_SIGNAL_MAX &&
                     dv_signal_parse(image->stop_signal, &number);
    return is_signal ? (char *)image->stop_signal : NULL;
}

static struct dv_launch_stdio stdio_of(const struct work *w)
{
    const struct dv_container_spec *spec = w->record->spec;
    if (spec->tty)
        return (struct dv_launch_stdio){.console = w->console, .takes_input = spec->open_stdin};
    return (struct dv_launch_stdio){
        .in = spec->open_stdin ? w->streams[0] : NULL, .out = w->streams[1], .err = w->streams[2]};
}

static int
launch(struct work *w, int timeout_ms, struct dv_runtime_created *ret, struct dv_error *err)
{
    struct dv_oci_driver *driver = w->driver;
    char pid_file[PATH_MAX];
    char runtime_log[PATH_MAX];
    char cgroup_path[DV_CGROUP_PATH_MAX];
    char oom_path[DV_CGROUP_FILE_MAX];
    dv_oci_place_join(pid_file, w->place.run, "pid");
    dv_oci_place_join(runtime_log, w->place.run, "runtime.log");
    struct dv_launch what = {
        .container_id = w->record->id,
        .rootfs = rootfs_of(w),
        .stdio = stdio_of(w),
        .pid_file = pid_file,
        .timeout_ms = timeout_ms,
    };
    int r = log_of(w, &what.log, err);
    if (r == 0)
        r = dv_cgroup_path(driver->cgroup_parent, w->record->id, cgroup_path, err);
    if (r < 0)
        return r;
    if (dv_cgroup_oom_path(driver->cgroup, cgroup_path, oom_path))
        what.oom_path = oom_path;
    const char *arguments[9] = {"create", "--bundle", w->place.bundle, "--pid-file", pid_file};
    size_t count = 5;
    if (what.stdio.console) {
        arguments[count++] = "--console-socket";
        arguments[count++] = what.stdio.console;
    }
    arguments[count] = w->record->id;
    struct dv_oci_call call = {driver->launcher, &driver->result, driver->runtime, driver->root,
                               runtime_log};
    r = dv_oci_call_runtime(&call, &what, arguments, err);
    if (r < 0)
        return r;
    if (driver->result.pid <= 0)
        return dv_error_set(err, DV_ERR_FAILED, "the runtime wrote no pid file");
    /* Without its start time another process of that number would be taken for it. */
    if (driver->result.start_ticks <= 0)
        return dv_error_set(err, DV_ERR_FAILED, "its process %lld has ended already",
                            (long long)driver->result.pid);
    r = dv_oci_place_write_init(&w->place, driver->result.pid, driver->result.start_ticks, err);
    if (r < 0)
        return r;
    *ret = (struct dv_runtime_created){
        .pid = driver->result.pid,
        .start_ticks = driver->result.start_ticks,
        .stop_signal = stop_signal_of(&w->image),
    };
    return 0;
}

/* Layers are named by letters and digits: anything else would lead out of their folder, or be read
 * as something else in the options of the mount. */
static bool is_layer_name(const char *name)
{
    static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
    return name[0] && name[strspn(name, allowed)] == '\0';
}

static int take_layers(struct work *w, struct dv_error *err)
{
    const struct dv_texts *layers = &w->record->layers;
    if (layers->count == 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "its record names no layer of an image");
    if (layers->count > LAYERS_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "its image has more than %d layers", LAYERS_MAX);
    for (size_t i = 0; i < layers->count; i++) {
        if (!is_layer_name(layers->items[i]))
            return dv_error_set(err, DV_ERR_CORRUPT, "its record names '%.64s', which is no layer",
                                layers->items[i]);
        int r = dv_layer_seal_check(w->layers_dir, layers->items[i], err);
        if (r < 0)
            return r;
        w->lower[i] = layers->items[i];
    }
    return 0;
}

static int fill_paths(struct work *w, struct dv_error *err)
{
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    struct dv_oci_driver *driver = w->driver;
    const struct dv_container_record *record = w->record;
    int r = dv_oci_place_of(driver->home_dir, driver->run_dir, record->id, &w->place, err);
    if (r < 0)
        return r;
    snprintf(w->layers_dir, sizeof(w->layers_dir), "%s/layers", driver->home_dir);
    r = take_layers(w, err);
    if (r < 0)
        return r;
    dv_oci_place_join(w->upper, w->place.data, "upper");
    dv_oci_place_join(w->work_dir, w->place.data, "work");
    dv_oci_place_join(w->target, driver->launcher->mount_root(driver->launcher), record->id);
    for (size_t i = 0; i < 3; i++)
        dv_oci_place_join(w->streams[i], w->place.run, names[i]);
    /* A record of old may have none. */
    const char *name = record->spec->host_name;
    snprintf(w->host_name, sizeof(w->host_name), "%s", name && name[0] ? name : record->id);
    if (is_host_network(w) && gethostname(w->host_name, sizeof(w->host_name)) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "read the host's name");
    return 0;
}

static int prepare(struct work *w, struct dv_error *err)
{
    const struct dv_container_spec *spec = w->record->spec;
    int r = load_image(w, err);
    if (r == 0)
        r = dv_oci_mounts_check(&spec->mount_points, NULL, err);
    if (r == 0 && spec->is_privileged)
        r = dv_oci_devices_all(w->arena, &w->devices, err);
    else if (r == 0)
        r = dv_oci_devices_resolve(&spec->devices, w->arena, &w->devices, err);
    if (r == 0)
        r = make_folders(w, err);
    if (r == 0)
        r = find_user(w, err);
    if (r == 0)
        r = make_streams(w, err);
    if (r == 0)
        r = write_etc(w, err);
    return r < 0 ? r : write_bundle(w, err);
}

int dv_oci_driver_create(struct dv_runtime *runtime,
                         const struct dv_runtime_create_job *job,
                         struct dv_arena *arena,
                         struct dv_runtime_created *ret,
                         struct dv_error *err)
{
    struct dv_oci_driver *driver = (struct dv_oci_driver *)runtime;
    struct work w = {.driver = driver, .record = job->record, .arena = arena};
    struct dv_oci_run run;
    int status;
    int r = fill_paths(&w, err);
    if (r < 0)
        return r;
    if (dv_oci_place_read_run(&w.place, &run) && run.started_ns &&
        dv_process_start_ticks((pid_t)run.pid) == run.start_ticks &&
        !dv_process_zombie_status((pid_t)run.pid, run.start_ticks, &status))
        return dv_error_set(err, DV_ERR_STATE, "its process %lld is still running",
                            (long long)run.pid);
    r = dv_oci_driver_release_id(driver, job->record->id, (int)job->timeout_ms, err);
    if (r == 0)
        r = prepare(&w, err);
    if (r == 0)
        r = launch(&w, (int)job->timeout_ms, ret, err);
    if (r == 0)
        return 0;
    struct dv_error cleanup = DV_ERROR_INIT;
    int c = dv_oci_driver_release_id(driver, job->record->id, (int)job->timeout_ms, &cleanup);
    if (c == 0 && w.is_layer_new)
        c = dv_tree_remove(w.upper, &cleanup);
    if (c == 0 && w.is_layer_new)
        c = dv_tree_remove(w.work_dir, &cleanup);
    if (w.is_layer_new)
        (void)rmdir(w.place.data); /* stays where the record is in it */
    if (c < 0)
        dv_log(DV_LOG_ERROR, "container '%s': leftovers of a failed create: %s", job->record->name,
               cleanup.text);
    return r;
}
