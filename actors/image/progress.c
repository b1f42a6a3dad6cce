/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far pulls are, for those that wait and for the log. The downloader reports each blob several
 * times a second; here that becomes one message per pull and second.
 */
#include "actors/addresses.h"
#include "actors/image/internal.h"
#include "base/log.h"

#include <string.h>

#define TELL_MS        1000LL  /* between two messages in one phase */
#define LOG_MS         30000LL /* between two lines of the log in one phase */
#define PERCENT_ALL    100
#define PERCENT_MAX    99 /* before the image has its name */
#define DOWNLOAD_SHARE 80 /* percent: the rest is unpacking */

const char *pull_phase(const struct pull *pull)
{
    if (!pull->machine)
        return "looking";
    return dv_pull_result(pull->machine) ? "unpacking" : "downloading";
}

void pull_bytes(const struct pull *pull, int64_t *ret_done, int64_t *ret_total)
{
    if (!pull->machine)
        return;
    dv_pull_progress(pull->machine, ret_done, ret_total);
    for (const struct step *step = pull->state->downloads; step; step = step->next)
        if (step->pull == pull)
            *ret_done += step->bytes;
    if (*ret_done > *ret_total)
        *ret_done = *ret_total;
}

static int percent_of(const struct pull *pull, int64_t bytes, int64_t total)
{
    if (pull->machine && dv_pull_result(pull->machine)) {
        size_t done = pull->layers - pull->unpacking;
        int rest = (PERCENT_ALL - DOWNLOAD_SHARE) * (int)done;
        int percent = DOWNLOAD_SHARE + (pull->layers ? rest / (int)pull->layers : 0);
        return percent > PERCENT_MAX ? PERCENT_MAX : percent;
    }
    return total > 0 ? (int)((double)bytes / (double)total * DOWNLOAD_SHARE) : 0;
}

static void log_it(const struct pull *pull, const struct dv_image_progress *progress)
{
    if (dv_pull_result(pull->machine))
        dv_log(DV_LOG_INFO, "image %s: unpacking, %zu of %zu layers are done", pull->reference,
               pull->layers - pull->unpacking, pull->layers);
    else if (progress->total)
        dv_log(DV_LOG_INFO, "image %s: downloading, %lld of %lld bytes are here", pull->reference,
               (long long)progress->bytes, (long long)progress->total);
}

void pull_tell(struct pull *pull)
{
    struct dv_cell *cell = pull->state->cell;
    int64_t now = dv_clock_monotonic_ns(dv_cell_clock(cell));
    const char *phase = pull_phase(pull);
    struct dv_image_progress progress = {.ref = pull->reference, .phase = (char *)phase};
    pull_bytes(pull, &progress.bytes, &progress.total);
    bool is_new = !pull->told_phase || strcmp(pull->told_phase, phase) != 0 ||
                  pull->told_total != progress.total;
    if (!is_new && now - pull->progress_ns < TELL_MS * NS_PER_MS)
        return;
    progress.percent = percent_of(pull, progress.bytes, progress.total);
    pull->progress_ns = now;
    pull->told_phase = phase;
    pull->told_total = progress.total;
    if (pull->machine && (is_new || now - pull->logged_ns >= LOG_MS * NS_PER_MS)) {
        pull->logged_ns = now;
        log_it(pull, &progress);
    }
    for (struct waiter *waiter = pull->waiters; waiter; waiter = waiter->next) {
        if (!waiter->owner[0])
            continue;
        struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, waiter->owner);
        dv_post(cell, address.text, DV_KIND_image_progress, &progress);
    }
}

void pull_tell_end(struct pull *pull)
{
    int64_t bytes = 0;
    int64_t total = 0;
    int64_t now = dv_clock_monotonic_ns(dv_cell_clock(pull->state->cell));
    pull_bytes(pull, &bytes, &total);
    dv_log(DV_LOG_INFO, "image %s: pulled in %lld ms, %lld bytes in %zu layers", pull->reference,
           (long long)((now - pull->begin_ns) / NS_PER_MS), (long long)total, pull->layers);
}

int pull_on_progress(struct dv_cell *cell,
                     const void *body,
                     struct dv_request **request,
                     struct dv_error *err)
{
    (void)request;
    (void)err;
    struct state *s = dv_cell_state(cell);
    const struct dv_download_progress *progress = body;
    for (struct step *step = s->downloads; step; step = step->next) {
        if (strcmp(step->digest, progress->digest) != 0)
            continue;
        step->bytes = progress->bytes;
        if (!step->pull->is_over)
            pull_tell(step->pull);
    }
    return 0;
}
