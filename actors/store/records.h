/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The newest record of each container that the store knows, and whether its file has it. Owned by
 * the store's thread.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>

/* One container as it is kept. */
struct dv_stored {
    const char *id;
    const void *encoded; /* container_record, encoded */
    size_t len;
    bool is_dirty;   /* its file is to be written */
    bool is_removed; /* gone; its file must go too */
};

struct dv_records;

/* NULL without memory. */
struct dv_records *dv_records_new(void);
void dv_records_free(struct dv_records *records);
DV_DEFINE_CLEANUP(dv_records, dv_records_free)

/* Replaces what is known of that container, also that it was removed. */
__attribute__((warn_unused_result)) int dv_records_put(struct dv_records *records,
                                                       const struct dv_container_record *record,
                                                       bool is_dirty,
                                                       struct dv_error *err);
bool dv_records_has(const struct dv_records *records, const char *id);
/* The container is gone, the file is not yet; nothing if it is not known. */
void dv_records_mark_removed(struct dv_records *records, const char *id);

/* The i-th (removed ones included), NULL behind the last; valid until the next change. */
const struct dv_stored *dv_records_at(const struct dv_records *records, size_t index);
/* Its file is as it is here; a removed one is forgotten (indexes behind it move). */
void dv_records_checkpointed(struct dv_records *records, const char *id);
/* How many files are to be written or taken away. */
size_t dv_records_dirty(const struct dv_records *records);
