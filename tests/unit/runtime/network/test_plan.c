/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/plan.h"

#include <criterion/criterion.h>

static struct dv_cidr cidr(const char *text)
{
    struct dv_cidr ret;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_cidr_parse(dv_str_of(text), &ret, &err), 0, "%s", err.text);
    return ret;
}

static uint32_t ip4(const char *text)
{
    return cidr(text).address;
}

static struct dv_plan plan_of(const char *bridge, const char *fixed, const char *gateway)
{
    struct dv_plan plan;
    struct dv_error err = DV_ERROR_INIT;
    struct dv_plan_wish wish = {.bridge = cidr(bridge)};
    if (fixed)
        wish.fixed = cidr(fixed);
    if (gateway)
        wish.gateway = ip4(gateway);
    cr_assert_eq(dv_plan_init(&plan, &wish, &err), 0, "%s", err.text);
    return plan;
}

static struct dv_plan_slot take(struct dv_plan *plan)
{
    struct dv_plan_slot slot;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_plan_take(plan, &slot, &err), 0, "%s", err.text);
    return slot;
}

static void assert_address(uint32_t address, const char *text)
{
    char got[DV_IP4_TEXT_MAX];
    cr_assert_str_eq(dv_ip4_text(address, got), text);
}

Test(plan, addresses_are_read_strictly)
{
    static const char *const wrong[] = {"",          "1.2.3",      "1.2.3.4.5",   "1.2.3.256",
                                        "1.2.3.4/0", "1.2.3.4/33", "1.2.3.4/",    "a.b.c.d",
                                        " 1.2.3.4",  "1.2.3.4 ",   "1.2.3.4/24/", "::1"};
    struct dv_cidr ret;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_eq(dv_cidr_parse(dv_str_of(wrong[i]), &ret, NULL), -DV_ERR_INVALID, "'%s'",
                     wrong[i]);
    cr_assert_eq(cidr("172.18.0.1/16").prefix_len, 16);
    cr_assert_eq(cidr("10.0.0.1").prefix_len, 32);
}

Test(plan, the_first_free_network_is_chosen)
{
    struct dv_cidr got;
    struct dv_cidr busy[] = {cidr("172.17.5.0/24"), cidr("172.18.0.0/15"), cidr("10.0.0.0/8")};
    cr_assert_eq(dv_plan_choose(busy, 0, &got, NULL), 0);
    assert_address(got.address, "172.17.0.1");
    cr_assert_eq(dv_plan_choose(busy, 3, &got, NULL), 0);
    assert_address(got.address, "172.20.0.1");
    struct dv_cidr all_172[] = {cidr("172.16.0.0/12"), cidr("192.168.16.1/32")};
    cr_assert_eq(dv_plan_choose(all_172, 2, &got, NULL), 0);
    assert_address(got.address, "192.168.0.1");
    cr_assert_eq(got.prefix_len, 20);
    struct dv_cidr full[] = {cidr("172.16.0.0/12"), cidr("192.168.0.0/16")};
    cr_assert_eq(dv_plan_choose(full, 2, &got, NULL), -DV_ERR_LIMIT);
    cr_assert(dv_plan_of_bridge(ip4("172.20.0.1"), &got) && got.prefix_len == 16);
    cr_assert_not(dv_plan_of_bridge(ip4("172.20.0.2"), &got));
}

Test(plan, a_bridge_has_250_containers_and_the_next_goes_on)
{
    DV_AUTO_IN_PLACE(dv_plan) plan = plan_of("172.17.0.1/16", NULL, NULL);
    for (int i = 0; i < 250; i++) {
        struct dv_plan_slot slot = take(&plan);
        cr_assert_eq(slot.segment, 0);
        cr_assert_eq(slot.address, ip4("172.17.0.2") + (uint32_t)i);
    }
    struct dv_plan_slot slot = take(&plan);
    cr_assert_eq(slot.segment, 1);
    assert_address(slot.address, "172.17.1.2");
    assert_address(dv_plan_bridge(&plan, 1).address, "172.17.1.1");
    cr_assert_eq(dv_plan_bridge(&plan, 1).prefix_len, 24);
    assert_address(dv_plan_gateway(&plan, 1), "172.17.1.1");
    cr_assert_eq(dv_plan_used(&plan), 251);
    cr_assert_eq(plan.segment_count, 256);
}

Test(plan, an_address_given_back_is_the_last_to_be_taken)
{
    DV_AUTO_IN_PLACE(dv_plan) plan = plan_of("172.17.0.1/16", NULL, NULL);
    struct dv_plan_slot first = take(&plan);
    dv_plan_give(&plan, &first);
    dv_plan_give(&plan, &first);
    cr_assert_eq(dv_plan_used(&plan), 0);
    assert_address(take(&plan).address, "172.17.0.3");
    for (int i = 0; i < 249; i++)
        (void)take(&plan);
    cr_assert_eq(plan.segments[0].count, 250);
}

Test(plan, no_address_is_given_twice)
{
    static bool seen[1 << 12];
    DV_AUTO_IN_PLACE(dv_plan) plan = plan_of("192.168.32.1/20", NULL, NULL);
    for (int i = 0; i < 16 * 250; i++) {
        uint32_t at = take(&plan).address - ip4("192.168.32.0");
        cr_assert(at < sizeof(seen) && !seen[at]);
        seen[at] = true;
    }
    struct dv_plan_slot slot;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_plan_take(&plan, &slot, &err), -DV_ERR_LIMIT);
    cr_assert_str_eq(err.text,
                     "all 4000 addresses of the container network are in use; give it a larger one "
                     "by network.default_bridge.ip4 and fcidr4");
}

Test(plan, a_fixed_range_and_gateway_are_kept_to)
{
    DV_AUTO_IN_PLACE(dv_plan) plan = plan_of("10.5.0.1/16", "10.5.7.0/29", "10.5.7.2");
    static const char *const want[] = {"10.5.7.1", "10.5.7.3", "10.5.7.4", "10.5.7.5", "10.5.7.6"};
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        assert_address(take(&plan).address, want[i]);
    struct dv_plan_slot slot;
    cr_assert_eq(dv_plan_take(&plan, &slot, NULL), -DV_ERR_LIMIT);
    assert_address(dv_plan_gateway(&plan, 0), "10.5.7.2");
    cr_assert_eq(dv_plan_bridge(&plan, 0).prefix_len, 16);
}

Test(plan, a_small_network_has_no_network_and_broadcast_address)
{
    DV_AUTO_IN_PLACE(dv_plan) plan = plan_of("10.0.0.2/30", NULL, NULL);
    struct dv_plan_slot slot;
    assert_address(take(&plan).address, "10.0.0.1");
    cr_assert_eq(dv_plan_take(&plan, &slot, NULL), -DV_ERR_LIMIT);
}

Test(plan, the_first_bridge_is_where_its_address_says)
{
    DV_AUTO_IN_PLACE(dv_plan) plan = plan_of("10.1.2.9/22", NULL, NULL);
    cr_assert_eq(plan.segment_count, 4);
    assert_address(dv_plan_bridge(&plan, 0).address, "10.1.2.9");
    assert_address(dv_plan_bridge(&plan, 1).address, "10.1.0.1");
    assert_address(dv_plan_bridge(&plan, 2).address, "10.1.1.1");
    assert_address(dv_plan_bridge(&plan, 3).address, "10.1.3.1");
    assert_address(take(&plan).address, "10.1.2.1");
}

Test(plan, what_runs_keeps_its_address)
{
    DV_AUTO_IN_PLACE(dv_plan) plan = plan_of("172.17.0.1/16", NULL, NULL);
    struct dv_plan_slot slot;
    cr_assert(dv_plan_keep(&plan, ip4("172.17.3.9"), &slot));
    cr_assert_eq(slot.segment, 3);
    cr_assert_not(dv_plan_keep(&plan, ip4("172.17.3.9"), &slot), "it is taken");
    cr_assert_not(dv_plan_keep(&plan, ip4("172.17.3.1"), &slot), "a bridge");
    cr_assert_not(dv_plan_keep(&plan, ip4("10.0.0.1"), &slot), "elsewhere");
    dv_plan_give(&plan, &slot);
    cr_assert_eq(dv_plan_used(&plan), 0);
}

Test(plan, what_does_not_fit_together_is_refused)
{
    static const struct {
        const char *bridge;
        const char *fixed;
        const char *gateway;
    } wrong[] = {
        {"10.0.0.1/31", NULL, NULL},          {"10.0.0.1/7", NULL, NULL},
        {"10.0.0.0/24", NULL, NULL},          {"10.0.0.255/24", NULL, NULL},
        {"10.0.0.1/24", "10.0.1.0/25", NULL}, {"10.0.0.1/24", "10.0.0.0/16", NULL},
        {"10.0.0.1/24", NULL, "10.0.1.1"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct dv_plan plan;
        struct dv_error err = DV_ERROR_INIT;
        struct dv_plan_wish wish = {.bridge = cidr(wrong[i].bridge)};
        if (wrong[i].fixed)
            wish.fixed = cidr(wrong[i].fixed);
        if (wrong[i].gateway)
            wish.gateway = ip4(wrong[i].gateway);
        cr_assert_eq(dv_plan_init(&plan, &wish, &err), -DV_ERR_INVALID, "row %zu", i);
    }
}
