/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/ask.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define MANY 1000

static struct dv_cell *cell_number(uintptr_t number)
{
    return (struct dv_cell *)(number * 64);
}

static struct dv_ask *make(int64_t correlation, uintptr_t cell)
{
    struct dv_ask *ask = calloc(1, sizeof(*ask) + 1);
    ask->correlation = correlation;
    ask->asked_ns = correlation;
    ask->cell = cell_number(cell);
    return ask;
}

static void fill(struct dv_asks *asks)
{
    for (int64_t i = 1; i <= MANY; i++)
        dv_asks_add(asks, make(i, 1 + (uintptr_t)i % 2));
}

Test(ask, is_found_once_and_only_by_its_cell)
{
    struct dv_asks asks = {0};
    cr_assert_null(dv_asks_take(&asks, 1, cell_number(1)));
    fill(&asks);
    cr_assert_null(dv_asks_take(&asks, 10, cell_number(2)));
    struct dv_ask *ask = dv_asks_take(&asks, 10, cell_number(1));
    cr_assert_not_null(ask);
    cr_assert_null(dv_asks_take(&asks, 10, cell_number(1)));
    dv_ask_free(ask);
    dv_asks_done(&asks);
}

Test(ask, all_of_a_cell_can_be_taken)
{
    struct dv_asks asks = {0};
    int64_t oldest = 0;
    fill(&asks);
    cr_assert_eq(dv_asks_open(&asks, cell_number(2), &oldest), MANY / 2);
    cr_assert_eq(oldest, 1);
    struct dv_ask *ask;
    while ((ask = dv_asks_take_any(&asks, cell_number(2)))) {
        cr_assert_eq(ask->cell, cell_number(2));
        dv_ask_free(ask);
    }
    cr_assert_eq(dv_asks_open(&asks, cell_number(1), &oldest), MANY / 2);
    while ((ask = dv_asks_take_any(&asks, cell_number(1))))
        dv_ask_free(ask);
    cr_assert_eq(asks.bucket_count, 0, "the memory of a rush is given back");
    dv_asks_done(&asks);
}
