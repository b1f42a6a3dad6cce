# SPDX-License-Identifier: Apache-2.0
"""The davit command, over the local bridge."""
import json

import pytest

from harness import images, world as worlds

POLICY_NO = {"restartPolicy": {"type": "NO"}}


def test_ps_shows_what_the_cloud_created(gateway, peer, sleeper):
    container = peer.create(sleeper, name="box", config=POLICY_NO)
    peer.wait_state(container, "RUNNING")
    code, text = gateway.command("ps")
    assert code == 0 and "box" in text and "RUNNING" in text
    code, text = gateway.command("ps", "--json")
    rows = json.loads(text)
    assert code == 0 and any(container in json.dumps(row) for row in rows)


@pytest.mark.shows("K49")
def test_run_stop_start_rm_are_seen_by_the_cloud(gateway, peer, sleeper):
    code, text = gateway.command("run", "--name", "local", sleeper)
    assert code == 0, text
    feature = peer.wait(lambda: next((f for f in peer.twin if f.startswith("Container:")), None),
                        30, "the container in the twin")
    container = feature.removeprefix("Container:")
    peer.wait_state(container, "RUNNING")
    for verb, state in (("stop", "STOPPED"), ("start", "RUNNING")):
        mark = peer.mark()
        code, text = gateway.command(verb, "local")
        assert code == 0, text
        peer.wait_state(container, state, after=mark)
    code, text = gateway.command("rm", "local")
    assert code == 1 and text, "a running container is not removed without force"
    code, text = gateway.command("rm", "-f", "local")
    assert code == 0, text
    peer.wait_gone(container)


def test_logs_show_the_output(gateway, peer, hello):
    container = peer.create(hello, name="talks", config=POLICY_NO)
    peer.wait_state(container, "EXITED")
    worlds.wait_for(lambda: gateway.command("logs", "talks") == (0, "hello\n"), 10, "the output")


def test_why_tells_a_broken_configuration_from_a_failure_at_work(gateway, peer, registry):
    settings = {"restartPolicy": {"type": "ON_FAILURE", "maxRetryCount": 3}}
    broken = registry.push(images.busybox(["sh", "-c", "exit 5"]), "test/broken")
    late = registry.push(images.busybox(["sh", "-c", "sleep 1.2; exit 6"]), "test/late")
    peer.create(broken, name="broken", config=settings)
    peer.create(late, name="late", config=settings)
    for name in ("broken", "late"):
        worlds.wait_for(lambda n=name: json.loads(gateway.command("--json", "why", n)[1])
                        .get("rest") == "RETRIES_USED", 30, "all retries are used")
    code, text = gateway.command("why", "broken")
    assert code == 0 and "has ended by itself" in text
    assert "gives up, 3 of 3 retries used" in text
    assert "4 ends, all code 5 within a second: likely its configuration" in text
    code, text = gateway.command("why", "late")
    assert code == 0 and "4 ends, all code 6, after 1." in text and "works at first" in text
    why = json.loads(gateway.command("--json", "why", "late")[1])
    assert why["pattern"] == "LATER" and why["rest"] == "RETRIES_USED"
    assert gateway.command("why", "nobody")[0] == 1


@pytest.mark.shows("K49")
def test_exit_codes_mean_something(gateway, peer):
    assert gateway.command("stop", "nobody")[0] == 1
    assert gateway.command("fly")[0] == 2
    assert gateway.command("status")[0] == 0
    gateway.daemon.stop()
    assert gateway.command("ps")[0] == 3
