# SPDX-License-Identifier: Apache-2.0
"""What a peer of Eclipse Kanto is used to, and where davit differs on purpose: small things that no
other test looks at."""
import configparser
import pathlib

import pytest

from harness import images, world as worlds

POLICY_NO = {"restartPolicy": {"type": "NO"}}
PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "packaging"


def told(peer, container, after):
    """What the twin was told of a container from message index `after` on, in short."""
    feature = f"Container:{container}"
    short = []
    for index, of, path, value in peer.history:
        if index >= after and of == feature:
            short.append(value["status"] if path == "properties/status/state" else
                         path.removeprefix("properties/status/") or
                         ("whole" if value else "deleted"))
    return short


def behind(peer):
    """Whatever was on its way before this is in `peer.history` after it."""
    assert peer.ask("ContainerFactory", "fly").status == 404


# --- files


@pytest.mark.shows("K39")
def test_what_a_container_writes_is_there_at_its_next_start(gateway, peer, hello):
    container = peer.create(hello, config={
        **POLICY_NO, "cmd": ["sh", "-c", "echo run >> /etc/kept; cat /etc/kept; echo"]})
    peer.wait_state(container, "EXITED")
    mark = peer.mark()
    assert peer.ask(f"Container:{container}", "start").status == 204
    peer.wait_state(container, "EXITED", after=mark)
    assert gateway.wait_output(container, "run\nrun\n\n") == "run\n\nrun\nrun\n\n"


# --- restarts


@pytest.fixture
def waiting(gateway, peer, registry):
    """A container that waits so long for its restart that it stays so."""
    image = registry.push(images.busybox(["sh", "-c", "exit 3"]), "test/fails")
    container = peer.create(image, name="waits", config={"restartPolicy": {
        "type": "ON_FAILURE", "retryTimeout": 1000}})
    worlds.wait_for(lambda: (why := gateway.why("waits")).get("restart_count", 0) >= 4 and
                    why.get("restart_in_ms", 0) > 800, 30, "it waits for a restart")
    behind(peer)
    return container


@pytest.mark.shows("quiet-cancel", "restart-cancel")
def test_stop_of_what_waits_is_told_once(gateway, peer, waiting):
    mark = peer.mark()
    assert peer.ask(f"Container:{waiting}", "stop").status == 204
    peer.wait_shown(waiting, "STOPPED")
    behind(peer)
    assert told(peer, waiting, mark) == ["STOPPED"]
    assert gateway.why("waits")["rest"] == "STOPPED" and "restart_in_ms" not in gateway.why("waits")


@pytest.mark.shows("quiet-cancel")
def test_remove_of_what_waits_tells_no_stop(gateway, peer, waiting):
    mark = peer.mark()
    assert peer.ask(f"Container:{waiting}", "remove").status == 204
    peer.wait_gone(waiting)
    assert told(peer, waiting, mark) == ["DEAD", "deleted"]
    dead = peer.states(waiting, mark)[0]
    assert dead["exitCode"] == 3 and "error" not in dead


@pytest.mark.shows("quiet-cancel")
def test_rename_of_what_waits_tells_the_name(gateway, peer, waiting):
    mark = peer.mark()
    assert peer.ask(f"Container:{waiting}", "rename", "new").status == 204
    peer.wait(lambda: (peer.status(waiting) or {}).get("name") == "new", 10, "the new name")
    behind(peer)
    assert "STOPPED" not in told(peer, waiting, mark)


@pytest.mark.shows("policy-no-revival", "K21")
@pytest.mark.parametrize("end", ["STOPPED", "EXITED"])
def test_new_policy_starts_nothing(gateway, peer, registry, end):
    image = registry.push(images.busybox(
        ["sh", "-c", "trap 'exit 0' TERM; test -e /ran && touch /again; touch /ran; "
         f"{'while :; do sleep 0.1; done' if end == 'STOPPED' else 'exit 0'}"]), "test/policy")
    container = peer.create(image, name="box", config=POLICY_NO)
    feature = f"Container:{container}"
    if end == "STOPPED":
        peer.wait_state(container, "RUNNING")
        assert peer.ask(feature, "stop").status == 204
    peer.wait_shown(container, end)
    mark = peer.mark()
    assert peer.ask(feature, "update", {"restartPolicy": {"type": "ALWAYS"}}).status == 204
    peer.wait(lambda: peer.status(container)["config"]["restartPolicy"] == {"type": "ALWAYS"}, 10,
              "the new policy")
    assert "restart_in_ms" not in gateway.why("box")
    # A restart would have come long before another container has lived and ended.
    other = peer.create(image, config=POLICY_NO)
    peer.wait_state(other, "RUNNING")
    assert told(peer, container, mark) == ["config"]


# --- units


@pytest.mark.shows("units", "daemon-stop")
@pytest.mark.parametrize("name", ["davitd", "davit-monitor"])
def test_units_end_their_own_process_only_and_are_not_short_of_anything(name):
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str
    unit.read(PACKAGING / f"{name}.service")
    service = unit["Service"]
    assert service["KillMode"] == "process"
    assert service["TasksMax"] == "infinity"
    assert int(service["LimitNOFILE"]) >= 1 << 20
    assert int(service["OOMScoreAdjust"]) < 0
    assert service["Restart"] == "always"
