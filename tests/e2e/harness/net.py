# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of a test and what goes on in them: real packets, real sockets."""
import os
import pathlib
import subprocess
import sys

from .world import wait_for

# One line comes, "peer-address line" goes back.
TCP_SERVER = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    link, peer = server.accept()
    link.sendall(peer[0].encode() + b" " + link.recv(1000))
    link.close()
"""
UDP_SERVER = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
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
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
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
        name = f"server-{self.pid or 'host'}-{port}-{'udp' if udp else 'tcp'}"
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
