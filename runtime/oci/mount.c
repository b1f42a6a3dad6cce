/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/mount.h"

#include "base/cleanup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES (64U << 10)

static bool must_be_shared(enum dv_propagation propagation)
{
    return propagation == DV_PROPAGATION_SHARED || propagation == DV_PROPAGATION_RSHARED;
}

static bool must_be_slave(enum dv_propagation propagation)
{
    return propagation == DV_PROPAGATION_SLAVE || propagation == DV_PROPAGATION_RSLAVE;
}

/* Undoes the octal escapes of blank, tab, line feed and backslash. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in; out++) {
        if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' && in[2] <= '7' &&
            in[3] >= '0' && in[3] <= '7') {
            *out = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
}

static bool is_at_or_below(const char *path, const char *mount)
{
    size_t len = strlen(mount);
    if (len == 1 && mount[0] == '/')
        return true;
    return strncmp(path, mount, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* The mount of the host that a path is on; of several at one place, the last is on top. */
struct host_mount {
    char point[PATH_MAX];
    bool is_shared;
    bool is_slave;
};

static void read_line(char *line, const char *path, struct host_mount *best)
{
    /* id parent major:minor root mount-point options [tags ...] - ... */
    char *point = NULL;
    for (int i = 0; i < 5; i++)
        point = strsep(&line, " \n");
    (void)strsep(&line, " \n");
    if (!point || !line)
        return;
    unescape(point);
    if (!is_at_or_below(path, point) || strlen(point) < strlen(best->point) ||
        strlen(point) >= sizeof(best->point))
        return;
    memcpy(best->point, point, strlen(point) + 1);
    best->is_shared = false;
    best->is_slave = false;
    for (char *tag; (tag = strsep(&line, " \n")) && strcmp(tag, "-") != 0;) {
        best->is_shared |= strncmp(tag, "shared:", 7) == 0;
        best->is_slave |= strncmp(tag, "master:", 7) == 0;
    }
}

static int find_host_mount(const char *mountinfo_path,
                           const char *path,
                           struct host_mount *ret,
                           struct dv_error *err)
{
    dv_autofree char *line = malloc(LINE_MAX_BYTES);
    if (!line)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot read the mount table");
    dv_autofclose FILE *file = fopen(mountinfo_path, "re");
    if (!file)
        return dv_error_sys(err, DV_ERR_IO, errno, "cannot open the mount table %s",
                            mountinfo_path);
    *ret = (struct host_mount){.point = ""};
    while (fgets(line, LINE_MAX_BYTES, file))
        read_line(line, path, ret);
    return 0;
}

static int check_propagation(const struct dv_mount_point *mount,
                             const char *mountinfo_path,
                             struct dv_error *err)
{
    bool wants_shared = must_be_shared(mount->propagation);
    if (!wants_shared && !must_be_slave(mount->propagation))
        return 0;
    char real[PATH_MAX];
    if (!realpath(mount->source, real))
        return dv_error_sys(err, DV_ERR_FAILED, errno, "cannot resolve '%s'", mount->source);
    struct host_mount on;
    int r = find_host_mount(mountinfo_path, real, &on, err);
    if (r < 0)
        return r;
    if (on.is_shared || (!wants_shared && on.is_slave))
        return 0;
    return dv_error_set(err, DV_ERR_FAILED,
                        "it is to be %s, but '%s' is on the private mount '%s' of the host; share "
                        "that with: mount --make-rshared %s",
                        dv_enum_record(&dv_enum_propagation, mount->propagation), mount->source,
                        on.point, on.point);
}

static int
check(const struct dv_mount_point *mount, const char *mountinfo_path, struct dv_error *err)
{
    struct stat st;
    if (mount->source[0] != '/' || mount->destination[0] != '/')
        return dv_error_set(err, DV_ERR_INVALID, "source and destination must be absolute paths");
    if (stat(mount->source, &st) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "its source '%s' on the host cannot be used",
                            mount->source);
    return check_propagation(mount, mountinfo_path, err);
}

int dv_oci_mounts_check(const struct dv_mount_point_list *mounts,
                        const char *mountinfo_path,
                        struct dv_error *err)
{
    const char *table = mountinfo_path ? mountinfo_path : "/proc/self/mountinfo";
    for (size_t i = 0; i < mounts->count; i++) {
        int r = check(&mounts->items[i], table, err);
        if (r < 0) {
            (void)dv_error_prefix(err, "mount point '%s': ", mounts->items[i].destination);
            return r;
        }
    }
    return 0;
}
