/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reads the Ditto envelope of a message to the gateway and says what is to be done with it. The
 * checks run in a fixed order and the first failure wins, so that every malformed message has one
 * defined answer:
 *
 *   no strict JSON envelope, or a typed field of a wrong type          400, no own topic and path
 *   topic or path empty; topic of fewer than three segments            400, no own topic and path
 *   response-required that is no boolean; no correlation id            400
 *   a value without content type, or with one that is not JSON         400
 *   the thing is not ours                                              404
 *   the path is no inbox path                                          400
 *   the path is the inbox of the thing itself                          404
 *
 * Whether the feature exists and has the operation is asked by the caller. Envelope keys and header
 * names match in any ASCII case; unknown headers are ignored. Nothing but live messages is a
 * command: twin events, responses and errors come back to the gateway and answering them would make
 * a loop.
 *
 * Pure functions, any thread, nothing blocks.
 */
#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define DV_DITTO_PAYLOAD_MAX     (1U << 20)
#define DV_DITTO_CORRELATION_MAX 1024
#define DV_DITTO_FEATURE_MAX     256
#define DV_DITTO_OPERATION_MAX   128

enum dv_ditto_verdict {
    DV_DITTO_COMMAND, /* for `feature` */
    DV_DITTO_REFUSED, /* answered with error_class and error_text, if an answer is wanted */
    DV_DITTO_IGNORED, /* no live message */
};

enum dv_ditto_answer {
    DV_DITTO_ANSWER_NO,
    DV_DITTO_ANSWER_YES,
    DV_DITTO_ANSWER_UNKNOWN, /* the message does not say; only REFUSED */
};

struct dv_ditto_request {
    enum dv_ditto_verdict verdict;
    enum dv_ditto_answer answer;
    const char *topic;          /* of a refusal; set unless IGNORED */
    const char *path;           /* of a refusal; set unless IGNORED */
    const char *thing;          /* namespace:name; NULL if the topic has none */
    const char *feature;        /* COMMAND */
    const char *operation;      /* COMMAND; else NULL if the path names none */
    const char *value;          /* JSON, the bytes as they were sent; NULL: absent or null */
    const char *correlation_id; /* NULL: none that could be echoed */
    enum dv_error_class error_class;
    const char *error_text;
};

/* `thing` is ours. Everything in *ret lives in the arena or is static. Fails only for want of
 * memory. */
__attribute__((warn_unused_result)) int dv_ditto_parse(const void *bytes,
                                                       size_t len,
                                                       const char *thing,
                                                       struct dv_arena *arena,
                                                       struct dv_ditto_request *ret,
                                                       struct dv_error *err);
