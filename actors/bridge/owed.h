/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Deletes that the other side has not acknowledged yet: of containers that were removed, and of
 * those that a thing shows though they are on another one. A delete is owed over lost links until
 * it is acknowledged. When the last one of a removed container is, that has to be told once, so
 * that the debt is not remembered for the next start.
 *
 * Pure. Not thread-safe: the publisher owns one.
 */
#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_OWED_MAX 16384

struct dv_owed;

/* One delete: of the container `id` on `thing`. */
struct dv_owed_delete {
    char *id;
    unsigned thing;
};

struct dv_owed *dv_owed_new(void);
void dv_owed_free(struct dv_owed *owed);
DV_DEFINE_CLEANUP(dv_owed, dv_owed_free)

/* `is_removed`: the container exists nowhere any more. Once more is no more. False if there are
 * too many, or no memory. */
bool dv_owed_add(struct dv_owed *owed, const char *id, unsigned thing, bool is_removed);
/* The next one, of that container or (NULL) of any, that is not on its way, which it is from now
 * on; borrowed until the next call, NULL: none. */
const struct dv_owed_delete *dv_owed_take(struct dv_owed *owed, const char *id);
/* It was sent under that number. */
void dv_owed_sent(struct dv_owed *owed, const char *id, unsigned thing, int64_t number);
/* Of any change; one that failed is not on its way any more. */
void dv_owed_acknowledge(struct dv_owed *owed, int64_t number, bool is_failed);
/* Nothing is on its way any more. */
void dv_owed_link_lost(struct dv_owed *owed);

size_t dv_owed_count(const struct dv_owed *owed);
/* The id of one of them, if its container was removed, else NULL. */
const char *dv_owed_removed(const struct dv_owed *owed, size_t index);
/* The removed container whose last delete the newest acknowledgement was, or NULL; the caller frees
 * it. */
char *dv_owed_take_told(struct dv_owed *owed);
