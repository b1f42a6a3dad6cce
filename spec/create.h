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

#include <stdbool.h>

struct dv_create_request {
    struct dv_container_record *record; /* defaults filled, rules checked; warnings: unknown keys */
    bool start;
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
