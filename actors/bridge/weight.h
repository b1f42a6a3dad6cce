/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How large a thing is, and how much of each of its containers it can show. Ditto refuses a change
 * that would make its thing larger than a limit (100 KB as shipped) and, since twin changes want no
 * response, tells nobody. So the size is estimated here; above the limit containers are shown
 * without their configuration, until the whole fits well again.
 *
 * Pure, but for log lines. Not thread-safe: things.h owns one for each thing.
 */
#include "actors/env.h"
#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct dv_weight;

/* `bridge` is for the log, borrowed. `max_bytes` 0: no limit. NULL without memory. */
struct dv_weight *dv_weight_new(const char *bridge, enum dv_twin_detail detail, size_t max_bytes);
void dv_weight_free(struct dv_weight *weight);
DV_DEFINE_CLEANUP(dv_weight, dv_weight_free)

/* Everything is weighed anew. */
void dv_weight_clear(struct dv_weight *weight);
/* What a part of the twin weighs with all details and without. Parts that find no memory are not
 * counted. */
void dv_weight_set(struct dv_weight *weight, const char *part, size_t full, size_t compact);
void dv_weight_remove(struct dv_weight *weight, const char *part);

/* Looks whether details must go or can come back. True if that changed: then all of the twin has to
 * be published again. */
bool dv_weight_settle(struct dv_weight *weight);
bool dv_weight_is_compact(const struct dv_weight *weight);
/* As it is shown. */
size_t dv_weight_bytes(const struct dv_weight *weight);
