/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Asks Ditto which features a thing has, and reads what it answers (the retrieve command of the
 * Ditto protocol, https://eclipse.dev/ditto/protocol-specification-things-retrieve.html). Pure
 * functions, any thread, nothing blocks.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "messages/messages.h"

/* `thing` is namespace:name. Only names are asked for: the answer must fit into one message. */
__attribute__((warn_unused_result)) int dv_ditto_write_retrieve(const char *thing,
                                                                const char *correlation_id,
                                                                struct dv_buf *out,
                                                                struct dv_error *err);

/* NOT_FOUND for any message but the answer to that question; INVALID for one that is malformed. */
__attribute__((warn_unused_result)) int dv_ditto_read_retrieved(struct dv_str bytes,
                                                                const char *thing,
                                                                const char *correlation_id,
                                                                struct dv_arena *arena,
                                                                struct dv_twin_seen *ret,
                                                                struct dv_error *err);
