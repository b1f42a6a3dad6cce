/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/roster/table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct dv_error err;

static void reset(void)
{
    err = DV_ERROR_INIT;
}

TestSuite(table, .init = reset);

Test(table, ids_and_new_names_are_unique)
{
    DV_AUTO(dv_roster_table) table = dv_roster_table_new();
    cr_assert_eq(dv_roster_table_add(table, "1", "web", true, &err), 0);
    cr_assert_eq(dv_roster_table_add(table, "1", "other", true, &err), -DV_ERR_EXISTS);
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_roster_table_add(table, "2", "web", true, &err), -DV_ERR_EXISTS);
    cr_assert(strstr(err.text, "'web'") && strstr(err.text, "container 1"), "%s", err.text);
    cr_assert_eq(dv_roster_table_add(table, "2", "web", false, &err), 0,
                 "an old record may bring a duplicate");
}

Test(table, rename_frees_the_old_name)
{
    DV_AUTO(dv_roster_table) table = dv_roster_table_new();
    cr_assert_eq(dv_roster_table_add(table, "1", "a", true, &err), 0);
    cr_assert_eq(dv_roster_table_add(table, "2", "b", true, &err), 0);
    cr_assert_eq(dv_roster_table_rename(table, "1", "b", &err), -DV_ERR_EXISTS);
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_roster_table_rename(table, "1", "c", &err), 0);
    cr_assert_eq(dv_roster_table_rename(table, "2", "a", &err), 0);
    cr_assert_eq(dv_roster_table_rename(table, "9", "z", &err), -DV_ERR_NOT_FOUND);
}

Test(table, finds_by_id_name_and_unambiguous_beginning)
{
    DV_AUTO(dv_roster_table) table = dv_roster_table_new();
    cr_assert_eq(dv_roster_table_add(table, "abc1", "web", true, &err), 0);
    cr_assert_eq(dv_roster_table_add(table, "abd2", "db", true, &err), 0);
    cr_assert_str_eq(dv_roster_table_find(table, "abc1", &err)->id, "abc1");
    cr_assert_str_eq(dv_roster_table_find(table, "db", &err)->id, "abd2");
    cr_assert_str_eq(dv_roster_table_find(table, "abc", &err)->id, "abc1");
    cr_assert_null(dv_roster_table_find(table, "ab", &err));
    cr_assert_eq(err.class, DV_ERR_INVALID);
    err = DV_ERROR_INIT;
    cr_assert_null(dv_roster_table_find(table, "zz", &err));
    cr_assert_eq(err.class, DV_ERR_NOT_FOUND);
}

static void count(const struct dv_roster_entry *entry, void *ctx)
{
    char *text = ctx;
    strncat(text, entry->id, 20);
    strncat(text, " ", 2);
}

Test(table, order_of_arrival_survives_removals)
{
    DV_AUTO(dv_roster_table) table = dv_roster_table_new();
    for (int i = 0; i < 5; i++) {
        char id[8];
        snprintf(id, sizeof(id), "%d", i);
        cr_assert_eq(dv_roster_table_add(table, id, id, true, &err), 0);
    }
    dv_roster_table_remove(table, "0");
    dv_roster_table_remove(table, "2");
    dv_roster_table_remove(table, "4");
    dv_roster_table_remove(table, "4");
    char text[64] = "";
    dv_roster_table_each(table, count, text);
    cr_assert_str_eq(text, "1 3 ");
    cr_assert_eq(dv_roster_table_count(table), 2);
    cr_assert_eq(dv_roster_table_update(table, "3", "xy", 2, &err), 0);
    cr_assert_eq(dv_roster_table_find(table, "3", &err)->snapshot_len, 2);
    cr_assert(dv_roster_table_mark_restored(table, "3"));
    cr_assert_not(dv_roster_table_mark_restored(table, "3"));
}
