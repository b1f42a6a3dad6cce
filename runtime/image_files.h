/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The port to images on disk: blobs, the index, unpacked layers. The real one stands on
 * runtime/image and davit-unpack (daemon/image_files.c), a fake one serves the simulation. An
 * object belongs to one worker thread; the store behind several may be the same. Calls block for
 * the disk.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"

struct dv_image_files {
    /* NOT_FOUND if the image is not stored or not all of its layers are unpacked. */
    int (*lookup)(struct dv_image_files *files,
                  const struct dv_image_lookup_job *job,
                  struct dv_arena *arena,
                  struct dv_image_ready *ret,
                  struct dv_error *err);
    /* Names a complete image: from now on lookup finds it. */
    int (*commit)(struct dv_image_files *files,
                  const struct dv_image_commit_job *job,
                  struct dv_arena *arena,
                  struct dv_image_ready *ret,
                  struct dv_error *err);
    int (*store_blob)(struct dv_image_files *files,
                      const struct dv_blob_store_job *job,
                      struct dv_error *err);
    int (*adopt_blob)(struct dv_image_files *files,
                      const struct dv_blob_adopt_job *job,
                      struct dv_error *err);
    /* FAILED when what is missing of an image will not fit. */
    int (*room)(struct dv_image_files *files,
                const struct dv_image_room_job *job,
                struct dv_error *err);
    int (*unpack)(struct dv_image_files *files,
                  const struct dv_unpack_job *job,
                  struct dv_arena *arena,
                  struct dv_unpacked *ret,
                  struct dv_error *err);
    /* Credentials for a pull that the configuration has none for. */
    int (*login)(struct dv_image_files *files,
                 const struct dv_registry_login_query *query,
                 struct dv_arena *arena,
                 struct dv_registry_login *ret,
                 struct dv_error *err);
    int (*list)(struct dv_image_files *files,
                const struct dv_image_list_job *job,
                struct dv_arena *arena,
                struct dv_image_list *ret,
                struct dv_error *err);
    /* Pulls start nothing new meanwhile. */
    int (*collect)(struct dv_image_files *files,
                   const struct dv_image_collect_job *job,
                   struct dv_arena *arena,
                   struct dv_image_collected *ret,
                   struct dv_error *err);
    int (*sweep)(struct dv_image_files *files,
                 const struct dv_image_sweep_job *job,
                 struct dv_error *err);
    int (*load)(struct dv_image_files *files,
                const struct dv_image_load_cmd *job,
                struct dv_arena *arena,
                struct dv_image_loaded *ret,
                struct dv_error *err);
    void (*free)(struct dv_image_files *files);
};
