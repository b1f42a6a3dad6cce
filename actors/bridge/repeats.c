/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of entries, the oldest overwritten first. Lookups compare 64-bit hashes before texts, so
 * that a scan of all entries costs microseconds.
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
    uint64_t key_hash; /* 0: free */
    uint64_t feature_hash;
    char *key;
    struct dv_arena *arena; /* NULL while in progress */
    const struct dv_command_reply *reply;
    int64_t answered_ns;
    struct dv_request *waiters[DV_REPEAT_WAITERS_MAX];
    unsigned waiter_count;
};

struct dv_repeats {
    struct entry *entries;
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
    struct dv_repeats *repeats = calloc(1, sizeof(*repeats));
    if (!repeats)
        return NULL;
    repeats->max = max ? max : 1;
    repeats->window_ns = window_ns;
    repeats->entries = calloc(repeats->max, sizeof(*repeats->entries));
    if (!repeats->entries) {
        free(repeats);
        return NULL;
    }
    return repeats;
}

static void clear(struct entry *entry)
{
    free(entry->key);
    dv_arena_free(entry->arena);
    *entry = (struct entry){0};
}

void dv_repeats_free(struct dv_repeats *repeats)
{
    if (!repeats)
        return;
    for (unsigned i = 0; i < repeats->max; i++)
        clear(&repeats->entries[i]);
    free(repeats->entries);
    free(repeats);
}

static struct entry *find(struct dv_repeats *repeats, const char *key)
{
    uint64_t hash = hash_of(key);
    for (unsigned i = 0; i < repeats->max; i++) {
        struct entry *entry = &repeats->entries[i];
        if (entry->key_hash == hash && strcmp(entry->key, key) == 0)
            return entry;
    }
    return NULL;
}

/* The oldest place that is not in progress; NULL if all are. */
static struct entry *claim(struct dv_repeats *repeats, const char *key, const char *feature)
{
    for (unsigned tries = 0; tries < repeats->max; tries++) {
        struct entry *entry = &repeats->entries[repeats->next];
        repeats->next = (repeats->next + 1) % repeats->max;
        if (entry->key_hash && !entry->arena)
            continue;
        clear(entry);
        entry->key = strdup(key);
        if (!entry->key)
            return NULL;
        entry->key_hash = hash_of(key);
        entry->feature_hash = hash_of(feature);
        return entry;
    }
    return NULL;
}

void dv_repeats_touch(struct dv_repeats *repeats, const char *feature)
{
    if (strncmp(feature, CONTAINER_FEATURE, sizeof(CONTAINER_FEATURE) - 1) != 0)
        return;
    uint64_t hash = hash_of(feature);
    for (unsigned i = 0; i < repeats->max; i++) {
        struct entry *entry = &repeats->entries[i];
        if (entry->feature_hash == hash && entry->arena)
            clear(entry);
    }
}

enum dv_repeat dv_repeats_take(struct dv_repeats *repeats,
                               const char *key,
                               const char *feature,
                               int64_t now_ns,
                               struct dv_request **request,
                               const struct dv_command_reply **ret_reply)
{
    struct entry *entry = key && *key ? find(repeats, key) : NULL;
    if (entry && entry->arena && now_ns - entry->answered_ns > repeats->window_ns) {
        clear(entry);
        entry = NULL;
    }
    if (entry && entry->arena) {
        *ret_reply = entry->reply;
        return DV_REPEAT_ANSWERED;
    }
    if (entry && entry->waiter_count == DV_REPEAT_WAITERS_MAX)
        return DV_REPEAT_REFUSED;
    if (entry) {
        entry->waiters[entry->waiter_count++] = dv_steal(request);
        return DV_REPEAT_WAITING;
    }
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
    struct entry *entry = key && *key ? find(repeats, key) : NULL;
    if (!entry || entry->arena)
        return;
    struct dv_request *waiters[DV_REPEAT_WAITERS_MAX];
    unsigned count = entry->waiter_count;
    memcpy(waiters, entry->waiters, sizeof(waiters));
    entry->waiter_count = 0;
    if (!keep_reply(entry, reply, now_ns))
        clear(entry);
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
        clear(entry);
}
