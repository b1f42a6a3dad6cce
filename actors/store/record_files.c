/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/store/record_files.h"

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

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

static bool has_content(const char *path, const void *bytes, size_t len)
{
    DV_AUTO_IN_PLACE(dv_buf) content = DV_BUF_INIT(len + 1);
    return dv_file_read(path, &content, NULL) == 0 && content.len == len &&
           memcmp(content.data, bytes, len) == 0;
}

/* What the journal says again at each start is mostly in the file already: flash wears out. */
static int
real_write(void *ctx, const char *id, const void *bytes, size_t len, struct dv_error *err)
{
    char folder[PATH_MAX];
    char path[PATH_MAX];
    int r = dv_dir_make(folder_path(ctx, id, folder), 0711, err);
    if (r < 0)
        return r;
    /* A content under its name was synced before; the name may be newer than the last sync. */
    if (has_content(file_path(ctx, id, path), bytes, len))
        return dv_dir_sync(folder, err);
    return dv_durable_replace(path, bytes, len, 0644, err);
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
