/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/rules.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct dv_rules_bridge one = {"davit0", {0xac110001U, 24}};

Test(rules, a_bridge_is_two_elements)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    cr_assert_eq(dv_rules_add_bridge("davit", &one, &out, NULL), 0);
    cr_assert_str_eq(out.data, "add element ip davit bridges { \"davit0\" }\n"
                               "add element ip davit networks { 172.17.0.0/24 }\n");
}

Test(rules, a_table_takes_the_place_of_the_old_one)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    struct dv_rules rules = {
        .table = "x", .is_masquerading = true, .bridges = &one, .bridge_count = 1};
    cr_assert_eq(dv_rules_table(&rules, &out, NULL), 0);
    static const char head[] = "add table ip x\ndelete table ip x\nadd table ip x\nadd set ip x ";
    cr_assert_eq(strncmp(out.data, head, strlen(head)), 0);
    cr_assert_not_null(strstr(out.data, " masquerade\n"));
    cr_assert_null(strstr(out.data, "$"));
    cr_assert_null(strstr(out.data, "iifname @bridges oifname @bridges"));
    cr_assert_not_null(strstr(out.data, "add element ip x networks { 172.17.0.0/24 }\n"));
}

Test(rules, masquerade_and_isolation_are_options)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    struct dv_rules rules = {.table = "davit", .is_isolated = true};
    cr_assert_eq(dv_rules_table(&rules, &out, NULL), 0);
    cr_assert_null(strstr(out.data, "masquerade"));
    cr_assert_not_null(strstr(out.data, "through iifname @bridges oifname @bridges drop\n"));
}

Test(rules, no_table_is_left)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    cr_assert_eq(dv_rules_drop("davit", &out, NULL), 0);
    cr_assert_str_eq(out.data, "add table ip davit\ndelete table ip davit\n");
}
