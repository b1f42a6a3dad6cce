/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/probe.h"

#include "base/durable.h"
#include "base/str.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/oci/call.h"
#include "runtime/oci/place.h"

#include "json/json.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS 20000

static bool find_program(const char *name, char path[PATH_MAX])
{
    static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                          "/usr/bin",        "/sbin",          "/bin"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (access(place_join(path, folders[i], name), X_OK) == 0)
            return true;
    return false;
}

/* -- a container that is never started ------------------------------------------------------ */

static int write_spec(const char *folder, const char *cgroup_path, struct dv_error *err)
{
    static const char *const namespaces[] = {"pid", "ipc", "uts", "mount", "network"};
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(65536);
    struct dv_json_writer w;
    dv_jw_init(&w, &text);
    dv_jw_object(&w);
    dv_jw_member_text(&w, "ociVersion", "1.0.2");
    dv_jw_key(&w, "process");
    dv_jw_object(&w);
    dv_jw_member_text(&w, "cwd", "/");
    dv_jw_key(&w, "args");
    dv_jw_array(&w);
    dv_jw_text(&w, "/probe");
    dv_jw_array_end(&w);
    dv_jw_object_end(&w);
    dv_jw_key(&w, "root");
    dv_jw_object(&w);
    dv_jw_member_text(&w, "path", "rootfs");
    dv_jw_object_end(&w);
    dv_jw_key(&w, "mounts");
    dv_jw_array(&w);
    dv_jw_object(&w);
    dv_jw_member_text(&w, "destination", "/proc");
    dv_jw_member_text(&w, "type", "proc");
    dv_jw_member_text(&w, "source", "proc");
    dv_jw_object_end(&w);
    dv_jw_array_end(&w);
    dv_jw_key(&w, "linux");
    dv_jw_object(&w);
    dv_jw_member_text(&w, "cgroupsPath", cgroup_path);
    dv_jw_key(&w, "resources");
    dv_jw_object(&w);
    dv_jw_key(&w, "pids");
    dv_jw_object(&w);
    dv_jw_member_i64(&w, "limit", 16);
    dv_jw_object_end(&w);
    dv_jw_object_end(&w);
    dv_jw_key(&w, "namespaces");
    dv_jw_array(&w);
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
        dv_jw_object(&w);
        dv_jw_member_text(&w, "type", namespaces[i]);
        dv_jw_object_end(&w);
    }
    dv_jw_array_end(&w);
    dv_jw_object_end(&w);
    dv_jw_object_end(&w);
    int r = dv_jw_done(&w, err);
    return r < 0 ? r : place_write(folder, "config.json", text.data, text.len, err);
}

static int make_bundle(const char *folder, const char *cgroup_path, struct dv_error *err)
{
    char path[PATH_MAX];
    int r = dv_dir_make(place_join(path, folder, "rootfs/proc"), 0755, err);
    if (r < 0)
        return r;
    /* Something to run: crun looks for it at create. It never runs. */
    dv_autoclose int fd =
        open(place_join(path, folder, "rootfs/probe"), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "create '%s'", path);
    return write_spec(folder, cgroup_path, err);
}

static int run_one(struct call *call, const char *folder, const char *id, struct dv_error *err)
{
    struct dv_launch create = {.timeout_ms = TIMEOUT_MS};
    struct dv_launch delete = {.timeout_ms = TIMEOUT_MS};
    const char *const create_arguments[] = {"create", "--bundle", folder, id, NULL};
    const char *const delete_arguments[] = {"delete", "--force", id, NULL};
    struct dv_error ignored = DV_ERROR_INIT;
    int r = call_runtime(call, &create, create_arguments, err);
    int d = call_runtime(call, &delete, delete_arguments, r < 0 ? &ignored : err);
    return r < 0 ? r : d;
}

static int try_one(const char *path,
                   const char *run_dir,
                   const char *cgroup_parent,
                   struct dv_launcher *launcher,
                   struct dv_launch_result *result,
                   struct dv_error *err)
{
    char folder[PATH_MAX];
    char root[PATH_MAX];
    char id[64];
    char cgroup_path[DV_CGROUP_PATH_MAX];
    snprintf(id, sizeof(id), "davit-probe-%ld", (long)getpid());
    place_join(folder, run_dir, id);
    place_join(root, folder, "root");
    struct call call = {launcher, result, path, root, NULL};
    struct dv_cgroup *cgroup = NULL;
    int r = dv_cgroup_path(cgroup_parent, id, cgroup_path, err);
    if (r == 0)
        r = make_bundle(folder, cgroup_path, err);
    if (r == 0)
        r = run_one(&call, folder, id, err);
    /* What a runtime leaves after a failed create goes too. */
    if (dv_cgroup_new(NULL, &cgroup, NULL) == 0) {
        (void)!dv_cgroup_kill(cgroup, cgroup_path, 1000, NULL);
        (void)!dv_cgroup_remove(cgroup, cgroup_path, NULL);
        dv_cgroup_free(cgroup);
    }
    (void)!dv_tree_remove(folder, NULL);
    return r;
}

/* -- the choice ----------------------------------------------------------------------------- */

static void describe(const char *path, const char *refused, char *text, size_t size)
{
    struct dv_cgroup *cgroup = NULL;
    const char *layout = "unknown";
    if (dv_cgroup_new(NULL, &cgroup, NULL) == 0)
        layout = dv_cgroup_layout_name(dv_cgroup_layout(cgroup));
    snprintf(text, size, "%s, cgroup %s%s%.120s%s", path, layout, refused[0] ? " (not " : "",
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
            r = try_one(path, run_dir, cgroup_parent, launcher, result, &why);
        if (r == 0) {
            snprintf(ret->path, sizeof(ret->path), "%s", path);
            describe(path, refused, ret->description, sizeof(ret->description));
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
