/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One file in work, and the steps that the files of this folder share. */
#include "actors/deployment/deployment.h"
#include "base/arena.h"
#include "messages/messages.h"

#define DV_DEPLOYMENT_STEP_MS (24LL * 3600 * 1000) /* a pull takes as long as it makes progress */

struct dv_deployment_item {
    const struct dv_deployment_file *file;
    struct dv_arena *arena;
    struct dv_container_record *wanted;
    char *next_name;  /* of its replacement, while there are two */
    char now_id[129]; /* of the container that exists, "" if none does */
    char next_id[129];
    bool is_up; /* the one that exists was up when this began */
    char problem[256];
};

/* True when the daemon ends, which cancels what was asked: the item is freed then. */
bool dv_deployment_is_canceled(struct dv_cell *cell, struct dv_deployment_item *item);

/* The item is over: with an error, or with what was done. Frees it and goes on with the next. */
void dv_deployment_done(struct dv_cell *cell, struct dv_deployment_item *item, const char *what);
void dv_deployment_failed(struct dv_cell *cell,
                          struct dv_deployment_item *item,
                          const char *step,
                          const struct dv_error *error);

/* One operation of a container. */
void dv_deployment_order(struct dv_cell *cell,
                         struct dv_deployment_item *item,
                         const char *id,
                         const char *operation,
                         const char *args,
                         dv_outcome_fn *fn);

/* Has the roster make `wanted`. */
void dv_deployment_create(struct dv_cell *cell,
                          struct dv_deployment_item *item,
                          bool start,
                          dv_outcome_fn *fn);

/* replace.c: a container beside the one that exists, then in its place. Ends the item. */
void dv_deployment_replace(struct dv_cell *cell, struct dv_deployment_item *item);
