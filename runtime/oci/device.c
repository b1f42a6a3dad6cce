/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/device.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define DEPTH_MAX 16U

struct collector {
    struct dv_arena *arena;
    struct dv_oci_devices *devices;
    const char *permissions;
};

static int
add(const struct collector *to, const char *path, const struct stat *st, struct dv_error *err)
{
    if (to->devices->count == DV_OCI_DEVICES_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "device '%s': a container has at most %u devices",
                            path, DV_OCI_DEVICES_MAX);
    struct dv_oci_device *device = &to->devices->items[to->devices->count];
    *device = (struct dv_oci_device){
        .path = dv_arena_strdup(to->arena, path),
        .type = S_ISBLK(st->st_mode) ? 'b' : 'c',
        .major = major(st->st_rdev),
        .minor = minor(st->st_rdev),
        .mode = st->st_mode & 0777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .permissions = to->permissions,
    };
    if (!device->path)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "device '%s': out of memory", path);
    to->devices->count++;
    return 0;
}

/* What a container has of its own. */
static bool is_left_out(const char *name)
{
    static const char *const names[] = {"pts", "shm", "fd", "mqueue", "console", "ptmx"};
    if (name[0] == '.')
        return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Takes over `dir`, whose place in the container is `path`. An entry that vanishes meanwhile was a
 * device that was unplugged. */
static int add_below(
    const struct collector *to, int dir, const char *path, unsigned depth, struct dv_error *err)
{
    dv_autoclosedir DIR *entries = fdopendir(dir);
    if (!entries) {
        int saved = errno;
        dv_close(&dir);
        return dv_error_sys(err, DV_ERR_FAILED, saved, "cannot list the devices in %s", path);
    }
    struct dirent *entry;
    while ((entry = readdir(entries))) {
        char inner[PATH_MAX];
        struct stat st;
        int n = snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
        if (is_left_out(entry->d_name) || n < 0 || (size_t)n >= sizeof(inner) ||
            fstatat(dirfd(entries), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        int r = 0;
        if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
            r = add(to, inner, &st, err);
        } else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
            int child = openat(dirfd(entries), entry->d_name,
                               O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
            if (child >= 0)
                r = add_below(to, child, inner, depth + 1, err);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int
add_path(const struct collector *to, const char *on_host, const char *inside, struct dv_error *err)
{
    struct stat st;
    if (stat(on_host, &st) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "device '%s' of the host cannot be given",
                            on_host);
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        return add(to, inside, &st, err);
    if (!S_ISDIR(st.st_mode))
        return dv_error_set(err, DV_ERR_FAILED,
                            "'%s' of the host is neither a device nor a directory", on_host);
    int dir = open(on_host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno,
                            "cannot list the devices in '%s' of the host", on_host);
    return add_below(to, dir, inside, 0, err);
}

static int make_room(struct dv_arena *arena, struct dv_oci_devices *devices, struct dv_error *err)
{
    devices->items = dv_arena_array(arena, DV_OCI_DEVICES_MAX, sizeof(*devices->items));
    if (!devices->items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot keep the devices of a container");
    return 0;
}

int dv_oci_devices_resolve(const struct dv_device_list *wanted,
                           struct dv_arena *arena,
                           struct dv_oci_devices *ret,
                           struct dv_error *err)
{
    struct dv_oci_devices devices = {.items = NULL};
    int r = wanted->count > 0 ? make_room(arena, &devices, err) : 0;
    for (size_t i = 0; r == 0 && i < wanted->count; i++) {
        const struct dv_device *device = &wanted->items[i];
        struct collector to = {
            .arena = arena, .devices = &devices, .permissions = device->permissions};
        r = add_path(&to, device->path_on_host, device->path_in_container, err);
    }
    if (r < 0)
        return r;
    *ret = devices;
    return 0;
}

int dv_oci_devices_all(struct dv_arena *arena, struct dv_oci_devices *ret, struct dv_error *err)
{
    struct dv_oci_devices devices = {.items = NULL};
    struct collector to = {.arena = arena, .devices = &devices, .permissions = "rwm"};
    int r = make_room(arena, &devices, err);
    if (r == 0)
        r = add_path(&to, "/dev", "/dev", err);
    if (r < 0)
        return r;
    *ret = devices;
    return 0;
}
