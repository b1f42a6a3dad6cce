/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/place.h"

#include "base/durable.h"
#include "base/str.h"
#include "spec/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_FILE_MAX 256

char *dv_oci_place_join(char path[PATH_MAX], const char *folder, const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

int dv_oci_place_of(const char *home_dir,
                    const char *run_dir,
                    const char *id,
                    struct dv_oci_place *ret,
                    struct dv_error *err)
{
    if (!dv_id_is_valid(id))
        return dv_error_set(err, DV_ERR_INVALID, "'%.128s' is no container id", id);
    snprintf(ret->run, sizeof(ret->run), "%s/containers/%s", run_dir, id);
    snprintf(ret->bundle, sizeof(ret->bundle), "%s/containers/%s/bundle", run_dir, id);
    snprintf(ret->data, sizeof(ret->data), "%s/containers/%s", home_dir, id);
    snprintf(ret->state, sizeof(ret->state), "%s/runtime/%s", run_dir, id);
    return 0;
}

/* These files are on a tmpfs: nothing to sync, but never seen half written. */
int dv_oci_place_write(const char *folder,
                       const char *name,
                       mode_t mode,
                       const void *bytes,
                       size_t len,
                       struct dv_error *err)
{
    char path[PATH_MAX];
    char aside[PATH_MAX + 8];
    dv_oci_place_join(path, folder, name);
    snprintf(aside, sizeof(aside), "%s.new", path);
    dv_autoclose int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "create '%s'", aside);
    ssize_t wrote = write(fd, bytes, len);
    if (wrote < 0 || (size_t)wrote != len || fchmod(fd, mode) < 0 || rename(aside, path) < 0) {
        int saved = wrote >= 0 && (size_t)wrote != len ? ENOSPC : errno;
        (void)unlink(aside);
        return dv_error_sys(err, DV_ERR_IO, saved, "write '%s'", path);
    }
    return 0;
}

static bool
read_numbers(const struct dv_oci_place *place, const char *name, int64_t *first, int64_t *second)
{
    char path[PATH_MAX];
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(SMALL_FILE_MAX);
    struct dv_str head;
    struct dv_str tail;
    if (dv_file_read(dv_oci_place_join(path, place->run, name), &text, NULL) < 0 || !text.data)
        return false;
    dv_str_cut((struct dv_str){text.data, text.len}, ' ', &head, &tail);
    if (dv_str_to_i64(head, 0, INT64_MAX, first, NULL) < 0)
        return false;
    return !second || dv_str_to_i64(tail, 0, INT64_MAX, second, NULL) == 0;
}

/* Both runtimes have this FIFO while a created process waits for its start. Without it the start
 * happened, even if who ordered it died before noting so: such a container must not be taken for
 * one that never ran. */
static bool is_past_start(const struct dv_oci_place *place)
{
    char path[PATH_MAX];
    return access(place->state, F_OK) == 0 &&
           access(dv_oci_place_join(path, place->state, "exec.fifo"), F_OK) < 0 && errno == ENOENT;
}

static int64_t time_of_create(const struct dv_oci_place *place)
{
    char path[PATH_MAX];
    struct stat st;
    if (stat(dv_oci_place_join(path, place->run, "init"), &st) < 0)
        return 1;
    return st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
}

bool dv_oci_place_read_run(const struct dv_oci_place *place, struct dv_oci_run *ret)
{
    *ret = (struct dv_oci_run){0};
    if (!read_numbers(place, "init", &ret->pid, &ret->start_ticks) || ret->pid <= 0 ||
        ret->pid > INT32_MAX || ret->start_ticks <= 0)
        return false;
    if (!read_numbers(place, "started", &ret->started_ns, NULL) && is_past_start(place))
        ret->started_ns = time_of_create(place);
    return true;
}

int dv_oci_place_write_init(const struct dv_oci_place *place,
                            int64_t pid,
                            int64_t ticks,
                            struct dv_error *err)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "%lld %lld", (long long)pid, (long long)ticks);
    return dv_oci_place_write(place->run, "init", 0644, text, (size_t)len, err);
}

int dv_oci_place_write_started(const struct dv_oci_place *place,
                               int64_t wall_ns,
                               struct dv_error *err)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%lld", (long long)wall_ns);
    return dv_oci_place_write(place->run, "started", 0644, text, (size_t)len, err);
}
