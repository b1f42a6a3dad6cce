/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/archive.h"

#include "base/durable.h"
#include "runtime/image/digest.h"
#include "runtime/image/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK_BYTES (256U << 10)

struct dv_archive {
    int root;
    char staged[PATH_MAX]; /* "": nothing to remove */
};

static int no_memory(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "load images: out of memory");
}

int dv_archive_open(struct dv_image_store *store,
                    const char *path,
                    const struct dv_image_unpacker *unpacker,
                    struct dv_archive **ret,
                    struct dv_error *err)
{
    DV_AUTO(dv_archive) archive = calloc(1, sizeof(*archive));
    struct stat info;
    if (!archive)
        return no_memory(err);
    archive->root = -1;
    if (path[0] != '/')
        return dv_error_set(err, DV_ERR_INVALID, "load '%.512s': an absolute path is needed", path);
    if (stat(path, &info) < 0)
        return dv_error_sys(err, errno == ENOENT ? DV_ERR_INVALID : DV_ERR_IO, errno,
                            "load '%.512s'", path);
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        return dv_error_set(err, DV_ERR_INVALID, "load '%.512s': neither a file nor a directory",
                            path);
    const char *directory = path;
    if (S_ISREG(info.st_mode)) {
        int r = dv_layers_open_archive(store, path, unpacker, archive->staged, err);
        if (r < 0)
            return r;
        directory = archive->staged;
    }
    archive->root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (archive->root < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open '%.512s'", directory);
    *ret = dv_steal(&archive);
    return 0;
}

void dv_archive_free(struct dv_archive *archive)
{
    if (!archive)
        return;
    dv_close(&archive->root);
    if (archive->staged[0]) {
        /* What cannot be removed now is removed by the next start, which empties staging. */
        int left = dv_tree_remove(archive->staged, NULL);
        (void)left;
    }
    free(archive);
}

static int
open_inside(struct dv_archive *archive, const char *name, int64_t *ret_size, struct dv_error *err)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
    dv_autoclose int fd = (int)syscall(SYS_openat2, archive->root, name, &how, sizeof(how));
    struct stat info;
    if (fd < 0 && errno == ENOENT)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "there is no '%.256s' in it", name);
    if (fd < 0 || fstat(fd, &info) < 0)
        return dv_error_sys(err, DV_ERR_CORRUPT, errno, "'%.256s'", name);
    if (!S_ISREG(info.st_mode))
        return dv_error_set(err, DV_ERR_CORRUPT, "'%.256s' is no file", name);
    *ret_size = info.st_size;
    return dv_steal_fd(&fd);
}

int dv_archive_read(struct dv_archive *archive,
                    const char *name,
                    size_t max,
                    struct dv_arena *arena,
                    const char **ret_bytes,
                    size_t *ret_len,
                    struct dv_error *err)
{
    int64_t size = 0;
    dv_autoclose int fd = open_inside(archive, name, &size, err);
    if (fd < 0)
        return fd;
    if (size > (int64_t)max)
        return dv_error_set(err, DV_ERR_CORRUPT, "'%.256s' has %lld bytes, at most %zu are allowed",
                            name, (long long)size, max);
    char *bytes = dv_arena_alloc(arena, (size_t)size + 1);
    if (!bytes)
        return no_memory(err);
    size_t len = 0;
    while (len < (size_t)size) {
        ssize_t got = read(fd, bytes + len, (size_t)size - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "read '%.256s'", name);
        if (got == 0)
            break;
        len += (size_t)got;
    }
    *ret_bytes = bytes;
    *ret_len = len;
    return 0;
}

int dv_archive_measure(struct dv_archive *archive,
                       const char *name,
                       char ret_digest[],
                       int64_t *ret_size,
                       bool *ret_is_compressed,
                       struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    int64_t size = 0;
    dv_autoclose int fd = open_inside(archive, name, &size, &cause);
    if (fd < 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "%s", cause.text);
    unsigned char magic[4] = {0};
    if (pread(fd, magic, sizeof(magic), 0) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "read '%.256s'", name);
    int r = dv_digest_of_fd(fd, ret_digest, err);
    if (r < 0)
        return r;
    *ret_size = size;
    *ret_is_compressed = (magic[0] == 0x1f && magic[1] == 0x8b) ||
                         (magic[0] == 0x28 && magic[1] == 0xb5 && magic[2] == 0x2f);
    return 0;
}

static int copy(int from, int to, struct dv_digest_sum *sum, struct dv_error *err)
{
    dv_autofree char *block = malloc(BLOCK_BYTES);
    if (!block)
        return no_memory(err);
    for (;;) {
        ssize_t got = read(from, block, BLOCK_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "read a blob");
        if (got == 0)
            return dv_digest_sum_check(sum, err);
        dv_digest_sum_add(sum, block, (size_t)got);
        for (ssize_t at = 0; at < got;) {
            ssize_t put = write(to, block + at, (size_t)(got - at));
            if (put < 0 && errno == EINTR)
                continue;
            if (put < 0)
                return dv_error_sys(err, DV_ERR_IO, errno, "write a blob");
            at += put;
        }
    }
}

int dv_archive_import(struct dv_archive *archive,
                      struct dv_image_store *store,
                      const char *name,
                      const char *digest,
                      int64_t size,
                      struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    int64_t found = 0;
    char path[PATH_MAX];
    if (dv_image_store_has(store, digest, size, NULL) == 0)
        return 0;
    dv_autoclose int from = open_inside(archive, name, &found, &cause);
    if (from < 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "%s", cause.text);
    if (found != size)
        return dv_error_set(err, DV_ERR_CORRUPT, "'%.256s' has %lld bytes, expected are %lld", name,
                            (long long)found, (long long)size);
    int n = snprintf(path, sizeof(path), "%s/load-XXXXXX", dv_image_store_ingest_dir(store));
    if (n < 0 || n >= PATH_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "the path of the store is too long");
    dv_autoclose int to = mkostemp(path, O_CLOEXEC);
    if (to < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "create '%s'", path);
    DV_AUTO(dv_digest_sum) sum = NULL;
    int r = dv_digest_sum_new(digest, &sum, err);
    if (r == 0)
        r = copy(from, to, sum, err);
    if (r == 0)
        r = dv_image_store_adopt(store, digest, path, false, err);
    if (r < 0) {
        (void)unlink(path);
        return err ? dv_error_prefix(err, "'%.256s': ", name) : r;
    }
    return 0;
}
