/* SPDX-License-Identifier: Apache-2.0 */
/* What a pull can tell of itself: how far it is, and which blobs and layers it counts on. */
#include "runtime/image/pull.h"

void dv_pull_progress(const struct dv_pull *pull, int64_t *ret_done, int64_t *ret_total)
{
    int64_t done = 0, total = 0;
    for (size_t i = FIXED_TASKS; i < pull->task_count; i++) {
        total += pull->tasks[i].what.size;
        if (pull->tasks[i].stage == STAGE_DONE)
            done += pull->tasks[i].what.size;
    }
    *ret_done = done;
    *ret_total = total;
}

void dv_pull_each_digest(const struct dv_pull *pull,
                         void (*fn)(const char *digest, bool is_diff_id, void *ctx),
                         void *ctx)
{
    for (size_t i = 0; i < pull->task_count; i++)
        if (pull->tasks[i].what.digest)
            fn(pull->tasks[i].what.digest, false, ctx);
    for (size_t i = 0; pull->result.layers && i < pull->result.layer_count; i++)
        if (pull->result.layers[i].diff_id)
            fn(pull->result.layers[i].diff_id, true, ctx);
}
