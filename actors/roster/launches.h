/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Turns for starts that nobody asked for: restarts by policy and those after a boot. So many at
 * once, the rest waits in order, so that a storm of them does not take the workers from commands.
 * Pure bookkeeping, one thread. A turn belongs to a container's id until it is given back.
 */
#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define DV_LAUNCHES_WAITING_MAX 16384
#define DV_LAUNCHES_MAX         64

struct dv_launches;

/* `limit`: turns at once, at least 1 and at most DV_LAUNCHES_MAX. NULL: no memory. */
struct dv_launches *dv_launches_new(unsigned limit);
/* Tokens of those that wait are not touched. */
void dv_launches_free(struct dv_launches *launches);
DV_DEFINE_CLEANUP(dv_launches, dv_launches_free)

/* True: it has a turn now. False: it must wait. */
bool dv_launches_take(struct dv_launches *launches, const char *id);
/* Waits at the end; `token` comes back from dv_launches_next() or dv_launches_forget(). LIMIT when
 * too many wait. */
__attribute__((warn_unused_result)) int
dv_launches_wait(struct dv_launches *launches, const char *id, void *token, struct dv_error *err);
/* Harmless without a turn. */
void dv_launches_give_back(struct dv_launches *launches, const char *id);
/* The token of the first that waits, which has a turn from now on; NULL: none waits, or no turn is
 * free. */
void *dv_launches_next(struct dv_launches *launches);
/* The container is gone: its turn, too. The token that it waited with, NULL: none. */
void *dv_launches_forget(struct dv_launches *launches, const char *id);
size_t dv_launches_waiting(const struct dv_launches *launches);
