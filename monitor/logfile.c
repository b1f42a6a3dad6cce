/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/logfile.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct dv_logfile {
    struct dv_logfile *newer; /* in the list of open files */
    struct dv_logfile *older;
    int fd;
    int64_t size;
    int64_t max_size;
    int64_t max_files;
    char path[];
};

/* Open files, the most recently used first. Only the log thread comes here. */
static struct {
    struct dv_logfile *newest;
    struct dv_logfile *oldest;
    unsigned count;
} open_files;

static void unlist(struct dv_logfile *file)
{
    *(file->newer ? &file->newer->older : &open_files.newest) = file->older;
    *(file->older ? &file->older->newer : &open_files.oldest) = file->newer;
    file->newer = NULL;
    file->older = NULL;
    open_files.count--;
}

static void list(struct dv_logfile *file)
{
    file->older = open_files.newest;
    *(open_files.newest ? &open_files.newest->newer : &open_files.oldest) = file;
    open_files.newest = file;
    open_files.count++;
}

static void close_file(struct dv_logfile *file)
{
    if (file->fd < 0)
        return;
    unlist(file);
    dv_close(&file->fd);
}

struct dv_logfile *dv_logfile_new(const char *path, int64_t max_size_bytes, int64_t max_files)
{
    struct dv_logfile *file = calloc(1, sizeof(*file) + strlen(path) + 1);
    if (!file)
        return NULL;
    memcpy(file->path, path, strlen(path) + 1);
    file->fd = -1;
    file->max_size = max_size_bytes;
    file->max_files = max_files > 0 ? max_files : 1;
    return file;
}

void dv_logfile_free(struct dv_logfile *file)
{
    if (!file)
        return;
    close_file(file);
    free(file);
}

const char *
dv_logfile_tell(const struct dv_logfile *file, int64_t *ret_max_size_bytes, int64_t *ret_max_files)
{
    *ret_max_size_bytes = file->max_size;
    *ret_max_files = file->max_files;
    return file->path;
}

static int open_file(struct dv_logfile *file, struct dv_error *err)
{
    if (file->fd >= 0) {
        unlist(file);
        list(file);
        return 0;
    }
    if (open_files.count >= DV_LOGFILES_OPEN_MAX)
        close_file(open_files.oldest);
    file->fd = open(file->path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (file->fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open log '%s'", file->path);
    struct stat info;
    file->size = fstat(file->fd, &info) == 0 ? info.st_size : 0;
    list(file);
    return 0;
}

static void name_of(const struct dv_logfile *file, int64_t number, char name[PATH_MAX])
{
    if (number)
        snprintf(name, PATH_MAX, "%s.%lld", file->path, (long long)number);
    else
        snprintf(name, PATH_MAX, "%s", file->path);
}

/* The full file becomes number 1 and an empty one takes its place in the same instant, so that a
 * reader always finds a file of this name. Negative with errno. */
static int turn_over(const struct dv_logfile *file)
{
    char first[PATH_MAX];
    name_of(file, 1, first);
    if (unlink(first) < 0 && errno != ENOENT)
        return -1;
    int fd = open(first, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return -1;
    close(fd);
    if (renameat2(AT_FDCWD, file->path, AT_FDCWD, first, RENAME_EXCHANGE) == 0)
        return 0;
    /* Not every file system can exchange names. */
    return errno == EINVAL || errno == ENOSYS ? rename(file->path, first) : -1;
}

static int rotate(struct dv_logfile *file, struct dv_error *err)
{
    char from[PATH_MAX];
    char to[PATH_MAX];
    if (file->max_files == 1) {
        if (ftruncate(file->fd, 0) < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "empty log '%s'", file->path);
        file->size = 0;
        return 0;
    }
    for (int64_t i = file->max_files - 1; i >= 2; i--) {
        name_of(file, i - 1, from);
        name_of(file, i, to);
        if (rename(from, to) < 0 && errno != ENOENT)
            return dv_error_sys(err, DV_ERR_IO, errno, "rotate log '%s'", from);
    }
    if (turn_over(file) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "rotate log '%s'", file->path);
    close_file(file);
    return open_file(file, err);
}

static int append(struct dv_logfile *file, const char *bytes, size_t len, struct dv_error *err)
{
    while (len) {
        ssize_t wrote = write(file->fd, bytes, len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "write log '%s'", file->path);
        file->size += wrote;
        bytes += wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

/* As many records as bring the file to its size, at least one. */
static size_t fitting(const struct dv_logfile *file, const char *records, size_t len)
{
    int64_t room = file->max_size - file->size;
    if (file->max_size <= 0 || room >= (int64_t)len)
        return len;
    /* The record with the byte that fills the file is the last one. */
    const char *from = records + (room > 0 ? room - 1 : 0);
    const char *end = memchr(from, '\n', len - (size_t)(from - records));
    return end ? (size_t)(end - records) + 1 : len;
}

int dv_logfile_write(struct dv_logfile *file, const char *records, size_t len, struct dv_error *err)
{
    while (len) {
        int r = open_file(file, err);
        if (r == 0 && file->max_size > 0 && file->size >= file->max_size)
            r = rotate(file, err);
        if (r < 0)
            return r;
        size_t part = fitting(file, records, len);
        r = append(file, records, part, err);
        if (r < 0)
            return r;
        records += part;
        len -= part;
    }
    return 0;
}
