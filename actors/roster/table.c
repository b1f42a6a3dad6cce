/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list in order of arrival with two chained hash indexes; a thousand containers with a thousand
 * events a second must not make lookups visible.
 */
#include "actors/roster/table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096 /* power of two */

struct row {
    struct dv_roster_entry entry; /* points into the fields below */
    char *id;
    char *name;
    void *snapshot;
    bool is_restored;
    struct row *next; /* in order of arrival */
    struct row *previous;
    struct row *next_by_id;
    struct row *next_by_name;
};

struct dv_roster_table {
    struct row *first;
    struct row *last;
    size_t count;
    struct row *by_id[BUCKETS];
    struct row *by_name[BUCKETS];
};

/* FNV-1a; names come from the cloud, but a slow bucket costs its sender only. */
static size_t bucket_of(const char *text)
{
    uint64_t hash = 14695981039346656037U;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211U;
    return (size_t)(hash ^ hash >> 32) & (BUCKETS - 1);
}

struct dv_roster_table *dv_roster_table_new(void)
{
    return calloc(1, sizeof(struct dv_roster_table));
}

static void free_row(struct row *row)
{
    free(row->id);
    free(row->name);
    free(row->snapshot);
    free(row);
}

void dv_roster_table_free(struct dv_roster_table *table)
{
    if (!table)
        return;
    struct row *next;
    for (struct row *row = table->first; row; row = next) {
        next = row->next;
        free_row(row);
    }
    free(table);
}

static struct row *find_id(const struct dv_roster_table *table, const char *id)
{
    struct row *row = table->by_id[bucket_of(id)];
    while (row && strcmp(row->id, id) != 0)
        row = row->next_by_id;
    return row;
}

static struct row *find_name(const struct dv_roster_table *table, const char *name)
{
    struct row *row = table->by_name[bucket_of(name)];
    while (row && strcmp(row->name, name) != 0)
        row = row->next_by_name;
    return row;
}

static void index_name(struct dv_roster_table *table, struct row *row)
{
    struct row **bucket = &table->by_name[bucket_of(row->name)];
    row->next_by_name = *bucket;
    *bucket = row;
    row->entry.name = row->name;
}

static void unindex_name(struct dv_roster_table *table, struct row *row)
{
    struct row **at = &table->by_name[bucket_of(row->name)];
    while (*at != row)
        at = &(*at)->next_by_name;
    *at = row->next_by_name;
}

static int name_is_taken(const struct row *other, const char *name, struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_EXISTS,
                        "name: '%s' is the name of container %s already; names are unique", name,
                        other->id);
}

int dv_roster_table_add(struct dv_roster_table *table,
                        const char *id,
                        const char *name,
                        bool name_is_unique,
                        struct dv_error *err)
{
    if (find_id(table, id))
        return dv_error_set(err, DV_ERR_EXISTS, "a container with id '%s' exists already", id);
    const struct row *other = name_is_unique ? find_name(table, name) : NULL;
    if (other)
        return name_is_taken(other, name, err);
    if (table->count >= DV_ROSTER_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "there are %d containers already, the limit",
                            DV_ROSTER_MAX);
    struct row *row = calloc(1, sizeof(*row));
    if (row) {
        row->id = strdup(id);
        row->name = strdup(name);
    }
    if (!row || !row->id || !row->name) {
        if (row)
            free_row(row);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for container '%s'", id);
    }
    row->entry.id = row->id;
    row->previous = table->last;
    *(table->last ? &table->last->next : &table->first) = row;
    table->last = row;
    struct row **bucket = &table->by_id[bucket_of(id)];
    row->next_by_id = *bucket;
    *bucket = row;
    index_name(table, row);
    table->count++;
    return 0;
}

int dv_roster_table_rename(struct dv_roster_table *table,
                           const char *id,
                           const char *name,
                           struct dv_error *err)
{
    struct row *row = find_id(table, id);
    if (!row)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "there is no container '%s'", id);
    const struct row *other = find_name(table, name);
    if (other && other != row)
        return name_is_taken(other, name, err);
    char *copy = strdup(name);
    if (!copy)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the name of '%s'", id);
    unindex_name(table, row);
    free(row->name);
    row->name = copy;
    index_name(table, row);
    return 0;
}

int dv_roster_table_update(struct dv_roster_table *table,
                           const char *id,
                           const void *snapshot,
                           size_t len,
                           struct dv_error *err)
{
    struct row *row = find_id(table, id);
    if (!row)
        return 0;
    void *copy = realloc(row->snapshot, len ? len : 1);
    if (!copy)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the snapshot of '%s'", id);
    memcpy(copy, snapshot, len);
    row->snapshot = copy;
    row->entry.snapshot = copy;
    row->entry.snapshot_len = len;
    return 0;
}

bool dv_roster_table_mark_restored(struct dv_roster_table *table, const char *id)
{
    struct row *row = find_id(table, id);
    if (!row || row->is_restored)
        return false;
    row->is_restored = true;
    return true;
}

void dv_roster_table_remove(struct dv_roster_table *table, const char *id)
{
    struct row *row = find_id(table, id);
    if (!row)
        return;
    unindex_name(table, row);
    struct row **at = &table->by_id[bucket_of(id)];
    while (*at != row)
        at = &(*at)->next_by_id;
    *at = row->next_by_id;
    *(row->previous ? &row->previous->next : &table->first) = row->next;
    *(row->next ? &row->next->previous : &table->last) = row->previous;
    table->count--;
    free_row(row);
}

size_t dv_roster_table_count(const struct dv_roster_table *table)
{
    return table->count;
}

const struct dv_roster_entry *
dv_roster_table_find(const struct dv_roster_table *table, const char *text, struct dv_error *err)
{
    const struct row *found = find_id(table, text);
    if (!found)
        found = find_name(table, text);
    size_t len = strlen(text);
    unsigned matches = 0;
    if (!found && len) {
        for (const struct row *row = table->first; row; row = row->next) {
            if (strncmp(row->id, text, len) != 0)
                continue;
            found = row;
            matches++;
        }
    }
    if (matches > 1) {
        dv_error_set(err, DV_ERR_INVALID, "'%s' is the beginning of %u container ids", text,
                     matches);
        return NULL;
    }
    if (!found) {
        dv_error_set(err, DV_ERR_NOT_FOUND, "there is no container '%s'", text);
        return NULL;
    }
    return &found->entry;
}

void dv_roster_table_each(const struct dv_roster_table *table,
                          void (*fn)(const struct dv_roster_entry *entry, void *ctx),
                          void *ctx)
{
    struct row *next;
    for (struct row *row = table->first; row; row = next) {
        next = row->next;
        fn(&row->entry, ctx);
    }
}
