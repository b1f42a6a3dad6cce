/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `progress` of a module: percent of all its work, so that it never goes back when the status
 * changes. Artifacts are small and have the first tenth; the images of its containers have the
 * rest, each the same share. It is told when it has grown. 100 is never told: FINISHED says it.
 */
#include "actors/software/internal.h"

#include <string.h>

#define PERCENT_ALL   100
#define PERCENT_MAX   99
#define ARTIFACTS_END 10
/* What is done within a second has no progress: one report for each step, as Kanto does. */
#define QUIET_NS 1000000000LL

static void tell(struct software *s, int64_t percent)
{
    if (percent > PERCENT_MAX)
        percent = PERCENT_MAX;
    if (percent <= s->progress ||
        dv_clock_monotonic_ns(dv_cell_clock(s->cell)) - s->told_ns < QUIET_NS)
        return;
    s->progress = (int)percent;
    software_report(s, s->told, NULL);
}

int software_on_artifact_progress(struct dv_cell *cell,
                                  const void *body,
                                  struct dv_request **request,
                                  struct dv_error *err)
{
    (void)request;
    (void)err;
    struct software *s = dv_cell_state(cell);
    const struct dv_artifact_progress *progress = body;
    if (!s->current || s->told != DV_SOFTWARE_DOWNLOADING || !s->job ||
        strcmp(s->job, progress->job) != 0 || progress->total <= 0 || !software_module(s) ||
        s->at >= software_module(s)->artifacts.count)
        return 0;
    int64_t part = progress->bytes >= progress->total
                       ? PERCENT_ALL
                       : progress->bytes * PERCENT_ALL / progress->total;
    int64_t all = (int64_t)software_module(s)->artifacts.count * PERCENT_ALL;
    tell(s, ((int64_t)s->at * PERCENT_ALL + part) * ARTIFACTS_END / all);
    return 0;
}

int software_on_image_progress(struct dv_cell *cell,
                               const void *body,
                               struct dv_request **request,
                               struct dv_error *err)
{
    (void)request;
    (void)err;
    struct software *s = dv_cell_state(cell);
    const struct dv_image_progress *progress = body;
    /* One that was under way when its container was done, or given up, is late. */
    if (!s->current || s->told != DV_SOFTWARE_INSTALLING || s->stage != DV_STAGE_MAKING ||
        s->at >= s->part_count || !progress->owner ||
        strcmp(s->parts[s->at].id, progress->owner) != 0)
        return 0;
    int64_t all = (int64_t)s->part_count * PERCENT_ALL;
    int64_t done = (int64_t)s->at * PERCENT_ALL + progress->percent;
    tell(s, ARTIFACTS_END + done * (PERCENT_ALL - ARTIFACTS_END) / all);
    return 0;
}
