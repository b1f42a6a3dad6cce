/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The image jobs of a worker in one call each, in the terms of its messages. Any thread; calls
 * block for the disk, and for davit-unpack when a layer is missing. Results live in the caller's
 * arena.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"
#include "runtime/image/config.h"
#include "runtime/image/store.h"
#include "runtime/launcher.h"

/* How layers that are missing are unpacked from their stored blobs. */
struct dv_image_unpacker {
    struct dv_launcher *launcher;
    int64_t timeout_ms; /* each layer */
};

/* image_lookup_job: 0 if the image is stored and all its layers are unpacked, and, if it is
 * encrypted, the job's keys open it: DENIED if they do not. Missing layers are unpacked if
 * `unpacker` is given. NOT_FOUND when the image, a blob or (without unpacker) a layer is missing,
 * or a document is damaged: it is to be pulled then, which takes only what is missing. The
 * reference need not be canonical. */
__attribute__((warn_unused_result)) int dv_image_lookup(struct dv_image_store *store,
                                                        const struct dv_image_lookup_job *job,
                                                        const struct dv_image_unpacker *unpacker,
                                                        struct dv_arena *arena,
                                                        struct dv_image_ready *ret,
                                                        struct dv_error *err);

/* image_commit_job: names the image, all of whose blobs are stored. Layers as for lookup, but one
 * that is missing is STATE. */
__attribute__((warn_unused_result)) int dv_image_commit(struct dv_image_store *store,
                                                        const struct dv_image_commit_job *job,
                                                        const struct dv_image_unpacker *unpacker,
                                                        struct dv_arena *arena,
                                                        struct dv_image_ready *ret,
                                                        struct dv_error *err);

/* blob_store_job. */
__attribute__((warn_unused_result)) int dv_image_store_blob(struct dv_image_store *store,
                                                            const struct dv_blob_store_job *job,
                                                            struct dv_error *err);

/* image_room_job: FAILED when the file system has certainly no room for the layers that are not
 * stored: as they come, and unpacked at least as much again. */
__attribute__((warn_unused_result)) int dv_image_room(struct dv_image_store *store,
                                                      const struct dv_image_room_job *job,
                                                      struct dv_error *err);

/* The configuration with that digest (image_ready.image_id). */
__attribute__((warn_unused_result)) int dv_image_config_load(struct dv_image_store *store,
                                                             const char *image_id,
                                                             struct dv_arena *arena,
                                                             struct dv_image_config *ret,
                                                             struct dv_error *err);
