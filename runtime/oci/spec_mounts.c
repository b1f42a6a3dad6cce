/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/spec_mounts.h"

#include <stdbool.h>
#include <string.h>

#define OPTIONS_MAX 7

struct row {
    const char *destination;
    const char *type;
    const char *source;
    const char *options[OPTIONS_MAX]; /* NULL-terminated */
    bool is_readonly;                 /* with "ro" unless the container is privileged */
};

static const struct row kernel_mounts[] = {
    {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}, false},
    {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}, false},
    {"/dev/pts",
     "devpts",
     "devpts",
     {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"},
     false},
    {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}, false},
    {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}, false},
    {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev"}, true},
    {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime"}, true},
};

static const char *const etc_names[] = {"hosts", "hostname", "resolv.conf"};

/* Compares paths, several slashes counting as one and those at the end as none. */
static bool same_path(const char *a, const char *b)
{
    while (*a && *b) {
        if (*a == '/' && *b == '/') {
            a += strspn(a, "/");
            b += strspn(b, "/");
        } else if (*a++ != *b++) {
            return false;
        }
    }
    return a[strspn(a, "/")] == '\0' && b[strspn(b, "/")] == '\0';
}

static bool is_replaced(const struct dv_mount_point_list *mounts, const char *destination)
{
    for (size_t i = 0; i < mounts->count; i++)
        if (same_path(mounts->items[i].destination, destination))
            return true;
    return false;
}

static void write_row(struct dv_json_writer *w, const struct row *row, bool is_privileged)
{
    dv_jw_object(w);
    dv_jw_member_text(w, "destination", row->destination);
    dv_jw_member_text(w, "type", row->type);
    dv_jw_member_text(w, "source", row->source);
    dv_jw_key(w, "options");
    dv_jw_array(w);
    for (size_t i = 0; i < OPTIONS_MAX && row->options[i]; i++)
        dv_jw_text(w, row->options[i]);
    if (row->is_readonly && !is_privileged)
        dv_jw_text(w, "ro");
    dv_jw_array_end(w);
    dv_jw_object_end(w);
}

static unsigned depth_of(const char *path)
{
    unsigned depth = 0;
    for (; *path; path++)
        depth += path[0] == '/' && path[1] != '/' && path[1] != '\0';
    return depth;
}

/* A stable order by depth. */
static const struct dv_mount_point **sorted(const struct dv_mount_point_list *mounts,
                                            struct dv_arena *arena)
{
    const struct dv_mount_point **order = dv_arena_array(arena, mounts->count + 1, sizeof(*order));
    if (!order)
        return NULL;
    for (size_t i = 0; i < mounts->count; i++) {
        unsigned depth = depth_of(mounts->items[i].destination);
        size_t at = i;
        for (; at > 0 && depth_of(order[at - 1]->destination) > depth; at--)
            order[at] = order[at - 1];
        order[at] = &mounts->items[i];
    }
    return order;
}

int dv_oci_mounts_write(struct dv_json_writer *w,
                        const struct dv_container_spec *spec,
                        const char *etc_dir,
                        struct dv_arena *arena,
                        struct dv_error *err)
{
    const struct dv_mount_point **order = sorted(&spec->mount_points, arena);
    if (!order)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot order the mounts of a container");
    dv_jw_key(w, "mounts");
    dv_jw_array(w);
    for (size_t i = 0; i < sizeof(kernel_mounts) / sizeof(kernel_mounts[0]); i++)
        if (!is_replaced(&spec->mount_points, kernel_mounts[i].destination))
            write_row(w, &kernel_mounts[i], spec->is_privileged);
    for (size_t i = 0; etc_dir && i < sizeof(etc_names) / sizeof(etc_names[0]); i++) {
        struct row row = {
            .destination = dv_arena_printf(arena, "/etc/%s", etc_names[i]),
            .type = "bind",
            .source = dv_arena_printf(arena, "%s/%s", etc_dir, etc_names[i]),
            .options = {"rbind", "rprivate"},
        };
        if (!row.destination || !row.source)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot keep the mounts of a container");
        if (!is_replaced(&spec->mount_points, row.destination))
            write_row(w, &row, spec->is_privileged);
    }
    for (size_t i = 0; i < spec->mount_points.count; i++) {
        struct row row = {
            .destination = order[i]->destination,
            .type = "bind",
            .source = order[i]->source,
            .options = {"rbind", dv_enum_record(&dv_enum_propagation, order[i]->propagation)},
        };
        write_row(w, &row, spec->is_privileged);
    }
    dv_jw_array_end(w);
    return 0;
}

const char *dv_oci_rootfs_propagation(const struct dv_mount_point_list *mounts)
{
    const char *needed = NULL;
    for (size_t i = 0; i < mounts->count; i++) {
        switch (mounts->items[i].propagation) {
        case DV_PROPAGATION_SHARED:
        case DV_PROPAGATION_RSHARED:
            return "rshared";
        case DV_PROPAGATION_SLAVE:
        case DV_PROPAGATION_RSLAVE:
            needed = "rslave";
            break;
        case DV_PROPAGATION_PRIVATE:
        case DV_PROPAGATION_RPRIVATE:
            break;
        }
    }
    return needed;
}
