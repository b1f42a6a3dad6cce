/* SPDX-License-Identifier: Apache-2.0 */
#include "base/durable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREE_DEPTH_MAX 2048 /* folders below are moved up first */

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t wrote = write(fd, bytes, len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        bytes += wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

static int sync_parent(const char *path, struct dv_error *err)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash)
        return dv_dir_sync(".", err);
    size_t len = slash == path ? 1 : (size_t)(slash - path);
    if (len >= sizeof(folder))
        return dv_error_set(err, DV_ERR_LIMIT, "'%s' is too long for a path", path);
    memcpy(folder, path, len);
    folder[len] = '\0';
    return dv_dir_sync(folder, err);
}

int dv_dir_sync(const char *path, struct dv_error *err)
{
    dv_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open folder '%s' to sync it", path);
    if (fsync(fd) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "sync folder '%s'", path);
    return 0;
}

int dv_durable_replace(
    const char *path, const void *bytes, size_t len, mode_t mode, struct dv_error *err)
{
    char aside[PATH_MAX];
    int used = snprintf(aside, sizeof(aside), "%s.new", path);
    if (used < 0 || (size_t)used >= sizeof(aside))
        return dv_error_set(err, DV_ERR_LIMIT, "'%s' is too long for a path", path);
    dv_autoclose int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "create '%s'", aside);
    int r = write_all(fd, bytes, len);
    if (r == 0 && fchmod(fd, mode) < 0)
        r = -errno;
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && rename(aside, path) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlink(aside);
        return dv_error_sys(err, DV_ERR_IO, -r, "write '%s'", path);
    }
    return sync_parent(path, err);
}

int dv_file_read(const char *path, struct dv_buf *out, struct dv_error *err)
{
    dv_autoclose int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return dv_error_sys(err, errno == ENOENT ? DV_ERR_NOT_FOUND : DV_ERR_IO, errno, "open '%s'",
                            path);
    struct stat info;
    if (fstat(fd, &info) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "look at '%s'", path);
    if (!S_ISREG(info.st_mode))
        return dv_error_set(err, DV_ERR_IO, "'%s' is not a regular file", path);
    for (;;) {
        char chunk[16384];
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "read '%s'", path);
        if (got == 0)
            return 0;
        int r = dv_buf_append(out, chunk, (size_t)got, err);
        if (r < 0) {
            dv_error_prefix(err, "read '%s': ", path);
            return r;
        }
    }
}

static int make_one(const char *path, mode_t mode, struct dv_error *err)
{
    if (mkdir(path, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return dv_error_sys(err, DV_ERR_IO, errno, "make folder '%s'", path);
    struct stat info;
    if (stat(path, &info) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "look at '%s'", path);
    if (!S_ISDIR(info.st_mode))
        return dv_error_set(err, DV_ERR_IO, "'%s' is in the place of a folder", path);
    return 0;
}

int dv_dir_make(const char *path, mode_t mode, struct dv_error *err)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(part))
        return dv_error_set(err, DV_ERR_LIMIT, "'%s' is no usable path for a folder", path);
    if (mkdir(path, mode) == 0)
        return 0;
    if (errno == EEXIST)
        return make_one(path, mode, err);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        int r = make_one(part, mode, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/*
 * Iterative, with few open descriptors: a hostile image or container may nest any number of
 * folders. The walk goes down to the first folder, and back up through "..", whose identity is
 * checked so that a folder moved meanwhile cannot lead it elsewhere.
 */
struct walk {
    dev_t device;
    ino_t inodes[TREE_DEPTH_MAX];
    unsigned depth;
    int top;        /* borrowed: the folder that is removed */
    unsigned moved; /* names used there so far */
};

/* A folder that lies too deep becomes one at the top, where the walk comes by again. A name that is
 * taken is passed over; there are more names than the entries that a hostile tree would take. */
static int move_to_top(int fd, const char *name, struct walk *walk)
{
    char other[32];
    do {
        if (walk->moved == UINT_MAX)
            return -ELOOP;
        snprintf(other, sizeof(other), ".davit-deep-%u", walk->moved++);
        if (renameat2(fd, name, walk->top, other, RENAME_NOREPLACE) == 0)
            return 0;
    } while (errno == EEXIST);
    return -errno;
}

/* 0, or -errno for what must not be entered. */
static int check_inner(int inner, const struct walk *walk, ino_t *ret_inode)
{
    struct stat info;
    if (fstat(inner, &info) < 0)
        return -errno;
    *ret_inode = info.st_ino;
    return info.st_dev != walk->device ? -EXDEV : 0;
}

/* 1: went into a folder, 0: the folder at fd is empty now, negative: errno. */
static int empty_folder(int *fd, struct walk *walk)
{
    int copy = openat(*fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0)
        return -errno;
    dv_autoclosedir DIR *dir = fdopendir(copy);
    if (!dir) {
        int saved = errno;
        close(copy);
        return -saved;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            return -errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(*fd, entry->d_name, 0) == 0 || errno == ENOENT)
            continue;
        if (errno != EISDIR && errno != EPERM)
            return -errno;
        if (unlinkat(*fd, entry->d_name, AT_REMOVEDIR) == 0)
            continue;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return -errno;
        int inner = openat(*fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        ino_t inode = 0;
        if (inner < 0)
            return -errno;
        int r = check_inner(inner, walk, &inode);
        bool is_too_deep = walk->depth + 1 >= TREE_DEPTH_MAX;
        if (r == 0 && is_too_deep)
            r = move_to_top(*fd, entry->d_name, walk);
        if (r < 0 || is_too_deep) {
            close(inner);
            if (r < 0)
                return r;
            continue;
        }
        walk->inodes[++walk->depth] = inode;
        close(*fd);
        *fd = inner;
        return 1;
    }
}

static int go_up(int *fd, struct walk *walk)
{
    int outer = openat(*fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat info;
    if (outer < 0)
        return -errno;
    if (fstat(outer, &info) < 0 || info.st_dev != walk->device ||
        info.st_ino != walk->inodes[walk->depth - 1]) {
        close(outer);
        return -ESTALE;
    }
    walk->depth--;
    close(*fd);
    *fd = outer;
    return 0;
}

int dv_tree_remove(const char *path, struct dv_error *err)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return dv_error_sys(err, DV_ERR_IO, errno, "remove '%s'", path);
    dv_autoclose int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    dv_autoclose int fd = top < 0 ? -1 : fcntl(top, F_DUPFD_CLOEXEC, 0);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open '%s' to remove it", path);
    struct walk walk = {.device = info.st_dev, .inodes = {info.st_ino}, .top = top};
    for (;;) {
        int r = empty_folder(&fd, &walk);
        if (r == 0 && walk.depth == 0)
            break;
        if (r == 0)
            r = go_up(&fd, &walk);
        if (r < 0)
            return dv_error_sys(err, DV_ERR_IO, -r, "empty '%s' to remove it", path);
    }
    if (rmdir(path) < 0 && errno != ENOENT)
        return dv_error_sys(err, DV_ERR_IO, errno, "remove folder '%s'", path);
    return 0;
}
