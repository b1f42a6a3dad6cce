/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Containers by id and by name. Names are unique for new containers; old records may bring
 * duplicates, which are kept and reported. Not thread-safe: the roster cell owns one.
 */
#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define DV_ROSTER_MAX 16384

struct dv_roster_entry {
    const char *id;
    const char *name;
    const void *snapshot; /* encoded container_record, the latest one */
    size_t snapshot_len;  /* 0: none yet */
};

struct dv_roster_table;

struct dv_roster_table *dv_roster_table_new(void);
void dv_roster_table_free(struct dv_roster_table *table);
DV_DEFINE_CLEANUP(dv_roster_table, dv_roster_table_free)

/* EXISTS for a known id, or for a known name when `name_is_unique`; LIMIT when full. */
__attribute__((warn_unused_result)) int dv_roster_table_add(struct dv_roster_table *table,
                                                            const char *id,
                                                            const char *name,
                                                            bool name_is_unique,
                                                            struct dv_error *err);
/* NOT_FOUND or EXISTS (another container has that name). */
__attribute__((warn_unused_result)) int dv_roster_table_rename(struct dv_roster_table *table,
                                                               const char *id,
                                                               const char *name,
                                                               struct dv_error *err);
/* Copies the snapshot; an unknown id is ignored (it was removed meanwhile). */
__attribute__((warn_unused_result)) int dv_roster_table_update(struct dv_roster_table *table,
                                                               const char *id,
                                                               const void *snapshot,
                                                               size_t len,
                                                               struct dv_error *err);
/* True the first time for an id: its restore is over. */
bool dv_roster_table_mark_restored(struct dv_roster_table *table, const char *id);
void dv_roster_table_remove(struct dv_roster_table *table, const char *id);
size_t dv_roster_table_count(const struct dv_roster_table *table);

/* By id, else by name, else by a prefix of ids; NULL with NOT_FOUND, or INVALID when ambiguous. */
const struct dv_roster_entry *
dv_roster_table_find(const struct dv_roster_table *table, const char *text, struct dv_error *err);
/* In the order in which they were added. */
void dv_roster_table_each(const struct dv_roster_table *table,
                          void (*fn)(const struct dv_roster_entry *entry, void *ctx),
                          void *ctx);
