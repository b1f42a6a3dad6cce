/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/weight.h"
#include "base/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define LIMIT 100000

static unsigned warnings;
static unsigned errors;

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

/* -- what is said of it ---------------------------------------------------------------------- */

static void count_line(enum dv_log_level level, const char *line, void *ctx)
{
    (void)ctx;
    cr_assert_not_null(strstr(line, "davit.bridge.thing_max_bytes"), "%s", line);
    warnings += level == DV_LOG_WARN;
    errors += level == DV_LOG_ERROR;
}

static struct dv_weight *counted(void)
{
    dv_log_set(count_line, NULL, DV_LOG_INFO);
    struct dv_weight *weight = dv_weight_new("test", DV_TWIN_FULL, LIMIT);
    cr_assert_not_null(weight);
    return weight;
}

/* The whole thing has `percent` of the limit. */
static void fill(struct dv_weight *weight, size_t percent)
{
    dv_weight_remove(weight, "all");
    size_t bytes = LIMIT / 100 * percent - dv_weight_bytes(weight);
    dv_weight_set(weight, "all", bytes, bytes);
    (void)dv_weight_settle(weight);
}

/* shows: thing-size */
Test(weight, warns_once_at_80_percent_and_anew_after_it_was_well_below)
{
    DV_AUTO(dv_weight) weight = counted();
    fill(weight, 80);
    cr_assert_eq(warnings, 0);
    fill(weight, 81);
    cr_assert_eq(warnings, 1);
    fill(weight, 79);
    fill(weight, 90);
    cr_assert_eq(warnings, 1, "not again for what goes up and down a little");
    fill(weight, 50);
    fill(weight, 81);
    cr_assert_eq(warnings, 2);
    cr_assert_eq(errors, 0);
}

Test(weight, above_the_limit_is_an_error_once)
{
    DV_AUTO(dv_weight) weight = counted();
    fill(weight, 200);
    fill(weight, 300);
    cr_assert_eq(errors, 1);
    fill(weight, 50);
    fill(weight, 200);
    cr_assert_eq(errors, 2);
}
