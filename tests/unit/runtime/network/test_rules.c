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
    cr_assert_not_null(strstr(out.data, "ip daddr != @networks masquerade\n"));
    cr_assert_null(strstr(out.data, "$"));
    cr_assert_null(strstr(out.data, "iifname @bridges oifname @bridges"));
    cr_assert_not_null(strstr(out.data, "add element ip x networks { 172.17.0.0/24 }\n"));
}

Test(rules, masquerade_and_isolation_are_options)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    struct dv_rules rules = {.table = "davit", .is_isolated = true};
    cr_assert_eq(dv_rules_table(&rules, &out, NULL), 0);
    cr_assert_null(strstr(out.data, "ip daddr != @networks masquerade"));
    cr_assert_not_null(strstr(out.data, "through iifname @bridges oifname @bridges drop\n"));
}

Test(rules, no_table_is_left)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    cr_assert_eq(dv_rules_drop("davit", &out, NULL), 0);
    cr_assert_str_eq(out.data, "add table ip davit\ndelete table ip davit\n");
}

Test(rules, ports_are_elements_of_two_maps)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    static const struct dv_rules_port ports[] = {
        {"tcp", 0, 8080, 0xac110002U, 80},
        {"udp", 0x0a000001U, 53, 0xac110002U, 53},
        {"tcp", 0, 8443, 0xac110002U, 443},
    };
    cr_assert_eq(dv_rules_add_ports("davit", ports, 3, &out, NULL), 0);
    cr_assert_str_eq(out.data,
                     "add element ip davit ports { tcp . 8080 : 172.17.0.2 . 80, tcp . 8443 : "
                     "172.17.0.2 . 443 }\n"
                     "add element ip davit ports_at { 10.0.0.1 . udp . 53 : 172.17.0.2 . 53 }\n");
    dv_buf_clear(&out);
    cr_assert_eq(dv_rules_delete_ports("davit", ports + 1, 1, &out, NULL), 0);
    cr_assert_str_eq(
        out.data, "delete element ip davit ports_at { 10.0.0.1 . udp . 53 : 172.17.0.2 . 53 }\n");
}
