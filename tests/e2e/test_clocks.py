# SPDX-License-Identifier: Apache-2.0
"""The machine's clock is set by years, in either direction, while containers live. Only on the
machine that scripts/lib/unified_machine.py boots: the clock of the host is never touched."""
import os
import pathlib
import re
import time

import pytest

from harness import images, world as worlds
from harness.gateway import Gateway

pytestmark = pytest.mark.machine
YEAR_S = 365 * 86400


@pytest.fixture
def jump():
    """Sets the clock of this machine by so many years; afterwards it is right again."""
    command_line = pathlib.Path("/proc/cmdline").read_text().split()
    assert os.environ.get("DAVIT_E2E_MACHINE") == "1" and "init=/init" in command_line, \
        "this is not the machine of scripts/lib/unified_machine.py"
    ahead_s = time.time() - time.monotonic()

    def by(years):
        time.clock_settime(time.CLOCK_REALTIME, ahead_s + time.monotonic() + years * YEAR_S)
    yield by
    by(0)


def uptimes(gateway, container):
    """When each run has begun, in seconds since the boot."""
    return [float(stamp) for stamp in re.findall(r"run (\S+)", gateway.output(container))]


def year(stamp):
    return int(stamp[:4])


@pytest.mark.deadline(180)
@pytest.mark.parametrize("years", [5, -30])
def test_back_off_goes_on(world, broker, peer, registry, jump, years):
    first_s = 4 * worlds.SLOW
    gateway = Gateway(world, broker, peer, [registry.host],
                      {"davit": {"restart": {"first_wait": f"{int(first_s)}s"}}})
    gateway.wait_ready(broker)
    script = "read up rest < /proc/uptime; echo run $up; exit 1"
    broken = registry.push(images.busybox(["sh", "-c", script]), "test/broken")
    container = peer.create(broken, name="broken", config={"restartPolicy": {"type": "ALWAYS"}})
    worlds.wait_for(lambda: "restart_in_ms" in gateway.why("broken"), 30, "it waits for a restart")
    jump(years)
    left_ms = gateway.why("broken").get("restart_in_ms", 0)
    assert left_ms <= first_s * 1000
    worlds.wait_for(lambda: len(uptimes(gateway, container)) > 1, 30, "it runs again")
    first, second = uptimes(gateway, container)[:2]
    # Shortened by a fifth at most; what starts and ends take comes on top.
    assert second - first >= first_s * 0.8
    worlds.wait_for(lambda: year(peer.wait_shown(container, "EXITED")["finishedAt"]) ==
                    time.gmtime().tm_year, 30, "the second end is stamped by the clock of then")


@pytest.mark.deadline(120)
@pytest.mark.parametrize("years", [5, -30])
def test_a_running_container_is_stopped_after_a_jump(gateway, peer, sleeper, jump, years):
    container = peer.create(sleeper, name="box")
    started = peer.wait_shown(container, "RUNNING")
    jump(years)
    _, text = gateway.command("ps")
    row = next(line for line in text.splitlines() if " box " in line)
    assert re.search(r"RUNNING +\d+ (s|min) ", row), f"it runs for seconds: {row}"
    assert re.search(r"started \S+ (s|min) ago", gateway.command("why", "box")[1])
    assert peer.ask(f"Container:{container}", "stop").status == 204
    state = peer.wait_shown(container, "STOPPED")
    assert state.get("exitCode", 0) == 0
    assert year(state["startedAt"]) == year(started["startedAt"])
    assert year(state["finishedAt"]) - year(started["startedAt"]) in (years, years - 1, years + 1)
    shown = [value["status"] for _, feature, path, value in peer.history
             if feature == f"Container:{container}" and path == "properties/status/state"]
    assert [status for status in shown if status in ("RUNNING", "STOPPED")] == \
        ["RUNNING", "STOPPED"]


@pytest.mark.deadline(180)
def test_a_restart_of_the_daemon_after_a_jump_knows_what_was_done(broker, gateway, peer, sleeper,
                                                                  jump):
    container = peer.create(sleeper, name="box")
    pid = peer.wait_shown(container, "RUNNING")["pid"]
    for number, years in enumerate((-30, 5), 2):
        gateway.daemon.kill()
        jump(years)
        gateway.start_daemon()
        gateway.wait_ready(broker, subscriptions=number, timeout_s=40)
        worlds.wait_for(lambda: gateway.why("box").get("status") == "RUNNING", 20, "it runs on")
        assert gateway.why("box")["pid"] == pid
        assert gateway.why("box")["for_ms"] < 3600 * 1000


@pytest.mark.deadline(180)
def test_no_image_expires_by_a_jump(gateway, peer, hello, registry, jump):
    def run_and_remove(reference, name):
        container = peer.create(reference, name=name, config={"restartPolicy": {"type": "NO"}})
        peer.wait_shown(container, "EXITED")
        assert peer.ask(f"Container:{container}", "remove", True).status == 204

    run_and_remove(hello, "first")
    watched = gateway.home / "images" / "watched"
    worlds.wait_for(watched.exists, 60, "davitd has looked at its images")
    jump(5)
    other = registry.push(images.busybox(["true"]), "test/other")
    run_and_remove(other, "second")
    worlds.wait_for(lambda: "ages of images go on" in gateway.daemon.text(), 60,
                    "davitd has looked again")
    assert "test/hello" in gateway.command("images")[1]
    assert "expired, removed" not in gateway.daemon.text()


@pytest.mark.deadline(180)
def test_a_machine_that_begins_in_1970(world, broker, peer, registry, sleeper, jump):
    epoch = -(time.gmtime().tm_year - 1970) + 1
    jump(epoch)
    gateway = Gateway(world, broker, peer, [registry.host])
    gateway.wait_ready(broker)
    container = peer.create(sleeper, name="box")
    assert year(peer.wait_shown(container, "RUNNING")["startedAt"]) < 1975
    jump(0)
    assert peer.ask(f"Container:{container}", "stop").status == 204
    assert year(peer.wait_shown(container, "STOPPED")["finishedAt"]) == time.gmtime().tm_year
    ended = next(line for line in gateway.command("why", "box")[1].splitlines()
                 if "last end" in line)
    assert re.search(r"after \S+ (s|min)", ended), ended
    assert not (gateway.home / "images" / "watched").exists() or \
        int((gateway.home / "images" / "watched").read_text()) > 1600000000 * 10**9
