/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The other side of the local bridge in a test: a client of its socket without threads, which never
 * waits unless it is told to. Failures end the test.
 */
#include "json/json.h"
#include <stdbool.h>
#include <stddef.h>

struct dv_line_peer;

/* Connects; the bridge need not have taken the connection yet. */
struct dv_line_peer *dv_line_peer_new(const char *path);
void dv_line_peer_free(struct dv_line_peer *peer);

int dv_line_peer_fd(const struct dv_line_peer *peer);
/* What the socket takes at once, in bytes; 0 also when the bridge has ended the connection. */
size_t dv_line_peer_write(struct dv_line_peer *peer, const void *bytes, size_t len);
/* A line, which must be taken at once; the line feed is added. */
void dv_line_peer_send(struct dv_line_peer *peer, const char *line);
/* Sends no more, still listens. */
void dv_line_peer_half_close(struct dv_line_peer *peer);
/* The next line within `timeout_ms`, NULL: none. The caller frees it. Every line is an object. */
struct dv_json *dv_line_peer_take(struct dv_line_peer *peer, int timeout_ms);
/* The descriptor that came with the lines since the last call, which becomes the caller's; -1:
 * none.
 */
int dv_line_peer_passed(struct dv_line_peer *peer);
/* The bridge has ended the connection and everything it sent was taken. */
bool dv_line_peer_is_over(const struct dv_line_peer *peer);
