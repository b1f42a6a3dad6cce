# SPDX-License-Identifier: Apache-2.0
"""davitd, davit-monitor, the OCI runtime and davit-unpack killed or stopped at every named point.

A container lives a whole life meanwhile, by commands that are repeated until they are answered.
Afterwards the twin is true, nothing is left, and nothing happened twice."""
import json
import shutil
import subprocess

import pytest

from harness import faults, images, world as worlds
from harness.gateway import Gateway

_, CHOSEN = faults.sample(faults.SAMPLE)
POLICY_NO = {"restartPolicy": {"type": "NO"}}
CELLS = [pytest.param(point, how, id=f"{point}-{how}",
                      marks=() if (point, how) in CHOSEN else (pytest.mark.full,))
         for point, how in faults.matrix()]


class Life:
    """Commands to one gateway that may lose its programs at any moment."""

    def __init__(self, gateway, peer):
        self.gateway = gateway
        self.peer = peer
        self._number = 0

    def ask(self, feature, operation, value=None):
        """The same message again and again until it is answered: what a cloud does."""
        self._number += 1
        for _ in range(12):
            name = f"life-{self._number}"
            command = self.peer.send(feature, operation, value, rid=name, correlation_id=name)
            try:
                return self.peer.answer_of(command, 4)
            except AssertionError:
                pass
        raise AssertionError(f"{operation} of {feature} is not answered")

    def bring(self, container, operation, state, value=None):
        """A command that failed for want of a program is given again by whoever wants the state."""
        for _ in range(8):
            answer = self.ask(f"Container:{container}", operation, value)
            try:
                return self.peer.wait_shown(container, state, 5)
            except AssertionError:
                assert answer.status >= 500, answer.value
        raise AssertionError(f"{operation}: {container} does not become {state}: {answer.value}")

    def create(self, image):
        for _ in range(8):
            answer = self.ask("ContainerFactory", "createWithConfig",
                              {"imageRef": image, "start": True, "config": POLICY_NO})
            if answer.status == 200:
                return answer.value
            assert answer.status >= 500, answer.value
        raise AssertionError(f"create fails: {answer.value}")

    def remove(self, container):
        for _ in range(8):
            answer = self.ask(f"Container:{container}", "remove", True)
            if f"Container:{container}" not in self.peer.twin:
                return
            try:
                return self.peer.wait_gone(container, 5)
            except AssertionError:
                assert answer.status >= 404, answer.value
        raise AssertionError(f"remove: {answer.value}")


def start(world, broker, peer, registry, point, how):
    folder = faults.build_with_points()
    settings = dict(faults.SETTINGS)
    done = None
    if point.startswith("runtime-"):
        script, done = faults.wrapper(world, "runtime", shutil.which("runc"), point, how)
        settings["runtime"] = str(script)
    elif point.startswith("unpack-"):
        script, done = faults.wrapper(world, "unpack", folder / "davit-unpack", point, how)
        settings["unpack_program"] = str(script)
    gateway = Gateway(world, broker, peer, [registry.host], start=False, folder=folder)
    gateway.config["davit"].update(settings)
    fault = f"{point}:{how}"
    gateway.start_monitor()
    gateway.start_daemon(fault if point.startswith("davitd-") else None)
    gateway.wait_ready(broker)
    # From now on: davitd has tried out the runtime before.
    (world.directory / "fault-armed").mkdir()
    if point.startswith("davit-monitor-"):
        gateway.monitor.stop()
        gateway.start_monitor(fault)
    return gateway, done


def running(gateway):
    """Containers that the runtime itself knows as running."""
    listed = subprocess.run(["runc", "--root", str(gateway.run / "runtime"), "list", "-f", "json"],
                            capture_output=True, text=True, check=False)
    return [one["id"] for one in json.loads(listed.stdout or "[]") or []
            if one["status"] == "running"]


@pytest.mark.deadline(240)
@pytest.mark.parametrize("point, how", CELLS)
@pytest.mark.shows("acknowledged", "repeats", "deadlines")
def test_a_life_goes_on(world, broker, peer, registry, point, how):
    lives = registry.push(images.busybox(
        ["sh", "-c", "trap 'exit 9' TERM; echo begins; while :; do sleep 0.05; done"]), "test/lives")
    ends = registry.push(images.busybox(["sh", "-c", "echo begins; sleep 0.2; exit 7"]),
                         "test/ends")
    gateway, done = start(world, broker, peer, registry, point, how)
    nurse = faults.Nurse(world, gateway)
    life = Life(gateway, peer)

    first = life.create(lives)
    if life.peer.status(first)["state"]["status"] != "RUNNING":
        life.bring(first, "start", "RUNNING")
    assert running(gateway) == [first]
    second = life.create(ends)
    if life.peer.status(second)["state"]["status"] in ("CREATED", "STOPPED"):
        life.bring(second, "start", "EXITED")
    shown = peer.wait_shown(second, "EXITED", 30)
    # Only davit-monitor can lose a code, when it dies with the container's end in its hands.
    assert shown["exitCode"] == 7 or (point.startswith("davit-monitor") and how == "kill" and
                                      "exit code unknown" in shown["error"]), shown
    shown = life.bring(first, "stop", "STOPPED")
    assert shown["exitCode"] in (9, 137) or "unknown" in shown.get("error", ""), shown
    life.bring(first, "start", "RUNNING")
    assert running(gateway) == [first]
    containers = [f for f in peer.twin if f.startswith("Container:")]
    assert sorted(containers) == sorted([f"Container:{first}", f"Container:{second}"])
    for container in (first, second):
        life.remove(container)
    assert not running(gateway)
    worlds.wait_for(lambda: not list((gateway.run / "containers").iterdir()) and
                    not list((gateway.home / "containers").iterdir()), 20, "nothing is left")
    was_reached = done.exists() if done else nurse.deaths + nurse.stops > 0
    assert was_reached, f"{point} was not reached"
