/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Images from a file: a tar (also gzip or zstd) of an OCI image layout or of `docker save`, or the
 * directory of a layout. Bytes are as hostile as those of a registry: davit-unpack, confined, takes
 * the tar apart, and every blob is verified while it is copied into the store. Calls block for the
 * disk and for davit-unpack; any worker thread.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"
#include "runtime/image/image.h"

/* image_load_cmd as a job. Stores, names and unpacks every image for this machine's platform.
 * Names come from the archive (docker's short ones are completed to docker.io); an image without
 * one gets `job->name`, or INVALID asks for it. On an error, images before it stay stored. */
__attribute__((warn_unused_result)) int dv_image_load(struct dv_image_store *store,
                                                      const struct dv_image_load_cmd *job,
                                                      const struct dv_image_unpacker *unpacker,
                                                      struct dv_arena *arena,
                                                      struct dv_image_loaded *ret,
                                                      struct dv_error *err);
