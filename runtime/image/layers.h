/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Unpacked layers: <home>/layers/<id>/, one directory for each diff id, shared by all images as
 * overlay lower directories (a layer does not depend on what is below it: whiteouts are entries of
 * its own). The id is the first 12 hexadecimal digits of the diff id, or more when another layer
 * has these; <home>/layers/ids/<id> holds the whole diff id. A layer is unpacked in
 * <home>/layers/staging, synced and renamed, so one that is there is complete, unless somebody
 * damaged it since: then its seal (layer_seal.h) does not fit, and it counts as not unpacked.
 *
 * Any thread; calls block for the disk, dv_layers_unpack for as long as the job says. The same
 * layer is unpacked once, however many ask for it.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"
#include "runtime/image/store.h"
#include "runtime/launcher.h"

#include <stddef.h>

struct dv_image_unpacker;

#define DV_LAYER_ID_FIRST 12 /* digits of the shortest id */
#define DV_LAYER_ID_STEP  4
#define DV_LAYER_ID_SIZE  65 /* bytes for the longest id and its NUL */

/* The directory that holds the layers; borrowed. */
const char *dv_layers_dir(const struct dv_image_store *store);

/* The id of an unpacked layer; NOT_FOUND when it is not unpacked. */
__attribute__((warn_unused_result)) int dv_layers_find(struct dv_image_store *store,
                                                       const char *diff_id,
                                                       char ret_id[DV_LAYER_ID_SIZE],
                                                       struct dv_error *err);

/* Unpacks a stored blob with davit-unpack, unless that was done before. STATE when the blob is not
 * stored; CORRUPT when it turns out to be damaged, and it is removed then, to be pulled again;
 * FAILED with davit-unpack's reason; TIMED_OUT. `job->keys` has a line for each key ("k" and the
 * key) and recipient ("r"); an encrypted layer names its manifest. Nothing is left behind on
 * failure. */
__attribute__((warn_unused_result)) int dv_layers_unpack(struct dv_image_store *store,
                                                         const struct dv_unpack_job *job,
                                                         struct dv_launcher *launcher,
                                                         char ret_id[DV_LAYER_ID_SIZE],
                                                         struct dv_error *err);

/* Whether these keys open all that is encrypted in the image of that manifest, with davit-unpack.
 * DENIED with its reason. */
__attribute__((warn_unused_result)) int
dv_layers_check_keys(struct dv_image_store *store,
                     const char *manifest,
                     const struct dv_bytes *keys,
                     const struct dv_image_unpacker *unpacker,
                     struct dv_error *err);

/* Takes a tar apart with davit-unpack, below the store's staging directory; the caller removes
 * `ret_staged` (PATH_MAX bytes). Nothing is left on failure. */
__attribute__((warn_unused_result)) int
dv_layers_open_archive(struct dv_image_store *store,
                       const char *archive,
                       const struct dv_image_unpacker *unpacker,
                       char ret_staged[],
                       struct dv_error *err);

/* The layers of an image, topmost first, each once: a layer that occurs twice shows as its topmost
 * occurrence only, which overlay wants and which looks the same. NOT_FOUND when one is not
 * unpacked. */
__attribute__((warn_unused_result)) int dv_layers_chain(struct dv_image_store *store,
                                                        char *const *diff_ids,
                                                        size_t count,
                                                        struct dv_arena *arena,
                                                        struct dv_texts *ret,
                                                        struct dv_error *err);
