/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/store/records.h"

#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS    4096
#define FIRST_ROOM 64

struct stored {
    struct dv_stored view;
    char *id;
    void *encoded;
    struct stored *next; /* in its bucket */
    size_t index;
};

struct dv_records {
    struct stored **items;
    size_t count;
    size_t room;
    struct stored *buckets[BUCKETS];
};

struct dv_records *dv_records_new(void)
{
    return calloc(1, sizeof(struct dv_records));
}

static void free_stored(struct stored *stored)
{
    free(stored->id);
    free(stored->encoded);
    free(stored);
}

void dv_records_free(struct dv_records *records)
{
    if (!records)
        return;
    for (size_t i = 0; i < records->count; i++)
        free_stored(records->items[i]);
    free(records->items);
    free(records);
}

static size_t bucket_of(const char *id)
{
    uint64_t hash = 14695981039346656037U;
    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 1099511628211U;
    return (size_t)(hash ^ hash >> 32) & (BUCKETS - 1);
}

static struct stored *find(const struct dv_records *records, const char *id)
{
    struct stored *stored = records->buckets[bucket_of(id)];
    while (stored && strcmp(stored->id, id) != 0)
        stored = stored->next;
    return stored;
}

static bool make_room(struct dv_records *records)
{
    if (records->count < records->room)
        return true;
    size_t room = records->room ? records->room * 2 : FIRST_ROOM;
    struct stored **items = reallocarray(records->items, room, sizeof(struct stored *));
    if (!items)
        return false;
    records->items = items;
    records->room = room;
    return true;
}

static struct stored *find_or_add(struct dv_records *records, const char *id)
{
    struct stored *stored = find(records, id);
    if (stored)
        return stored;
    if (!make_room(records))
        return NULL;
    stored = calloc(1, sizeof(*stored));
    if (!stored)
        return NULL;
    stored->id = strdup(id);
    if (!stored->id) {
        free(stored);
        return NULL;
    }
    stored->view.id = stored->id;
    stored->index = records->count;
    records->items[records->count++] = stored;
    struct stored **bucket = &records->buckets[bucket_of(id)];
    stored->next = *bucket;
    *bucket = stored;
    return stored;
}

int dv_records_put(struct dv_records *records,
                   const struct dv_container_record *record,
                   bool is_dirty,
                   struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    int r = dv_encode(&dv_schema_container_record, record, &buf, err);
    if (r < 0)
        return r;
    struct stored *stored = find_or_add(records, record->id);
    if (!stored)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the record of '%s'", record->id);
    free(stored->encoded);
    stored->encoded = dv_buf_take(&buf, &stored->view.len);
    stored->view.encoded = stored->encoded;
    stored->view.is_dirty = is_dirty;
    stored->view.is_removed = false;
    return 0;
}

bool dv_records_has(const struct dv_records *records, const char *id)
{
    return find(records, id);
}

void dv_records_mark_removed(struct dv_records *records, const char *id)
{
    struct stored *stored = find(records, id);
    if (stored)
        stored->view.is_removed = true;
}

const struct dv_stored *dv_records_at(const struct dv_records *records, size_t index)
{
    return index < records->count ? &records->items[index]->view : NULL;
}

static void forget(struct dv_records *records, struct stored *stored)
{
    struct stored **at = &records->buckets[bucket_of(stored->id)];
    while (*at != stored)
        at = &(*at)->next;
    *at = stored->next;
    struct stored *last = records->items[--records->count];
    records->items[stored->index] = last;
    last->index = stored->index;
    free_stored(stored);
}

void dv_records_checkpointed(struct dv_records *records, const char *id)
{
    struct stored *stored = find(records, id);
    if (!stored)
        return;
    if (stored->view.is_removed)
        forget(records, stored);
    else
        stored->view.is_dirty = false;
}

size_t dv_records_dirty(const struct dv_records *records)
{
    size_t dirty = 0;
    for (size_t i = 0; i < records->count; i++)
        dirty += records->items[i]->view.is_dirty || records->items[i]->view.is_removed;
    return dirty;
}
