/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The start message of a cell, encoded into the command that starts it. Pure. Private to the kit.
 */
#include "actors/kit/cell.h"
#include "base/buf.h"
#include "base/error.h"
#include "messages/messages.h"

/* The type of that name, NULL if it is not registered. `types` ends with NULL. */
const struct dv_cell_type *dv_spawn_type(const struct dv_cell_type *const *types, const char *name);

/* Fills kind and start of *cmd by the type that it names; the bytes live in `encoded`. */
__attribute__((warn_unused_result)) int dv_spawn_fill(const struct dv_cell_type *const *types,
                                                      const void *start,
                                                      struct dv_buf *encoded,
                                                      struct dv_cell_spawn_cmd *cmd,
                                                      struct dv_error *err);
