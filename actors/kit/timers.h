/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The one-shot timers of one host: a binary heap by due time, equal ones in the order they were
 * set. A number names a slot and the use of that slot, so an old number never hits a newer timer.
 * One owner. Private to the kit.
 */
#include "actors/kit/cell.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More timers than this in one host is a runaway cell; the process ends with that message. */
#define DV_TIMERS_MAX (1U << 20)

struct dv_timer {
    int64_t due_ns;
    uint64_t order;
    struct dv_cell *cell;
    dv_timer_fn *fn;
    void *ctx;
    uint32_t slot;
};

struct dv_timer_slot {
    uint32_t position; /* in the heap, or the next free slot */
    uint32_t use;      /* 0: free */
};

struct dv_timers {
    struct dv_timer *heap;
    struct dv_timer_slot *slots;
    uint32_t count;
    uint32_t capacity;
    uint32_t free_slot; /* first of the list of free ones */
    uint32_t last_use;
    uint64_t last_order;
};

void dv_timers_done(struct dv_timers *timers);
uint64_t dv_timers_set(
    struct dv_timers *timers, int64_t due_ns, struct dv_cell *cell, dv_timer_fn *fn, void *ctx);
void dv_timers_cancel(struct dv_timers *timers, uint64_t number);
/* Forgets all timers of a cell. */
void dv_timers_cancel_cell(struct dv_timers *timers, const struct dv_cell *cell);
/* INT64_MAX if there is none. */
int64_t dv_timers_next_ns(const struct dv_timers *timers);
/* Takes the earliest out if it is due. */
bool dv_timers_take_due(struct dv_timers *timers, int64_t now_ns, struct dv_timer *ret);
