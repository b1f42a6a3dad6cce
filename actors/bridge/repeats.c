/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of places, the oldest overwritten first. The hashes of all are side by side, so that
 * looking through thousands of them touches little memory; a place that is free has no entry.
 */
#include "actors/bridge/repeats.h"

#include "base/arena.h"
#include "base/clock.h"
#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>

#define REPLY_BYTES_MAX   (4U << 20)
#define CONTAINER_FEATURE "Container:"

struct entry {
    struct dv_arena *arena; /* NULL while in progress */
    const struct dv_command_reply *reply;
    int64_t answered_ns;
    struct dv_request **waiters; /* NULL: there was none */
    unsigned waiter_count;
    char key[];
};

/* A place is `key_hashes[i]`, `feature_hashes[i]` and `entries[i]`; 0, 0 and NULL if it is free. */
struct dv_repeats {
    uint64_t *key_hashes;
    uint64_t *feature_hashes;
    struct entry **entries;
    unsigned max;
    unsigned next; /* where the next entry goes */
    int64_t window_ns;
};

static uint64_t hash_of(const char *text)
{
    uint64_t hash = 14695981039346656037U;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211U;
    return hash ? hash : 1;
}

struct dv_repeats *dv_repeats_new(unsigned max, int64_t window_ns)
{
    DV_AUTO(dv_repeats) repeats = calloc(1, sizeof(*repeats));
    if (!repeats)
        return NULL;
    unsigned count = max ? max : 1;
    repeats->window_ns = window_ns;
    repeats->key_hashes = calloc(count, sizeof(*repeats->key_hashes));
    repeats->feature_hashes = calloc(count, sizeof(*repeats->feature_hashes));
    repeats->entries = calloc(count, sizeof(*repeats->entries));
    if (!repeats->key_hashes || !repeats->feature_hashes || !repeats->entries)
        return NULL;
    repeats->max = count;
    return dv_steal(&repeats);
}

static void clear(struct dv_repeats *repeats, unsigned place)
{
    struct entry *entry = repeats->entries[place];
    repeats->key_hashes[place] = 0;
    repeats->feature_hashes[place] = 0;
    repeats->entries[place] = NULL;
    if (!entry)
        return;
    dv_arena_free(entry->arena);
    free(entry->waiters);
    free(entry);
}

void dv_repeats_free(struct dv_repeats *repeats)
{
    if (!repeats)
        return;
    for (unsigned i = 0; i < repeats->max; i++)
        clear(repeats, i);
    free(repeats->key_hashes);
    free(repeats->feature_hashes);
    free(repeats->entries);
    free(repeats);
}

/* Where it is; `max` if it is not there. */
static unsigned find(const struct dv_repeats *repeats, const char *key)
{
    uint64_t hash = key && *key ? hash_of(key) : 0;
    for (unsigned i = 0; hash && i < repeats->max; i++)
        if (repeats->key_hashes[i] == hash && strcmp(repeats->entries[i]->key, key) == 0)
            return i;
    return repeats->max;
}

/* Takes the oldest place that is not in progress. NULL if all are, or without memory. */
static struct entry *claim(struct dv_repeats *repeats, const char *key, const char *feature)
{
    for (unsigned tries = 0; tries < repeats->max; tries++) {
        unsigned place = repeats->next;
        repeats->next = (repeats->next + 1) % repeats->max;
        if (repeats->entries[place] && !repeats->entries[place]->arena)
            continue;
        clear(repeats, place);
        size_t size = strlen(key) + 1;
        struct entry *entry = calloc(1, sizeof(*entry) + size);
        if (!entry)
            return NULL;
        memcpy(entry->key, key, size);
        repeats->entries[place] = entry;
        repeats->key_hashes[place] = hash_of(key);
        repeats->feature_hashes[place] = hash_of(feature);
        return entry;
    }
    return NULL;
}

void dv_repeats_touch(struct dv_repeats *repeats, const char *feature)
{
    if (strncmp(feature, CONTAINER_FEATURE, sizeof(CONTAINER_FEATURE) - 1) != 0)
        return;
    uint64_t hash = hash_of(feature);
    for (unsigned i = 0; i < repeats->max; i++)
        if (repeats->feature_hashes[i] == hash && repeats->entries[i]->arena)
            clear(repeats, i);
}

/* False if no more can wait. */
static bool add_waiter(struct entry *entry, struct dv_request **request)
{
    if (!entry->waiters)
        entry->waiters = calloc(DV_REPEAT_WAITERS_MAX, sizeof(*entry->waiters));
    if (!entry->waiters || entry->waiter_count == DV_REPEAT_WAITERS_MAX)
        return false;
    entry->waiters[entry->waiter_count++] = dv_steal(request);
    return true;
}

enum dv_repeat dv_repeats_take(struct dv_repeats *repeats,
                               const char *key,
                               const char *feature,
                               int64_t now_ns,
                               struct dv_request **request,
                               const struct dv_command_reply **ret_reply)
{
    unsigned place = find(repeats, key);
    struct entry *entry = place < repeats->max ? repeats->entries[place] : NULL;
    if (entry && entry->arena && now_ns - entry->answered_ns > repeats->window_ns) {
        clear(repeats, place);
        entry = NULL;
    }
    if (entry && entry->arena) {
        *ret_reply = entry->reply;
        return DV_REPEAT_ANSWERED;
    }
    if (entry)
        return add_waiter(entry, request) ? DV_REPEAT_WAITING : DV_REPEAT_REFUSED;
    dv_repeats_touch(repeats, feature);
    if (key && *key)
        (void)claim(repeats, key, feature);
    return DV_REPEAT_NEW;
}

static bool keep_reply(struct entry *entry, const struct dv_command_reply *reply, int64_t now_ns)
{
    struct dv_arena *arena = dv_arena_new(REPLY_BYTES_MAX);
    void *copy;
    if (!arena || dv_copy(&dv_schema_command_reply, reply, arena, &copy, NULL) < 0) {
        dv_arena_free(arena);
        return false;
    }
    entry->arena = arena;
    entry->reply = copy;
    entry->answered_ns = now_ns;
    return true;
}

void dv_repeats_answer(struct dv_repeats *repeats,
                       const char *key,
                       const struct dv_command_reply *reply,
                       int64_t now_ns,
                       dv_repeat_waiter_fn *fn,
                       void *ctx)
{
    unsigned place = find(repeats, key);
    struct entry *entry = place < repeats->max ? repeats->entries[place] : NULL;
    if (!entry || entry->arena)
        return;
    dv_autofree struct dv_request **waiters = dv_steal(&entry->waiters);
    unsigned count = entry->waiter_count;
    entry->waiter_count = 0;
    if (!keep_reply(entry, reply, now_ns))
        clear(repeats, place);
    for (unsigned i = 0; i < count; i++)
        fn(ctx, waiters[i]);
}

int64_t dv_repeats_age_ns(const struct dv_store_answered *answer,
                          int64_t boot,
                          int64_t now_ns,
                          int64_t wall_ns)
{
    int64_t age_ns;
    if (answer->boot && answer->boot == boot)
        age_ns = now_ns - answer->uptime_ns;
    else if (!dv_time_is_set(answer->wall_ns) || !dv_time_is_set(wall_ns))
        age_ns = 0;
    else
        age_ns = wall_ns - answer->wall_ns;
    return age_ns > 0 ? age_ns : 0;
}

void dv_repeats_restore(struct dv_repeats *repeats,
                        const char *key,
                        const struct dv_command_reply *reply,
                        int64_t now_ns)
{
    struct entry *entry = claim(repeats, key, reply->feature);
    if (entry && !keep_reply(entry, reply, now_ns))
        clear(repeats, find(repeats, key));
}
