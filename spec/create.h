/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The values of ContainerFactory's create and createWithConfig. Pure, any thread; everything the
 * result points to lives in the arena.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "messages/messages.h"
#include "spec/resources.h"

#include <stdbool.h>

struct dv_create_request {
    struct dv_container_record *record; /* defaults filled, rules checked; warnings: unknown keys */
    bool start;
    bool is_swap_default; /* the limit of memory and swap follows from that of memory */
};

/* `args` is the JSON value of the command, `id` the id of the new container. INVALID names field,
 * value and rule. */
__attribute__((warn_unused_result)) int dv_spec_create(struct dv_str args,
                                                       const char *id,
                                                       struct dv_arena *arena,
                                                       struct dv_create_request *ret,
                                                       struct dv_error *err);
__attribute__((warn_unused_result)) int dv_spec_create_with_config(struct dv_str args,
                                                                   const char *id,
                                                                   struct dv_arena *arena,
                                                                   struct dv_create_request *ret,
                                                                   struct dv_error *err);

/* Holds the limits against what this machine refuses: a limit of swap that nobody asked for goes,
 * UNSUPPORTED names one that somebody did. NULL refusals: nothing is refused. */
__attribute__((warn_unused_result)) int
dv_spec_fit_machine(struct dv_create_request *request,
                    const struct dv_limit_refusals *refusals,
                    struct dv_error *err);
