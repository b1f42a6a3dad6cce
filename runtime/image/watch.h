/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Ages of images on a machine whose wall clock may be set, by years and in either direction. Each
 * look for what has expired leaves its time in the file `watched` beside index.json; looks are an
 * hour apart at most. When the clock is more than a day off since the last one, it was set, or the
 * machine was off: nobody knows which, and the time between does not count. Every image is as old
 * then as it was at the last look.
 */
#include "base/error.h"
#include "runtime/image/store.h"

/* Corrects time stamps for a look at `now_ns`, which is set (dv_time_is_set). *ret_jump_ns: by how
 * much the clock went on unwatched, 0: stamps stay. Blocks for the disk; one look at a time. */
__attribute__((warn_unused_result)) int dv_image_watch(struct dv_image_store *store,
                                                       int64_t now_ns,
                                                       int64_t *ret_jump_ns,
                                                       struct dv_error *err);
