# SPDX-License-Identifier: Apache-2.0
"""The twin is what Ditto holds, not what was sent: davit asks, and mends what differs."""
import pytest

from harness.gateway import Gateway

POLICY_NO = {"restartPolicy": {"type": "NO"}}


@pytest.fixture
def gateway(world, broker, peer, registry):
    made = Gateway(world, broker, peer, [registry.host], start=False)
    made.config["davit"]["bridge"]["twin_check"] = "1s"
    made.start_monitor()
    made.start_daemon()
    made.wait_ready(broker)
    return made


def full_features(peer, after):
    return [path for path in (m.body["path"] for m in peer.find(r"e/.*", after))
            if path.count("/") == 2]


@pytest.mark.shows("twin-truth")
def test_ghost_is_deleted_and_nothing_else_is_touched(gateway, peer, sleeper):
    question = peer.wait_question()
    assert question["headers"]["response-required"] is True and question["path"] == "/"
    container = peer.create(sleeper, name="real", config=POLICY_NO)
    peer.wait_state(container, "RUNNING")
    mark = peer.mark()
    peer.answer_question(question, ["ContainerFactory", "Metrics", "SoftwareUpdatable",
                                    f"Container:{container}", "Container:ghost"])
    peer.wait(lambda: [m for m in peer.find(r"e/.*", mark)
                       if m.body["topic"].endswith("/delete")
                       and m.body["path"] == "/features/Container:ghost"], 10, "the ghost goes")
    assert full_features(peer, mark) == ["/features/Container:ghost"]


@pytest.mark.shows("twin-truth")
def test_lost_twin_is_published_again_once(gateway, peer, sleeper):
    question = peer.wait_question()
    container = peer.create(sleeper, name="real", config=POLICY_NO)
    peer.wait_state(container, "RUNNING")
    mark = peer.mark()
    peer.answer_question(question, [])
    peer.wait(lambda: {f"/features/Container:{container}", "/features/ContainerFactory"}
              <= set(full_features(peer, mark)), 10, "everything comes again")
    assert peer.ask(f"Container:{container}", "pause").status == 204


@pytest.mark.parametrize("answer", [
    {"status": 404, "value": {"error": "things:thing.notfound"}},
    {"headers": {"correlation-id": "of somebody else"}},
    {"value": {"features": []}},
    {"value": None},
], ids=["missing", "foreign", "malformed", "empty"])
@pytest.mark.shows("twin-truth")
def test_no_answer_and_no_sense_change_nothing(gateway, peer, sleeper, answer):
    question = peer.wait_question()
    mark = peer.mark()
    peer.answer_question(question, ["Container:ghost"], **answer)
    container = peer.create(sleeper, name="real", config=POLICY_NO)
    peer.wait_state(container, "RUNNING")
    assert full_features(peer, mark) == [f"/features/Container:{container}"]
