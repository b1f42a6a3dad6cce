/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/container/ends.h"

#include <stdbool.h>
#include <string.h>

static bool is_alike(const struct dv_container_end *a, const struct dv_container_end *b)
{
    if (a->was_stopped || b->was_stopped)
        return false;
    if (a->is_failed_start || b->is_failed_start)
        return a->is_failed_start && b->is_failed_start;
    return a->is_code_known && b->is_code_known && a->is_oom_killed == b->is_oom_killed &&
           (a->is_oom_killed || a->exit_code == b->exit_code);
}

void dv_ends_begin(struct dv_ends *ends)
{
    ends->alike = 0;
    ends->shortest_ms = -1;
    ends->longest_ms = -1;
}

void dv_ends_add(struct dv_ends *ends, const struct dv_container_end *end)
{
    if (!ends->alike || !is_alike(&ends->last[0], end))
        dv_ends_begin(ends);
    size_t kept = ends->count < DV_ENDS_MAX ? ends->count : DV_ENDS_MAX - 1;
    memmove(&ends->last[1], &ends->last[0], kept * sizeof(ends->last[0]));
    ends->last[0] = *end;
    ends->count = kept + 1;
    ends->alike++;
    if (end->ran_ms < 0)
        return;
    if (ends->shortest_ms < 0 || end->ran_ms < ends->shortest_ms)
        ends->shortest_ms = end->ran_ms;
    if (end->ran_ms > ends->longest_ms)
        ends->longest_ms = end->ran_ms;
}

enum dv_end_pattern dv_ends_pattern(const struct dv_ends *ends)
{
    if (ends->alike < 2)
        return DV_PATTERN_NONE;
    const struct dv_container_end *end = &ends->last[0];
    if (end->is_failed_start)
        return DV_PATTERN_NOT_STARTED;
    if (end->is_oom_killed)
        return DV_PATTERN_OUT_OF_MEMORY;
    if (end->exit_code == 0)
        return DV_PATTERN_SUCCEEDS;
    if (ends->shortest_ms >= DV_ENDS_AT_ONCE_MS)
        return DV_PATTERN_LATER;
    if (ends->longest_ms >= 0 && ends->longest_ms < DV_ENDS_AT_ONCE_MS)
        return DV_PATTERN_AT_ONCE;
    return DV_PATTERN_SAME_CODE;
}
