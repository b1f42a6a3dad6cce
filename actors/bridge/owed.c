/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/owed.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 16

struct entry {
    struct dv_owed_delete what;
    int64_t number; /* of the delete on its way, 0: not sent */
    bool is_queued; /* on its way, or about to be */
    bool is_removed;
};

struct dv_owed {
    struct entry *entries;
    size_t count;
    size_t room;
    size_t queued;
    char *told;
};

struct dv_owed *dv_owed_new(void)
{
    return calloc(1, sizeof(struct dv_owed));
}

void dv_owed_free(struct dv_owed *owed)
{
    if (!owed)
        return;
    while (owed->count)
        free(owed->entries[--owed->count].what.id);
    free(owed->entries);
    free(owed->told);
    free(owed);
}

static struct entry *find(const struct dv_owed *owed, const char *id, unsigned thing)
{
    for (size_t i = 0; i < owed->count; i++)
        if (owed->entries[i].what.thing == thing && strcmp(owed->entries[i].what.id, id) == 0)
            return &owed->entries[i];
    return NULL;
}

static bool make_room(struct dv_owed *owed)
{
    if (owed->count < owed->room)
        return true;
    size_t room = owed->room ? owed->room * 2 : ROOM_MIN;
    struct entry *grown = reallocarray(owed->entries, room, sizeof(*grown));
    if (!grown)
        return false;
    owed->entries = grown;
    owed->room = room;
    return true;
}

bool dv_owed_add(struct dv_owed *owed, const char *id, unsigned thing, bool is_removed)
{
    struct entry *known = find(owed, id, thing);
    if (known) {
        known->is_removed |= is_removed;
        return true;
    }
    char *copy = owed->count < DV_OWED_MAX && make_room(owed) ? strdup(id) : NULL;
    if (!copy)
        return false;
    owed->entries[owed->count++] = (struct entry){.what = {copy, thing}, .is_removed = is_removed};
    return true;
}

const struct dv_owed_delete *dv_owed_take(struct dv_owed *owed, const char *id)
{
    for (size_t i = 0; owed->queued < owed->count && i < owed->count; i++) {
        if (owed->entries[i].is_queued || (id && strcmp(owed->entries[i].what.id, id) != 0))
            continue;
        owed->entries[i].is_queued = true;
        owed->queued++;
        return &owed->entries[i].what;
    }
    return NULL;
}

void dv_owed_sent(struct dv_owed *owed, const char *id, unsigned thing, int64_t number)
{
    struct entry *entry = find(owed, id, thing);
    if (entry)
        entry->number = number;
}

/* True if no other delete of it is owed; else the last of the others tells it. */
static bool is_last(struct dv_owed *owed, const char *id)
{
    bool is_last = true;
    for (size_t i = 0; i < owed->count; i++) {
        if (strcmp(owed->entries[i].what.id, id) != 0)
            continue;
        owed->entries[i].is_removed = true;
        is_last = false;
    }
    return is_last;
}

static void settle(struct dv_owed *owed, size_t index)
{
    struct entry entry = owed->entries[index];
    owed->entries[index] = owed->entries[--owed->count];
    owed->queued--;
    if (entry.is_removed && is_last(owed, entry.what.id)) {
        free(owed->told);
        owed->told = entry.what.id;
    } else {
        free(entry.what.id);
    }
}

void dv_owed_acknowledge(struct dv_owed *owed, int64_t number, bool is_failed)
{
    for (size_t i = 0; number && i < owed->count; i++) {
        struct entry *entry = &owed->entries[i];
        if (entry->number != number)
            continue;
        if (is_failed) {
            entry->number = 0;
            entry->is_queued = false;
            owed->queued--;
        } else {
            settle(owed, i);
        }
        return;
    }
}

void dv_owed_link_lost(struct dv_owed *owed)
{
    for (size_t i = 0; i < owed->count; i++) {
        owed->entries[i].number = 0;
        owed->entries[i].is_queued = false;
    }
    owed->queued = 0;
}

size_t dv_owed_count(const struct dv_owed *owed)
{
    return owed->count;
}

const char *dv_owed_removed(const struct dv_owed *owed, size_t index)
{
    const struct entry *entry = &owed->entries[index];
    return entry->is_removed ? entry->what.id : NULL;
}

char *dv_owed_take_told(struct dv_owed *owed)
{
    return dv_steal(&owed->told);
}
