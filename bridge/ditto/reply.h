/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Writes answers to commands as Ditto envelopes: fields in the order topic, headers, path, value,
 * status; headers content-type, correlation-id. The status is always in the envelope; content-type
 * is sent with 204 too, as the API document shows it.
 *
 * Pure functions, any thread, nothing blocks. `out` is appended to and may hold a part of an answer
 * after a failure.
 */
#include "base/buf.h"
#include "base/error.h"
#include "bridge/ditto/envelope.h"
#include "messages/messages.h"

/* Ceiling for any envelope that is written: a value of 1 MiB and what is around it. */
#define DV_DITTO_ENVELOPE_MAX ((1U << 20) + (64U << 10))

/* The answer of a feature. `thing` is namespace:name; a NULL correlation id is left out. */
__attribute__((warn_unused_result)) int dv_ditto_write_reply(const struct dv_command_reply *reply,
                                                             const char *thing,
                                                             const char *correlation_id,
                                                             struct dv_buf *out,
                                                             struct dv_error *err);

/* The answer to a message that no feature has seen: REFUSED by the checks of envelope.h, or refused
 * for another reason (busy) with the given class and text. */
__attribute__((warn_unused_result)) int
dv_ditto_write_refusal(const struct dv_ditto_request *request,
                       enum dv_error_class class,
                       const char *text,
                       struct dv_buf *out,
                       struct dv_error *err);
