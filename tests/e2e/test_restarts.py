# SPDX-License-Identifier: Apache-2.0
"""Restart policies over a boot of the machine and over restarts of the daemon."""
import contextlib
import json
import os
import shutil
import signal

import pytest

from harness import images, world as worlds


def lose_power(gateway, world, pids):
    """All processes end at once and /run is empty, as after a boot."""
    for process in (gateway.daemon, gateway.monitor):
        process.kill()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    known = {process.pid for process in world.processes}

    def is_over():
        worlds.reap_zombies(known)
        return not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    worlds.wait_for(is_over, 10, "the containers are gone")
    worlds.unmount_below(gateway.run)
    shutil.rmtree(gateway.run)
    worlds.remove_cgroups(world.unique)
    gateway.run.mkdir()


@pytest.mark.deadline(120)
@pytest.mark.shows("K38", "manual-stop")
def test_after_a_boot_the_policy_decides(world, broker, gateway, peer, sleeper):
    created = {}
    for name, policy in (("no", "NO"), ("always", "ALWAYS"), ("unless", "UNLESS_STOPPED"),
                         ("failure", "ON_FAILURE"), ("always-stopped", "ALWAYS"),
                         ("unless-stopped", "UNLESS_STOPPED")):
        created[name] = peer.create(sleeper, name=name, config={"restartPolicy": {"type": policy}})
    for name in ("always-stopped", "unless-stopped"):
        assert peer.ask(f"Container:{created[name]}", "stop").status == 204
    pids = [peer.wait_shown(created[name], "RUNNING")["pid"]
            for name in ("no", "always", "unless", "failure")]
    lose_power(gateway, world, pids)
    gateway.start_monitor()
    gateway.start_daemon()
    gateway.wait_ready(broker, subscriptions=2, timeout_s=40)
    for name in ("always", "unless", "failure", "always-stopped"):
        assert peer.wait_shown(created[name], "RUNNING", 30)["pid"] not in pids, name
        assert gateway.why(name).get("restart_count", 0) == 0, "a boot uses no retry"
    assert peer.wait_shown(created["no"], "EXITED")["exitCode"] == 255
    assert peer.wait_shown(created["unless-stopped"], "STOPPED")
    assert gateway.why("unless-stopped")["rest"] == "STOPPED"


@pytest.mark.deadline(120)
@pytest.mark.shows("K37", "daemon-stop")
def test_all_are_stopped_for_a_shutdown_and_the_boot_starts_them(world, broker, gateway, peer,
                                                                 registry, sleeper):
    stubborn = registry.push(images.busybox(["sh", "-c", "trap '' TERM; sleep 100 & wait; wait"]),
                             "test/stubborn")
    broken = registry.push(images.busybox(["sh", "-c", "exit 3"]), "test/broken3")
    waits = peer.create(broken, name="waits", config={
        "restartPolicy": {"type": "ON_FAILURE", "retryTimeout": 100}})
    names = ("unless", "stubborn", "paused")
    created = {name: peer.create(stubborn if name == "stubborn" else sleeper, name=name)
               for name in names}
    by_hand = peer.create(sleeper, name="by-hand")
    assert peer.ask(f"Container:{created['paused']}", "pause").status == 204
    assert peer.ask(f"Container:{by_hand}", "stop").status == 204
    # Not in the moment in which it is up.
    worlds.wait_for(lambda: (why := gateway.why("waits")).get("restart_count", 0) >= 3 and
                    why.get("restart_in_ms", 0) > 500, 30, "it waits for a retry")
    code, text = gateway.command("stop", "--all", "-t", "1")
    assert (code, text) == (0, "3 stopped\n")
    for name in names:
        state = peer.wait_shown(created[name], "STOPPED")
        assert (state.get("exitCode", 0) == 137) == (name == "stubborn"), name
    assert gateway.command("stop", "--all") == (0, "0 stopped\n")
    lose_power(gateway, world, [])
    gateway.start_monitor()
    gateway.start_daemon()
    gateway.wait_ready(broker, subscriptions=2, timeout_s=40)
    for name in names:
        peer.wait_shown(created[name], "RUNNING", 30)
    assert peer.wait_shown(by_hand, "STOPPED")
    assert peer.ask(f"Container:{created['stubborn']}", "stopWithOptions",
                    {"signal": "SIGKILL"}).status == 204
    worlds.wait_for(lambda: gateway.why("waits").get("restart_count", 0) >= 1, 30, "a new retry")


@pytest.mark.deadline(120)
def test_retries_go_on_after_a_restart_of_the_daemon(broker, gateway, peer, registry):
    gateway.daemon.stop()
    gateway.config["davit"]["restart"] = {"first_wait": "500ms"}
    gateway.start_daemon()
    gateway.wait_ready(broker, subscriptions=2)
    broken = registry.push(images.busybox(["sh", "-c", "echo run; exit 5"]), "test/broken")
    container = peer.create(broken, name="broken", config={
        "restartPolicy": {"type": "ON_FAILURE", "maxRetryCount": 4}})
    for life in range(3):
        worlds.wait_for(lambda n=life: gateway.why("broken").get("restart_count", 0) > n and
                        "restart_in_ms" in gateway.why("broken"), 30, "it waits for a restart")
        waiting = gateway.why("broken")
        gateway.daemon.kill()
        gateway.start_daemon()
        gateway.wait_ready(broker, subscriptions=life + 3, timeout_s=40)
        after = gateway.why("broken")
        assert after["restart_count"] >= waiting["restart_count"]
    worlds.wait_for(lambda: gateway.why("broken").get("rest") == "RETRIES_USED", 40, "it gives up")
    runs = "run\n" * 5  # one start and four restarts
    assert gateway.wait_output(container, runs) == runs
    record = gateway.home / "containers" / container / "config.json"
    worlds.wait_for(lambda: json.loads(record.read_text())["restart_count"] == 4, 10, "a checkpoint")
