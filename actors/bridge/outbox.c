/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/outbox.h"

#include "base/arena.h"
#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>

#define CHANGE_BYTES_MAX (4U << 20)

struct entry {
    struct entry *next;
    struct dv_arena *arena;
    struct dv_twin_change *change;
};

struct dv_outbox {
    struct entry *first;
    struct entry *last;
    struct entry *sent; /* the one lent by dv_outbox_next */
    size_t waiting;
    size_t max;
    size_t window;
    int64_t last_number; /* of the newest sent */
    int64_t first_open;  /* numbers below were given before the last clear */
    size_t open;
    uint64_t dropped;
};

struct dv_outbox *dv_outbox_new(unsigned max, unsigned window)
{
    struct dv_outbox *outbox = calloc(1, sizeof(*outbox));
    if (outbox) {
        outbox->max = max;
        outbox->window = window;
        outbox->first_open = 1;
    }
    return outbox;
}

static void free_entry(struct entry *entry)
{
    if (!entry)
        return;
    dv_arena_free(entry->arena);
    free(entry);
}

void dv_outbox_clear(struct dv_outbox *outbox)
{
    while (outbox->first) {
        struct entry *entry = outbox->first;
        outbox->first = entry->next;
        free_entry(entry);
    }
    outbox->last = NULL;
    outbox->waiting = 0;
    outbox->open = 0;
    outbox->first_open = outbox->last_number + 1;
}

void dv_outbox_free(struct dv_outbox *outbox)
{
    if (!outbox)
        return;
    dv_outbox_clear(outbox);
    free_entry(outbox->sent);
    free(outbox);
}

static struct entry *new_entry(const struct dv_twin_change *change)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->arena = dv_arena_new(CHANGE_BYTES_MAX);
    void *copy;
    if (!entry->arena || dv_copy(&dv_schema_twin_change, change, entry->arena, &copy, NULL) < 0) {
        free_entry(entry);
        return NULL;
    }
    entry->change = copy;
    return entry;
}

/* Whether `fresh` says all that `old` says: the whole feature covers its properties. */
static bool covers(const struct dv_twin_change *fresh, const struct dv_twin_change *old)
{
    if (fresh->thing != old->thing || strcmp(fresh->feature, old->feature) != 0)
        return false;
    if (fresh->kind != DV_TWIN_PROPERTY)
        return true;
    return old->kind == DV_TWIN_PROPERTY &&
           strcmp(fresh->path ? fresh->path : "", old->path ? old->path : "") == 0;
}

/* Takes out what waits and says nothing more beside `fresh`, which then goes to the end: in the
 * place of an older one it would come before changes that it is newer than. */
static void drop_covered(struct dv_outbox *outbox, const struct dv_twin_change *fresh)
{
    struct entry **at = &outbox->first;
    outbox->last = NULL;
    while (*at) {
        struct entry *entry = *at;
        if (!covers(fresh, entry->change)) {
            outbox->last = entry;
            at = &entry->next;
            continue;
        }
        *at = entry->next;
        free_entry(entry);
        outbox->waiting--;
    }
}

bool dv_outbox_add(struct dv_outbox *outbox, const struct dv_twin_change *change)
{
    struct entry *entry = new_entry(change);
    if (entry && outbox->waiting >= outbox->max)
        drop_covered(outbox, change);
    /* Nothing makes a lost delete good; its sender bounds how many there are. */
    bool has_room = outbox->waiting < outbox->max || change->kind == DV_TWIN_DELETE;
    if (!entry || !has_room) {
        free_entry(entry);
        outbox->dropped++;
        return false;
    }
    *(outbox->last ? &outbox->last->next : &outbox->first) = entry;
    outbox->last = entry;
    outbox->waiting++;
    return true;
}

const struct dv_twin_change *dv_outbox_next(struct dv_outbox *outbox)
{
    if (!outbox->first || outbox->open >= outbox->window)
        return NULL;
    free_entry(outbox->sent);
    struct entry *entry = outbox->first;
    outbox->first = entry->next;
    if (!outbox->first)
        outbox->last = NULL;
    outbox->waiting--;
    outbox->open++;
    outbox->sent = entry;
    entry->change->number = ++outbox->last_number;
    return entry->change;
}

void dv_outbox_acknowledge(struct dv_outbox *outbox, int64_t number)
{
    if (number >= outbox->first_open && outbox->open > 0)
        outbox->open--;
}

size_t dv_outbox_waiting(const struct dv_outbox *outbox)
{
    return outbox->waiting;
}

size_t dv_outbox_open(const struct dv_outbox *outbox)
{
    return outbox->open;
}

uint64_t dv_outbox_dropped(const struct dv_outbox *outbox)
{
    return outbox->dropped;
}
