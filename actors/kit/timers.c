/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/timers.h"

#include "actors/kit/memory.h"

#define FIRST_CAPACITY 8U
#define NO_SLOT        UINT32_MAX

void dv_timers_done(struct dv_timers *timers)
{
    free(timers->heap);
    free(timers->slots);
    *timers = (struct dv_timers){0};
}

static void grow(struct dv_timers *timers)
{
    uint32_t capacity = timers->capacity ? timers->capacity * 2 : FIRST_CAPACITY;
    if (capacity > DV_TIMERS_MAX) {
        dv_log(DV_LOG_ERROR, "kit: over %u timers in one host, ending the process", DV_TIMERS_MAX);
        abort();
    }
    timers->heap = dv_need(reallocarray(timers->heap, capacity, sizeof(*timers->heap)));
    timers->slots = dv_need(reallocarray(timers->slots, capacity, sizeof(*timers->slots)));
    /* All older slots are in use: the list of free ones starts anew. */
    for (uint32_t i = timers->capacity; i < capacity; i++)
        timers->slots[i] = (struct dv_timer_slot){i + 1 < capacity ? i + 1 : NO_SLOT, 0};
    timers->free_slot = timers->capacity;
    timers->capacity = capacity;
}

static bool is_before(const struct dv_timer *a, const struct dv_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void place(struct dv_timers *timers, uint32_t position, struct dv_timer timer)
{
    timers->heap[position] = timer;
    timers->slots[timer.slot].position = position;
}

static void sift_up(struct dv_timers *timers, uint32_t position, struct dv_timer timer)
{
    while (position > 0) {
        uint32_t parent = (position - 1) / 2;
        if (!is_before(&timer, &timers->heap[parent]))
            break;
        place(timers, position, timers->heap[parent]);
        position = parent;
    }
    place(timers, position, timer);
}

static void sift_down(struct dv_timers *timers, uint32_t position, struct dv_timer timer)
{
    for (;;) {
        uint32_t child = position * 2 + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && is_before(&timers->heap[child + 1], &timers->heap[child]))
            child++;
        if (!is_before(&timers->heap[child], &timer))
            break;
        place(timers, position, timers->heap[child]);
        position = child;
    }
    place(timers, position, timer);
}

static void remove_at(struct dv_timers *timers, uint32_t position)
{
    uint32_t slot = timers->heap[position].slot;
    timers->slots[slot] = (struct dv_timer_slot){timers->free_slot, 0};
    timers->free_slot = slot;
    timers->count--;
    if (position == timers->count)
        return;
    struct dv_timer last = timers->heap[timers->count];
    if (position > 0 && is_before(&last, &timers->heap[(position - 1) / 2]))
        sift_up(timers, position, last);
    else
        sift_down(timers, position, last);
}

uint64_t dv_timers_set(
    struct dv_timers *timers, int64_t due_ns, struct dv_cell *cell, dv_timer_fn *fn, void *ctx)
{
    if (timers->count == timers->capacity)
        grow(timers);
    uint32_t slot = timers->free_slot;
    timers->free_slot = timers->slots[slot].position;
    if (++timers->last_use == 0)
        timers->last_use = 1;
    timers->slots[slot].use = timers->last_use;
    timers->count++;
    sift_up(timers, timers->count - 1,
            (struct dv_timer){due_ns, ++timers->last_order, cell, fn, ctx, slot});
    return (uint64_t)timers->last_use << 32 | (slot + 1U);
}

void dv_timers_cancel(struct dv_timers *timers, uint64_t number)
{
    uint32_t slot = (uint32_t)number - 1U;
    uint32_t use = (uint32_t)(number >> 32);
    if (use == 0 || slot >= timers->capacity || timers->slots[slot].use != use)
        return;
    remove_at(timers, timers->slots[slot].position);
}

void dv_timers_cancel_cell(struct dv_timers *timers, const struct dv_cell *cell)
{
    uint32_t i = 0;
    while (i < timers->count) {
        if (timers->heap[i].cell != cell) {
            i++;
            continue;
        }
        /* A removal can move an unseen one before `i`. */
        remove_at(timers, i);
        i = 0;
    }
}

int64_t dv_timers_next_ns(const struct dv_timers *timers)
{
    return timers->count ? timers->heap[0].due_ns : INT64_MAX;
}

bool dv_timers_take_due(struct dv_timers *timers, int64_t now_ns, struct dv_timer *ret)
{
    if (timers->count == 0 || timers->heap[0].due_ns > now_ns)
        return false;
    *ret = timers->heap[0];
    remove_at(timers, 0);
    return true;
}
