/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's file operations on the real file system. */
#include "base/durable.h"
#include "base/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(void *ctx, const char *path, bool create, int *ret_fd, uint64_t *ret_size)
{
    (void)ctx;
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    if (fd < 0)
        return -errno;
    struct stat info;
    if (fstat(fd, &info) < 0) {
        int saved = errno;
        close(fd);
        return -saved;
    }
    *ret_fd = fd;
    *ret_size = (uint64_t)info.st_size;
    return 0;
}

static int real_read(void *ctx, int fd, uint64_t offset, void *bytes, size_t len)
{
    (void)ctx;
    size_t have = 0;
    while (have < len) {
        ssize_t got = pread(fd, (char *)bytes + have, len - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (int)have;
}

static int real_write(void *ctx, int fd, uint64_t offset, const void *bytes, size_t len)
{
    (void)ctx;
    size_t done = 0;
    while (done < len) {
        ssize_t wrote = pwrite(fd, (const char *)bytes + done, len - done, (off_t)(offset + done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        done += (size_t)wrote;
    }
    return 0;
}

static int real_allocate(void *ctx, int fd, uint64_t size)
{
    (void)ctx;
    /* Zeros that are already allocated keep fdatasync from writing metadata. */
    int r = posix_fallocate(fd, 0, (off_t)size);
    return -r;
}

static int real_truncate(void *ctx, int fd, uint64_t size)
{
    (void)ctx;
    return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static int real_sync(void *ctx, int fd)
{
    (void)ctx;
    return fdatasync(fd) < 0 ? -errno : 0;
}

static int real_rename(void *ctx, const char *from, const char *to)
{
    (void)ctx;
    if (rename(from, to) < 0)
        return -errno;
    char folder[4096];
    snprintf(folder, sizeof(folder), "%s", to);
    size_t end = 0;
    for (size_t i = 0; folder[i]; i++)
        if (folder[i] == '/')
            end = i;
    folder[end ? end : 1] = '\0';
    if (!end)
        folder[0] = to[0] == '/' ? '/' : '.';
    struct dv_error err = DV_ERROR_INIT;
    return dv_dir_sync(folder, &err) < 0 ? -err.sys : 0;
}

static int real_remove(void *ctx, const char *path)
{
    (void)ctx;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static void real_close(void *ctx, int fd)
{
    (void)ctx;
    close(fd);
}

const struct dv_journal_files *dv_journal_files_real(void)
{
    static const struct dv_journal_files real = {
        real_open, real_read,   real_write,  real_allocate, real_truncate,
        real_sync, real_rename, real_remove, real_close,    NULL,
    };
    return &real;
}
