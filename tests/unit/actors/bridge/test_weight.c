/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/weight.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const char *name_of(unsigned number)
{
    static char name[32];
    snprintf(name, sizeof(name), "part-%u", number);
    return name;
}

Test(weight, parts_are_counted_once_and_go)
{
    DV_AUTO(dv_weight) weight = dv_weight_new("test", DV_TWIN_FULL, 0);
    size_t empty = dv_weight_bytes(weight);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 3000; i++)
            dv_weight_set(weight, name_of(i), 100 + i % 7, 10);
    size_t all = 0;
    for (unsigned i = 0; i < 3000; i++)
        all += 100 + i % 7;
    cr_assert_eq(dv_weight_bytes(weight), empty + all);
    /* In an order that leaves holes in the middle of runs. */
    for (unsigned i = 0; i < 3000; i++) {
        unsigned number = i * 1009 % 3000;
        dv_weight_remove(weight, name_of(number));
        all -= 100 + number % 7;
        cr_assert_eq(dv_weight_bytes(weight), empty + all, "after %u", i);
    }
    dv_weight_remove(weight, "never there");
    cr_assert_eq(dv_weight_bytes(weight), empty);
}

Test(weight, details_go_above_the_limit_and_come_back_well_below)
{
    DV_AUTO(dv_weight) weight = dv_weight_new("test", DV_TWIN_AUTO, 10000);
    dv_weight_set(weight, "a", 9000, 1000);
    cr_assert_not(dv_weight_settle(weight));
    dv_weight_set(weight, "b", 2000, 500);
    cr_assert(dv_weight_settle(weight));
    cr_assert(dv_weight_is_compact(weight));
    cr_assert_lt(dv_weight_bytes(weight), 3000);
    dv_weight_set(weight, "b", 100, 50);
    cr_assert_not(dv_weight_settle(weight), "it would flap");
    dv_weight_set(weight, "a", 5000, 500);
    cr_assert(dv_weight_settle(weight));
    cr_assert_not(dv_weight_is_compact(weight));
}

Test(weight, what_is_configured_stays)
{
    DV_AUTO(dv_weight) full = dv_weight_new("test", DV_TWIN_FULL, 1000);
    DV_AUTO(dv_weight) compact = dv_weight_new("test", DV_TWIN_COMPACT, 1000000);
    dv_weight_set(full, "a", 90000, 1000);
    dv_weight_set(compact, "a", 90, 10);
    cr_assert_not(dv_weight_settle(full));
    cr_assert_not(dv_weight_settle(compact));
    cr_assert_not(dv_weight_is_compact(full));
    cr_assert(dv_weight_is_compact(compact));
}
