/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/metrics/baselines.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct dv_baselines baselines;

static void teardown(void)
{
    dv_baselines_done(&baselines);
}

TestSuite(baselines, .fini = teardown);

static double look(const char *id, int64_t pid, int64_t used, int64_t total)
{
    double share;
    return dv_baselines_look(&baselines, id, pid, used, total, &share) ? share : -1;
}

Test(baselines, the_first_look_gives_no_share_the_second_does)
{
    cr_assert_eq(look("a", 1, 100, 1000), -1);
    cr_assert_eq(look("a", 1, 150, 1200), 25);
    cr_assert_eq(look("a", 1, 150, 1400), 0);
}

Test(baselines, each_originator_has_its_own)
{
    cr_assert_eq(look("b", 1, 0, 1000), -1);
    cr_assert_eq(look("a", 1, 0, 1000), -1);
    cr_assert_eq(look("c", 1, 0, 1000), -1);
    cr_assert_eq(look("a", 1, 10, 1100), 10);
    cr_assert_eq(look("b", 1, 20, 1100), 20);
    cr_assert_eq(look("c", 1, 30, 1100), 30);
}

Test(baselines, another_run_begins_anew)
{
    cr_assert_eq(look("a", 1, 100, 1000), -1);
    cr_assert_eq(look("a", 2, 150, 1200), -1);
    cr_assert_eq(look("a", 2, 200, 1400), 25);
    cr_assert_eq(look("a", 2, 10, 1600), -1, "a counter that went back");
    cr_assert_eq(look("a", 2, 20, 1700), 10);
}

Test(baselines, while_no_time_passes_the_old_baseline_stays)
{
    cr_assert_eq(look("a", 1, 100, 1000), -1);
    cr_assert_eq(look("a", 1, 120, 1000), -1);
    cr_assert_eq(look("a", 1, 150, 1100), 50);
}

Test(baselines, a_share_is_at_most_the_whole_machine)
{
    cr_assert_eq(look("a", 1, 0, 1000), -1);
    cr_assert_eq(look("a", 1, 500, 1100), 100);
}

Test(baselines, who_is_not_looked_at_in_a_pass_is_forgotten)
{
    dv_baselines_begin(&baselines);
    (void)look("a", 1, 0, 1000);
    (void)look("b", 1, 0, 1000);
    dv_baselines_sweep(&baselines);
    cr_assert_eq(baselines.count, 2);
    dv_baselines_begin(&baselines);
    (void)look("b", 1, 10, 1100);
    dv_baselines_sweep(&baselines);
    cr_assert_eq(baselines.count, 1);
    cr_assert_eq(look("a", 1, 10, 1200), -1);
}

Test(baselines, a_thousand_are_kept_apart)
{
    char id[16];
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 1000; i++) {
            snprintf(id, sizeof(id), "%d", i * 7919 % 1000);
            double share = look(id, 1, pass * (i % 50), 1000 + pass * 100);
            cr_assert_eq(share, pass ? i % 50 : -1);
        }
}
