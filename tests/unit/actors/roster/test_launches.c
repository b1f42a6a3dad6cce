/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/roster/launches.h"

#include <criterion/criterion.h>
#include <stdio.h>

static int tokens[4];

static void wait_for(struct dv_launches *launches, const char *id, int *token)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_not(dv_launches_take(launches, id));
    cr_assert_eq(dv_launches_wait(launches, id, token, &err), 0, "%s", err.text);
}

Test(launches, so_many_at_once_and_the_rest_in_order)
{
    DV_AUTO(dv_launches) launches = dv_launches_new(2);
    cr_assert(dv_launches_take(launches, "a"));
    cr_assert(dv_launches_take(launches, "b"));
    cr_assert(dv_launches_take(launches, "a"), "who has a turn keeps it");
    wait_for(launches, "c", &tokens[0]);
    wait_for(launches, "d", &tokens[1]);
    cr_assert_null(dv_launches_next(launches));
    dv_launches_give_back(launches, "a");
    cr_assert_not(dv_launches_take(launches, "e"), "nobody overtakes those that wait");
    cr_assert_eq(dv_launches_next(launches), &tokens[0]);
    cr_assert_null(dv_launches_next(launches));
    dv_launches_give_back(launches, "c");
    dv_launches_give_back(launches, "c");
    cr_assert_eq(dv_launches_next(launches), &tokens[1]);
    cr_assert_null(dv_launches_next(launches), "b and d have the turns");
    cr_assert_eq(dv_launches_waiting(launches), 0);
}

Test(launches, what_is_gone_has_no_turn_and_does_not_wait)
{
    DV_AUTO(dv_launches) launches = dv_launches_new(1);
    cr_assert(dv_launches_take(launches, "a"));
    wait_for(launches, "b", &tokens[0]);
    wait_for(launches, "c", &tokens[1]);
    cr_assert_eq(dv_launches_forget(launches, "c"), &tokens[1]);
    wait_for(launches, "d", &tokens[2]);
    cr_assert_eq(dv_launches_forget(launches, "b"), &tokens[0]);
    cr_assert_null(dv_launches_forget(launches, "b"));
    cr_assert_null(dv_launches_forget(launches, "a"));
    cr_assert_eq(dv_launches_next(launches), &tokens[2]);
    cr_assert_eq(dv_launches_waiting(launches), 0);
}

Test(launches, those_that_wait_are_bounded_and_freed)
{
    DV_AUTO(dv_launches) launches = dv_launches_new(0);
    struct dv_error err = DV_ERROR_INIT;
    char id[16];
    cr_assert(dv_launches_take(launches, "a"), "no limit is a limit of one");
    for (int i = 0; i < DV_LAUNCHES_WAITING_MAX; i++) {
        snprintf(id, sizeof(id), "c%d", i);
        cr_assert_eq(dv_launches_wait(launches, id, &tokens[0], &err), 0);
    }
    cr_assert_eq(dv_launches_wait(launches, "more", &tokens[1], &err), -DV_ERR_LIMIT);
}
