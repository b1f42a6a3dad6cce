# SPDX-License-Identifier: Apache-2.0
"""davit-monitor becomes another program on SIGHUP, under load: nothing is lost, nobody notices."""
import os
import shutil
import signal

import pytest

from harness import images
from harness import world as worlds
from harness.gateway import Gateway, programs
from harness.terminal import Terminal

POLICY_NO = {"restartPolicy": {"type": "NO"}}
UPGRADES = 20
# As fast as it can, until it is told to stop; half a line at a time.
WRITER = ("trap 'stop=1' TERM; n=0; until test \"$stop\"; "
          "do printf 'line '; echo $n; n=$((n+1)); done; echo end; exit 5")
COUNTING = "trap 'echo hung up; exit 1' HUP; n=0; while :; do n=$((n+1)); echo $n; sleep 0.02; done"


class Upgrades:
    """A davit-monitor that runs from a folder of the test's own, where it can be replaced."""

    def __init__(self, gateway, folder):
        self._gateway = gateway
        self.program = folder / "davit-monitor"
        self.count = 0

    def _says(self, text):
        return self._gateway.monitor.text().count(text)

    def install(self, text, mode=0o755):
        aside = self.program.with_suffix(".new")
        aside.write_bytes(text)
        aside.chmod(mode)
        aside.rename(self.program)

    def upgrade(self):
        self.count += 1
        self._gateway.monitor.signal(signal.SIGHUP)
        worlds.wait_for(lambda: self._says("took over from") >= self.count, 20,
                        "davit-monitor is upgraded")

    def refused(self, why):
        before = self._says("upgrade refused")
        self._gateway.monitor.signal(signal.SIGHUP)
        worlds.wait_for(lambda: self._says("upgrade refused") > before, 20, "the upgrade is refused")
        assert why in self._gateway.monitor.text()


@pytest.fixture
def folder(world):
    copy = world.directory / "bin"
    shutil.copytree(programs(), copy)
    return copy


@pytest.fixture
def gateway(world, broker, peer, registry, folder):
    gateway = Gateway(world, broker, peer, [registry.host], folder=folder)
    gateway.wait_ready(broker)
    return gateway


@pytest.fixture
def upgrades(gateway, folder):
    return Upgrades(gateway, folder)


def busybox(registry, script, name):
    return registry.push(images.busybox(["sh", "-c", script]), name)


def assert_lines(gateway, container):
    *lines, last = gateway.output(container).splitlines()
    assert last == "end"
    wrong = [(n, line) for n, line in enumerate(lines) if line != f"line {n}"]
    assert not wrong, wrong[:3]
    return len(lines)


@pytest.mark.deadline(180)
def test_under_load_no_line_and_no_exit_is_lost(gateway, peer, registry, upgrades):
    writer = busybox(registry, WRITER, "test/writer")
    counting = busybox(registry, COUNTING, "test/counting")
    brief = busybox(registry, "sleep 0.$(($$ % 3)); exit 9", "test/brief")
    writers = [peer.create(writer, config={
        **POLICY_NO, "log": {"maxFiles": 50, "maxSize": "20M"}}) for _ in range(2)]
    terminal = peer.create(counting, config={**POLICY_NO, "tty": True})
    pids = [peer.wait_state(c, "RUNNING")["pid"] for c in [*writers, terminal]]
    monitor, daemon = gateway.monitor.pid, gateway.daemon.text()
    commands = []
    for _ in range(UPGRADES):
        commands.append(peer.create(brief, config=POLICY_NO))
        upgrades.upgrade()
    for container in commands:
        assert peer.wait_shown(container, "EXITED", 40)["exitCode"] == 9
    for container in writers:
        assert peer.ask(f"Container:{container}", "stop").status == 204
        assert peer.wait_shown(container, "STOPPED")["exitCode"] == 5
        gateway.wait_output(container, "end\n")
        assert assert_lines(gateway, container) > 100
    assert peer.wait_shown(terminal, "RUNNING")["pid"] == pids[2], "nobody hung it up"
    lines = gateway.output(terminal).split()
    assert len(lines) > UPGRADES and lines == [str(n) for n in range(1, len(lines) + 1)]
    assert gateway.monitor.is_running and gateway.monitor.pid == monitor
    assert "cannot be reached" not in gateway.daemon.text()[len(daemon):]
    assert peer.ask(f"Container:{terminal}", "stopWithOptions", {"signal": "KILL"}).status == 204


def test_a_program_that_does_not_take_over_changes_nothing(gateway, peer, registry, upgrades, folder):
    container = peer.create(busybox(registry, COUNTING, "test/counting"), config=POLICY_NO)
    good = upgrades.program.read_bytes()
    upgrades.install(b"#!/bin/sh\necho state of version 1 is too old for me >&2\nexit 1\n")
    upgrades.refused("state of version 1 is too old for me")
    upgrades.install(b"no program at all")
    upgrades.refused("Exec format error")
    upgrades.program.unlink()
    upgrades.refused("No such file")
    count = len(gateway.output(container).split())
    worlds.wait_for(lambda: len(gateway.output(container).split()) > count + 5, 20, "output goes on")
    upgrades.install(good)
    upgrades.upgrade()
    lines = gateway.output(container).split()
    assert lines == [str(n) for n in range(1, len(lines) + 1)]
    code, status = gateway.command("status")
    line = next(line for line in status.splitlines() if line.startswith("monitor"))
    assert code == 0 and line.split()[1][0].isdigit() and line.endswith(", connected")
    assert peer.ask(f"Container:{container}", "stopWithOptions", {"signal": "KILL"}).status == 204


def test_who_is_attached_types_on(world, gateway, peer, registry, upgrades):
    image = busybox(registry, "while read x; do echo got $x; done", "test/echo")
    container = peer.create(image, name="echo", config={**POLICY_NO, "tty": True, "openStdin": True})
    peer.wait_state(container, "RUNNING")
    attached = Terminal([*gateway.command_line().split(), "attach", "echo"])
    session = Terminal([*gateway.command_line().split(), "exec", "-it", "echo", "sh"])
    for opened in (attached, session):
        world.defer(opened.close)
        opened.wait_raw()
    for text in ("one", "two", "three"):
        attached.type(f"{text}\r")
        attached.wait(f"got {text}")
        session.type(f"echo $((40+2)) {text}\r")
        session.wait(f"42 {text}")
        upgrades.upgrade()
    session.type("exit 6\r")
    assert session.wait_end() == 6
    os.kill(peer.status(container)["state"]["pid"], signal.SIGKILL)
    assert attached.wait_end() == 137
