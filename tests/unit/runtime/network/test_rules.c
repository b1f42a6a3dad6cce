/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/rules.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct dv_rules_bridge one = {"davit0", {0xac110001U, 24}, {{{0}}, 0}};
static const struct dv_rules_bridge both = {
    "davit0", {0xac110001U, 24}, {{{0xfd, 1, [7] = 2, [15] = 1}}, 64}};

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
    cr_assert_eq(dv_rules_drop("davit", false, &out, NULL), 0);
    cr_assert_str_eq(out.data, "add table ip davit\ndelete table ip davit\n");
    dv_buf_clear(&out);
    cr_assert_eq(dv_rules_drop("davit", true, &out, NULL), 0);
    cr_assert_str_eq(out.data, "add table ip davit\ndelete table ip davit\n"
                               "add table ip6 davit\ndelete table ip6 davit\n");
}

Test(rules, ports_are_elements_of_two_maps)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    static const struct dv_rules_port ports[] = {
        {"tcp", false, "", 8080, "172.17.0.2", 80},
        {"udp", false, "10.0.0.1", 53, "172.17.0.2", 53},
        {"tcp", false, "", 8443, "172.17.0.2", 443},
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

Test(rules, a_bridge_with_ipv6_is_in_both_tables)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    cr_assert_eq(dv_rules_add_bridge("davit", &both, &out, NULL), 0);
    cr_assert_str_eq(out.data, "add element ip davit bridges { \"davit0\" }\n"
                               "add element ip davit networks { 172.17.0.0/24 }\n"
                               "add element ip6 davit bridges { \"davit0\" }\n"
                               "add element ip6 davit networks { fd01:0:0:2::/64 }\n");
}

Test(rules, ipv6_has_a_table_of_its_own)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    struct dv_rules rules = {.table = "x", .is_masquerading = true, .is_isolated = true};
    cr_assert_eq(dv_rules_table(&rules, &out, NULL), 0);
    cr_assert_null(strstr(out.data, "ip6"));
    dv_buf_clear(&out);
    rules.has_ip6 = true;
    cr_assert_eq(dv_rules_table(&rules, &out, NULL), 0);
    const char *second = strstr(out.data, "add table ip6 x\ndelete table ip6 x\nadd table ip6 x\n");
    cr_assert_not_null(second);
    cr_assert_null(strstr(second, " ip x "));
    cr_assert_not_null(strstr(second, "type ipv6_addr . inet_proto"));
    cr_assert_not_null(strstr(second, "outgoing ip6 saddr ::1 oifname @bridges masquerade\n"));
    cr_assert_not_null(strstr(second, "ip6 daddr != @networks masquerade\n"));
    cr_assert_not_null(strstr(second, "add rule ip6 x through iifname @bridges oifname"));
    cr_assert_null(strstr(out.data, "$"));
}

Test(rules, ports_of_ipv6_are_elements_of_its_maps)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    static const struct dv_rules_port ports[] = {
        {"tcp", true, "", 8080, "fd01::2", 80},
        {"tcp", false, "", 8080, "172.17.0.2", 80},
        {"udp", true, "::1", 53, "fd01::2", 53},
    };
    cr_assert_eq(dv_rules_add_ports("davit", ports, 3, &out, NULL), 0);
    cr_assert_str_eq(out.data,
                     "add element ip davit ports { tcp . 8080 : 172.17.0.2 . 80 }\n"
                     "add element ip6 davit ports { tcp . 8080 : fd01::2 . 80 }\n"
                     "add element ip6 davit ports_at { ::1 . udp . 53 : fd01::2 . 53 }\n");
}
