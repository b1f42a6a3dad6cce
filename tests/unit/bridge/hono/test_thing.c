/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/thing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define FIRST "ns:gw:edge:containers"

static void expect_name(unsigned index, const char *expected)
{
    char name[DV_HONO_THING_MAX + 1];
    dv_hono_thing_name(FIRST, index, name);
    cr_expect_str_eq(name, expected);
    cr_expect_eq(dv_hono_thing_index(FIRST, DV_HONO_THINGS_MAX, dv_str_of(name)), (int)index);
}

Test(hono_thing, the_first_has_the_name_of_the_gateway_and_the_others_a_number)
{
    expect_name(0, FIRST);
    expect_name(1, FIRST "-2");
    expect_name(9, FIRST "-10");
    expect_name(63, FIRST "-64");
}

static int index_of(unsigned count, const char *name)
{
    return dv_hono_thing_index(FIRST, count, dv_str_of(name));
}

Test(hono_thing, other_names_are_none_of_them)
{
    static const char *const others[] = {FIRST "-0",  FIRST "-1",  FIRST "-4", FIRST "-02",
                                         FIRST "-",   FIRST "-2x", FIRST "2",  FIRST "-2 ",
                                         FIRST "--2", "ns:gw",     "",         "-2"};
    cr_assert_eq(index_of(3, FIRST "-3"), 2);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_expect_eq(index_of(3, others[i]), -1, "%s", others[i]);
    cr_expect_eq(index_of(1, FIRST "-2"), -1);
    cr_expect_eq(dv_hono_thing_index("", 3, dv_str_of("-2")), -1, "without an identity");
}

Test(hono_thing, a_name_without_room_for_a_number_is_refused_if_it_needs_one)
{
    char first[DV_HONO_THING_MAX + 1];
    struct dv_error err = DV_ERROR_INIT;
    memset(first, 'a', DV_HONO_THING_MAX);
    first[DV_HONO_THING_MAX] = '\0';
    cr_expect_eq(dv_hono_things_check(first, 1, &err), 0);
    cr_expect_eq(dv_hono_things_check(first, 2, &err), -DV_ERR_INVALID);
    cr_expect_not_null(strstr(err.text, "davit.bridge.things"));
    first[DV_HONO_THING_MAX - 2] = '\0';
    err = DV_ERROR_INIT;
    cr_expect_eq(dv_hono_things_check(first, 9, &err), 0);
    cr_expect_eq(dv_hono_things_check(first, 10, &err), -DV_ERR_INVALID);
}
