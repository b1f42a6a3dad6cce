/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Container records as JSON: config.json below <home>/containers/<id>/, deployment files, software
 * artifacts. The shape is Kanto's, so that records move between the two; what davit needs beyond it
 * is in the member `davit`. Pure, any thread.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "messages/messages.h"

/* Appends one line with a line feed. Members that were unknown on reading are written back. */
__attribute__((warn_unused_result)) int dv_record_encode(const struct dv_container_record *record,
                                                         struct dv_buf *out,
                                                         struct dv_error *err);

/* Reads a record, fills defaults and checks the rules; the result lives in the arena. INVALID for
 * what is no record, with the place. `fallback_id` is used when it has no id; NULL: an id is
 * required. Unknown keys become warnings of the record. */
__attribute__((warn_unused_result)) int dv_record_decode(const char *bytes,
                                                         size_t len,
                                                         const char *fallback_id,
                                                         struct dv_arena *arena,
                                                         struct dv_container_record **ret,
                                                         struct dv_error *err);

/* The same of a container that is to be made (an artifact, a deployment file), with the defaults of
 * a create; what the text says of state, image and layers is left out. `name` is used when it has
 * none; NULL: its id is. */
__attribute__((warn_unused_result)) int dv_record_describe(const char *bytes,
                                                           size_t len,
                                                           const char *id,
                                                           const char *name,
                                                           struct dv_arena *arena,
                                                           struct dv_container_record **ret,
                                                           struct dv_error *err);

/* How long a container has run, or is down, at `now_ns` on the clock of this boot; not set when
 * that is not known. Right also when the wall clock was set since, which time stamps are not. */
struct dv_maybe dv_record_state_ms(const struct dv_container_record *record, int64_t now_ns);
