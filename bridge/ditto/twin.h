/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Writes what the gateway says by itself as Ditto envelopes: changes of its twin and live messages.
 * Twin commands carry exactly the header response-required:false; there is no create, modify makes
 * a feature too. Feature ids and property paths are written as Ditto accepts them (key.h).
 *
 * Pure functions, any thread, nothing blocks. `thing` is namespace:name. `out` is appended to and
 * may hold a part of an envelope after a failure.
 */
#include "base/buf.h"
#include "base/error.h"
#include "messages/messages.h"

__attribute__((warn_unused_result)) int dv_ditto_write_twin(const struct dv_twin_change *change,
                                                            const char *thing,
                                                            struct dv_buf *out,
                                                            struct dv_error *err);

__attribute__((warn_unused_result)) int
dv_ditto_write_outbox(const struct dv_outbox_message *message,
                      const char *thing,
                      struct dv_buf *out,
                      struct dv_error *err);
