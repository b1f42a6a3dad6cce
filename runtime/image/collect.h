/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Removing what nobody needs any more: names of images, then the blobs and unpacked layers that no
 * name, no container and no running pull leads to.
 *
 * The caller keeps pulls from starting new steps meanwhile; what those under way need is in the
 * job. Calls block for the disk; any worker thread, one collection at a time.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"
#include "runtime/image/store.h"

/* image_collect_job. Names go by the job's rules, never one that is used; entries of index.json
 * that other tools made stay, with all they lead to. Layers are only taken out of sight, which is
 * quick: dv_image_sweep deletes their files. NOT_FOUND when `remove_ref` is not stored, STATE when
 * it is used; nothing is removed then. */
__attribute__((warn_unused_result)) int dv_image_collect(struct dv_image_store *store,
                                                         const struct dv_image_collect_job *job,
                                                         struct dv_arena *arena,
                                                         struct dv_image_collected *ret,
                                                         struct dv_error *err);

/* image_sweep_job. */
__attribute__((warn_unused_result)) int dv_image_sweep(struct dv_image_store *store,
                                                       struct dv_error *err);

/* image_list_job. */
__attribute__((warn_unused_result)) int dv_image_inventory(struct dv_image_store *store,
                                                           struct dv_arena *arena,
                                                           struct dv_image_list *ret,
                                                           struct dv_error *err);
