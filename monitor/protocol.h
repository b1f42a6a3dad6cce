/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Frames between davitd, davit-monitor and davit-launch: one SOCK_SEQPACKET record is the kind of a
 * message (two bytes, little endian) and its encoded body. A client says monitor_hello first, with
 * the versions it speaks; the monitor speaks DV_MONITOR_VERSION and the one before. Any thread; a
 * descriptor has one user at a time.
 *
 * Version 2 has terminals (monitor_console, monitor_launch.console_path) and the role STREAM.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "messages/schema.h"

#include <stdint.h>

#define DV_MONITOR_VERSION     2
#define DV_MONITOR_FRAME_BYTES (200U << 10)
#define DV_MONITOR_DATA_BYTES  (16U << 10)    /* in one frame of a stream */
#define DV_MONITOR_SOCKET      "monitor.sock" /* below the run directory */
#define DV_MONITOR_MOUNTS      "mounts"       /* its private tmpfs */
#define DV_MONITOR_EXITS       "exits"        /* one file a record, named by its number */

/* Appends one frame to *out. */
__attribute__((warn_unused_result)) int dv_monitor_encode(const struct dv_schema *schema,
                                                          const void *body,
                                                          struct dv_buf *out,
                                                          struct dv_error *err);
/* PROTOCOL for a malformed frame or an unknown kind. */
__attribute__((warn_unused_result)) int dv_monitor_decode(const void *bytes,
                                                          size_t len,
                                                          struct dv_arena *arena,
                                                          uint16_t *ret_kind,
                                                          void **ret,
                                                          struct dv_error *err);

/* Sends one frame. UNAVAILABLE (with errno in err->sys) when the peer is gone, BUSY when a
 * non-blocking socket has no room. */
__attribute__((warn_unused_result)) int
dv_monitor_send(int fd, const struct dv_schema *schema, const void *body, struct dv_error *err);
/* Receives one frame: 1, or 0 when a non-blocking socket has none; UNAVAILABLE when the peer
 * closed. */
__attribute__((warn_unused_result)) int dv_monitor_receive(
    int fd, struct dv_arena *arena, uint16_t *ret_kind, void **ret, struct dv_error *err);

/* The same with a descriptor that travels along: the receiver gets one of its own in *ret_fd, -1 if
 * none came. */
__attribute__((warn_unused_result)) int dv_monitor_send_fd(
    int fd, const struct dv_schema *schema, const void *body, int passed, struct dv_error *err);
__attribute__((warn_unused_result)) int dv_monitor_receive_fd(int fd,
                                                              struct dv_arena *arena,
                                                              uint16_t *ret_kind,
                                                              void **ret,
                                                              int *ret_fd,
                                                              struct dv_error *err);
