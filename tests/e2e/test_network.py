# SPDX-License-Identifier: Apache-2.0
"""Containers in a network of their own: seen from inside, from the gateway and from outside."""
import json
import pathlib
import socket

import pytest

from harness import net
from harness.gateway import Gateway
from harness.net import (POLICY_NO, ask_create, elements_of, inside, mapping, network_of,
                         published)
from harness.world import links, wait_for


@pytest.fixture
def host(world):
    return net.Place(world)


def leftovers(host):
    """What a connection makes, as counts."""
    rules = json.loads(host.run("nft", "-j", "list", "table", "ip", "davit"))["nftables"]
    addresses = json.loads(host.run("ip", "-j", "address"))
    return (len(links()), len(rules), len(elements_of(host, "ip")),
            sum(len(a["addr_info"]) for a in addresses))


@pytest.mark.shows("bridge-name")
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


@pytest.mark.shows("K40")
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


@pytest.mark.parametrize("udp", [False, True])
def test_mapped_port_is_reached_from_everywhere(world, host, gateway, peer, sleeper, udp):
    outside = net.outside(world)
    proto = {"proto": "udp" if udp else "tcp"}
    container = published(peer, sleeper, mapping(8080, **proto))
    place, other = inside(world, peer, container), inside(
        world, peer, peer.create(sleeper, config=POLICY_NO))
    own = network_of(gateway, container)["ip_address"]
    place.serve("0.0.0.0", 80, udp)
    # Who asks from elsewhere is seen as he is.
    assert outside.talk("203.0.113.1", 8080, udp=udp) == "203.0.113.2 hello"
    for address in ("127.0.0.1", "203.0.113.1", "172.17.0.1"):
        assert host.talk(address, 8080, udp=udp), address
    for address in ("203.0.113.1", "172.17.0.1"):
        assert other.talk(address, 8080, udp=udp), address
        assert place.talk(address, 8080, udp=udp), address
    assert outside.talk(own, 80, udp=udp, timeout_s=1) is None
    assert f"8080->80/{proto['proto']}" in gateway.command("ps")[1]
    assert peer.ask(f"Container:{container}", "stop").status == 204
    assert outside.talk("203.0.113.1", 8080, udp=udp, timeout_s=1) is None


def test_mapping_of_one_address_is_for_that_address(world, host, gateway, peer, sleeper):
    outside = net.outside(world)
    local = published(peer, sleeper, mapping(8080, hostIP="127.0.0.1"))
    wide = published(peer, sleeper, mapping(8080, hostIP="203.0.113.1"))
    for container, port in ((local, "local"), (wide, "wide")):
        inside(world, peer, container).serve("0.0.0.0", 80)
    assert host.talk("127.0.0.1", 8080) == "172.17.0.1 hello"
    assert outside.talk("203.0.113.1", 8080) == "203.0.113.2 hello"
    assert outside.talk("127.0.0.1", 8080, timeout_s=1) is None
    answer = peer.ask("ContainerFactory", "createWithConfig", {
        "imageRef": sleeper, "start": False,
        "config": {"portMappings": [mapping(8081, hostIP="198.51.100.1")], **POLICY_NO}}, 60)
    refused = peer.ask(f"Container:{answer.value}", "start")
    assert "this machine does not have that address" in refused.value["message"]


@pytest.mark.shows("K40", "ports")
def test_free_port_is_chosen_and_shown(world, host, gateway, peer, sleeper):
    host.serve("0.0.0.0", 8080)
    one = published(peer, sleeper, mapping(8080, end=8083), mapping(0, 81))
    two = published(peer, sleeper, mapping(8080, end=8083))
    inside(world, peer, two)

    def shown(container):
        return [port["hostPort"] for port in
                peer.status(container)["config"]["portMappings"]]
    first, other = wait_for(lambda: len(shown(one)) == 2 and shown(one)[0] == 8081 and shown(one),
                            5, "the twin shows the chosen ports")
    assert first == 8081 and other >= 1024
    wait_for(lambda: shown(two) == [8082], 5, "the next one")
    inside(world, peer, one).serve("0.0.0.0", 81)
    assert host.talk("127.0.0.1", other) == "172.17.0.1 hello"
    # Others rely on it: the next start takes it again.
    for operation in ("stop", "start"):
        assert peer.ask(f"Container:{one}", operation).status == 204
    assert shown(one) == [8081, other]


@pytest.mark.shows("ports")
def test_taken_port_is_an_error_that_names_who(host, gateway, peer, sleeper):
    server = host.serve("0.0.0.0", 8080)
    container = peer.create(sleeper, start=False, name="web",
                            config={"portMappings": [mapping(8080)], **POLICY_NO})
    answer = peer.ask(f"Container:{container}", "start")
    assert answer.status == 500
    assert "start 'web': network: port 8080/tcp on 0.0.0.0 is taken by a program" \
        in answer.value["message"]
    server.stop()
    assert peer.ask(f"Container:{container}", "start").status == 204
    other = peer.create(sleeper, start=False, config={
        "portMappings": [mapping(8080, hostIP="127.0.0.1")], **POLICY_NO})
    answer = peer.ask(f"Container:{other}", "start")
    assert "port 8080/tcp on 127.0.0.1 is taken by container 'web'" in answer.value["message"]
    # It is held: a program is told.
    with pytest.raises(OSError):
        socket.create_server(("0.0.0.0", 8080))
    assert peer.ask(f"Container:{container}", "stop").status == 204
    socket.create_server(("0.0.0.0", 8080)).close()


def test_taken_port_is_an_error_at_create_before_anything_is_pulled(world, host, gateway, peer,
                                                                    registry, sleeper):
    one = published(peer, sleeper, mapping(8080), name="web")
    absent = f"{registry.host}/no/such:1"
    answer = ask_create(peer, absent, mapping(8080), start=True, name="other")
    assert answer.status == 500
    assert f"create 'other' from {absent}: port 8080/tcp on 0.0.0.0 is taken by container 'web'" \
        in answer.value["message"]
    host.serve("0.0.0.0", 8081)
    answer = ask_create(peer, absent, mapping(8081), start=True, name="other")
    assert "is taken by a program of this machine" in answer.value["message"]
    assert "other" not in gateway.command("ps", "-a")[1]
    # One that starts later may wait for the port, and take the place of who has it.
    answer = ask_create(peer, sleeper, mapping(8080), start=False, name="other")
    assert answer.status == 200, answer.value
    assert "container 'other': a start would fail now: port 8080/tcp" in gateway.daemon.text()
    refused = peer.ask(f"Container:{answer.value}", "start")
    assert "is taken by container 'web'" in refused.value["message"]
    assert peer.ask(f"Container:{one}", "stop").status == 204
    assert peer.ask(f"Container:{answer.value}", "start").status == 204
    inside(world, peer, answer.value).serve("0.0.0.0", 80)
    assert host.talk("127.0.0.1", 8080) == "172.17.0.1 hello"


def test_port_that_a_container_maps_twice_is_refused(gateway, peer, sleeper):
    answer = ask_create(peer, sleeper, mapping(8080), mapping(8080, 81, hostIP="127.0.0.1"),
                        start=False, name="web")
    assert answer.status == 400
    assert "config.portMappings[1].hostPort: 8080/tcp on 127.0.0.1 is mapped by " \
        "config.portMappings[0] already" in answer.value["message"]


def test_mapping_outlives_a_killed_davitd(world, broker, host, gateway, peer, sleeper):
    container = published(peer, sleeper, mapping(8080))
    inside(world, peer, container).serve("0.0.0.0", 80)
    gateway.daemon.kill()
    assert host.talk("127.0.0.1", 8080) == "172.17.0.1 hello"
    gateway.start_daemon()
    gateway.wait_ready(broker, 2)
    assert host.talk("127.0.0.1", 8080) == "172.17.0.1 hello"
    with pytest.raises(OSError):
        socket.create_server(("0.0.0.0", 8080))
    assert peer.ask(f"Container:{container}", "stop").status == 204
    assert host.talk("127.0.0.1", 8080, timeout_s=1) is None


def test_flushed_rules_are_put_anew(world, host, gateway, peer, sleeper):
    one = published(peer, sleeper, mapping(8080))
    inside(world, peer, one).serve("0.0.0.0", 80)
    host.run("nft", "flush", "ruleset")
    assert host.talk("127.0.0.1", 8080, timeout_s=1) is None
    assert "bridge davit0" in gateway.command("status")[1]
    assert host.talk("127.0.0.1", 8080) == "172.17.0.1 hello"
    host.run("nft", "flush", "ruleset")
    two = published(peer, sleeper, mapping(8081))
    inside(world, peer, two).serve("0.0.0.0", 80)
    assert host.talk("127.0.0.1", 8080) and host.talk("127.0.0.1", 8081)
    host.run("nft", "flush", "ruleset")
    assert peer.ask(f"Container:{one}", "stop").status == 204
    assert host.talk("127.0.0.1", 8080, timeout_s=1) is None
    assert host.talk("127.0.0.1", 8081)


def test_a_firewall_that_drops_what_containers_send_is_named(world, host, broker, peer, registry):
    host.run("nft", "add table ip filter; add chain ip filter FORWARD "
                    "{ type filter hook forward priority 0; policy drop; }")
    gateway = Gateway(world, broker, peer, [registry.host])
    gateway.wait_ready(broker)
    assert "chain 'FORWARD' of table 'ip filter' drops forwarded packets" in gateway.daemon.text()
    host.run("nft", "delete table ip filter")


def test_udp_flow_that_was_there_before_is_led_into_the_container(world, gateway, peer, sleeper):
    flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    flow.settimeout(0.2)
    flow.bind(("172.17.0.1", 0))

    def answers():
        try:
            flow.sendto(b"hello", ("172.17.0.1", 8080))
            return flow.recvfrom(100)[0] == b"172.17.0.1 hello"
        except OSError:
            return False
    assert not answers()
    container = published(peer, sleeper, mapping(8080, proto="udp"))
    inside(world, peer, container).serve("0.0.0.0", 80, udp=True)
    wait_for(answers, 5, "the flow is led into the container")
    assert peer.ask(f"Container:{container}", "stop").status == 204
    assert not answers()


def etc(world, peer, container, file):
    pid = peer.wait_state(container, "RUNNING")["pid"]
    return pathlib.Path(f"/proc/{pid}/root/etc/{file}").read_text()


@pytest.mark.shows("K40", "D29", "bridge-name", "domain-name")
def test_files_of_a_container(world, host, gateway, peer, sleeper):
    host.run("ip", "link", "add", "lan0", "type", "bridge")
    host.run("ip", "address", "add", "192.0.2.7/24", "dev", "lan0")
    container = peer.create(sleeper, config={
        "hostName": "web", "domainName": "example.org", **POLICY_NO,
        "extraHosts": ["gw:host_ip", "lan:host_ip_lan0", "old:host_ip_kanto-cm0", "no:host_ip_no",
                       "fixed:198.51.100.9", "later:container_db"]})
    hosts = etc(world, peer, container, "hosts").split("\n")
    own = network_of(gateway, container)["ip_address"]
    assert hosts[0] == "127.0.0.1\tlocalhost"
    assert hosts[6:] == ["172.17.0.1\tgw", "192.0.2.7\tlan", "172.17.0.1\told",
                         "198.51.100.9\tfixed", f"{own}\tweb.example.org web", ""]
    assert etc(world, peer, container, "hostname") == "web\n"
    resolv = etc(world, peer, container, "resolv.conf")
    assert "nameserver" in resolv and "nameserver 127." not in resolv
    host.run("ip", "link", "delete", "lan0")
    # The other container comes, comes again, and goes.
    other = peer.create(sleeper, config={"hostName": "db", **POLICY_NO})
    for _ in range(2):
        peer.wait_state(other, "RUNNING")
        line = f"{network_of(gateway, other)['ip_address']}\tlater"
        wait_for(lambda: line in etc(world, peer, container, "hosts"), 5, "it is in the file")
        assert peer.ask(f"Container:{other}", "stop").status == 204
        wait_for(lambda: "later" not in etc(world, peer, container, "hosts"), 5, "it is gone")
        assert peer.ask(f"Container:{other}", "start").status == 204


@pytest.mark.shows("K40")
def test_malformed_extra_host_is_refused(gateway, peer, sleeper):
    answer = peer.ask("ContainerFactory", "createWithConfig", {
        "imageRef": sleeper, "start": False, "config": {"extraHosts": ["gw"]}}, 60)
    assert answer.status == 400 and "config.extraHosts[0]" in answer.value["message"]
