/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/container/ends.h"

#include <criterion/criterion.h>

static struct dv_ends ends;

static void setup(void)
{
    ends = (struct dv_ends){0};
    dv_ends_begin(&ends);
}

TestSuite(ends, .init = setup);

static void add(int64_t code, int64_t ran_ms)
{
    struct dv_container_end end = {.exit_code = code, .ran_ms = ran_ms, .is_code_known = true};
    dv_ends_add(&ends, &end);
}

static void add_several(int count, int64_t code, int64_t ran_ms)
{
    for (int i = 0; i < count; i++)
        add(code, ran_ms);
}

Test(ends, one_end_is_no_pattern)
{
    cr_assert_eq(dv_ends_pattern(&ends), DV_PATTERN_NONE);
    add(1, 10);
    cr_assert_eq(dv_ends_pattern(&ends), DV_PATTERN_NONE);
}

Test(ends, failing_at_once_is_told_apart_from_failing_later)
{
    add_several(3, 1, 999);
    cr_assert_eq(dv_ends_pattern(&ends), DV_PATTERN_AT_ONCE);
    setup();
    add_several(3, 1, 1000);
    cr_assert_eq(dv_ends_pattern(&ends), DV_PATTERN_LATER);
    add(1, 5);
    cr_assert_eq(dv_ends_pattern(&ends), DV_PATTERN_SAME_CODE);
    cr_assert_eq(ends.shortest_ms, 5);
    cr_assert_eq(ends.longest_ms, 1000);
}

Test(ends, another_code_or_sort_begins_anew)
{
    add_several(3, 1, 10);
    add(2, 10);
    cr_assert_eq(ends.alike, 1);
    cr_assert_eq(dv_ends_pattern(&ends), DV_PATTERN_NONE);
    add_several(2, 0, 10);
    cr_assert_eq(dv_ends_pattern(&ends), DV_PATTERN_SUCCEEDS);
    struct dv_container_end killed = {.exit_code = 137, .is_oom_killed = true, .ran_ms = 40};
    killed.is_code_known = true;
    dv_ends_add(&ends, &killed);
    dv_ends_add(&ends, &killed);
    cr_assert_eq(dv_ends_pattern(&ends), DV_PATTERN_OUT_OF_MEMORY);
    struct dv_container_end failed = {.is_failed_start = true, .ran_ms = -1};
    dv_ends_add(&ends, &failed);
    cr_assert_eq(ends.longest_ms, -1, "a start that failed has no run");
    dv_ends_add(&ends, &failed);
    cr_assert_eq(dv_ends_pattern(&ends), DV_PATTERN_NOT_STARTED);
}

Test(ends, stops_and_unknown_codes_are_no_pattern)
{
    struct dv_container_end stopped = {.was_stopped = true, .is_code_known = true};
    struct dv_container_end unknown = {.exit_code = 255};
    for (int i = 0; i < 3; i++)
        dv_ends_add(&ends, &stopped);
    cr_assert_eq(dv_ends_pattern(&ends), DV_PATTERN_NONE);
    for (int i = 0; i < 3; i++)
        dv_ends_add(&ends, &unknown);
    cr_assert_eq(dv_ends_pattern(&ends), DV_PATTERN_NONE);
}

Test(ends, the_count_goes_on_when_the_list_is_full)
{
    for (int i = 0; i < 20; i++)
        add(1, 100 + i);
    cr_assert_eq(ends.count, DV_ENDS_MAX);
    cr_assert_eq(ends.alike, 20);
    cr_assert_eq(ends.shortest_ms, 100);
    cr_assert_eq(ends.longest_ms, 119);
    cr_assert_eq(ends.last[0].ran_ms, 119);
    cr_assert_eq(ends.last[DV_ENDS_MAX - 1].ran_ms, 120 - DV_ENDS_MAX);
    dv_ends_begin(&ends);
    add(1, 1);
    cr_assert_eq(ends.alike, 1, "a start by a command begins anew");
    cr_assert_eq(ends.count, DV_ENDS_MAX);
}
