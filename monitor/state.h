/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What davit-monitor hands to the program that it becomes: bytes in a memory file.
 *
 *   "dvmstate"  CRC-32C of all that follows (4 bytes, little endian)  frames
 *   frame: length of the body (4 bytes, little endian), kind (2), body (messages/schema/
 *   monitor_state.def, and container_exited for ends that nobody has acknowledged)
 *
 * The first frame is monitor_state. A writer says which version it writes and which reader is old
 * enough to miss nothing; such a reader skips kinds and fields that it does not know. Pure but for
 * mon_state_seal() and mon_state_map(); control thread, nothing blocks.
 */
#include "base/buf.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MON_STATE_VERSION 1
#define MON_STATE_OLDEST  1
#define MON_STATE_BYTES   (512U << 20)
#define MON_FD_MAX        1048576

struct mon_state_writer {
    struct dv_buf frames; /* behind the first one */
    int64_t frame_count;
    int *fds; /* that are named in it */
    size_t fd_count;
    size_t fd_room;
    struct dv_error *err; /* the first failure; the caller's */
};

void mon_state_begin(struct mon_state_writer *writer, struct dv_error *err);
void mon_state_done(struct mon_state_writer *writer);
DV_DEFINE_CLEANUP_IN_PLACE(mon_state_writer, mon_state_done)
/* After a failure nothing more is written; mon_state_encode() tells it. */
void mon_state_put(struct mon_state_writer *writer,
                   const struct dv_schema *schema,
                   const void *body);
/* How a frame names a descriptor, which is to stay open; -1 is 0. */
int64_t mon_state_fd(struct mon_state_writer *writer, int fd);
/* Fills versions and counts of `head` and appends the whole state to *out. */
__attribute__((warn_unused_result)) int mon_state_encode(struct mon_state_writer *writer,
                                                         struct dv_monitor_state *head,
                                                         struct dv_buf *out,
                                                         struct dv_error *err);
/* A memory file of these bytes that nobody can change any more. */
__attribute__((warn_unused_result)) int
mon_state_seal(const struct dv_buf *bytes, int *ret_fd, struct dv_error *err);

/* A new program has its own descriptor from a number in a frame; -1 if there is none, or it is not
 * open. Closed on exec from now on. */
int mon_state_take_fd(int64_t number);

typedef int mon_state_fn(void *ctx, uint16_t kind, const void *body, struct dv_error *err);

/* Calls `fn` for each frame, monitor_state first; what it gets is gone after the call. PROTOCOL for
 * damaged bytes, UNSUPPORTED for a version that this program cannot read. */
__attribute__((warn_unused_result)) int
mon_state_read(const void *bytes, size_t len, mon_state_fn *fn, void *ctx, struct dv_error *err);
/* Whether all of it can be taken over: that every number names something that is there, and no
 * descriptor two things. */
__attribute__((warn_unused_result)) int
mon_state_check(const void *bytes, size_t len, struct dv_error *err);

/* The bytes of a file; unmapped by mon_state_unmap(). */
__attribute__((warn_unused_result)) int
mon_state_map(int fd, const void **ret, size_t *ret_len, struct dv_error *err);
void mon_state_unmap(const void *bytes, size_t len);
