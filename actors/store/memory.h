/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the journal and the record files add up to: records, open commands, remembered answers,
 * unfinished work. Pure bookkeeping in memory; the store cell owns one, not thread-safe.
 */
#include "actors/store/records.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/journal.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dv_store_memory;

struct dv_store_memory *dv_store_memory_new(unsigned answers_max);
void dv_store_memory_free(struct dv_store_memory *memory);
DV_DEFINE_CLEANUP(dv_store_memory, dv_store_memory_free)

/* Applies one journal entry, also at replay. Unknown kinds are ignored. */
__attribute__((warn_unused_result)) int dv_store_memory_apply(struct dv_store_memory *memory,
                                                              const struct dv_journal_entry *entry,
                                                              struct dv_error *err);
/* Applies only what an entry says of commands: those that bridges wrote, and their ends. For
 * entries that were applied when they were written, while the commands between them were not seen.
 */
__attribute__((warn_unused_result)) int dv_store_memory_learn(struct dv_store_memory *memory,
                                                              const struct dv_journal_entry *entry,
                                                              struct dv_error *err);
/* A record from its file, older than anything in the journal. `is_current`: the file is what would
 * be written now. */
__attribute__((warn_unused_result)) int
dv_store_memory_add_file(struct dv_store_memory *memory,
                         const struct dv_container_record *record,
                         bool is_current,
                         struct dv_error *err);

/* A folder by that name has no record that can be read: the twin may show it, unless the journal
 * has one. */
void dv_store_memory_lost(struct dv_store_memory *memory, const char *id);

/* The records, of which the caller says which are in their files. */
struct dv_records *dv_store_memory_records(struct dv_store_memory *memory);

/* The intent of a create whose own entry is damaged, while the record that was written behind it is
 * good: it must be written again. NULL: none. */
const struct dv_store_intent *dv_store_memory_unwritten(const struct dv_store_memory *memory);
/* It is written, as entry `sequence`. */
void dv_store_memory_wrote(struct dv_store_memory *memory,
                           const struct dv_store_intent *intent,
                           uint64_t sequence);
/* Whether the journal must keep an entry over a rotation. */
bool dv_store_memory_keeps(const struct dv_store_memory *memory,
                           const struct dv_journal_entry *entry);

/* Numbers of commands that are taken and not answered, ascending; 0 at the end. */
uint64_t dv_store_memory_open_after(const struct dv_store_memory *memory, uint64_t after);
/* Removed containers that the twin may still show; valid until the next entry. */
char **dv_store_memory_gone(struct dv_store_memory *memory, size_t *ret_count);
/* The container that such a command took effect on; NULL: it has still to run. */
const char *dv_store_memory_done_id(const struct dv_store_memory *memory, uint64_t sequence);
/* Whether there is one that took effect and is not answered: a rotation would lose that answer. */
bool dv_store_memory_has_done(const struct dv_store_memory *memory);
/* As if the value's removal had been journaled: a rotation leaves it out. */
void dv_store_memory_forget(struct dv_store_memory *memory, const char *name);
/* A value kept by name; empty if there is none. Valid until the next entry. */
struct dv_bytes dv_store_memory_value(const struct dv_store_memory *memory, const char *name);
/* Unfinished work: the i-th, NULL behind the last. */
const struct dv_store_intent *dv_store_memory_intent(const struct dv_store_memory *memory,
                                                     size_t index);
