/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The bytes of one layer blob, decompressed as a stream, with both digests computed on the way:
 * of the blob as stored and of the tar inside (the diff id). An encrypted blob is decrypted first.
 * Memory is fixed: two buffers and the window of the decompressor. Blocks on the descriptor only.
 * Not thread-safe: one owner.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "unpack/decrypt/layer_cipher.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zstd frame that asks for a larger window than 2^27 bytes is refused. */
#define DV_UNPACK_ZSTD_WINDOW_LOG_MAX 27

struct dv_unpack_source;

struct dv_unpack_source_options {
    int fd;                 /* the blob, at its start; borrowed */
    const char *media_type; /* of the layer; must be one of tar, tar+gzip, tar+zstd */
    const char *digest;     /* of the blob; NULL: not verified */
    const char *diff_id;    /* of the tar; likewise */
    uint64_t bytes_max;     /* ceiling for the tar */
    bool is_encrypted;      /* media_type ends in +encrypted; a cipher must be set */
};

/* UNSUPPORTED for a media type that is no layer tar, INVALID for a malformed digest. The blob is
 * not read yet. */
__attribute__((warn_unused_result)) int
dv_unpack_source_new(const struct dv_unpack_source_options *options,
                     struct dv_unpack_source **ret,
                     struct dv_error *err);
void dv_unpack_source_free(struct dv_unpack_source *source);
DV_DEFINE_CLEANUP(dv_unpack_source, dv_unpack_source_free)

/* What decrypts the blob, borrowed until the source is freed; before the first read. */
void dv_unpack_source_set_cipher(struct dv_unpack_source *source, struct dv_layer_cipher *cipher);

/* The next bytes of the tar, valid until the next call; *ret_len 0 at the end. The first bytes of
 * the blob say how it is compressed: registries hold layers whose media type names another
 * compression than they have. CORRUPT for damaged or truncated data, LIMIT over bytes_max. */
__attribute__((warn_unused_result)) int dv_unpack_source_read(struct dv_unpack_source *source,
                                                              const void **ret_bytes,
                                                              size_t *ret_len,
                                                              struct dv_error *err);

/* Reads what the tar reader left (padding behind the end mark) and verifies both digests. */
__attribute__((warn_unused_result)) int dv_unpack_source_finish(struct dv_unpack_source *source,
                                                                struct dv_error *err);
