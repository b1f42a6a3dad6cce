/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Images on disk: <home>/images is a standard OCI image layout (readable by skopeo and umoci) and
 * <home>/layers (layers.h) holds unpacked layers. An image is named in index.json by its canonical
 * reference; entries and files of other tools are left as they are.
 *
 * Any thread: index.json is changed under a lock of the store, blobs get their name by an atomic
 * rename, so readers need none. Calls block for the disk. Results live in the caller's arena. One
 * process at a time: whoever opens the store holds the lock of the home.
 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "runtime/image/manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_IMAGE_INDEX_BYTES_MAX (4U << 20)

struct dv_image_store;

/* Copied. */
struct dv_image_store_options {
    const char *home_dir;       /* absolute; made if it is missing */
    const char *unpack_program; /* absolute path of davit-unpack; NULL: layers cannot be unpacked */
    int64_t layer_bytes_max;   /* of one unpacked layer, 0: 64 GiB; never more than there is room */
    int64_t layer_entries_max; /* likewise */
    bool takes_absolute_names; /* of layers, as names below their root; else they are refused */
    const struct dv_clock *clock; /* NULL: the machine's */
};

/* Makes what is missing and removes what a crash left in staging. An index.json that cannot be read
 * is set aside, see dv_image_store_note. */
__attribute__((warn_unused_result)) int
dv_image_store_open(const struct dv_image_store_options *options,
                    struct dv_image_store **ret,
                    struct dv_error *err);
void dv_image_store_free(struct dv_image_store *store);
DV_DEFINE_CLEANUP(dv_image_store, dv_image_store_free)

/* What was repaired when the store was opened, for the log; NULL: nothing. Borrowed. */
const char *dv_image_store_note(const struct dv_image_store *store);

/* ---- blobs ---- */

/* Where downloads go before they are adopted; borrowed. A file has the name <algorithm>-<hex>. */
const char *dv_image_store_ingest_dir(const struct dv_image_store *store);

/* NULL when memory is short. */
char *dv_image_store_blob_path(const struct dv_image_store *store,
                               const char *digest,
                               struct dv_arena *arena);

/* 0 if the blob is stored with that size (0: any size), NOT_FOUND if not. */
__attribute__((warn_unused_result)) int dv_image_store_has(struct dv_image_store *store,
                                                           const char *digest,
                                                           int64_t size,
                                                           struct dv_error *err);

/* Stores bytes that must have that digest; durable on return. */
__attribute__((warn_unused_result)) int dv_image_store_put(struct dv_image_store *store,
                                                           const char *digest,
                                                           const void *bytes,
                                                           size_t len,
                                                           struct dv_error *err);

/* Gives a downloaded file of the ingest directory its blob name; durable on return. 0 also when
 * that was done before. The digest was verified while it came, or it is now: CORRUPT then removes
 * the file. */
__attribute__((warn_unused_result)) int dv_image_store_adopt(struct dv_image_store *store,
                                                             const char *digest,
                                                             const char *file,
                                                             bool is_unverified,
                                                             struct dv_error *err);

/* A small blob, verified. NOT_FOUND, or CORRUPT when it is damaged or larger than `max`. */
__attribute__((warn_unused_result)) int dv_image_store_read(struct dv_image_store *store,
                                                            const char *digest,
                                                            size_t max,
                                                            struct dv_arena *arena,
                                                            const char **ret_bytes,
                                                            size_t *ret_len,
                                                            struct dv_error *err);

/* ---- images ---- */

struct dv_stored_image {
    char *reference; /* canonical */
    struct dv_descriptor manifest;
    int64_t stored_ns; /* wall clock; 0: not known, another tool stored it */
};

/* NOT_FOUND when no image has that reference. */
__attribute__((warn_unused_result)) int dv_image_store_find(struct dv_image_store *store,
                                                            const char *reference,
                                                            struct dv_arena *arena,
                                                            struct dv_stored_image *ret,
                                                            struct dv_error *err);
__attribute__((warn_unused_result)) int dv_image_store_list(struct dv_image_store *store,
                                                            struct dv_arena *arena,
                                                            struct dv_stored_image **ret,
                                                            size_t *ret_count,
                                                            struct dv_error *err);

/* Digests of all entries of index.json, of whatever tool. */
__attribute__((warn_unused_result)) int dv_image_store_roots(struct dv_image_store *store,
                                                             struct dv_arena *arena,
                                                             char ***ret,
                                                             size_t *ret_count,
                                                             struct dv_error *err);

/* The manifest of an image; CORRUPT or NOT_FOUND when its blob is damaged or gone. */
__attribute__((warn_unused_result)) int
dv_image_store_manifest(struct dv_image_store *store,
                        const struct dv_descriptor *manifest,
                        struct dv_arena *arena,
                        struct dv_document *ret,
                        struct dv_error *err);

/* Names an image, in place of one that had the reference; durable on return. STATE when one of its
 * blobs is not stored. A Docker manifest is stored in OCI's words as well and named by these,
 * because other tools look for OCI manifests only. */
__attribute__((warn_unused_result)) int dv_image_store_commit(struct dv_image_store *store,
                                                              const char *reference,
                                                              const struct dv_descriptor *manifest,
                                                              struct dv_error *err);

/* Another time of storing for a stored image. NOT_FOUND when there is none of that name. */
__attribute__((warn_unused_result)) int dv_image_store_restamp(struct dv_image_store *store,
                                                               const char *reference,
                                                               int64_t stored_ns,
                                                               struct dv_error *err);

/* The name only: blobs and layers stay until they are collected. NOT_FOUND when there is none. */
__attribute__((warn_unused_result)) int
dv_image_store_remove(struct dv_image_store *store, const char *reference, struct dv_error *err);
