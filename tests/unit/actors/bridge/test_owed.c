/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/owed.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t last_number;

/* Sends the next one; its number. */
static int64_t send(struct dv_owed *owed, const char *id, unsigned thing)
{
    const struct dv_owed_delete *next = dv_owed_take(owed, NULL);
    cr_assert_not_null(next, "%s is owed", id);
    cr_assert_str_eq(next->id, id);
    cr_assert_eq(next->thing, thing);
    dv_owed_sent(owed, id, thing, ++last_number);
    return last_number;
}

static void expect_told(struct dv_owed *owed, const char *id)
{
    dv_autofree char *told = dv_owed_take_told(owed);
    cr_assert_str_eq(told ? told : "", id);
}

Test(owed, a_delete_is_owed_once_until_it_is_acknowledged)
{
    DV_AUTO(dv_owed) owed = dv_owed_new();
    cr_assert(dv_owed_add(owed, "a", 0, true));
    cr_assert(dv_owed_add(owed, "a", 0, true));
    cr_assert_eq(dv_owed_count(owed), 1);
    int64_t number = send(owed, "a", 0);
    cr_assert_null(dv_owed_take(owed, NULL), "on its way");
    dv_owed_acknowledge(owed, number, true);
    number = send(owed, "a", 0);
    dv_owed_link_lost(owed);
    dv_owed_acknowledge(owed, number, false);
    cr_assert_eq(dv_owed_count(owed), 1, "of a lost link");
    dv_owed_acknowledge(owed, send(owed, "a", 0), false);
    cr_assert_eq(dv_owed_count(owed), 0);
    expect_told(owed, "a");
    expect_told(owed, "");
}

Test(owed, a_removed_container_is_told_with_its_last_delete)
{
    DV_AUTO(dv_owed) owed = dv_owed_new();
    cr_assert(dv_owed_add(owed, "a", 0, true));
    cr_assert(dv_owed_add(owed, "a", 2, false));
    int64_t first = send(owed, "a", 0), second = send(owed, "a", 2);
    dv_owed_acknowledge(owed, first, false);
    expect_told(owed, "");
    dv_owed_acknowledge(owed, second, false);
    expect_told(owed, "a");
}

Test(owed, a_container_that_only_moved_is_not_told)
{
    DV_AUTO(dv_owed) owed = dv_owed_new();
    cr_assert(dv_owed_add(owed, "a", 2, false));
    cr_assert_null(dv_owed_removed(owed, 0));
    dv_owed_acknowledge(owed, send(owed, "a", 2), false);
    expect_told(owed, "");
}

Test(owed, a_container_that_moved_and_is_removed_meanwhile_is_told)
{
    DV_AUTO(dv_owed) owed = dv_owed_new();
    cr_assert(dv_owed_add(owed, "a", 2, false));
    int64_t number = send(owed, "a", 2);
    cr_assert(dv_owed_add(owed, "a", 2, true));
    cr_assert_str_eq(dv_owed_removed(owed, 0), "a");
    dv_owed_acknowledge(owed, number, false);
    expect_told(owed, "a");
}

Test(owed, those_of_one_container_can_be_taken_first)
{
    DV_AUTO(dv_owed) owed = dv_owed_new();
    cr_assert(dv_owed_add(owed, "a", 0, true));
    cr_assert(dv_owed_add(owed, "b", 3, true));
    const struct dv_owed_delete *next = dv_owed_take(owed, "b");
    cr_assert_not_null(next);
    cr_assert_eq(next->thing, 3);
    cr_assert_null(dv_owed_take(owed, "b"));
    (void)send(owed, "a", 0);
}

Test(owed, is_bounded)
{
    DV_AUTO(dv_owed) owed = dv_owed_new();
    char id[16];
    for (int i = 0; i < DV_OWED_MAX; i++) {
        snprintf(id, sizeof(id), "c%d", i);
        cr_assert(dv_owed_add(owed, id, 0, false));
    }
    cr_assert_not(dv_owed_add(owed, "one more", 0, false));
    cr_assert(dv_owed_add(owed, "c0", 0, false), "known");
}
