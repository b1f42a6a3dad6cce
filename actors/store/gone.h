/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Containers that were removed while the twin may still show them. The oldest are forgotten beyond
 * DV_GONE_MAX. Not thread-safe: the memory of the store owns one.
 */
#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_GONE_MAX 4096

struct dv_gone;

struct dv_gone *dv_gone_new(void);
void dv_gone_free(struct dv_gone *gone);
DV_DEFINE_CLEANUP(dv_gone, dv_gone_free)

/* `entry` is the journal entry that says so; 0: none does, its record cannot be read. False if
 * there is no memory. */
bool dv_gone_add(struct dv_gone *gone, const char *id, uint64_t entry);
/* There is a record after all. */
void dv_gone_found(struct dv_gone *gone, const char *id);
void dv_gone_forget(struct dv_gone *gone, const char *id);
/* Whether one of them was added with that entry. */
bool dv_gone_is_of(const struct dv_gone *gone, uint64_t entry);
/* The oldest first; they stay the owner's until the next change. */
char **dv_gone_all(struct dv_gone *gone, size_t *ret_count);
