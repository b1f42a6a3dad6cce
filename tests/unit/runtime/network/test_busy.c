/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/state.h"

#include <criterion/criterion.h>

Test(busy, routes_are_read_and_our_own_left_out)
{
    static const char text[] =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "davit0\t000011AC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "broken\n"
        "davitqs0\t001011AC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "tun0\t000010AC\t00000000\t0001\t0\t0\t0\t0000F0FF\t0\t0\t0";
    struct dv_cidr got[4];
    cr_assert_eq(busy_of_routes(DV_STR(text), "davit", got, 4), 3);
    cr_assert_eq(got[0].address, 0xc0a80100U);
    cr_assert_eq(got[0].prefix_len, 24);
    cr_assert_eq(got[1].address, 0xac111000U);
    cr_assert_eq(got[2].address, 0xac100000U);
    cr_assert_eq(got[2].prefix_len, 12);
    cr_assert_eq(busy_of_routes(DV_STR(text), "davit", got, 1), 1);
    cr_assert_eq(busy_of_routes(DV_STR(""), "davit", got, 4), 0);
}

Test(busy, name_servers_are_read)
{
    static const char text[] = "# a comment\nsearch example\nnameserver 172.17.0.53\n"
                               "nameserver\tfe80::1\nnameserver 10.0.0.1 \nnameserverx 1.1.1.1\n";
    struct dv_cidr got[4];
    cr_assert_eq(busy_of_resolvers(DV_STR(text), got, 4), 2);
    cr_assert_eq(got[0].address, 0xac110035U);
    cr_assert_eq(got[1].address, 0x0a000001U);
    cr_assert_eq(got[1].prefix_len, 32);
}
