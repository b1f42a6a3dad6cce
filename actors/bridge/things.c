/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/things.h"

#include <stdio.h>
#include <stdlib.h>

#define HASH_SEED   14695981039346656037ULL /* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
#define HASH_PRIME  1099511628211ULL
#define JUMP_FACTOR 2862933555777941757ULL /* of the paper */
#define LABEL_SIZE  96
#define BIT(n)      (UINT64_C(1) << (n))

_Static_assert(DV_THINGS_MAX <= 64, "a bit for each");

struct thing {
    char label[LABEL_SIZE]; /* of the log */
    struct dv_weight *weight;
};

struct dv_things {
    unsigned count;
    uint64_t before;
    struct thing things[];
};

unsigned dv_things_place(const char *id, unsigned count)
{
    uint64_t key = HASH_SEED;
    for (; *id; id++)
        key = (key ^ (unsigned char)*id) * HASH_PRIME;
    int64_t place = 0, next = 0;
    while (next < (int64_t)count) {
        place = next;
        key = key * JUMP_FACTOR + 1;
        next = (int64_t)((double)(place + 1) * ((double)BIT(31) / (double)((key >> 33) + 1)));
    }
    return (unsigned)place;
}

struct dv_things *
dv_things_new(const char *bridge, unsigned count, enum dv_twin_detail detail, size_t max_bytes)
{
    DV_AUTO(dv_things) things = calloc(1, sizeof(*things) + count * sizeof(things->things[0]));
    if (!things)
        return NULL;
    things->count = count;
    for (unsigned i = 0; i < count; i++) {
        struct thing *thing = &things->things[i];
        if (count == 1)
            snprintf(thing->label, sizeof(thing->label), "%s", bridge);
        else
            snprintf(thing->label, sizeof(thing->label), "%s, thing %u", bridge, i + 1);
        thing->weight = dv_weight_new(thing->label, detail, max_bytes);
        if (!thing->weight)
            return NULL;
    }
    return dv_steal(&things);
}

void dv_things_free(struct dv_things *things)
{
    if (!things)
        return;
    for (unsigned i = 0; i < things->count; i++)
        dv_weight_free(things->things[i].weight);
    free(things);
}

unsigned dv_things_count(const struct dv_things *things)
{
    return things->count;
}

unsigned dv_things_of(const struct dv_things *things, const char *id)
{
    return dv_things_place(id, things->count);
}

void dv_things_set_before(struct dv_things *things, uint64_t counts)
{
    things->before = counts & ~BIT(things->count - 1);
}

bool dv_things_has_before(const struct dv_things *things)
{
    return things->before != 0;
}

uint64_t dv_things_had(const struct dv_things *things, const char *id)
{
    uint64_t had = 0;
    for (unsigned n = 1; things->before && n <= DV_THINGS_MAX; n++)
        if (things->before & BIT(n - 1))
            had |= BIT(dv_things_place(id, n));
    return had & ~BIT(dv_things_of(things, id));
}

struct dv_weight *dv_things_weight(const struct dv_things *things, unsigned thing)
{
    return things->things[thing].weight;
}

struct dv_weight *dv_things_weight_of(const struct dv_things *things, const char *id)
{
    return dv_things_weight(things, dv_things_of(things, id));
}

void dv_things_note(const struct dv_things *things,
                    struct dv_bridge_thing each[DV_THINGS_MAX],
                    struct dv_bridge_note *note)
{
    for (unsigned i = 0; i < things->count; i++) {
        const struct dv_weight *weight = dv_things_weight(things, i);
        each[i] = (struct dv_bridge_thing){
            .bytes = (int64_t)dv_weight_bytes(weight),
            .is_compact = dv_weight_is_compact(weight),
        };
    }
    note->thing_bytes = each[0].bytes;
    note->is_compact = each[0].is_compact;
    if (things->count > 1)
        note->things = (struct dv_bridge_thing_list){each, things->count};
}

void dv_things_clear(struct dv_things *things)
{
    for (unsigned i = 0; i < things->count; i++)
        dv_weight_clear(things->things[i].weight);
}

bool dv_things_settle(struct dv_things *things)
{
    bool is_changed = false;
    for (unsigned i = 0; i < things->count; i++)
        is_changed |= dv_weight_settle(things->things[i].weight);
    return is_changed;
}
