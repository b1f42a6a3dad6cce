/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/store/record_files.h"

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

static const char *folder_path(const char *home_dir, const char *id, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/containers/%s", home_dir, id);
    return path;
}

static const char *file_path(const char *home_dir, const char *id, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/containers/%s/config.json", home_dir, id);
    return path;
}

static int real_each(void *ctx, dv_record_id_fn *fn, void *fn_ctx, struct dv_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/containers", (const char *)ctx);
    int r = dv_dir_make(path, 0711, err);
    if (r < 0)
        return r;
    dv_autoclosedir DIR *dir = opendir(path);
    if (!dir)
        return dv_error_sys(err, DV_ERR_IO, errno, "open '%s'", path);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            fn(fn_ctx, entry->d_name);
    return 0;
}

static int real_read(void *ctx, const char *id, struct dv_buf *out, struct dv_error *err)
{
    char path[PATH_MAX];
    return dv_file_read(file_path(ctx, id, path), out, err);
}

static int
real_write(void *ctx, const char *id, const void *bytes, size_t len, struct dv_error *err)
{
    char path[PATH_MAX];
    int r = dv_dir_make(folder_path(ctx, id, path), 0711, err);
    if (r < 0)
        return r;
    return dv_durable_replace(file_path(ctx, id, path), bytes, len, 0644, err);
}

static int real_remove(void *ctx, const char *id, struct dv_error *err)
{
    char path[PATH_MAX];
    return dv_tree_remove(folder_path(ctx, id, path), err);
}

static void real_set_aside(void *ctx, const char *id, const struct dv_error *why)
{
    char path[PATH_MAX];
    char aside[PATH_MAX + 4];
    file_path(ctx, id, path);
    snprintf(aside, sizeof(aside), "%s.bad", path);
    if (rename(path, aside) < 0)
        dv_log(DV_LOG_ERROR, "store: cannot set '%s' aside: %m", path);
    dv_log(DV_LOG_ERROR, "store: record set aside as '%s': %s", aside, why->text);
}

struct dv_record_files dv_record_files_real(const char *home_dir)
{
    return (struct dv_record_files){real_each,   real_read,      real_write,
                                    real_remove, real_set_aside, (void *)home_dir};
}
