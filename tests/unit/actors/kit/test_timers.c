/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/timers.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define MANY 500

static void nothing(struct dv_cell *cell, void *ctx)
{
    (void)cell;
    (void)ctx;
}

/* Never looked into by the heap. */
static struct dv_cell *cell_number(uintptr_t number)
{
    return (struct dv_cell *)(number * 64);
}

static uint64_t set(struct dv_timers *timers, int64_t due_ns, uintptr_t cell)
{
    return dv_timers_set(timers, due_ns, cell_number(cell), nothing, NULL);
}

Test(timers, come_in_order_of_time_and_setting)
{
    struct dv_timers timers = {0};
    uint64_t random = 1;
    for (int i = 0; i < MANY; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        (void)set(&timers, (int64_t)(random >> 33) % 50, 1);
    }
    struct dv_timer last = {.due_ns = -1};
    struct dv_timer timer;
    int count = 0;
    while (dv_timers_take_due(&timers, 50, &timer)) {
        cr_assert(timer.due_ns > last.due_ns ||
                  (timer.due_ns == last.due_ns && timer.order > last.order));
        last = timer;
        count++;
    }
    cr_assert_eq(count, MANY);
    cr_assert_eq(dv_timers_next_ns(&timers), INT64_MAX);
    dv_timers_done(&timers);
}

Test(timers, are_not_taken_before_they_are_due)
{
    struct dv_timers timers = {0};
    struct dv_timer timer;
    (void)set(&timers, 10, 1);
    cr_assert(!dv_timers_take_due(&timers, 9, &timer));
    cr_assert_eq(dv_timers_next_ns(&timers), 10);
    cr_assert(dv_timers_take_due(&timers, 10, &timer));
    dv_timers_done(&timers);
}

Test(timers, cancel_takes_exactly_that_one)
{
    struct dv_timers timers = {0};
    uint64_t numbers[MANY];
    for (int i = 0; i < MANY; i++)
        numbers[i] = set(&timers, (i * 7919) % MANY, 1);
    for (int i = 0; i < MANY; i += 2)
        dv_timers_cancel(&timers, numbers[i]);
    struct dv_timer timer;
    int count = 0;
    int64_t last = -1;
    while (dv_timers_take_due(&timers, MANY, &timer)) {
        cr_assert(timer.due_ns >= last);
        last = timer.due_ns;
        count++;
    }
    cr_assert_eq(count, MANY / 2);
    dv_timers_done(&timers);
}

Test(timers, old_number_does_not_cancel_a_newer_one)
{
    struct dv_timers timers = {0};
    struct dv_timer timer;
    uint64_t old = set(&timers, 1, 1);
    cr_assert(dv_timers_take_due(&timers, 1, &timer));
    uint64_t new = set(&timers, 2, 1);
    cr_assert_neq(old, new);
    dv_timers_cancel(&timers, old);
    dv_timers_cancel(&timers, 0);
    dv_timers_cancel(&timers, UINT64_MAX);
    cr_assert(dv_timers_take_due(&timers, 2, &timer));
    dv_timers_done(&timers);
}

Test(timers, of_one_cell_end_together)
{
    struct dv_timers timers = {0};
    for (uintptr_t i = 0; i < MANY; i++)
        (void)set(&timers, (int64_t)(i * 31 % 97), 1 + i % 3);
    dv_timers_cancel_cell(&timers, cell_number(2));
    struct dv_timer timer;
    int64_t last = -1;
    int count = 0;
    while (dv_timers_take_due(&timers, 97, &timer)) {
        cr_assert_neq(timer.cell, cell_number(2));
        cr_assert(timer.due_ns >= last);
        last = timer.due_ns;
        count++;
    }
    cr_assert_eq(count, MANY - (MANY + 1) / 3);
    dv_timers_done(&timers);
}
