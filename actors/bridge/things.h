/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How containers are spread over the things of a gateway, and how much each thing weighs.
 *
 * The place of a container follows from its id and the number of things alone, by jump consistent
 * hashing (J. Lamping, E. Veach, https://arxiv.org/abs/1406.2294). So it needs no state that could
 * be lost or contradict itself: it is the same after a restart, after a restored backup and for
 * whoever else computes it. When the number of things grows from m to n, only the share of the new
 * ones moves, and nothing moves between old ones; when it shrinks, only what was on those that go.
 * So no thing has to hold more during a move than after it. Filling by size instead would need a
 * durable place for each container, in exchange for things that are more even.
 *
 * Things over which containers were spread before, by earlier numbers of things, may still hold
 * them until the deletes there are acknowledged; the owner keeps those numbers over restarts.
 *
 * Pure, but for log lines of the weights. Not thread-safe: the publisher owns one.
 */
#include "actors/bridge/weight.h"
#include "base/cleanup.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stdint.h>

struct dv_things;

/* From 0; `count` from 1. */
unsigned dv_things_place(const char *id, unsigned count);

/* `bridge` is for the log, borrowed; `max_bytes` is of one thing, 0: no limit. `count` from 1 to
 * DV_THINGS_MAX. NULL without memory. */
struct dv_things *
dv_things_new(const char *bridge, unsigned count, enum dv_twin_detail detail, size_t max_bytes);
void dv_things_free(struct dv_things *things);
DV_DEFINE_CLEANUP(dv_things, dv_things_free)

unsigned dv_things_count(const struct dv_things *things);
/* Where the container is shown. */
unsigned dv_things_of(const struct dv_things *things, const char *id);

/* Earlier numbers of things: bit n - 1 for n. */
void dv_things_set_before(struct dv_things *things, uint64_t counts);
bool dv_things_has_before(const struct dv_things *things);
/* Where else the container may be shown because of them: bit n for thing n. */
uint64_t dv_things_had(const struct dv_things *things, const char *id);

/* Fills in what davit status shows of them; the list is in `each`. */
void dv_things_note(const struct dv_things *things,
                    struct dv_bridge_thing each[DV_THINGS_MAX],
                    struct dv_bridge_note *note);

/* Of one thing, for what is not a container too. */
struct dv_weight *dv_things_weight(const struct dv_things *things, unsigned thing);
/* Of the thing of that container. */
struct dv_weight *dv_things_weight_of(const struct dv_things *things, const char *id);
/* Everything is weighed anew. */
void dv_things_clear(struct dv_things *things);
/* True if a thing must show its containers otherwise (dv_weight_settle). */
bool dv_things_settle(struct dv_things *things);
