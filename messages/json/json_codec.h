/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Messages as JSON objects, driven by the schema tables: field names are keys, enums their API
 * text, bytes base64. Empty optional fields are left out. Reading is strict: an unknown key is
 * refused with the nearest known one, and the rows' limits hold. Pure functions, any thread.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/schema.h"

#include "json/json.h"

/* Writes one object. */
void dv_message_write_json(struct dv_json_writer *w,
                           const struct dv_schema *schema,
                           const void *body);
/* Only the members, into an object that the caller has opened. */
void dv_message_write_members(struct dv_json_writer *w,
                              const struct dv_schema *schema,
                              const void *body);

/* A `struct dv_NAME` with all it points to in `arena`. `kind_key`: a member that is passed over
 * (the name of the message in a line), NULL: none. */
__attribute__((warn_unused_result)) int dv_message_read_json(const struct dv_schema *schema,
                                                             const struct dv_json *object,
                                                             const char *kind_key,
                                                             struct dv_arena *arena,
                                                             void **ret,
                                                             struct dv_error *err);
