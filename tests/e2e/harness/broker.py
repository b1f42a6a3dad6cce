# SPDX-License-Identifier: Apache-2.0
"""A private mosquitto."""
import re
import socket

from .world import wait_for


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_listening(port):
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Broker:
    def __init__(self, world, port=None, max_inflight=20, lines=(), first=()):
        self._world = world
        self.port = port or free_port()
        self.log = world.directory / "mosquitto.log"
        self._config = world.directory / "mosquitto.conf"
        self._config.write_text("\n".join([
            *first, f"listener {self.port} 127.0.0.1", "allow_anonymous true", "persistence false",
            # 0: no bound, so that a burst is never thrown away by the broker.
            "max_queued_messages 0", f"max_inflight_messages {max_inflight}",
            f"log_dest file {self.log}", "log_type all", "user root", *lines, ""]))
        self._process = None
        self.start()

    @property
    def url(self):
        return f"tcp://127.0.0.1:{self.port}"

    def start(self):
        self._process = self._world.start("mosquitto", ["mosquitto", "-c", self._config])
        wait_for(lambda: is_listening(self.port) or not self._process.is_running, 10,
                 "mosquitto listens")
        assert self._process.is_running, self._process.text()

    def stop(self):
        self._process.stop()

    def kill(self):
        self._process.kill()

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def subscriptions(self, pattern):
        """How often a subscription that matches was acknowledged since the broker was made."""
        return len(re.findall(rf"\t{pattern} \(QoS", self.log_text()))
