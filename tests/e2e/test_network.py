# SPDX-License-Identifier: Apache-2.0
"""Containers in a network of their own: seen from inside, from the gateway and from outside."""
import json

import pytest

from harness import net
from harness.gateway import Gateway
from harness.world import links, wait_for

POLICY_NO = {"restartPolicy": {"type": "NO"}}


@pytest.fixture
def host(world):
    return net.Place(world)


def inside(world, peer, container):
    return net.Place(world, peer.wait_state(container, "RUNNING")["pid"])


def record(gateway, container):
    code, text = gateway.command("inspect", container)
    assert code == 0, text
    return json.loads(text)


def network_of(gateway, container):
    settings = record(gateway, container)["network_settings"]
    return settings and settings["networks"]["bridge"]


def leftovers(host):
    """What a connection makes, as counts."""
    rules = json.loads(host.run("nft", "-j", "list", "table", "ip", "davit"))["nftables"]
    elements = [element for item in rules for kind in ("set", "map") if kind in item
                for element in item[kind].get("elem", [])]
    addresses = json.loads(host.run("ip", "-j", "address"))
    return len(links()), len(rules), len(elements), sum(len(a["addr_info"]) for a in addresses)


def test_container_has_an_address_a_route_and_loopback(world, host, gateway, peer, sleeper):
    container = peer.create(sleeper, config=POLICY_NO)
    place = inside(world, peer, container)
    settings = network_of(gateway, container)
    assert settings["network_id"] == "davit0" and settings["gateway"] == "172.17.0.1"
    found = {link["ifname"]: link for link in json.loads(place.run("ip", "-j", "address"))}
    assert set(found) == {"lo", "eth0"}
    assert "UP" in found["lo"]["flags"] and "UP" in found["eth0"]["flags"]
    assert [a["local"] for a in found["eth0"]["addr_info"]] == [settings["ip_address"]]
    assert found["eth0"]["address"] == settings["mac_address"]
    routes = json.loads(place.run("ip", "-j", "route"))
    assert [r["gateway"] for r in routes if r["dst"] == "default"] == ["172.17.0.1"]
    assert "kanto-cm0" in host.run("ip", "link", "show", "davit0")
    code, text = gateway.command("ps")
    assert code == 0 and settings["ip_address"] in text
    code, text = gateway.command("status")
    assert "bridge davit0 172.17.0.1/24, 1 connected" in text
    assert peer.ask(f"Container:{container}", "stop").status == 204
    assert network_of(gateway, container) is None
    wait_for(lambda: "davit0p2" not in links(), 5, "its interface is gone")


@pytest.mark.parametrize("udp", [False, True])
def test_containers_the_gateway_and_the_world_reach_each_other(world, host, gateway, peer, sleeper,
                                                               udp):
    outside = net.outside(world)
    one, two = (peer.create(sleeper, config=POLICY_NO) for _ in range(2))
    first, second = (inside(world, peer, container) for container in (one, two))
    ip1, ip2 = (network_of(gateway, container)["ip_address"] for container in (one, two))
    second.serve("0.0.0.0", 7000, udp)
    host.serve("0.0.0.0", 7001, udp)
    outside.serve("0.0.0.0", 7002, udp)
    assert first.talk(ip2, 7000, udp=udp) == f"{ip1} hello"
    assert second.talk("127.0.0.1", 7000, udp=udp) == "127.0.0.1 hello"
    assert host.talk(ip2, 7000, udp=udp) == "172.17.0.1 hello"
    assert first.talk("172.17.0.1", 7001, udp=udp) == f"{ip1} hello"
    # The world sees the gateway, and cannot route past it to what is not published.
    assert first.talk("203.0.113.2", 7002, udp=udp) == "203.0.113.1 hello"
    assert outside.talk("203.0.113.1", 7001, udp=udp) == "203.0.113.2 hello"
    assert outside.talk(ip2, 7000, udp=udp, timeout_s=1) is None


def test_loopback_of_the_gateway_cannot_be_reached(world, host, gateway, peer, sleeper):
    place = inside(world, peer, peer.create(sleeper, config=POLICY_NO))
    host.serve("127.0.0.1", 7003)
    place.run("ip", "address", "delete", "127.0.0.1/8", "dev", "lo")
    place.run("ip", "route", "add", "127.0.0.1", "via", "172.17.0.1")
    host.run("sysctl", "-qw", "net.ipv4.conf.davit0.route_localnet=1")
    place.run("sysctl", "-qw", "net.ipv4.conf.eth0.route_localnet=1")
    assert place.talk("127.0.0.1", 7003, timeout_s=1) is None


def test_containers_are_kept_apart_when_icc_is_off(world, broker, host, peer, registry, sleeper):
    gateway = Gateway(world, broker, peer, [registry.host],
                      {"network": {"default_bridge": {"icc": False, "mtu": 1300}}})
    gateway.wait_ready(broker)
    one, two = (peer.create(sleeper, config=POLICY_NO) for _ in range(2))
    first, second = (inside(world, peer, container) for container in (one, two))
    ip2 = network_of(gateway, two)["ip_address"]
    second.serve("0.0.0.0", 7000)
    host.serve("0.0.0.0", 7001)
    assert first.talk(ip2, 7000, timeout_s=1) is None
    assert host.talk(ip2, 7000) == "172.17.0.1 hello"
    assert first.talk("172.17.0.1", 7001) is not None
    assert "mtu 1300" in second.run("ip", "link", "show", "eth0")


def test_configured_network_is_used(world, broker, host, peer, registry, sleeper):
    gateway = Gateway(world, broker, peer, [registry.host],
                      {"network": {"default_bridge": {
                          "name": "br-old", "ip4": "10.88.0.1/16", "fcidr4": "10.88.7.0/24",
                          "gwip4": "10.88.0.9"}}})
    gateway.wait_ready(broker)
    place = inside(world, peer, peer.create(sleeper, config=POLICY_NO))
    assert "inet 10.88.0.1/16" in host.run("ip", "address", "show", "br-old")
    assert "inet 10.88.7.1/16" in place.run("ip", "address", "show", "eth0")
    assert "default via 10.88.0.9" in place.run("ip", "route")


def test_bridge_that_is_switched_off_is_said_at_start(world, broker, peer, registry, sleeper):
    gateway = Gateway(world, broker, peer, [registry.host],
                      {"network": {"default_bridge": {"disable": True}}})
    gateway.wait_ready(broker)
    container = peer.create(sleeper, start=False, config=POLICY_NO)
    answer = peer.ask(f"Container:{container}", "start")
    assert answer.status == 400 and "network.default_bridge.disable" in answer.value["message"]
    assert "no networkMode BRIDGE on this machine" in gateway.command("status")[1]
    other = peer.create(sleeper, config={"networkMode": "HOST", **POLICY_NO})
    peer.wait_state(other, "RUNNING")


def test_host_network_is_the_gateways_own(world, gateway, peer, sleeper):
    container = peer.create(sleeper, config={"networkMode": "HOST", **POLICY_NO})
    place = inside(world, peer, container)
    assert "davit0" in place.run("ip", "link")
    assert network_of(gateway, container) is None


def test_connections_outlive_a_killed_davitd(world, broker, host, gateway, peer, sleeper):
    keep = peer.create(sleeper, config=POLICY_NO)
    drop = peer.create(sleeper, config=POLICY_NO)
    place = inside(world, peer, keep)
    before = network_of(gateway, keep)
    pid = peer.wait_state(drop, "RUNNING")["pid"]
    place.serve("0.0.0.0", 7000)
    gateway.daemon.kill()
    host.run("kill", "-9", pid)
    assert host.talk(before["ip_address"], 7000) is not None
    mark = peer.mark()
    gateway.start_daemon()
    gateway.wait_ready(broker, 2)
    peer.wait_state(drop, "EXITED", after=mark)
    assert network_of(gateway, keep) == before
    assert host.talk(before["ip_address"], 7000) is not None
    wait_for(lambda: [link for link in links() if link.startswith("davit0p")] ==
             [before["id"]], 5, "only the living one is connected")
    assert peer.ask(f"Container:{drop}", "start").status == 204
    fresh = network_of(gateway, drop)["ip_address"]
    assert fresh != before["ip_address"]


def test_nothing_leaks_over_many_lives(host, gateway, peer, sleeper):
    before = leftovers(host)
    for _ in range(5):
        some = [peer.create(sleeper, config=POLICY_NO) for _ in range(3)]
        for container in some:
            assert peer.ask(f"Container:{container}", "remove", True).status == 204
    wait_for(lambda: leftovers(host) == before, 5, "all is as before")


def test_nothing_stays_when_davitd_ends_without_containers(host, gateway, peer, sleeper):
    container = peer.create(sleeper, config=POLICY_NO)
    assert peer.ask(f"Container:{container}", "remove", True).status == 204
    gateway.daemon.stop()
    assert links() == ["lo"]
    assert host.run("nft", "list", "tables") == ""
