/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One line as a client may send it: bytes of a stranger in, a checked message out. Private to
 * bridge/local; pure, any thread.
 */
#include "base/arena.h"
#include "base/str.h"
#include "messages/messages.h"

#define LINE_KIND_KEY "kind"
#define LINE_ID_MAX   64

enum line_type {
    LINE_BLANK, /* nothing but white space: somebody typed it */
    LINE_REQUEST,
    LINE_WATCH,
    LINE_ATTACH,
    LINE_EXEC,
};

struct line {
    enum line_type type;
    const char *id; /* to be named in an answer, also of a bad line; empty if there is none */
    const struct dv_local_request *request;
    const struct dv_local_watch *watch;
    const struct dv_local_attach *attach;
    const struct dv_local_exec *exec;
};

/* What is in *ret lives in `arena`. On failure only ret->id is set. */
__attribute__((warn_unused_result)) int
line_read(struct dv_str text, struct dv_arena *arena, struct line *ret, struct dv_error *err);
/* Whether the arguments of the operation `trace` switch it on. */
bool line_traces(const struct dv_local_request *request);
