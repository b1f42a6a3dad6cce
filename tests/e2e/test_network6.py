# SPDX-License-Identifier: Apache-2.0
"""IPv6 of containers: seen from inside, from the gateway and from outside."""
import json
import pathlib
import socket

import pytest

from harness import faults, net
from harness.gateway import Gateway
from harness.net import (OUTSIDE6, POLICY_NO, ask_create, elements_of, inside, mapping, network_of,
                         published)
from harness.world import links, wait_for

NETWORK = {"network": {"default_bridge": {"enable_ip6": True}},
           "davit": {"network": {"ip6": "fd12:3456:789a::/48"}}}
BRIDGE = "fd12:3456:789a::1"
NF_CALL = pathlib.Path("/proc/sys/net/bridge/bridge-nf-call-ip6tables")
POINTS = [point for point in faults.points() if point.startswith("davitd-network-")]


@pytest.fixture
def host(world):
    net.need_ip6()
    return net.Place(world)


def settings_of(more=None):
    bridge = {**NETWORK["network"]["default_bridge"], **(more or {})}
    return {"network": {"default_bridge": bridge}, "davit": NETWORK["davit"]}


def make(world, broker, peer, registry, more=None):
    net.need_ip6()
    made = Gateway(world, broker, peer, [registry.host], settings_of(more))
    made.wait_ready(broker)
    return made


@pytest.fixture
def gateway(world, broker, peer, registry):
    return make(world, broker, peer, registry)


def address_of(gateway, container):
    return network_of(gateway, container)["davit_ip6_address"]


def state_of(host):
    """What connections make, as counts; of IPv6 and of IPv4. Not what is link-local: the kernel gives
    that to the bridge with its first port, and leaves it."""
    addresses = [a for link in json.loads(host.run("ip", "-j", "address"))
                 for a in link["addr_info"] if a["scope"] != "link"]
    routes = [r for r in host.run("ip", "-6", "route", "show", "table", "all").splitlines()
              if "fe80:" not in r]
    return (len(links()), len(elements_of(host, "ip")), len(elements_of(host, "ip6")),
            len(addresses), len(routes))


def test_container_has_an_address_and_a_route(world, host, gateway, peer, sleeper):
    container = peer.create(sleeper, config={"hostName": "web", "domainName": "example.org",
                                             **POLICY_NO})
    place = inside(world, peer, container)
    own = address_of(gateway, container)
    assert own == "fd12:3456:789a::ac11:2"
    addresses = json.loads(place.run("ip", "-j", "-6", "address", "show", "dev", "eth0"))
    found = {a["local"]: a for a in addresses[0]["addr_info"]}
    assert own in found and found[own]["prefixlen"] == 64
    # Nothing waits for an answer that nobody gives.
    assert not [a for a in found.values() if a.get("tentative")]
    routes = json.loads(place.run("ip", "-j", "-6", "route"))
    assert [r["gateway"] for r in routes if r["dst"] == "default"] == [BRIDGE]
    for key in ("accept_ra", "autoconf", "accept_dad", "disable_ipv6"):
        assert place.run("cat", f"/proc/sys/net/ipv6/conf/eth0/{key}") == "0\n", key
    assert host.run("cat", "/proc/sys/net/ipv6/conf/all/forwarding") == "1\n"
    pid = peer.status(container)["state"]["pid"]
    hosts = pathlib.Path(f"/proc/{pid}/root/etc/hosts").read_text()
    assert f"{own}\tweb.example.org web\n" in hosts
    assert f"bridge davit0 172.17.0.1/24 {BRIDGE}/64, 1 connected" in gateway.command("status")[1]
    assert own in gateway.command("why", container)[1]


@pytest.mark.parametrize("udp", [False, True])
def test_containers_the_gateway_and_the_world_reach_each_other(world, host, gateway, peer, sleeper,
                                                               udp):
    outside = net.outside6(world)
    one, two = (peer.create(sleeper, config=POLICY_NO) for _ in range(2))
    first, second = (inside(world, peer, container) for container in (one, two))
    ip1, ip2 = (address_of(gateway, container) for container in (one, two))
    second.serve("::", 7000, udp)
    host.serve("::", 7001, udp)
    outside.serve("::", 7002, udp)
    assert first.talk(ip2, 7000, udp=udp) == f"{ip1} hello"
    assert second.talk("::1", 7000, udp=udp) == "::1 hello"
    assert host.talk(ip2, 7000, udp=udp) == f"{BRIDGE} hello"
    assert first.talk(BRIDGE, 7001, udp=udp) == f"{ip1} hello"
    # The world sees the gateway, and cannot route past it to what is not published.
    assert first.talk(OUTSIDE6[1], 7002, udp=udp) == f"{OUTSIDE6[0]} hello"
    assert outside.talk(OUTSIDE6[0], 7001, udp=udp) == f"{OUTSIDE6[1]} hello"
    assert outside.talk(ip2, 7000, udp=udp, timeout_s=1) is None


@pytest.mark.parametrize("udp", [False, True])
def test_mapped_port_is_reached_from_everywhere(world, host, gateway, peer, sleeper, udp):
    outside = net.outside6(world)
    proto = {"proto": "udp" if udp else "tcp"}
    container = published(peer, sleeper, mapping(8080, hostIP="::", **proto))
    place, other = inside(world, peer, container), inside(
        world, peer, peer.create(sleeper, config=POLICY_NO))
    own = address_of(gateway, container)
    place.serve("::", 80, udp)
    # Who asks from elsewhere is seen as he is.
    assert outside.talk(OUTSIDE6[0], 8080, udp=udp) == f"{OUTSIDE6[1]} hello"
    for address in (OUTSIDE6[0], BRIDGE):
        for asks in (host, other, place):
            assert asks.talk(address, 8080, udp=udp), address
    assert outside.talk(own, 80, udp=udp, timeout_s=1) is None
    # IPv4 is another mapping.
    assert host.talk("127.0.0.1", 8080, udp=udp, timeout_s=1) is None
    assert f"[::]:8080->80/{proto['proto']}" in gateway.command("ps")[1]
    assert [{"concat": [proto["proto"], 8080]}, {"concat": [own, 80]}] in elements_of(host, "ip6")
    assert peer.ask(f"Container:{container}", "stop").status == 204
    assert outside.talk(OUTSIDE6[0], 8080, udp=udp, timeout_s=1) is None


@pytest.mark.parametrize("udp", [False, True])
def test_mapped_port_is_reached_by_loopback(world, host, gateway, peer, sleeper, udp):
    if NF_CALL.exists():
        NF_CALL.write_text("0")
    outside = net.outside6(world)
    proto = {"proto": "udp" if udp else "tcp"}
    wide = published(peer, sleeper, mapping(8080, hostIP="::", **proto))
    local = published(peer, sleeper, mapping(8081, hostIP="::1", **proto))
    for container in (wide, local):
        inside(world, peer, container).serve("::", 80, udp)
    for port in (8080, 8081):
        assert host.talk("::1", port, udp=udp) == f"{BRIDGE} hello", port
    assert outside.talk(OUTSIDE6[0], 8081, udp=udp, timeout_s=1) is None
    # Loopback itself is as before.
    host.serve("::1", 9000, udp)
    assert host.talk("::1", 9000, udp=udp) == "::1 hello"


def test_container_cannot_reach_loopback_of_the_gateway(world, host, gateway, peer, sleeper):
    place = inside(world, peer, peer.create(sleeper, config=POLICY_NO))
    host.serve("::1", 7003)
    place.run("ip", "address", "delete", "::1/128", "dev", "lo")
    place.run("ip", "-6", "route", "add", "::1/128", "via", BRIDGE, "dev", "eth0")
    assert place.talk("::1", 7003, timeout_s=1) is None


def test_mapping_of_one_address_is_for_that_address(world, host, gateway, peer, sleeper):
    outside = net.outside6(world)
    near = published(peer, sleeper, mapping(8080, hostIP=BRIDGE))
    wide = published(peer, sleeper, mapping(8080, hostIP=OUTSIDE6[0]))
    servers = {}
    for container in (near, wide):
        servers[container] = inside(world, peer, container)
        servers[container].serve("::", 80)
    assert host.talk(BRIDGE, 8080) == f"{BRIDGE} hello"
    assert outside.talk(OUTSIDE6[0], 8080) == f"{OUTSIDE6[1]} hello"
    answer = ask_create(peer, sleeper, mapping(8080, hostIP="::"), start=True, name="all")
    assert answer.status == 500
    assert "port 8080/tcp on :: is taken by container" in answer.value["message"]
    # It is held: a program is told.
    with pytest.raises(OSError):
        socket.create_server(("::", 8080), family=socket.AF_INET6)
    assert peer.ask(f"Container:{near}", "stop").status == 204
    assert peer.ask(f"Container:{wide}", "stop").status == 204
    socket.create_server(("::", 8080), family=socket.AF_INET6).close()


def test_both_families_of_one_port_lead_into_one_container(world, host, gateway, peer, sleeper):
    container = published(peer, sleeper, mapping(8080), mapping(8080, hostIP="::"))
    place = inside(world, peer, container)
    place.serve("0.0.0.0", 80)
    assert host.talk("127.0.0.1", 8080) == "172.17.0.1 hello"
    place.serve("::", 80)
    assert host.talk(BRIDGE, 8080) == f"{BRIDGE} hello"
    assert [{"concat": ["tcp", 8080]}, {"concat": ["172.17.0.2", 80]}] in elements_of(host, "ip")
    own = address_of(gateway, container)
    assert [{"concat": ["tcp", 8080]}, {"concat": [own, 80]}] in elements_of(host, "ip6")


def test_containers_are_kept_apart_when_icc_is_off(world, broker, host, peer, registry, sleeper):
    gateway = make(world, broker, peer, registry, {"icc": False})
    one, two = (peer.create(sleeper, config=POLICY_NO) for _ in range(2))
    first, second = (inside(world, peer, container) for container in (one, two))
    second.serve("::", 7000)
    host.serve("::", 7001)
    ip2 = address_of(gateway, two)
    assert first.talk(ip2, 7000, timeout_s=1) is None
    assert host.talk(ip2, 7000) == f"{BRIDGE} hello"
    assert first.talk(BRIDGE, 7001) is not None


def test_without_the_key_there_is_no_ipv6_and_its_ports_are_refused(world, broker, peer, registry,
                                                                    sleeper):
    net.need_ip6()
    gateway = Gateway(world, broker, peer, [registry.host])
    gateway.wait_ready(broker)
    host = net.Place(world)
    answer = ask_create(peer, sleeper, mapping(8080, hostIP="::1"), start=False, name="web")
    assert answer.status == 400
    assert "config.portMappings[0].hostIP: '::1' is IPv6" in answer.value["message"]
    assert "network.default_bridge.enable_ip6" in answer.value["message"]
    place = inside(world, peer, peer.create(sleeper, config=POLICY_NO))
    assert place.run("ip", "-6", "address", "show", "dev", "eth0") == ""
    assert host.run("ip", "-6", "address", "show", "dev", "davit0") == ""
    assert host.run("cat", "/proc/sys/net/ipv6/conf/all/forwarding") == "0\n"
    assert host.run("nft", "list", "tables", "ip6") == ""


def test_loopback_is_refused_while_bridges_call_the_packet_filter(host, gateway, peer, sleeper):
    if not NF_CALL.exists():
        pytest.skip("this kernel has no br_netfilter loaded: there is nothing to refuse")
    NF_CALL.write_text("1")
    answer = ask_create(peer, sleeper, mapping(8080, hostIP="::1"), start=True, name="web")
    assert answer.status == 400
    assert "net.bridge.bridge-nf-call-ip6tables" in answer.value["message"]


def test_connections_and_mappings_outlive_a_killed_davitd(world, broker, host, gateway, peer,
                                                          sleeper):
    container = published(peer, sleeper, mapping(8080, hostIP="::"))
    place = inside(world, peer, container)
    place.serve("::", 80)
    before = network_of(gateway, container)
    gateway.daemon.kill()
    assert host.talk(BRIDGE, 8080) and host.talk(before["davit_ip6_address"], 80)
    gateway.start_daemon()
    gateway.wait_ready(broker, 2)
    assert network_of(gateway, container) == before
    assert host.talk(BRIDGE, 8080) and host.talk(before["davit_ip6_address"], 80)
    with pytest.raises(OSError):
        socket.create_server(("::", 8080), family=socket.AF_INET6)
    assert peer.ask(f"Container:{container}", "stop").status == 204
    assert host.talk(BRIDGE, 8080, timeout_s=1) is None


def test_flushed_rules_are_put_anew(world, host, gateway, peer, sleeper):
    one = published(peer, sleeper, mapping(8080, hostIP="::"))
    inside(world, peer, one).serve("::", 80)
    host.run("nft", "flush", "table", "ip6", "davit")
    host.run("nft", "delete", "table", "ip6", "davit")
    assert host.talk(BRIDGE, 8080, timeout_s=1) is None
    assert "bridge davit0" in gateway.command("status")[1]
    assert host.talk(BRIDGE, 8080)


def test_nothing_leaks_over_many_lives(host, gateway, peer, sleeper):
    before = state_of(host)
    for _ in range(5):
        some = [published(peer, sleeper, mapping(8080 + i, hostIP="::")) for i in range(3)]
        for container in some:
            assert peer.ask(f"Container:{container}", "remove", True).status == 204
    wait_for(lambda: state_of(host) == before, 10, "all is as before")


@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_left_of_a_davitd_that_was_killed_at(world, broker, host, peer, registry, sleeper,
                                                        point):
    gateway = Gateway(world, broker, peer, [registry.host], settings_of(), start=False,
                      folder=faults.build_with_points())
    gateway.start_monitor()
    gateway.start_daemon(f"{point}:kill")
    gateway.wait_ready(broker)
    before = state_of(host)
    command = peer.send("ContainerFactory", "createWithConfig", {
        "imageRef": sleeper, "name": "web", "start": True,
        "config": {"portMappings": [mapping(8080, hostIP="::")], **POLICY_NO}})
    if point == "davitd-network-closed":
        container = peer.answer_of(command, 60).value
        peer.send(f"Container:{container}", "stop", True)
    wait_for(lambda: not gateway.daemon.is_running, 30, f"davitd dies at {point}")
    gateway.start_daemon()
    gateway.wait_ready(broker, 2)
    container = wait_for(lambda: next((f for f in peer.twin if f.startswith("Container:")), None),
                         30, "the container is known")
    assert peer.ask(container, "remove", True, 60).status == 204
    wait_for(lambda: state_of(host) == before, 10, "all is as before")
    other = published(peer, sleeper, mapping(8080, hostIP="::"))
    inside(world, peer, other).serve("::", 80)
    assert host.talk(BRIDGE, 8080)


def test_nothing_stays_when_davitd_ends_without_containers(host, gateway, peer, sleeper):
    container = peer.create(sleeper, config=POLICY_NO)
    assert peer.ask(f"Container:{container}", "remove", True).status == 204
    gateway.daemon.stop()
    assert links() == ["lo"]
    assert host.run("nft", "list", "tables") == ""


def test_network_of_a_machine_is_its_own_and_stays(world, broker, host, peer, registry, sleeper):
    """Derived from what is the machine's own, as RFC 4193 has it."""
    gateway = Gateway(world, broker, peer, [registry.host],
                      {"network": {"default_bridge": {"enable_ip6": True}}})
    gateway.wait_ready(broker)
    first = address_of(gateway, peer.create(sleeper, config=POLICY_NO))
    assert first.startswith("fd") and first.endswith("::ac11:2")
    gateway.daemon.stop()
    gateway.start_daemon()
    gateway.wait_ready(broker, 2)
    second = address_of(gateway, peer.create(sleeper, config=POLICY_NO))
    assert second.rsplit("::", 1)[0] == first.rsplit("::", 1)[0]
