/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Output of a container to json-file records, as Docker and Kanto write them:
 *
 *   {"stream":"stdout","log":"text\n","time":"2024-06-28T08:00:00.1Z"}
 *
 * Lines end at line feeds, a carriage return before one is dropped; a line over DV_LOG_CHUNK bytes
 * becomes several records of which only the last has the line feed, all with one time; a last line
 * without one gets one. Pure, one owner.
 */
#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_LOG_CHUNK (16U << 10)

/* What a stream carries over from one read to the next. */
struct dv_lines {
    const char *stream;
    struct dv_buf rest; /* an unfinished line, at most DV_LOG_CHUNK */
    int64_t rest_ns;    /* when its first byte came; shared by the records of a long line */
    bool is_long;       /* a part of it is written already */
};

void dv_lines_init(struct dv_lines *lines, const char *stream);
void dv_lines_done(struct dv_lines *lines);

/* Appends the records that `bytes` complete to *out; `wall_ns` is when they came. */
__attribute__((warn_unused_result)) int dv_lines_add(struct dv_lines *lines,
                                                     const char *bytes,
                                                     size_t len,
                                                     int64_t wall_ns,
                                                     struct dv_buf *out,
                                                     struct dv_error *err);
/* The stream has ended: an unfinished line becomes a record. */
__attribute__((warn_unused_result)) int
dv_lines_end(struct dv_lines *lines, struct dv_buf *out, struct dv_error *err);
/* A record of davit's own in the stream. */
__attribute__((warn_unused_result)) int dv_lines_note(const struct dv_lines *lines,
                                                      const char *text,
                                                      int64_t wall_ns,
                                                      struct dv_buf *out,
                                                      struct dv_error *err);
