/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <deployment.home_dir>/deployment says that there has been a deployment; `pending` in it that the
 * first one has not come to its end: a daemon that ended in the middle goes on with it.
 */
#include "daemon/deployment.h"

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX       16U
#define TOTAL_BYTES_MAX (64U << 20)
#define SUFFIX          ".json"

static void free_files(struct dv_deployment *deployment)
{
    for (size_t i = 0; i < deployment->count; i++) {
        free(deployment->files[i].path);
        free(deployment->files[i].name);
        free(deployment->files[i].bytes);
    }
    free(deployment->files);
    deployment->files = NULL;
    deployment->count = 0;
}

/* -- the files ------------------------------------------------------------------------------ */

struct reading {
    struct dv_deployment *deployment;
    size_t bytes;
};

static bool has_suffix(const char *name)
{
    size_t len = strlen(name);
    size_t suffix = strlen(SUFFIX);
    return len > suffix && strcmp(name + len - suffix, SUFFIX) == 0;
}

static int keep(struct reading *to, const char *path, const char *name, struct dv_error *err)
{
    struct dv_deployment *deployment = to->deployment;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_DEPLOYMENT_BYTES_MAX);
    int r = dv_file_read(path, &text, err);
    if (r < 0)
        return r;
    if (to->bytes + text.len > TOTAL_BYTES_MAX || deployment->count == DV_DEPLOYMENT_FILES_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "a deployment has at most %u files and %u bytes",
                            DV_DEPLOYMENT_FILES_MAX, TOTAL_BYTES_MAX);
    struct dv_deployment_file *more =
        reallocarray(deployment->files, deployment->count + 1, sizeof(*more));
    if (!more)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory");
    deployment->files = more;
    struct dv_deployment_file *file = &more[deployment->count];
    *file = (struct dv_deployment_file){
        .path = strdup(path),
        .name = strndup(name, strlen(name) - strlen(SUFFIX)),
        .bytes = malloc(text.len + 1),
        .len = text.len,
    };
    deployment->count++;
    if (!file->path || !file->name || !file->bytes)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory");
    if (text.len)
        memcpy(file->bytes, text.data, text.len);
    file->bytes[text.len] = '\0';
    to->bytes += text.len;
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void walk(struct reading *to, const char *folder, unsigned depth);

/* Links to files are followed, links to folders are not: they may lead in a circle. */
static void visit(struct reading *to, const char *folder, const char *name, unsigned depth)
{
    char path[PATH_MAX];
    struct stat st;
    struct dv_error err = DV_ERROR_INIT;
    int n = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (name[0] == '.' || n < 0 || (size_t)n >= sizeof(path) || lstat(path, &st) < 0)
        return;
    if (S_ISDIR(st.st_mode)) {
        if (depth < DEPTH_MAX)
            walk(to, path, depth + 1);
        else
            dv_log(DV_LOG_WARN, "deployment: '%s' is too deep and left out", path);
    } else if (has_suffix(name) && keep(to, path, name, &err) < 0) {
        dv_log(DV_LOG_ERROR, "deployment: '%s' is left out: %s", path, err.text);
    }
}

static void walk(struct reading *to, const char *folder, unsigned depth)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, by_name);
    if (count < 0)
        dv_log(DV_LOG_ERROR, "deployment: '%s' cannot be read: %m", folder);
    for (int i = 0; i < count; i++) {
        visit(to, folder, entries[i]->d_name, depth);
        free(entries[i]);
    }
    free(entries);
}

static int read_files(const char *folder, struct dv_deployment *deployment, struct dv_error *err)
{
    struct stat st;
    struct reading to = {.deployment = deployment};
    if (stat(folder, &st) < 0 && errno == ENOENT)
        return 0;
    if (stat(folder, &st) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "deployment.ctr_dir '%s'", folder);
    if (!S_ISDIR(st.st_mode))
        return dv_error_set(err, DV_ERR_FAILED, "deployment.ctr_dir '%s' is no directory", folder);
    walk(&to, folder, 0);
    return 0;
}

/* -- the mark ------------------------------------------------------------------------------- */

static void finish(void *ctx)
{
    struct daemon_deployment *d = ctx;
    if (unlink(d->pending) < 0 && errno != ENOENT)
        dv_log(DV_LOG_ERROR, "deployment: cannot remove '%s': %m", d->pending);
    free_files(&d->base);
}

/* Whether this home has seen a deployment from its beginning to its end. */
static int mark(const struct dv_config *config,
                struct daemon_deployment *d,
                bool *ret_is_first,
                bool *ret_is_over,
                struct dv_error *err)
{
    char folder[PATH_MAX - 16];
    const char *home =
        config->deployment_home_dir[0] ? config->deployment_home_dir : config->home_dir;
    int n = snprintf(folder, sizeof(folder), "%s/deployment", home);
    if (n < 0 || (size_t)n >= sizeof(folder))
        return dv_error_set(err, DV_ERR_LIMIT, "deployment.home_dir '%.64s...' is too long", home);
    snprintf(d->pending, sizeof(d->pending), "%s/pending", folder);
    bool is_first = access(folder, F_OK) < 0;
    int r = dv_dir_make(folder, 0711, err);
    if (r == 0 && is_first)
        r = dv_durable_replace(d->pending, "", 0, 0600, err);
    if (r < 0)
        return dv_error_prefix(err, "deployment: ");
    *ret_is_first = is_first;
    *ret_is_over = !is_first && access(d->pending, F_OK) < 0;
    return 0;
}

int daemon_deployment_open(const struct dv_config *config,
                           struct daemon_deployment *ret,
                           bool *ret_wanted,
                           struct dv_error *err)
{
    bool is_first = false;
    bool is_over = false;
    *ret_wanted = false;
    if (!config->deployment_enable)
        return 0;
    bool is_init = strcasecmp(config->deployment_mode, "init") == 0;
    if (!is_init && strcasecmp(config->deployment_mode, "update") != 0)
        dv_log(DV_LOG_WARN, "deployment.mode '%s' is neither init nor update: update is used",
               config->deployment_mode);
    int r = mark(config, ret, &is_first, &is_over, err);
    if (r < 0)
        return r;
    ret->base = (struct dv_deployment){
        .is_update = !is_init,
        .must_be_bare = is_init && is_first,
        .finish = finish,
        .ctx = ret,
    };
    if (is_init && is_over)
        return 0;
    r = read_files(config->deployment_ctr_dir, &ret->base, err);
    if (r == 0 && ret->base.count == 0)
        finish(ret);
    else if (r == 0)
        *ret_wanted = true;
    return r;
}
