# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of a test and what goes on in them: real packets, real sockets."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

from .world import wait_for

POLICY_NO = {"restartPolicy": {"type": "NO"}}
OUTSIDE6 = ("2001:db8:ffff::1", "2001:db8:ffff::2")  # the gateway, the machine beside it

# One line comes, "peer-address line" goes back.
TCP_SERVER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
print("ready", flush=True)
while True:
    link, peer = server.accept()
    link.sendall(peer[0].encode() + b" " + link.recv(1000))
    link.close()
"""
UDP_SERVER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.socket(family, socket.SOCK_DGRAM)
server.bind((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    data, peer = server.recvfrom(1000)
    server.sendto(peer[0].encode() + b" " + data, peer)
"""
TCP_CLIENT = """
import socket, sys
link = socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[4]))
link.sendall(sys.argv[3].encode())
print(link.recv(1000).decode(), end="")
"""
UDP_CLIENT = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
link = socket.socket(family, socket.SOCK_DGRAM)
link.settimeout(float(sys.argv[4]))
link.connect((sys.argv[1], int(sys.argv[2])))
link.send(sys.argv[3].encode())
print(link.recv(1000).decode(), end="")
"""


class Place:
    """Where packets come from: the network namespace of a process, or the test's own."""

    def __init__(self, world, pid=None):
        self._world = world
        self.pid = pid
        self._prefix = ["nsenter", "--net", "--target", str(pid)] if pid else []

    def run(self, *arguments, check=True):
        result = subprocess.run([*self._prefix, *map(str, arguments)], capture_output=True,
                                text=True, timeout=30)
        assert not check or result.returncode == 0, f"{arguments}: {result.stderr}"
        return result.stdout

    def serve(self, address, port, udp=False):
        """A server that says who asks."""
        name = f"server-{self.pid or 'host'}-{port}-{'udp' if udp else 'tcp'}" \
            f"{'6' if ':' in address else ''}"
        server = self._world.start(name, [*self._prefix, sys.executable, "-c",
                                          UDP_SERVER if udp else TCP_SERVER, address, port])
        wait_for(lambda: "ready" in server.text(), 10, f"{name} listens")
        return server

    def talk(self, address, port, text="hello", udp=False, timeout_s=3):
        """What the server answered, or None."""
        result = subprocess.run(
            [*self._prefix, sys.executable, "-c", UDP_CLIENT if udp else TCP_CLIENT, address,
             str(port), text, str(timeout_s)], capture_output=True, text=True, timeout=30)
        return result.stdout if result.returncode == 0 else None


def outside(world, address="203.0.113.2", gateway="203.0.113.1"):
    """A machine beside the gateway; it sends what it does not know to the gateway."""
    process = world.start("outside", ["unshare", "--net", "sleep", "1000"])
    own = os.stat("/proc/self/ns/net").st_ino
    namespace = pathlib.Path(f"/proc/{process.pid}/ns/net")
    wait_for(lambda: namespace.stat().st_ino != own, 10, "a namespace of its own")
    host, place = Place(world), Place(world, process.pid)
    host.run("ip", "link", "add", "out0", "type", "veth", "peer", "name", "eth0", "netns",
             process.pid)
    host.run("ip", "address", "add", f"{gateway}/24", "dev", "out0")
    host.run("ip", "link", "set", "out0", "up")
    for arguments in (["address", "add", f"{address}/24", "dev", "eth0"],
                      ["link", "set", "lo", "up"], ["link", "set", "eth0", "up"],
                      ["route", "add", "default", "via", gateway]):
        place.run("ip", *arguments)
    world.defer(lambda: host.run("ip", "link", "delete", "out0"))
    return place


def outside6(world):
    """The same by IPv6 too."""
    place, host = outside(world), Place(world)
    gateway, address = OUTSIDE6
    host.run("ip", "address", "add", f"{gateway}/64", "dev", "out0", "nodad")
    place.run("ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad")
    place.run("ip", "route", "add", "default", "via", gateway)
    return place


def need_ip6():
    """Missing in continuous integration is a failure: nothing would be tested there."""
    if pathlib.Path("/proc/sys/net/ipv6/conf/all").is_dir():
        return
    assert os.environ.get("CI") != "true", "this test needs a kernel with IPv6"
    pytest.skip("this test needs a kernel with IPv6")


def inside(world, peer, container):
    return Place(world, peer.wait_state(container, "RUNNING")["pid"])


def record(gateway, container):
    code, text = gateway.command("inspect", container)
    assert code == 0, text
    return json.loads(text)


def network_of(gateway, container):
    settings = record(gateway, container)["network_settings"]
    return settings and settings["networks"]["bridge"]


def mapping(host_port, container_port=80, end=None, **more):
    ports = {"hostPort": host_port, "containerPort": container_port, **more}
    return {**ports, "hostPortEnd": end} if end else ports


def published(peer, image, *ports, name=None, **config):
    return peer.create(image, name=name,
                       config={"portMappings": list(ports), **POLICY_NO, **config})


def ask_create(peer, image, *ports, start, name):
    return peer.ask("ContainerFactory", "createWithConfig", {
        "imageRef": image, "name": name, "start": start,
        "config": {"portMappings": list(ports), **POLICY_NO}}, 60)


def elements_of(host, family):
    """Elements of all sets and maps of davit's table."""
    rules = json.loads(host.run("nft", "-j", "list", "table", family, "davit"))["nftables"]
    return [element for item in rules for kind in ("set", "map") if kind in item
            for element in item[kind].get("elem", [])]
