/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/weight.h"

#include "base/log.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN   64  /* a power of two */
#define THING_SIZE 512 /* ids, policy and attributes of the thing itself */
/* Percent of the limit: warned above, warned anew after it was below, details come back below. */
#define WARN_AT    80
#define CALM_AT    70
#define FULL_AT    75
#define HASH_SEED  14695981039346656037ULL /* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
#define HASH_PRIME 1099511628211ULL

/* A part is known by its hash: two of the same would be counted as one, once in 2^64. */
struct part {
    uint64_t hash; /* 0: free */
    uint32_t full;
    uint32_t compact;
};

struct dv_weight {
    const char *bridge;
    enum dv_twin_detail detail;
    size_t max;
    struct part *parts; /* linear probing, at most half full */
    size_t room;
    size_t count;
    size_t full;
    size_t compact;
    bool is_compact;
    bool is_warned;
    bool is_over; /* even without details */
};

struct dv_weight *dv_weight_new(const char *bridge, enum dv_twin_detail detail, size_t max_bytes)
{
    struct dv_weight *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->bridge = bridge;
    w->detail = detail;
    w->max = max_bytes;
    w->is_compact = detail == DV_TWIN_COMPACT;
    dv_weight_clear(w);
    return w;
}

void dv_weight_free(struct dv_weight *w)
{
    if (!w)
        return;
    free(w->parts);
    free(w);
}

void dv_weight_clear(struct dv_weight *w)
{
    free(w->parts);
    w->parts = NULL;
    w->room = 0;
    w->count = 0;
    w->full = THING_SIZE;
    w->compact = THING_SIZE;
}

/* -- table ---------------------------------------------------------------------------------- */

static uint64_t hash_of(const char *text)
{
    uint64_t hash = HASH_SEED;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * HASH_PRIME;
    return hash ? hash : 1;
}

/* The place of that part, or the free one where it belongs. */
static size_t place_of(const struct dv_weight *w, uint64_t hash)
{
    size_t i = hash & (w->room - 1);
    while (w->parts[i].hash && w->parts[i].hash != hash)
        i = (i + 1) & (w->room - 1);
    return i;
}

static bool make_room(struct dv_weight *w)
{
    if (w->count < w->room / 2)
        return true;
    struct dv_weight larger = *w;
    larger.room = w->room ? w->room * 2 : ROOM_MIN;
    larger.parts = calloc(larger.room, sizeof(*larger.parts));
    if (!larger.parts)
        return false;
    for (size_t i = 0; i < w->room; i++)
        if (w->parts[i].hash)
            larger.parts[place_of(&larger, w->parts[i].hash)] = w->parts[i];
    free(w->parts);
    *w = larger;
    return true;
}

static void subtract(struct dv_weight *w, const struct part *part)
{
    w->full -= part->full;
    w->compact -= part->compact;
}

void dv_weight_set(struct dv_weight *w, const char *part, size_t full, size_t compact)
{
    uint64_t hash = hash_of(part);
    if (full > UINT32_MAX || compact > UINT32_MAX || !make_room(w))
        return;
    struct part *place = &w->parts[place_of(w, hash)];
    if (place->hash)
        subtract(w, place);
    else
        w->count++;
    *place = (struct part){hash, (uint32_t)full, (uint32_t)compact};
    w->full += full;
    w->compact += compact;
}

void dv_weight_remove(struct dv_weight *w, const char *part)
{
    if (!w->room)
        return;
    size_t hole = place_of(w, hash_of(part));
    if (!w->parts[hole].hash)
        return;
    subtract(w, &w->parts[hole]);
    w->count--;
    /* Those behind it that are not where they belong move up, so that probing finds them. */
    size_t mask = w->room - 1;
    for (size_t i = (hole + 1) & mask; w->parts[i].hash; i = (i + 1) & mask) {
        size_t home = w->parts[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        w->parts[hole] = w->parts[i];
        hole = i;
    }
    w->parts[hole] = (struct part){0};
}

/* -- what is shown -------------------------------------------------------------------------- */

static bool is_above(const struct dv_weight *w, size_t bytes, unsigned percent)
{
    return w->max && bytes > w->max / 100 * percent;
}

static bool wants_compact(const struct dv_weight *w)
{
    if (w->detail != DV_TWIN_AUTO)
        return w->detail == DV_TWIN_COMPACT;
    return is_above(w, w->full, w->is_compact ? FULL_AT : 100);
}

static void warn(struct dv_weight *w)
{
    size_t bytes = dv_weight_bytes(w);
    if (!is_above(w, bytes, CALM_AT))
        w->is_warned = false;
    bool is_over = is_above(w, bytes, 100);
    if (is_over && !w->is_over)
        dv_log(
            DV_LOG_ERROR,
            "bridge %s: the twin is about %zu bytes, over the limit of %zu: the cloud may refuse "
            "changes without saying so; raise the limit of the cloud and "
            "davit.bridge.thing_max_bytes, or spread containers over more things "
            "(davit.bridge.things)",
            w->bridge, bytes, w->max);
    else if (is_above(w, bytes, WARN_AT) && !w->is_warned)
        dv_log(DV_LOG_WARN,
               "bridge %s: the twin is about %zu bytes of %zu (davit.bridge.thing_max_bytes)",
               w->bridge, bytes, w->max);
    w->is_warned |= is_above(w, bytes, WARN_AT);
    w->is_over = is_over;
}

bool dv_weight_settle(struct dv_weight *w)
{
    bool was_compact = w->is_compact;
    w->is_compact = wants_compact(w);
    if (w->is_compact && !was_compact)
        dv_log(DV_LOG_WARN,
               "bridge %s: the twin would be about %zu bytes, over the limit of %zu "
               "(davit.bridge.thing_max_bytes): it leaves out the configuration of containers",
               w->bridge, w->full, w->max);
    else if (was_compact && !w->is_compact)
        dv_log(DV_LOG_INFO,
               "bridge %s: the twin is about %zu bytes of %zu: it shows the configuration of "
               "containers again",
               w->bridge, w->full, w->max);
    warn(w);
    return w->is_compact != was_compact;
}

bool dv_weight_is_compact(const struct dv_weight *w)
{
    return w->is_compact;
}

size_t dv_weight_bytes(const struct dv_weight *w)
{
    return w->is_compact ? w->compact : w->full;
}
