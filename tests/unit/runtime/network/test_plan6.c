/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/plan6.h"

#include <criterion/criterion.h>
#include <string.h>

static struct dv_plan6 plan_of(const char *text)
{
    struct dv_plan6 plan = {0};
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_plan6_parse(dv_str_of(text), &plan, &err), 0, "%s", err.text);
    return plan;
}

static void assert_cidr(struct dv_cidr6 got, const char *address)
{
    char text[DV_IP6_TEXT_MAX];
    cr_assert_str_eq(dv_ip6_text(&got.address, text), address);
    cr_assert_eq(got.prefix_len, 64);
}

Test(plan6, every_segment_is_a_64)
{
    struct dv_plan6 plan = plan_of("fd12:3456:789a::/48");
    cr_assert_eq(plan.segment_count, 256);
    assert_cidr(dv_plan6_bridge(&plan, 0), "fd12:3456:789a::1");
    assert_cidr(dv_plan6_bridge(&plan, 255), "fd12:3456:789a:ff::1");
    assert_cidr(dv_plan6_container(&plan, 0, 0xac110002U), "fd12:3456:789a::ac11:2");
    assert_cidr(dv_plan6_container(&plan, 1, 0xac110105U), "fd12:3456:789a:1::ac11:105");
}

Test(plan6, a_long_prefix_has_fewer_segments)
{
    static const struct {
        const char *text;
        unsigned count;
    } rows[] = {{"2001:db8:0:ff00::/56", 256},
                {"2001:db8:0:fff0::/60", 16},
                {"2001:db8:0:ffff::/64", 1},
                {"2000::/8", 256}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_assert_eq(plan_of(rows[i].text).segment_count, rows[i].count, "%s", rows[i].text);
}

Test(plan6, what_is_no_network_of_containers_is_refused)
{
    static const struct {
        const char *text;
        const char *why;
    } rows[] = {
        {"", "is no IPv6 network"},
        {"fd00::", "is no IPv6 network"},
        {"fd00::/", "is no IPv6 network"},
        {"fd00::/65", "is no IPv6 network"},
        {"fd00::/7", "is no IPv6 network"},
        {"10.0.0.0/8", "is no IPv6 network"},
        {"fd00::%eth0/64", "is no IPv6 network"},
        {"fe80::/64", "is neither of global unicast"},
        {"ff02::/64", "is neither of global unicast"},
        {"::/64", "is neither of global unicast"},
        {"fd00:0:0:1::/48", "behind the prefix all bits must be zero"},
        {"fd00::1/64", "behind the prefix all bits must be zero"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dv_plan6 plan;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(dv_plan6_parse(dv_str_of(rows[i].text), &plan, &err), -DV_ERR_INVALID, "'%s'",
                     rows[i].text);
        cr_assert_not_null(strstr(err.text, rows[i].why), "'%s': %s", rows[i].text, err.text);
    }
}

Test(plan6, a_derived_network_is_unique_local_and_stays)
{
    struct dv_plan6 one = dv_plan6_derive(dv_str_of("machine a"), "davit");
    struct dv_plan6 again = dv_plan6_derive(dv_str_of("machine a"), "davit");
    struct dv_plan6 other = dv_plan6_derive(dv_str_of("machine b"), "davit");
    struct dv_plan6 second = dv_plan6_derive(dv_str_of("machine a"), "davitx");
    cr_assert_eq(one.first >> 56, 0xfd);
    cr_assert_eq(one.first & 0xffff, 0, "a /48");
    cr_assert_eq(one.segment_count, 256);
    cr_assert_eq(one.first, again.first);
    cr_assert_neq(one.first, other.first);
    cr_assert_neq(one.first, second.first);
}

Test(plan6, the_plan_follows_who_is_connected)
{
    struct dv_plan6 plan = plan_of("fd12::/48");
    struct dv_cidr6 own = dv_plan6_container(&plan, 3, 0xac110302U);
    cr_assert(dv_plan6_follow(&plan, 3, &own.address));
    struct dv_plan6 now = plan_of("fd13::/48");
    cr_assert_not(dv_plan6_follow(&now, 3, &own.address));
    assert_cidr(dv_plan6_bridge(&now, 0), "fd12::1");
}

Test(plan6, a_network_is_without_what_is_behind_its_prefix)
{
    struct dv_cidr6 cidr = {.prefix_len = 60};
    char text[DV_IP6_TEXT_MAX];
    cr_assert_eq(dv_ip6_parse(dv_str_of("2001:db8:ffff:ffff::1"), &cidr.address, NULL), 0);
    struct dv_ip6 network = dv_cidr6_network(&cidr);
    cr_assert_str_eq(dv_ip6_text(&network, text), "2001:db8:ffff:fff0::");
}
