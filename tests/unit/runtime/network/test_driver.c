/* SPDX-License-Identifier: Apache-2.0 */
/* The real driver in a network namespace of the test's own; processes stand for containers. */
#include "base/clock.h"
#include "base/durable.h"
#include "base/spawn.h"
#include "rig.h"
#include "tests/support/needs.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void assert_inside(pid_t pid, const char *address)
{
    char path[64];
    bool is_found = false;
    struct ifaddrs *all;
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    dv_autoclose int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    dv_autoclose int other = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(setns(other, CLONE_NEWNET), 0);
    cr_assert_eq(getifaddrs(&all), 0);
    for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
        char text[INET_ADDRSTRLEN];
        if (!at->ifa_addr || strcmp(at->ifa_name, "eth0") != 0)
            continue;
        cr_assert_neq(at->ifa_addr->sa_family, AF_INET6, "IPv6 was not asked for");
        if (at->ifa_addr->sa_family != AF_INET)
            continue;
        const struct sockaddr_in *in = (const void *)at->ifa_addr;
        cr_assert_str_eq(inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)), address);
        cr_assert(at->ifa_flags & IFF_UP);
        is_found = true;
    }
    freeifaddrs(all);
    cr_assert_eq(setns(own, CLONE_NEWNET), 0);
    cr_assert(is_found);
}

Test(network_driver, connects_a_process_and_takes_all_away)
{
    struct rig rig;
    rig_init(&rig);
    open_network(&rig);
    cr_assert_str_eq(rig.network->describe(rig.network),
                     "bridge davit0 172.17.0.1/24, 0 connected");
    cr_assert_neq(if_nametoindex("davit0"), 0);
    pid_t pid = start_process();
    struct dv_network_settings settings = attached(&rig, "a", pid);
    cr_assert_str_eq(settings.address, "172.17.0.2");
    cr_assert_str_eq(settings.gateway, "172.17.0.1");
    cr_assert_str_eq(settings.interface, "davit0p2");
    cr_assert_neq(if_nametoindex("davit0p2"), 0);
    assert_inside(pid, "172.17.0.2");
    cr_assert_str_eq(attached(&rig, "a", pid).address, "172.17.0.2");
    cr_assert_eq(rig.network->detach(rig.network, "a", NULL), 0);
    cr_assert_eq(rig.network->detach(rig.network, "a", NULL), 0);
    cr_assert_eq(if_nametoindex("davit0p2"), 0);
    rig.network->free(rig.network);
    rig.network = NULL;
    cr_assert_eq(links(), 0);
    end_process(pid);
    rig_done(&rig);
}

/* The object is left as a killed davitd would leave it. */
Test(network_driver, the_next_one_keeps_what_lives_and_removes_what_is_dead)
{
    struct rig rig;
    struct dv_network_settings found = {0};
    rig_init(&rig);
    open_network(&rig);
    pid_t alive = start_process();
    pid_t dead = start_process();
    (void)attached(&rig, "dead", dead);
    (void)attached(&rig, "alive", alive);
    end_process(dead);
    struct dv_network *killed = rig.network;
    open_network(&rig);
    cr_assert_eq(rig.network->find(rig.network, "alive", rig.arena, &found, NULL), 0);
    cr_assert_str_eq(found.address, "172.17.0.3");
    assert_inside(alive, "172.17.0.3");
    cr_assert_eq(rig.network->find(rig.network, "dead", rig.arena, &found, NULL),
                 -DV_ERR_NOT_FOUND);
    cr_assert_eq(if_nametoindex("davit0p2"), 0);
    pid_t again = start_process();
    cr_assert_str_eq(attached(&rig, "dead", again).address, "172.17.0.4");
    cr_assert_eq(rig.network->detach(rig.network, "alive", NULL), 0);
    cr_assert_eq(rig.network->detach(rig.network, "dead", NULL), 0);
    killed->free(killed);
    end_process(again);
    end_process(alive);
    rig_done(&rig);
}

Test(network_driver, a_container_that_runs_keeps_the_bridge_over_an_end_of_the_daemon)
{
    struct rig rig;
    rig_init(&rig);
    open_network(&rig);
    pid_t pid = start_process();
    (void)attached(&rig, "a", pid);
    rig.network->free(rig.network);
    cr_assert_neq(if_nametoindex("davit0"), 0);
    rig.options.address = "10.9.0.1/16";
    open_network(&rig);
    cr_assert_str_eq(rig.network->describe(rig.network),
                     "bridge davit0 172.17.0.1/24, 1 connected");
    cr_assert_eq(rig.network->detach(rig.network, "a", NULL), 0);
    rig.network->free(rig.network);
    open_network(&rig);
    cr_assert_str_eq(rig.network->describe(rig.network), "bridge davit0 10.9.0.1/24, 0 connected");
    end_process(pid);
    rig_done(&rig);
}

Test(network_driver, a_process_that_is_gone_leaves_nothing)
{
    struct rig rig;
    struct dv_network_settings settings = {0};
    rig_init(&rig);
    open_network(&rig);
    pid_t pid = start_process();
    struct dv_network_attach_cmd cmd = {
        .id = (char *)"a", .name = (char *)"a", .pid = pid, .start_ticks = 1};
    rig.err = DV_ERROR_INIT;
    cr_assert_lt(rig.network->attach(rig.network, &cmd, rig.arena, &settings, &rig.err), 0);
    cr_assert_not_null(strstr(rig.err.text, "has ended already"));
    cr_assert_eq(links(), 1);
    cr_assert_lt(attach(&rig, "self", getpid(), &settings), 0);
    cr_assert_not_null(strstr(rig.err.text, "no network namespace of its own"));
    end_process(pid);
    rig_done(&rig);
}

Test(network_driver, says_why_there_is_no_network)
{
    struct rig rig;
    struct dv_network_settings settings = {0};
    rig_init(&rig);
    rig.options.is_disabled = true;
    open_network(&rig);
    cr_assert_str_eq(rig.network->describe(rig.network),
                     "no networkMode BRIDGE on this machine: networkMode BRIDGE is switched off by "
                     "network.default_bridge.disable; use networkMode HOST");
    pid_t pid = start_process();
    cr_assert_lt(attach(&rig, "a", pid, &settings), 0);
    cr_assert_not_null(strstr(rig.err.text, "network.default_bridge.disable"));
    cr_assert_eq(links(), 0);
    end_process(pid);
    rig_done(&rig);
}

Test(network_driver, a_wrong_range_is_an_error_that_names_the_key)
{
    struct rig rig;
    rig_init(&rig);
    rig.options.address = "10.0.0.1/24";
    rig.options.range = "10.0.1.0/28";
    open_network(&rig);
    cr_assert_not_null(strstr(rig.network->describe(rig.network),
                              "network.default_bridge.fcidr4: it is not inside"));
    rig_done(&rig);
}

/* Whatever step a killed davitd came to, these are the things it can leave. */
Test(network_driver, leftovers_of_every_step_are_removed)
{
    struct rig rig;
    rig_init(&rig);
    dv_need_program("/usr/sbin/ip");
    open_network(&rig);
    pid_t pid = start_process();
    pid_t late = start_process();
    (void)attached(&rig, "kept", pid);
    (void)attached(&rig, "late", late);
    char command[256];
    /* A file and no interface, an interface and no file, a file of no use, a bridge of no use. */
    run("ip link delete davit0p3");
    snprintf(command, sizeof(command), "echo rubbish >%s/network/davit0p9; echo >%s/network/x.new",
             rig.dir, rig.dir);
    run(command);
    run("ip link add davit0p77 type bridge; ip link add davitx type bridge");
    struct dv_network *killed = rig.network;
    open_network(&rig);
    struct dv_network_settings found = {0};
    cr_assert_eq(rig.network->find(rig.network, "kept", rig.arena, &found, NULL), 0);
    cr_assert_eq(rig.network->find(rig.network, "late", rig.arena, &found, NULL),
                 -DV_ERR_NOT_FOUND);
    cr_assert_eq(if_nametoindex("davit0p77"), 0);
    cr_assert_neq(if_nametoindex("davitx"), 0, "it is somebody else's");
    snprintf(command, sizeof(command), "test \"$(ls %s/network)\" = davit0p2", rig.dir);
    run(command);
    cr_assert_eq(rig.network->detach(rig.network, "kept", NULL), 0);
    killed->free(killed);
    end_process(pid);
    end_process(late);
    rig_done(&rig);
}

Test(network_driver, two_hundred_lives_leave_nothing)
{
    struct rig rig;
    rig_init(&rig);
    open_network(&rig);
    pid_t pid = start_process();
    for (int i = 0; i < 200; i++) {
        char id[16];
        snprintf(id, sizeof(id), "c%d", i);
        (void)attached(&rig, id, pid);
        cr_assert_eq(rig.network->detach(rig.network, id, NULL), 0);
    }
    cr_assert_eq(links(), 1, "the bridge");
    cr_assert_str_eq(rig.network->describe(rig.network),
                     "bridge davit0 172.17.0.1/24, 0 connected");
    end_process(pid);
    rig_done(&rig);
}

Test(network_driver, ports_are_chosen_held_and_given_back)
{
    struct rig rig;
    rig_init(&rig);
    open_network(&rig);
    pid_t one = start_process();
    pid_t two = start_process();
    struct dv_network_settings got = {0};
    struct dv_port_mapping ports[] = {tcp(8080, 8081), tcp(8080, 8081), tcp(0, 0)};
    cr_assert_eq(attach_ports(&rig, "one", one, ports, 3, &got), 0, "%s", rig.err.text);
    cr_assert_eq(got.ports.items[0].chosen_port, 8080);
    cr_assert_eq(got.ports.items[1].chosen_port, 8081);
    cr_assert_geq(got.ports.items[2].chosen_port, 1024);
    int64_t any = got.ports.items[2].chosen_port;
    cr_assert_lt(attach_ports(&rig, "two", two, ports, 1, &got), 0);
    cr_assert_str_eq(rig.err.text, "network: no port of 8080...8081/tcp on 0.0.0.0 is free; free "
                                   "one or map others");
    cr_assert_eq(links(), 2, "a start that failed leaves no interface");
    ports[0] = tcp(8080, 8080);
    cr_assert_lt(attach_ports(&rig, "two", two, ports, 1, &got), 0);
    cr_assert_str_eq(rig.err.text, "network: port 8080/tcp on 0.0.0.0 is taken by container 'one'; "
                                   "free it or map another port");
    cr_assert_eq(rig.network->detach(rig.network, "one", NULL), 0);
    /* The port of the last start is taken again, be it not the first of the range. */
    ports[0] = tcp(0, 0);
    ports[0].chosen_port = any;
    cr_assert_eq(attach_ports(&rig, "two", two, ports, 1, &got), 0, "%s", rig.err.text);
    cr_assert_eq(got.ports.items[0].chosen_port, any);
    cr_assert_eq(rig.network->detach(rig.network, "two", NULL), 0);
    end_process(one);
    end_process(two);
    rig_done(&rig);
}

Test(network_driver, a_check_says_what_a_start_would_and_keeps_nothing)
{
    struct rig rig;
    rig_init(&rig);
    run("ip link set lo up");
    open_network(&rig);
    pid_t one = start_process();
    struct dv_network_settings got = {0};
    struct dv_port_mapping port = tcp(8080, 8080);
    struct dv_port_mapping wishes[] = {tcp(8080, 8081), tcp(0, 0), tcp(9000, 9000)};
    for (int i = 0; i < 2; i++)
        cr_assert_eq(check_ports(&rig, wishes, 3), 0, "%s", rig.err.text);
    cr_assert_eq(attach_ports(&rig, "one", one, &port, 1, &got), 0, "%s", rig.err.text);
    cr_assert_eq(check_ports(&rig, wishes, 3), 0, "8081 is free: %s", rig.err.text);
    wishes[2] = tcp(8080, 8080);
    wishes[2].host_ip = (char *)"127.0.0.1";
    cr_assert_eq(check_ports(&rig, wishes, 3), -DV_ERR_FAILED);
    cr_assert_str_eq(rig.err.text, "port 8080/tcp on 127.0.0.1 is taken by container 'one'; free "
                                   "it or map another port");
    cr_assert_eq(rig.network->detach(rig.network, "one", NULL), 0);
    cr_assert_eq(check_ports(&rig, &port, 1), 0, "%s", rig.err.text);
    dv_autoclose int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(8080)};
    cr_assert_eq(bind(server, (const struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(check_ports(&rig, &port, 1), -DV_ERR_FAILED);
    cr_assert_not_null(strstr(rig.err.text, "is taken by a program of this machine"));
    end_process(one);
    rig_done(&rig);
}

Test(network_driver, a_check_without_a_network_knows_nothing)
{
    struct rig rig;
    struct dv_port_mapping port = tcp(8080, 8080);
    rig_init(&rig);
    rig.options.is_disabled = true;
    open_network(&rig);
    cr_assert_eq(check_ports(&rig, &port, 1), 0, "%s", rig.err.text);
    rig_done(&rig);
}

Test(network_driver, ports_need_the_packet_filter)
{
    struct rig rig;
    struct dv_network_settings got = {0};
    struct dv_port_mapping port = tcp(8080, 8080);
    rig_init(&rig);
    rig.options.has_rules = false;
    open_network(&rig);
    pid_t pid = start_process();
    cr_assert_eq(attach_ports(&rig, "a", pid, &port, 1, &got), -DV_ERR_UNSUPPORTED);
    cr_assert_not_null(strstr(rig.err.text, "network.default_bridge.ip_tables"));
    cr_assert_eq(check_ports(&rig, &port, 1), -DV_ERR_UNSUPPORTED);
    cr_assert_eq(attach_ports(&rig, "a", pid, &port, 0, &got), 0);
    cr_assert_eq(rig.network->detach(rig.network, "a", NULL), 0);
    end_process(pid);
    rig_done(&rig);
}
