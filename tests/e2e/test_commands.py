# SPDX-License-Identifier: Apache-2.0
"""Envelopes, errors and dialects: every row of the table of error situations."""
import json

import pytest

from harness.broker import Broker
from harness.gateway import Gateway
from harness.peer import Peer
from harness.registry import Registry

INVALID = "messages:parameter.invalid"
NOT_FOUND = "messages:subject.notfound"
FAILED = "messages:execution.failed"
ERRORS = "unknown/unknown/things/twin/errors"
CREATE = {"imageRef": "127.0.0.1:5000/test/hello:1", "start": False}
INBOX = "/features/ContainerFactory/inbox/messages/create"
OUTBOX = "/features/ContainerFactory/outbox/messages/create"

# claim, what differs from a good create, status, code, path of the answer
ROWS = [
    ("E2 no topic", {"topic": ""}, 400, INVALID, "/"),
    ("E2 no path", {"path": ""}, 400, INVALID, "/"),
    ("E3 two segments", {"topic": "org.example/gw1"}, 400, INVALID, "/"),
    ("E4 no correlation id", {"headers": {"correlation-id": None}}, 400, INVALID, INBOX),
    ("E4 empty correlation id", {"headers": {"correlation-id": ""}}, 400, INVALID, INBOX),
    ("E5 no content type", {"headers": {"content-type": None}}, 400, INVALID, INBOX),
    ("E6 other content type", {"headers": {"content-type": "text/plain"}}, 400, INVALID, INBOX),
    ("E8 other thing", {"topic": "org.example/gw2:edge:containers/things/live/messages/create"},
     404, NOT_FOUND, INBOX),
    ("E9 unknown feature", {"path": "/features/Nothing/inbox/messages/create"}, 400, INVALID,
     "/features/Nothing/inbox/messages/create"),
    ("E9 unknown container", {"path": "/features/Container:none/inbox/messages/start"}, 400,
     INVALID, "/features/Container:none/inbox/messages/start"),
    ("E10 outbox path", {"path": OUTBOX}, 400, INVALID, OUTBOX),
    ("E10 no operation", {"path": "/features/ContainerFactory/inbox/messages/"}, 400, INVALID,
     "/features/ContainerFactory/inbox/messages/"),
    ("E10 further segments", {"path": INBOX + "/more"}, 400, INVALID, INBOX + "/more"),
    ("E11 thing message", {"path": "/inbox/messages/create"}, 404, NOT_FOUND,
     "/inbox/messages/create"),
    ("E13 unknown operation", {"path": "/features/ContainerFactory/inbox/messages/fly"}, 404,
     NOT_FOUND, "/features/ContainerFactory/outbox/messages/fly"),
    ("E14 value of a wrong type", {"value": {"imageRef": 5}}, 400, INVALID, OUTBOX),
    ("E14 value that is no object", {"value": "text"}, 400, INVALID, OUTBOX),
    ("E16 no image", {"value": {"start": True}}, 400, INVALID, OUTBOX),
    ("E16 image without tag", {"value": {"imageRef": "127.0.0.1:5000/test/hello"}}, 400, INVALID,
     OUTBOX),
    ("E16 image that is not there", {"value": {"imageRef": "127.0.0.1:5000/test/none:1"}}, 500,
     FAILED, OUTBOX),
    ("what-is-answered response-required of a wrong type", {"headers": {"response-required": "yes"}}, 400, INVALID,
     INBOX),
]


@pytest.mark.parametrize("row", [
    pytest.param(row, id=row[0].replace(" ", "-"), marks=pytest.mark.shows(row[0].split()[0]))
    for row in ROWS])
@pytest.mark.shows("K10")
def test_error_rows(gateway, peer, hello, row):
    _, change, status, code, path = row
    fields = dict(change)
    value = fields.pop("value", CREATE)
    answer = peer.ask("ContainerFactory", "create", value, **fields)
    assert (answer.status, answer.error) == (status, code), answer.text
    body = answer.message.body
    assert body["path"] == path
    assert (body["topic"] == ERRORS) == (path == "/")
    assert answer.value["status"] == status and answer.text
    assert not [feature for feature in peer.twin if feature.startswith("Container:")]
    # The daemon lives and the next good command works.
    assert peer.ask("ContainerFactory", "create", CREATE).status == 200


@pytest.mark.parametrize("payload", [
    b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"topic":5,"path":"/"}', b'{"a":1e999}',
    b"[" * 40 + b"]" * 40, json.dumps({"headers": "x"}).encode()],
    ids=["empty", "null", "array", "cut", "utf8", "type", "number", "deep", "headers"])
@pytest.mark.shows("E1", "K11")
def test_e1_is_answered_and_survived(gateway, peer, hello, payload):
    mark = peer.mark()
    peer.publish(f"command//{peer.thing}/req/x1/create", payload)
    peer.wait(lambda: peer.find(r"command//[^/]+/res/x1/400", mark), 20, "answer to E1")
    body = peer.find(r"command//[^/]+/res/x1/400", mark)[0].body
    assert (body["topic"], body["path"]) == (ERRORS, "/")
    assert "correlation-id" not in body["headers"]
    assert peer.ask("ContainerFactory", "create", CREATE).status == 200


@pytest.mark.shows("E7", "D32")
def test_content_type_without_value_is_accepted(gateway, peer, sleeper):
    container = peer.create(sleeper, start=False)
    answer = peer.ask(f"Container:{container}", "start",
                      headers={"content-type": "application/json"})
    assert answer.status == 204


@pytest.mark.shows("input-limits")
def test_too_large_payloads_are_refused(gateway, peer, hello):
    value = {**CREATE, "padding": "x" * (1 << 20)}
    answer = peer.ask("ContainerFactory", "create", value)
    assert answer.status == 400
    assert peer.ask("ContainerFactory", "create", CREATE).status == 200


@pytest.mark.shows("D1", "D2")
def test_documented_dialect_is_answered_in_it(gateway, peer, hello):
    answer = peer.ask("ContainerFactory", "create", CREATE, rid="")
    assert answer.status == 200
    assert answer.message.topic == f"command//{peer.thing}/res//create"
    error = peer.ask("ContainerFactory", "create", {"start": True}, rid="")
    assert error.status == 400
    assert error.message.topic == f"command//{peer.thing}/res//create"


@pytest.mark.parametrize("rid, required", [("", False), ("", None), ("r9", False), ("r9", None)])
@pytest.mark.shows("K7")
def test_one_way_commands_are_executed_and_not_answered(gateway, peer, hello, rid, required):
    mark = peer.mark()
    peer.send("ContainerFactory", "create", CREATE, rid=rid, response_required=required)
    peer.wait(lambda: [f for f in peer.twin if f.startswith("Container:")], 30, "the container")
    # An answered command behind it shows that nothing is still on its way.
    peer.ask("ContainerFactory", "fly")
    answers = peer.find(r"command//[^/]+/res/.*", mark)
    assert len(answers) == 1


@pytest.mark.shows("K9", "D32")
def test_answers_of_start_and_stop_have_no_value(gateway, peer, sleeper):
    container = peer.create(sleeper, start=False)
    answer = peer.ask(f"Container:{container}", "start", {})
    body = answer.message.body
    assert answer.status == 204 and "value" not in body
    assert body["path"] == f"/features/Container:{container}/outbox/messages/start"


@pytest.mark.shows("repeats")
def test_repeated_command_takes_effect_once(gateway, peer, hello):
    first = peer.ask("ContainerFactory", "create", CREATE, rid="same", correlation_id="same")
    again = peer.ask("ContainerFactory", "create", CREATE, rid="same", correlation_id="same")
    assert (again.status, again.value) == (first.status, first.value)
    assert len([f for f in peer.twin if f.startswith("Container:")]) == 1


@pytest.mark.parametrize("max_inflight", [1, 20, 0])
@pytest.mark.shows("burst")
def test_bursts_are_answered_under_every_inflight_setting(world, max_inflight):
    broker = Broker(world, 1883, max_inflight)
    peer = Peer(world, broker)
    registry = Registry(world, 5000)
    gateway = Gateway(world, broker, peer, [registry.host])
    gateway.wait_ready(broker)
    commands = [peer.send("ContainerFactory", "fly", {}) for _ in range(300)]
    for command in commands:
        assert peer.answer_of(command, 30).status == 404
    assert not peer.faults


@pytest.mark.shows("K12", "what-is-answered")
def test_echoes_of_a_local_twin_do_nothing(gateway, peer, hello):
    container = peer.create(hello, start=False)
    mark = peer.mark()
    for name in ("created", "modified", "deleted", "modify-response", "errors-response"):
        peer.publish(f"command//{peer.thing}/req//{name}", {
            "topic": f"{peer.ditto_name}/things/twin/events/{name}",
            "headers": {"response-required": True, "correlation-id": "x"},
            "path": f"/features/Container:{container}"})
    assert peer.ask(f"Container:{container}", "start").status == 204
    assert len(peer.find(r"command//[^/]+/res/.*", mark)) == 1


@pytest.mark.shows("K2")
def test_other_identity_is_taken_over(gateway, peer, broker):
    peer.device = "org.example:gw2"
    peer.thing = f"{peer.device}:edge:containers"
    peer.ditto_name = peer.thing.replace(":", "/", 1)
    mark = peer.mark()
    peer.answer_handshake()
    peer.wait(lambda: peer.find(f"e/t1/{peer.thing}", mark), 20, "features under the new name")
    gateway.wait_ready(broker)
    assert peer.ask("ContainerFactory", "fly").status == 404


@pytest.mark.parametrize("answer", [
    b"{}", b"null", b"no json", b'{"deviceId":"nocolon","tenantId":"t1"}',
    b'{"deviceId":"a:b"}', b'{"deviceId":"","tenantId":"t1"}'])
@pytest.mark.shows("handshake-answer")
def test_useless_handshake_answers_change_nothing(gateway, peer, answer):
    peer.publish("edge/thing/response", answer)
    assert peer.ask("ContainerFactory", "fly").status == 404
