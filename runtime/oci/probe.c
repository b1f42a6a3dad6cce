/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/probe.h"

#include "base/durable.h"
#include "base/str.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/memory.h"
#include "runtime/oci/call.h"
#include "runtime/oci/capability.h"
#include "runtime/oci/place.h"
#include "runtime/oci/seccomp.h"
#include "runtime/oci/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS        20000
#define PIDS_LIMIT        16
#define VERSION_BYTES_MAX 4096

static bool find_program(const char *name, char path[PATH_MAX])
{
    static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                          "/usr/bin",        "/sbin",          "/bin"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (access(dv_oci_place_join(path, folders[i], name), X_OK) == 0)
            return true;
    return false;
}

/* -- a container that is never started ------------------------------------------------------ */

/* The configuration that containers get, with nothing asked for. */
static int write_spec(const char *folder,
                      const char *id,
                      const char *target,
                      const struct dv_cgroup *cgroup,
                      const char *cgroup_path,
                      struct dv_error *err)
{
    char name[] = "probe";
    char *program[] = {(char[]){"/probe"}};
    struct dv_restart_policy policy = {.type = DV_RESTART_NO};
    struct dv_container_spec spec = {.host_name = name, .restart_policy = &policy};
    struct dv_container_record record = {.id = (char *)id, .name = name, .spec = &spec};
    const struct dv_oci_image image = {.cmd = {program, 1}};
    const struct dv_oci_user user = {.uid = 0};
    const struct dv_oci_devices devices = {.items = NULL};
    const struct dv_oci_spec_input input = {
        .record = &record,
        .image = &image,
        .user = &user,
        .devices = &devices,
        .host_name = name,
        .rootfs = target,
        .cgroup_path = cgroup_path,
        .capabilities = dv_oci_capabilities_available(),
        .is_cgroup_v2 = dv_cgroup_layout(cgroup) == DV_CGROUP_V2,
        .with_seccomp = dv_oci_seccomp_is_known(),
        .pids_limit = dv_cgroup_mount_of(cgroup, "pids") ? PIDS_LIMIT : 0,
        .with_oom_group = dv_cgroup_has_oom_group(cgroup),
    };
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_OCI_SPEC_BYTES_MAX);
    int r = dv_oci_spec_write(&input, &text, err);
    return r < 0 ? r : dv_oci_place_write(folder, "config.json", 0600, text.data, text.len, err);
}

/* The root file system is an overlay like any other: /run is often mounted without devices and
 * programs, which a plain folder there would inherit. */
static int make_folders(const char *folder, struct dv_error *err)
{
    static const char *const names[] = {"layers/rootfs/proc", "layers/rootfs/dev",
                                        "layers/rootfs/sys", "upper", "work"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int r = dv_dir_make(dv_oci_place_join(path, folder, names[i]), 0755, err);
        if (r < 0)
            return r;
    }
    /* Something to run: a runtime looks for it at create. It never runs. */
    dv_oci_place_join(path, folder, "layers/rootfs/probe");
    dv_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    return fd < 0 ? dv_error_sys(err, DV_ERR_IO, errno, "create '%s'", path) : 0;
}

/* The limits that the kernel takes for the group that the runtime has made. */
static unsigned missing_limits(const struct dv_cgroup *cgroup, const char *cgroup_path)
{
    struct dv_cgroup_memory_support found = dv_cgroup_memory_support(cgroup, cgroup_path);
    return (found.limit ? 0U : DV_OCI_NO_MEMORY) |
           (found.reservation ? 0U : DV_OCI_NO_RESERVATION) | (found.swap ? 0U : DV_OCI_NO_SWAP);
}

struct dv_limit_refusals dv_oci_limit_refusals(unsigned missing)
{
    static const char no_memory[] =
        "control groups do not count memory here; boot the kernel with cgroup_enable=memory";
    bool has_none = missing & DV_OCI_NO_MEMORY;
    return (struct dv_limit_refusals){
        .memory = has_none ? no_memory : NULL,
        .reservation = has_none ? no_memory
                       : missing & DV_OCI_NO_RESERVATION
                           ? "this kernel has no soft limit of memory; "
                             "leave it out"
                           : NULL,
        .swap = has_none                   ? no_memory
                : missing & DV_OCI_NO_SWAP ? "this kernel does not count swap; boot it with "
                                             "swapaccount=1, or leave it out"
                                           : NULL,
    };
}

static int run_one(struct dv_oci_call *call,
                   const char *folder,
                   const char *target,
                   const char *id,
                   const struct dv_cgroup *cgroup,
                   const char *cgroup_path,
                   unsigned *ret_missing,
                   struct dv_error *err)
{
    static const char *const lower[] = {"rootfs", NULL};
    char layers[PATH_MAX];
    char upper[PATH_MAX];
    char work[PATH_MAX];
    struct dv_launch create = {
        .rootfs = {.layers_dir = dv_oci_place_join(layers, folder, "layers"),
                   .lower = lower,
                   .upper = dv_oci_place_join(upper, folder, "upper"),
                   .work = dv_oci_place_join(work, folder, "work"),
                   .target = target},
        .timeout_ms = TIMEOUT_MS,
    };
    struct dv_launch delete = {.timeout_ms = TIMEOUT_MS};
    const char *const create_arguments[] = {"create", "--bundle", folder, id, NULL};
    const char *const delete_arguments[] = {"delete", "--force", id, NULL};
    struct dv_error ignored = DV_ERROR_INIT;
    int r = dv_oci_call_runtime(call, &create, create_arguments, err);
    if (r == 0)
        *ret_missing = missing_limits(cgroup, cgroup_path);
    int d = dv_oci_call_runtime(call, &delete, delete_arguments, r < 0 ? &ignored : err);
    return r < 0 ? r : d;
}

static int try_one(const char *path,
                   const char *run_dir,
                   const char *cgroup_parent,
                   struct dv_launcher *launcher,
                   struct dv_launch_result *result,
                   unsigned *ret_missing,
                   struct dv_error *err)
{
    char folder[PATH_MAX];
    char root[PATH_MAX];
    char target[PATH_MAX];
    char id[64];
    char cgroup_path[DV_CGROUP_PATH_MAX];
    snprintf(id, sizeof(id), "davit-probe-%ld", (long)getpid());
    dv_oci_place_join(folder, run_dir, id);
    dv_oci_place_join(root, folder, "root");
    dv_oci_place_join(target, launcher->mount_root(launcher), id);
    struct dv_oci_call call = {launcher, result, path, root, NULL};
    struct dv_cgroup *found = NULL;
    int r = dv_cgroup_path(cgroup_parent, id, cgroup_path, err);
    if (r == 0)
        r = dv_cgroup_new(NULL, &found, err);
    DV_AUTO(dv_cgroup) cgroup = found;
    if (r < 0)
        return r;
    r = make_folders(folder, err);
    if (r == 0)
        r = write_spec(folder, id, target, cgroup, cgroup_path, err);
    if (r == 0)
        r = run_one(&call, folder, target, id, cgroup, cgroup_path, ret_missing, err);
    /* What a runtime leaves after a failed create goes too. */
    (void)!dv_cgroup_kill(cgroup, cgroup_path, 1000, NULL);
    (void)!dv_cgroup_remove(cgroup, cgroup_path, NULL);
    (void)rmdir(target);
    (void)!dv_tree_remove(folder, NULL);
    return r;
}

/* "runc 1.1.5" of what `runc --version` says first: "runc version 1.1.5+ds1". The name alone if it
 * says something else. */
static void read_version(const char *path,
                         const char *run_dir,
                         struct dv_launcher *launcher,
                         struct dv_launch_result *result,
                         char *text,
                         size_t size)
{
    static const char *const environment[] = {NULL};
    const char *const argv[] = {path, "--version", NULL};
    const char *slash = strrchr(path, '/');
    char file[PATH_MAX];
    char name[64];
    snprintf(text, size, "%s", slash ? slash + 1 : path);
    snprintf(name, sizeof(name), "davit-probe-%ld.version", (long)getpid());
    if (dv_oci_place_write(run_dir, name, 0600, "", 0, NULL) < 0)
        return;
    dv_oci_place_join(file, run_dir, name);
    struct dv_launch what = {
        .argv = argv, .envp = environment, .stdio = {.out = file}, .timeout_ms = TIMEOUT_MS};
    DV_AUTO_IN_PLACE(dv_buf) said = DV_BUF_INIT(VERSION_BYTES_MAX);
    if (launcher->launch(launcher, &what, result, NULL) == 0 && result->exit_code == 0 &&
        dv_file_read(file, &said, NULL) == 0 && said.data) {
        const char *version = strstr(said.data, " version ");
        if (version) {
            version += strlen(" version ");
            size_t used = strlen(text);
            snprintf(text + used, size - used, " %.*s", (int)strspn(version, "0123456789."),
                     version);
        }
    }
    (void)unlink(file);
}

/* -- the choice ----------------------------------------------------------------------------- */

static void describe(const char *version, const char *refused, char *text, size_t size)
{
    struct dv_cgroup *cgroup = NULL;
    const char *layout = "unknown";
    if (dv_cgroup_new(NULL, &cgroup, NULL) == 0)
        layout = dv_cgroup_layout_name(dv_cgroup_layout(cgroup));
    snprintf(text, size, "%s, cgroup %s%s%.120s%s", version, layout, refused[0] ? " (not " : "",
             refused, refused[0] ? ")" : "");
    dv_cgroup_free(cgroup);
}

int dv_oci_probe(const char *wanted,
                 const char *run_dir,
                 const char *cgroup_parent,
                 struct dv_launcher *launcher,
                 struct dv_oci_choice *ret,
                 struct dv_error *err)
{
    static const char *const automatic[] = {"crun", "runc", NULL};
    const char *const named[] = {wanted, NULL};
    const char *const *candidates = strcmp(wanted, "auto") == 0 ? automatic : named;
    dv_autofree struct dv_launch_result *result = calloc(1, sizeof(*result));
    char refused[512] = "";
    if (!result)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to look for an OCI runtime");
    for (; *candidates; candidates++) {
        struct dv_error why = DV_ERROR_INIT;
        char path[PATH_MAX];
        int r;
        snprintf(path, sizeof(path), "%s", *candidates);
        if (path[0] != '/' && !find_program(*candidates, path))
            r = dv_error_set(&why, DV_ERR_UNAVAILABLE, "not installed");
        else
            r = try_one(path, run_dir, cgroup_parent, launcher, result, &ret->missing, &why);
        if (r == 0) {
            snprintf(ret->path, sizeof(ret->path), "%s", path);
            char version[64];
            read_version(path, run_dir, launcher, result, version, sizeof(version));
            describe(version, refused, ret->description, sizeof(ret->description));
            return 0;
        }
        if (r == -DV_ERR_UNAVAILABLE && why.sys) {
            if (err)
                *err = why;
            return r; /* the launcher itself is not there */
        }
        size_t used = strlen(refused);
        snprintf(refused + used, sizeof(refused) - used, "%s%s: %.200s", used ? "; " : "",
                 *candidates, why.text);
    }
    return dv_error_set(err, DV_ERR_UNAVAILABLE,
                        "no OCI runtime works here: %s; install crun or runc", refused);
}
