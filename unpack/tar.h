/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reads a layer tar (ustar, PAX, GNU; sparse files too) and hands its entries, checked by the rules
 * for layers, to a sink. libarchive is inside and does not show. Nothing here touches a file
 * system. Not thread-safe: one owner.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct dv_unpack_source;

#define DV_UNPACK_XATTRS_MAX      64U          /* of one entry */
#define DV_UNPACK_XATTR_BYTES_MAX (64U << 10U) /* of one value; the kernel's limit too */

enum dv_unpack_kind {
    DV_UNPACK_FILE,
    DV_UNPACK_DIRECTORY,
    DV_UNPACK_SYMLINK,
    DV_UNPACK_HARDLINK,
    DV_UNPACK_NODE, /* character or block device, fifo */
};

struct dv_unpack_xattr {
    const char *name;
    const void *value;
    size_t len;
};

/* Borrowed: by entry() for the call, of a file until file_end() returns. */
struct dv_unpack_entry {
    const char *path;   /* cleaned; "" is the layer's root */
    const char *target; /* text of a symlink, cleaned name of a hard link's target */
    enum dv_unpack_kind kind;
    mode_t mode; /* permission bits; with the file type for DV_UNPACK_NODE */
    uid_t uid;
    gid_t gid;
    dev_t device; /* DV_UNPACK_NODE */
    struct timespec mtime;
    uint64_t size; /* DV_UNPACK_FILE */
    size_t xattr_count;
    struct dv_unpack_xattr xattrs[DV_UNPACK_XATTRS_MAX];
};

/* Where entries go. A file is entry(), data() any number of times with rising offsets (holes are
 * skipped), file_end(); everything else is entry() alone. The first failure ends the reading. */
struct dv_unpack_sink {
    int (*entry)(void *ctx, const struct dv_unpack_entry *entry, struct dv_error *err);
    int (*data)(void *ctx, uint64_t offset, const void *bytes, size_t len, struct dv_error *err);
    int (*file_end)(void *ctx, struct dv_error *err);
    void *ctx;
};

struct dv_unpack_limits {
    uint64_t bytes_max; /* sum of all file sizes */
    uint64_t entries_max;
    size_t name_max;           /* bytes of one name or link target */
    bool takes_absolute_names; /* as names below the layer's root */
};

struct dv_unpack_totals {
    uint64_t entries;
    uint64_t bytes;
};

/* INVALID for what a layer must not hold, CORRUPT for what is no tar, LIMIT over a limit, else the
 * failure of the source or the sink. The error names the entry. */
__attribute__((warn_unused_result)) int dv_unpack_tar_read(struct dv_unpack_source *source,
                                                           const struct dv_unpack_sink *sink,
                                                           const struct dv_unpack_limits *limits,
                                                           struct dv_unpack_totals *ret,
                                                           struct dv_error *err);
