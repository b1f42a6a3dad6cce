/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/durable.h"
#include "rig.h"
#include "tests/support/needs.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void need_ip6(void)
{
    dv_need(access("/proc/sys/net/ipv6/conf/all", F_OK) == 0, "a kernel with IPv6");
}

/* Runs it in the network namespace of a process. */
static void run_inside(pid_t pid, const char *command)
{
    char text[512];
    snprintf(text, sizeof(text), "nsenter --net --target %d sh -c '%s'", (int)pid, command);
    run(text);
}

static char *table_of(const char *family)
{
    char command[128];
    static char text[8192];
    snprintf(command, sizeof(command),
             "nft list table %s davit > /tmp/davit-table-%d 2>&1 || :", family, (int)getpid());
    run(command);
    snprintf(command, sizeof(command), "/tmp/davit-table-%d", (int)getpid());
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(sizeof(text) - 1);
    cr_assert_eq(dv_file_read(command, &out, NULL), 0);
    snprintf(text, sizeof(text), "%.*s", (int)out.len, out.data ? out.data : "");
    unlink(command);
    return text;
}

Test(network_ip6, ipv6_is_a_second_address_with_a_route)
{
    struct rig rig;
    need_ip6();
    rig_init(&rig);
    rig.options.has_ip6 = true;
    rig.options.network6 = "fd12:3456:789a::/48";
    open_network(&rig);
    cr_assert_str_eq(rig.network->describe(rig.network),
                     "bridge davit0 172.17.0.1/24 fd12:3456:789a::1/64, 0 connected");
    pid_t pid = start_process();
    struct dv_network_settings settings = attached(&rig, "a", pid);
    cr_assert_str_eq(settings.address, "172.17.0.2");
    cr_assert_str_eq(settings.address6, "fd12:3456:789a::ac11:2");
    cr_assert_eq(settings.prefix6_len, 64);
    cr_assert_str_eq(settings.gateway6, "fd12:3456:789a::1");
    run("test \"$(cat /proc/sys/net/ipv6/conf/all/forwarding)\" = 1");
    run("test \"$(cat /proc/sys/net/ipv6/conf/davit0/accept_ra)\" = 0");
    run("test \"$(cat /proc/sys/net/ipv6/conf/davit0p2/disable_ipv6)\" = 1");
    run_inside(pid, "ip -6 route | grep -q \"^default via fd12:3456:789a::1 dev eth0\"");
    run_inside(pid, "ip -6 address show dev eth0 | grep -q \"fd12:3456:789a::ac11:2/64.* nodad\"");
    run_inside(pid, "! ip -6 address | grep tentative");
    run_inside(pid, "test $(cat /proc/sys/net/ipv6/conf/eth0/accept_ra) = 0");
    cr_assert_not_null(strstr(table_of("ip6"), "fd12:3456:789a::/64"));
    cr_assert_eq(rig.network->detach(rig.network, "a", NULL), 0);
    rig.network->free(rig.network);
    rig.network = NULL;
    cr_assert_eq(links(), 0);
    cr_assert_not_null(strstr(table_of("ip6"), "No such file"));
    end_process(pid);
    rig_done(&rig);
}

Test(network_ip6, a_router_goes_on_to_listen_to_other_routers)
{
    struct rig rig;
    need_ip6();
    rig_init(&rig);
    run("ip link add up0 type veth peer name up1; ip link add up2 type veth peer name up3");
    run("echo 0 > /proc/sys/net/ipv6/conf/up2/accept_ra");
    rig.options.has_ip6 = true;
    open_network(&rig);
    run("test \"$(cat /proc/sys/net/ipv6/conf/up0/accept_ra)\" = 2");
    run("test \"$(cat /proc/sys/net/ipv6/conf/default/accept_ra)\" = 2");
    run("test \"$(cat /proc/sys/net/ipv6/conf/up2/accept_ra)\" = 0");
    run("ip link delete up0; ip link delete up2");
    rig_done(&rig);
}

Test(network_ip6, ipv6_comes_and_goes_with_the_configuration)
{
    struct rig rig;
    need_ip6();
    rig_init(&rig);
    open_network(&rig);
    pid_t one = start_process();
    pid_t two = start_process();
    cr_assert_null(attached(&rig, "one", one).address6);
    rig.network->free(rig.network);
    /* On: what runs stays without; what starts has it, on the bridge that is there. */
    rig.options.has_ip6 = true;
    rig.options.network6 = "fd01::/48";
    open_network(&rig);
    struct dv_network_settings found = {0};
    cr_assert_eq(rig.network->find(rig.network, "one", rig.arena, &found, &rig.err), 0);
    cr_assert_null(found.address6);
    cr_assert_str_eq(attached(&rig, "two", two).address6, "fd01::ac11:3");
    run("ip -6 address show dev davit0 | grep -q fd01::1/64");
    rig.network->free(rig.network);
    /* Another network, then off: who has an address keeps it, and his rules. */
    rig.options.network6 = "fd02::/48";
    open_network(&rig);
    run("ip -6 address show dev davit0 | grep -q fd01::1/64");
    cr_assert_not_null(strstr(table_of("ip6"), "fd01::/64"));
    rig.network->free(rig.network);
    rig.options.has_ip6 = false;
    open_network(&rig);
    cr_assert_not_null(strstr(table_of("ip6"), "fd01::/64"));
    run("ip -6 address show dev davit0 | grep -q fd01::1/64");
    cr_assert_eq(rig.network->detach(rig.network, "two", NULL), 0);
    rig.network->free(rig.network);
    open_network(&rig);
    cr_assert_not_null(strstr(table_of("ip6"), "No such file"));
    run("! ip -6 address show dev davit0 | grep inet6");
    cr_assert_eq(rig.network->detach(rig.network, "one", NULL), 0);
    end_process(one);
    end_process(two);
    rig_done(&rig);
}

static struct dv_port_mapping tcp6(const char *address, int64_t port)
{
    struct dv_port_mapping mapping = tcp(port, port);
    mapping.host_ip = (char *)address;
    return mapping;
}

Test(network_ip6, ports_of_ipv6_are_others_than_those_of_ipv4)
{
    struct rig rig;
    need_ip6();
    rig_init(&rig);
    run("ip link set lo up");
    rig.options.has_ip6 = true;
    rig.options.network6 = "fd01::/48";
    open_network(&rig);
    pid_t pid = start_process();
    struct dv_network_settings got = {0};
    struct dv_port_mapping ports[] = {tcp(8080, 8080), tcp6("::", 8080), tcp6("fd01::1", 8081)};
    cr_assert_eq(attach_ports(&rig, "a", pid, ports, 3, &got), 0, "%s", rig.err.text);
    cr_assert_not_null(strstr(table_of("ip"), "tcp . 8080 : 172.17.0.2 . 80"));
    const char *table = table_of("ip6");
    cr_assert_not_null(strstr(table, "tcp . 8080 : fd01::ac11:2 . 80"));
    cr_assert_not_null(strstr(table, "fd01::1 . tcp . 8081 : fd01::ac11:2 . 80"));
    struct dv_port_mapping wish = tcp6("fd01::1", 8080);
    cr_assert_eq(check_ports(&rig, &wish, 1), -DV_ERR_FAILED);
    cr_assert_str_eq(rig.err.text, "port 8080/tcp on fd01::1 is taken by container 'a'; free it or "
                                   "map another port");
    wish = tcp6("2001:db8::1", 9000);
    cr_assert_eq(check_ports(&rig, &wish, 1), -DV_ERR_FAILED);
    cr_assert_not_null(strstr(rig.err.text, "this machine does not have that address"));
    /* A killed davitd: all is held again. */
    rig.network->free(rig.network);
    open_network(&rig);
    wish = tcp6("::", 8081);
    cr_assert_eq(check_ports(&rig, &wish, 1), -DV_ERR_FAILED);
    cr_assert_not_null(strstr(table_of("ip6"), "fd01::1 . tcp . 8081 : fd01::ac11:2 . 80"));
    cr_assert_eq(rig.network->detach(rig.network, "a", NULL), 0);
    cr_assert_null(strstr(table_of("ip6"), "8080"));
    end_process(pid);
    rig_done(&rig);
}

Test(network_ip6, ports_of_ipv6_need_it)
{
    struct rig rig;
    struct dv_port_mapping port = tcp6("::", 8080);
    rig_init(&rig);
    open_network(&rig);
    cr_assert_eq(check_ports(&rig, &port, 1), -DV_ERR_UNSUPPORTED);
    cr_assert_not_null(strstr(rig.err.text, "network.default_bridge.enable_ip6"));
    rig_done(&rig);
}

Test(network_ip6, loopback_needs_bridges_that_leave_packets_alone)
{
    struct rig rig;
    struct dv_port_mapping port = tcp6("::1", 8080);
    static const char key[] = "/proc/sys/net/bridge/bridge-nf-call-ip6tables";
    need_ip6();
    dv_need(access(key, F_OK) == 0, "a kernel with br_netfilter");
    rig_init(&rig);
    run("ip link set lo up");
    rig.options.has_ip6 = true;
    open_network(&rig);
    run("echo 1 > /proc/sys/net/bridge/bridge-nf-call-ip6tables");
    cr_assert_eq(check_ports(&rig, &port, 1), -DV_ERR_UNSUPPORTED);
    cr_assert_not_null(strstr(rig.err.text, "net.bridge.bridge-nf-call-ip6tables"));
    run("echo 0 > /proc/sys/net/bridge/bridge-nf-call-ip6tables");
    cr_assert_eq(check_ports(&rig, &port, 1), 0, "%s", rig.err.text);
    rig_done(&rig);
}

Test(network_ip6, a_wrong_network_of_ipv6_is_named)
{
    struct rig rig;
    need_ip6();
    rig_init(&rig);
    rig.options.has_ip6 = true;
    rig.options.network6 = "fe80::/64";
    open_network(&rig);
    cr_assert_not_null(
        strstr(rig.network->describe(rig.network), "davit.network.ip6: 'fe80::/64'"));
    rig_done(&rig);
}
