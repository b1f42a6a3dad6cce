/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The files of an archive to load images from: a directory, or a tar that davit-unpack has taken
 * apart below the store's staging directory, which is removed at the end. Names are hostile: they
 * are resolved inside, whatever links are there. One owner; calls block for the disk.
 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/image/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dv_archive;

/* INVALID for what is neither file nor directory, or no absolute path. */
int dv_archive_open(struct dv_image_store *store,
                    const char *path,
                    const struct dv_image_unpacker *unpacker,
                    struct dv_archive **ret,
                    struct dv_error *err);
void dv_archive_free(struct dv_archive *archive);
DV_DEFINE_CLEANUP(dv_archive, dv_archive_free)

/* A small file; NOT_FOUND, or CORRUPT when it is larger than `max`. */
int dv_archive_read(struct dv_archive *archive,
                    const char *name,
                    size_t max,
                    struct dv_arena *arena,
                    const char **ret_bytes,
                    size_t *ret_len,
                    struct dv_error *err);

/* sha256 digest and size of a file, and whether it begins like gzip or zstd. CORRUPT without it. */
int dv_archive_measure(struct dv_archive *archive,
                       const char *name,
                       char ret_digest[],
                       int64_t *ret_size,
                       bool *ret_is_compressed,
                       struct dv_error *err);

/* Copies a file into the store as the blob `digest`, verified; 0 also when that is stored. */
int dv_archive_import(struct dv_archive *archive,
                      struct dv_image_store *store,
                      const char *name,
                      const char *digest,
                      int64_t size,
                      struct dv_error *err);
