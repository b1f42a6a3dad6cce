/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/metrics/baselines.h"

#include <stdlib.h>
#include <string.h>

struct dv_baseline {
    int64_t pid;
    int64_t used_ns;
    int64_t total_ns;
    uint64_t pass;
    char id[];
};

void dv_baselines_done(struct dv_baselines *baselines)
{
    for (size_t i = 0; i < baselines->count; i++)
        free(baselines->items[i]);
    free(baselines->items);
    *baselines = (struct dv_baselines){.items = NULL};
}

void dv_baselines_begin(struct dv_baselines *baselines)
{
    baselines->pass++;
}

void dv_baselines_sweep(struct dv_baselines *baselines)
{
    size_t kept = 0;
    for (size_t i = 0; i < baselines->count; i++) {
        if (baselines->items[i]->pass == baselines->pass)
            baselines->items[kept++] = baselines->items[i];
        else
            free(baselines->items[i]);
    }
    baselines->count = kept;
}

static size_t place_of(const struct dv_baselines *baselines, const char *id)
{
    size_t low = 0;
    size_t high = baselines->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(baselines->items[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Without memory there is no share, this time. */
static struct dv_baseline *enter(struct dv_baselines *baselines, size_t place, const char *id)
{
    if (baselines->count == baselines->room) {
        size_t room = baselines->room ? baselines->room * 2 : 64;
        struct dv_baseline **grown =
            room > DV_BASELINES_MAX ? NULL : reallocarray(baselines->items, room, sizeof(*grown));
        if (!grown)
            return NULL;
        baselines->items = grown;
        baselines->room = room;
    }
    size_t size = strlen(id) + 1;
    struct dv_baseline *fresh = calloc(1, sizeof(*fresh) + size);
    if (!fresh)
        return NULL;
    memcpy(fresh->id, id, size);
    memmove(&baselines->items[place + 1], &baselines->items[place],
            (baselines->count - place) * sizeof(*baselines->items));
    baselines->items[place] = fresh;
    baselines->count++;
    return fresh;
}

bool dv_baselines_look(struct dv_baselines *baselines,
                       const char *id,
                       int64_t pid,
                       int64_t used_ns,
                       int64_t total_ns,
                       double *ret)
{
    size_t place = place_of(baselines, id);
    bool is_known = place < baselines->count && strcmp(baselines->items[place]->id, id) == 0;
    struct dv_baseline *baseline = is_known ? baselines->items[place] : enter(baselines, place, id);
    if (!baseline)
        return false;
    baseline->pass = baselines->pass;
    bool is_same_run = is_known && baseline->pid == pid && used_ns >= baseline->used_ns;
    if (is_same_run && total_ns <= baseline->total_ns)
        return false;
    if (is_same_run) {
        double share =
            100.0 * (double)(used_ns - baseline->used_ns) / (double)(total_ns - baseline->total_ns);
        *ret = share > 100 ? 100 : share;
    }
    baseline->pid = pid;
    baseline->used_ns = used_ns;
    baseline->total_ns = total_ns;
    return is_same_run;
}
