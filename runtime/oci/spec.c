/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/spec.h"

#include "base/str.h"
#include "runtime/oci/capability.h"
#include "runtime/oci/process.h"
#include "runtime/oci/seccomp.h"
#include "runtime/oci/spec_mounts.h"
#include "spec/resources.h"

#include "json/json.h"
#include <stddef.h>
#include <string.h>

#define OCI_VERSION   "1.0.2"
#define SCRATCH_BYTES (4U << 20)

/* Those that Docker and those that Podman hides. */
static const char *const masked_paths[] = {
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/dev/block",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
};

static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static void write_texts(struct dv_json_writer *w, const char *key, const struct dv_texts *texts)
{
    dv_jw_key(w, key);
    dv_jw_array(w);
    for (size_t i = 0; i < texts->count; i++)
        dv_jw_text(w, texts->items[i]);
    dv_jw_array_end(w);
}

static void
write_list(struct dv_json_writer *w, const char *key, const char *const *items, size_t count)
{
    dv_jw_key(w, key);
    dv_jw_array(w);
    for (size_t i = 0; i < count; i++)
        dv_jw_text(w, items[i]);
    dv_jw_array_end(w);
}

static void write_capability_set(struct dv_json_writer *w, const char *key, uint64_t set)
{
    dv_jw_key(w, key);
    dv_jw_array(w);
    for (unsigned i = 0; i < DV_CAPABILITIES; i++)
        if (dv_oci_capability_in(set, i))
            dv_jw_text(w, dv_capability_name(i));
    dv_jw_array_end(w);
}

/* A program of another user than root loses at its start all that is not ambient. What was asked
 * for by name is: it would have no effect otherwise. */
static void
write_capabilities(struct dv_json_writer *w, const struct dv_oci_spec_input *in, uint64_t set)
{
    uint64_t kept = in->user->uid == 0 ? 0 : dv_oci_capabilities_extra(in->record->spec, set);
    dv_jw_key(w, "capabilities");
    dv_jw_object(w);
    write_capability_set(w, "bounding", set);
    write_capability_set(w, "effective", set);
    write_capability_set(w, "permitted", set);
    if (kept) {
        write_capability_set(w, "inheritable", kept);
        write_capability_set(w, "ambient", kept);
    }
    dv_jw_object_end(w);
}

static void write_user(struct dv_json_writer *w, const struct dv_oci_user *user)
{
    dv_jw_key(w, "user");
    dv_jw_object(w);
    dv_jw_member_i64(w, "uid", user->uid);
    dv_jw_member_i64(w, "gid", user->gid);
    if (user->group_count > 0) {
        dv_jw_key(w, "additionalGids");
        dv_jw_array(w);
        for (size_t i = 0; i < user->group_count; i++)
            dv_jw_i64(w, user->groups[i]);
        dv_jw_array_end(w);
    }
    dv_jw_object_end(w);
}

static int write_process(struct dv_json_writer *w,
                         const struct dv_oci_spec_input *in,
                         uint64_t capabilities,
                         struct dv_arena *arena,
                         struct dv_error *err)
{
    const struct dv_container_spec *spec = in->record->spec;
    struct dv_texts args;
    struct dv_texts env;
    const char *cwd;
    int r = dv_oci_process_args(spec, in->image, arena, &args, err);
    if (r == 0)
        r = dv_oci_process_env(spec, in->image, in->host_name, arena, &env, err);
    if (r == 0)
        r = dv_oci_process_cwd(in->image, arena, &cwd, err);
    if (r < 0)
        return r;

    dv_jw_key(w, "process");
    dv_jw_object(w);
    dv_jw_member_bool(w, "terminal", spec->tty);
    write_user(w, in->user);
    write_texts(w, "args", &args);
    write_texts(w, "env", &env);
    dv_jw_member_text(w, "cwd", cwd);
    write_capabilities(w, in, capabilities);
    dv_jw_member_bool(w, "noNewPrivileges", !spec->is_privileged);
    dv_jw_object_end(w);
    return 0;
}

/* A device rule of the control group; a negative number stands for all. */
static void write_rule(struct dv_json_writer *w,
                       bool is_allowed,
                       char type,
                       int64_t major_number,
                       int64_t minor_number,
                       const char *access)
{
    const char type_text[2] = {type, '\0'};
    dv_jw_object(w);
    dv_jw_member_bool(w, "allow", is_allowed);
    if (type)
        dv_jw_member_text(w, "type", type_text);
    if (major_number >= 0)
        dv_jw_member_i64(w, "major", major_number);
    if (minor_number >= 0)
        dv_jw_member_i64(w, "minor", minor_number);
    dv_jw_member_text(w, "access", access);
    dv_jw_object_end(w);
}

static void write_device_rules(struct dv_json_writer *w, const struct dv_oci_spec_input *in)
{
    static const int usual[][2] = {
        {1, 3},    /* null */
        {1, 5},    /* zero */
        {1, 7},    /* full */
        {1, 8},    /* random */
        {1, 9},    /* urandom */
        {5, 0},    /* tty */
        {5, 1},    /* console */
        {5, 2},    /* ptmx */
        {136, -1}, /* pts */
    };
    dv_jw_key(w, "devices");
    dv_jw_array(w);
    if (in->record->spec->is_privileged) {
        write_rule(w, true, '\0', -1, -1, "rwm");
    } else {
        write_rule(w, false, '\0', -1, -1, "rwm");
        write_rule(w, true, 'c', -1, -1, "m");
        write_rule(w, true, 'b', -1, -1, "m");
        for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
            write_rule(w, true, 'c', usual[i][0], usual[i][1], "rwm");
        for (size_t i = 0; i < in->devices->count; i++) {
            const struct dv_oci_device *device = &in->devices->items[i];
            write_rule(w, true, device->type, device->major, device->minor, device->permissions);
        }
    }
    dv_jw_array_end(w);
}

static void write_devices(struct dv_json_writer *w, const struct dv_oci_devices *devices)
{
    dv_jw_key(w, "devices");
    dv_jw_array(w);
    for (size_t i = 0; i < devices->count; i++) {
        const struct dv_oci_device *device = &devices->items[i];
        const char type[2] = {device->type, '\0'};
        dv_jw_object(w);
        dv_jw_member_text(w, "path", device->path);
        dv_jw_member_text(w, "type", type);
        dv_jw_member_i64(w, "major", device->major);
        dv_jw_member_i64(w, "minor", device->minor);
        dv_jw_member_i64(w, "fileMode", device->mode);
        dv_jw_member_i64(w, "uid", device->uid);
        dv_jw_member_i64(w, "gid", device->gid);
        dv_jw_object_end(w);
    }
    dv_jw_array_end(w);
}

static void write_memory(struct dv_json_writer *w, const struct dv_memory_limits *limits)
{
    const struct {
        const char *key;
        int64_t bytes;
    } rows[] = {
        {"limit", limits->memory},
        {"reservation", limits->reservation},
        {"swap", limits->swap},
    };
    dv_jw_key(w, "memory");
    dv_jw_object(w);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].bytes != DV_UNLIMITED)
            dv_jw_member_i64(w, rows[i].key, rows[i].bytes);
    dv_jw_object_end(w);
}

/* A new group has no limits: only those there are get written, so that a kernel without one of them
 * is asked for nothing. */
static int
write_resources(struct dv_json_writer *w, const struct dv_oci_spec_input *in, struct dv_error *err)
{
    struct dv_memory_limits limits;
    int r = dv_resources_bytes(in->record->spec->resources, &limits, err);
    if (r < 0)
        return r;
    dv_jw_key(w, "resources");
    dv_jw_object(w);
    write_device_rules(w, in);
    if (limits.memory != DV_UNLIMITED || limits.reservation != DV_UNLIMITED ||
        limits.swap != DV_UNLIMITED)
        write_memory(w, &limits);
    if (in->pids_limit > 0) {
        dv_jw_key(w, "pids");
        dv_jw_object(w);
        dv_jw_member_i64(w, "limit", in->pids_limit);
        dv_jw_object_end(w);
    }
    /* Half a container helps nobody: the kernel then ends it as a whole. */
    if (in->with_oom_group) {
        dv_jw_key(w, "unified");
        dv_jw_object(w);
        dv_jw_member_text(w, "memory.oom.group", "1");
        dv_jw_object_end(w);
    }
    dv_jw_object_end(w);
    return 0;
}

static void write_namespaces(struct dv_json_writer *w, const struct dv_oci_spec_input *in)
{
    const struct {
        const char *type;
        bool is_own;
    } rows[] = {
        {"mount", true},
        {"pid", true},
        {"ipc", true},
        {"uts", true},
        {"network", in->record->spec->network_mode != DV_NETWORK_HOST},
        {"cgroup", in->is_cgroup_v2},
    };
    dv_jw_key(w, "namespaces");
    dv_jw_array(w);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!rows[i].is_own)
            continue;
        dv_jw_object(w);
        dv_jw_member_text(w, "type", rows[i].type);
        dv_jw_object_end(w);
    }
    dv_jw_array_end(w);
}

/* runc 1.1 has no field for the domain name, but lets this kernel parameter of the namespace pass.
 * In the host's network the machine's own name is used, and its domain with it. */
static void write_domain_name(struct dv_json_writer *w, const struct dv_container_spec *spec)
{
    if (!spec->domain_name || !spec->domain_name[0] || spec->network_mode == DV_NETWORK_HOST)
        return;
    dv_jw_key(w, "sysctl");
    dv_jw_object(w);
    dv_jw_member_text(w, "kernel.domainname", spec->domain_name);
    dv_jw_object_end(w);
}

static int write_linux(struct dv_json_writer *w,
                       const struct dv_oci_spec_input *in,
                       uint64_t capabilities,
                       struct dv_error *err)
{
    const struct dv_container_spec *spec = in->record->spec;
    dv_jw_key(w, "linux");
    dv_jw_object(w);
    write_domain_name(w, spec);
    dv_jw_member_text(w, "cgroupsPath", in->cgroup_path);
    write_namespaces(w, in);
    if (in->devices->count > 0)
        write_devices(w, in->devices);
    int r = write_resources(w, in, err);
    if (r < 0)
        return r;
    const char *propagation = dv_oci_rootfs_propagation(&spec->mount_points);
    if (propagation)
        dv_jw_member_text(w, "rootfsPropagation", propagation);
    if (!spec->is_privileged) {
        write_list(w, "maskedPaths", masked_paths, sizeof(masked_paths) / sizeof(masked_paths[0]));
        write_list(w, "readonlyPaths", readonly_paths,
                   sizeof(readonly_paths) / sizeof(readonly_paths[0]));
        if (in->with_seccomp) {
            dv_jw_key(w, "seccomp");
            dv_oci_seccomp_write(w, capabilities);
        }
    }
    dv_jw_object_end(w);
    return 0;
}

static void write_hooks(struct dv_json_writer *w, const struct dv_hook_list *hooks)
{
    static const char *const points[] = {"prestart", "poststart", "poststop"};
    dv_jw_key(w, "hooks");
    dv_jw_object(w);
    for (size_t point = 0; point < sizeof(points) / sizeof(points[0]); point++) {
        dv_jw_key(w, points[point]);
        dv_jw_array(w);
        for (size_t i = 0; i < hooks->count; i++) {
            const struct dv_hook *hook = &hooks->items[i];
            if (hook->type != (int64_t)point)
                continue;
            dv_jw_object(w);
            dv_jw_member_text(w, "path", hook->path);
            write_texts(w, "args", &hook->args);
            write_texts(w, "env", &hook->env);
            if (hook->timeout_s > 0)
                dv_jw_member_i64(w, "timeout", hook->timeout_s);
            dv_jw_object_end(w);
        }
        dv_jw_array_end(w);
    }
    dv_jw_object_end(w);
}

int dv_oci_spec_write(const struct dv_oci_spec_input *in, struct dv_buf *out, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(SCRATCH_BYTES);
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot write a container configuration");
    const struct dv_container_spec *spec = in->record->spec;
    uint64_t capabilities;
    int r = dv_oci_capabilities(spec, in->capabilities, &capabilities, err);
    if (r < 0)
        return r;
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    dv_jw_member_text(&w, "ociVersion", OCI_VERSION);
    r = write_process(&w, in, capabilities, arena, err);
    if (r < 0)
        return r;
    dv_jw_key(&w, "root");
    dv_jw_object(&w);
    dv_jw_member_text(&w, "path", in->rootfs);
    dv_jw_object_end(&w);
    dv_jw_member_text(&w, "hostname", in->host_name);
    r = dv_oci_mounts_write(&w, spec, in->etc_dir, arena, err);
    if (r < 0)
        return r;
    if (spec->hooks.count > 0)
        write_hooks(&w, &spec->hooks);
    r = write_linux(&w, in, capabilities, err);
    if (r < 0)
        return r;
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}
