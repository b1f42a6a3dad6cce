/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Messages to bytes and back, driven by the schema tables. A body is a msgpack map from wire keys
 * to values. Decoding trusts nothing: frame ceiling, structural scan (depth, counts no larger than
 * the bytes that are left, no trailing bytes), then types, then the limits of the rows; only then
 * it is copied out. Pure functions, any thread, nothing blocks.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "messages/schema.h"

/* Appends the encoding of *body; INVALID names message, field and rule if it breaks a row. `out` is
 * unchanged on failure. */
__attribute__((warn_unused_result)) int dv_encode(const struct dv_schema *schema,
                                                  const void *body,
                                                  struct dv_buf *out,
                                                  struct dv_error *err);

/* A `struct dv_NAME` with all it points to in `arena`. PROTOCOL for malformed bytes, INVALID for a
 * value that breaks a row. */
__attribute__((warn_unused_result)) int dv_decode(const struct dv_schema *schema,
                                                  const void *bytes,
                                                  size_t len,
                                                  struct dv_arena *arena,
                                                  void **ret,
                                                  struct dv_error *err);

/* Checks *body against the rows without encoding. */
__attribute__((warn_unused_result)) int
dv_validate(const struct dv_schema *schema, const void *body, struct dv_error *err);

/* A deep copy in `arena`. */
__attribute__((warn_unused_result)) int dv_copy(const struct dv_schema *schema,
                                                const void *body,
                                                struct dv_arena *arena,
                                                void **ret,
                                                struct dv_error *err);

/* One line for people: name{field=value ...}. Long texts are cut; bytes are counted, not shown. */
__attribute__((warn_unused_result)) int dv_print(const struct dv_schema *schema,
                                                 const void *body,
                                                 struct dv_buf *out,
                                                 struct dv_error *err);
