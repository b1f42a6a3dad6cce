/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Values that features keep in the journal by name; the newest of a name counts. Not thread-safe:
 * the memory of the store owns one.
 */
#include "base/cleanup.h"
#include "messages/schema.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_VALUES_MAX 64U

struct dv_values;

struct dv_values *dv_values_new(void);
void dv_values_free(struct dv_values *values);
DV_DEFINE_CLEANUP(dv_values, dv_values_free)

/* `entry` is the journal entry that says so; an empty value forgets the name. False if there are
 * too many names, or no memory. */
bool dv_values_put(struct dv_values *values,
                   const char *name,
                   struct dv_bytes value,
                   uint64_t entry);
/* Empty if there is none. The owner's until the next change. */
struct dv_bytes dv_values_get(const struct dv_values *values, const char *name);
/* Whether the value of some name was put with that entry. */
bool dv_values_is_of(const struct dv_values *values, uint64_t entry);
