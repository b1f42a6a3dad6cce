/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The descriptors that the cells of one host wait for. The loops of the host and of the simulation
 * poll them. One owner. Private to the kit.
 */
#include "actors/kit/cell.h"

#include <poll.h>
#include <stddef.h>

#define DV_WATCHES_MAX 4096U /* a host */

struct dv_watch_row {
    struct dv_cell *cell;
    dv_watch_fn *fn;
    void *ctx;
    int fd;
    short events;
};

struct dv_watches {
    struct dv_watch_row *rows;
    size_t count;
    size_t capacity;
};

void dv_watches_done(struct dv_watches *watches);
/* Adds, replaces or (events 0) removes. LIMIT when there are DV_WATCHES_MAX. */
__attribute__((warn_unused_result)) int
dv_watches_set(struct dv_watches *watches, struct dv_watch_row row, struct dv_error *err);
void dv_watches_cancel_cell(struct dv_watches *watches, const struct dv_cell *cell);
/* NULL if that cell does not watch that descriptor (any more). */
const struct dv_watch_row *
dv_watches_find(const struct dv_watches *watches, const struct dv_cell *cell, int fd);
/* Fills `fds` (room for watches->count). */
void dv_watches_poll_set(const struct dv_watches *watches, struct pollfd *fds);
