/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/layer_seal.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/durable.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEVELS      2
#define ENTRIES_MAX 10000 /* that are looked at; with more a level less is */
#define SEAL_BYTES  128
#define SEAL_MODE   0600
#define DIR_MODE    0700
#define NUMBERS     1000U /* damaged ones of one layer */
#define FNV_BASIS   UINT64_C(14695981039346656037)
#define FNV_PRIME   UINT64_C(1099511628211)
#define KIND_DIR    'd'

struct sum {
    uint64_t count;
    uint64_t names; /* of the hashes of all entries: their order does not matter */
};

static uint64_t hash(uint64_t value, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        value = (value ^ (uint8_t)text[i]) * FNV_PRIME;
    return value;
}

/* 0 when it is gone meanwhile. */
static char kind_of(int dir, const struct dirent *entry)
{
    struct stat info;
    if (entry->d_type == DT_DIR)
        return KIND_DIR;
    if (entry->d_type != DT_UNKNOWN)
        return (char)('A' + entry->d_type);
    if (fstatat(dir, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    return S_ISDIR(info.st_mode) ? KIND_DIR : (char)('A' + IFTODT(info.st_mode));
}

/* Adds `levels` levels, in which the directory `name` has the hash `place`. -EOVERFLOW at more than
 * ENTRIES_MAX, else 0 or -errno. */
static int add_level(int parent, const char *name, unsigned levels, uint64_t place, struct sum *sum)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    dv_autoclosedir DIR *dir = fdopendir(fd);
    if (!dir) {
        int cause = errno;
        (void)close(fd);
        return -cause;
    }
    if (levels == 0)
        return 0;
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (++sum->count > ENTRIES_MAX)
            return -EOVERFLOW;
        char kind = kind_of(dirfd(dir), entry);
        uint64_t at = hash(hash(place, &kind, 1), entry->d_name, strlen(entry->d_name) + 1);
        sum->names += at;
        int r = kind == KIND_DIR && levels > 1
                    ? add_level(dirfd(dir), entry->d_name, levels - 1, at, sum)
                    : 0;
        if (r < 0 && r != -ENOENT)
            return r;
    }
    return 0;
}

static int take_sum(const char *directory, unsigned levels, struct sum *ret)
{
    *ret = (struct sum){0};
    return add_level(AT_FDCWD, directory, levels, FNV_BASIS, ret);
}

__attribute__((format(printf, 3, 4))) static int
make_path(char path[PATH_MAX], struct dv_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(path, PATH_MAX, format, args);
    va_end(args);
    if (n < 0 || n >= PATH_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "path of a layer is too long");
    return 0;
}

int dv_layer_seal_write(const char *layers_dir,
                        const char *id,
                        const char *directory,
                        struct dv_error *err)
{
    char path[PATH_MAX];
    char text[SEAL_BYTES];
    struct sum sum;
    unsigned levels = LEVELS;
    int e;
    int r = make_path(path, err, "%s/ids/%s" DV_LAYER_SEAL_SUFFIX, layers_dir, id);
    if (r < 0)
        return r;
    while ((e = take_sum(directory, levels, &sum)) == -EOVERFLOW)
        levels--;
    if (e < 0)
        return dv_error_sys(err, DV_ERR_IO, -e, "read '%s'", directory);
    int n = snprintf(text, sizeof(text), "v1 %u %" PRIu64 " %016" PRIx64 "\n", levels, sum.count,
                     sum.names);
    return dv_durable_replace(path, text, (size_t)n, SEAL_MODE, err);
}

/* False when there is none that this davit understands. */
static bool
read_seal(const char *path, unsigned *ret_levels, struct sum *ret, int *ret_r, struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(SEAL_BYTES);
    int r = dv_file_read(path, &text, &cause);
    *ret_r = 0;
    if (r < 0 && cause.class != DV_ERR_NOT_FOUND && cause.class != DV_ERR_LIMIT)
        *ret_r = dv_error_set(err, cause.class, "%s", cause.text);
    return r == 0 && text.data &&
           sscanf(text.data, "v1 %1u %" SCNu64 " %16" SCNx64, ret_levels, &ret->count,
                  &ret->names) == 3 &&
           *ret_levels <= LEVELS;
}

int dv_layer_seal_check(const char *layers_dir, const char *id, struct dv_error *err)
{
    char directory[PATH_MAX];
    char path[PATH_MAX];
    struct sum then = {0};
    struct sum now;
    unsigned levels = 0;
    int r = make_path(directory, err, "%s/%s", layers_dir, id);
    if (r == 0)
        r = make_path(path, err, "%s/ids/%s" DV_LAYER_SEAL_SUFFIX, layers_dir, id);
    if (r < 0)
        return r;
    if (!read_seal(path, &levels, &then, &r, err))
        levels = 0;
    if (r < 0)
        return r;
    int e = take_sum(directory, levels, &now);
    if (e == -ENOENT || e == -ENOTDIR || e == -ELOOP)
        return dv_error_set(err, DV_ERR_CORRUPT, "the unpacked layer %s is missing", id);
    if (e == 0 && (levels == 0 || (now.count == then.count && now.names == then.names)))
        return 0;
    if (e == 0 || e == -EOVERFLOW)
        return dv_error_set(err, DV_ERR_CORRUPT,
                            "the unpacked layer %s is damaged: of its %" PRIu64
                            " entries at the top some are missing, or others have come",
                            id, then.count);
    return dv_error_sys(err, DV_ERR_IO, -e, "read '%s'", directory);
}

int dv_layer_set_aside(const char *layers_dir, const char *id, struct dv_error *err)
{
    char path[PATH_MAX];
    char aside[PATH_MAX];
    int r = make_path(aside, err, "%s/damaged", layers_dir);
    if (r == 0)
        r = make_path(path, err, "%s/%s", layers_dir, id);
    if (r < 0 || (access(path, F_OK) < 0 && errno == ENOENT))
        return r;
    r = dv_dir_make(aside, DIR_MODE, err);
    for (unsigned number = 1; r == 0 && number <= NUMBERS; number++) {
        r = make_path(aside, err, "%s/damaged/%s.%u", layers_dir, id, number);
        if (r == 0 && renameat2(AT_FDCWD, path, AT_FDCWD, aside, RENAME_NOREPLACE) == 0) {
            dv_log(DV_LOG_WARN,
                   "layer %s was damaged: it is unpacked again; containers that run on it keep "
                   "what is left, '%s', until they start again",
                   id, aside);
            return 0;
        }
        if (r == 0 && errno != EEXIST)
            return dv_error_sys(err, DV_ERR_IO, errno, "rename '%s' to '%s'", path, aside);
    }
    return r < 0 ? r
                 : dv_error_set(err, DV_ERR_LIMIT,
                                "layer %s: %u damaged ones of it lie in '%s/damaged'; remove them",
                                id, NUMBERS, layers_dir);
}
