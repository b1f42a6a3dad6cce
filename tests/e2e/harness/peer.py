# SPDX-License-Identifier: Apache-2.0
"""The other side of davit's MQTT connection: answers the handshake, sends commands, records and
checks every message, and keeps the twin that they build."""
import copy
import dataclasses
import itertools
import json
import re
import secrets
import threading
import time

import paho.mqtt.client

from . import ditto
from .world import SLOW


@dataclasses.dataclass
class Message:
    at: float  # monotonic
    topic: str
    payload: bytes

    @property
    def body(self):
        return json.loads(self.payload)


@dataclasses.dataclass
class Answer:
    status: int
    value: object
    headers: dict
    message: Message

    @property
    def error(self):
        return self.value["error"]

    @property
    def text(self):
        return self.value["message"]


@dataclasses.dataclass
class Command:
    feature: str
    operation: str
    rid: str
    correlation_id: str
    sent_at: float
    seen: int  # messages recorded before it was sent


class Peer:
    def __init__(self, world, broker, device="org.example:gw1", tenant="t1", answers=True):
        self.device = device
        self.tenant = tenant
        self.thing = f"{device}:edge:containers"
        self.ditto_name = self.thing.replace(":", "/", 1)
        self.answers = answers
        self.messages = []
        self.faults = []
        self.twins = {}      # thing id -> {feature id -> value}
        self.history = []    # (message index, feature id, path below it or "", value or None)
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._is_connected = False
        self._client = paho.mqtt.client.Client(client_id=f"peer-{secrets.token_hex(4)}")
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.max_inflight_messages_set(2000)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", broker.port, keepalive=20)
        self._client.loop_start()
        world.defer(self.close)
        self.wait(lambda: self._is_connected, 10, "peer is subscribed")

    # --- what arrives

    def _on_connect(self, client, _userdata, _flags, _code):
        client.subscribe([("e/#", 1), ("t/#", 1), ("edge/thing/request", 1),
                          ("command//+/res/#", 1)])

    def _on_disconnect(self, _client, _userdata, _code):
        with self._changed:
            self._is_connected = False

    def _on_subscribe(self, *_arguments):
        with self._changed:
            self._is_connected = True
            self._changed.notify_all()

    def _on_message(self, _client, _userdata, arrived):
        message = Message(time.monotonic(), arrived.topic, arrived.payload)
        faults = ditto.check(arrived.topic, arrived.payload, arrived.qos, arrived.retain)
        with self._changed:
            self.messages.append(message)
            self.faults += [f"{fault}: {arrived.topic} {arrived.payload[:400]!r}"
                            for fault in faults]
            if arrived.topic.startswith("e/") and not faults:
                self._apply(message)
            self._changed.notify_all()
        if arrived.topic == "edge/thing/request" and self.answers:
            self.answer_handshake()

    def _apply(self, message):
        body = message.body
        if "/things/twin/commands/" not in body["topic"] or body["topic"].endswith("/retrieve"):
            return
        twin = self.twins.setdefault(":".join(body["topic"].split("/")[:2]), {})
        feature, *rest = body["path"].removeprefix("/features/").split("/")
        value = copy.deepcopy(body.get("value"))
        self.history.append((len(self.messages) - 1, feature, "/".join(rest), value))
        if body["topic"].endswith("/delete"):
            twin.pop(feature, None)
        elif not rest:
            twin[feature] = copy.deepcopy(value)
        else:
            place = twin.setdefault(feature, {})
            for part in rest[:-1]:
                place = place.setdefault(part, {})
            if value is None:
                place.pop(rest[-1], None)
            else:
                place[rest[-1]] = copy.deepcopy(value)

    # --- waiting

    def wait(self, condition, timeout_s, what):
        """The first true value of condition(), looked at after every message."""
        deadline = time.monotonic() + timeout_s * SLOW
        with self._changed:
            while True:
                value = condition()
                if value:
                    return value
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not within {timeout_s} s: {what}; the last messages:\n"
                                         + self.tail())
                self._changed.wait(left)

    def wait_quiet(self, condition, window_s, what):
        """Fails as soon as condition() is true within that time."""
        deadline = time.monotonic() + window_s
        with self._changed:
            while (left := deadline - time.monotonic()) > 0:
                assert not condition(), f"{what}; the last messages:\n" + self.tail()
                self._changed.wait(left)
            assert not condition(), f"{what}; the last messages:\n" + self.tail()

    def tail(self, count=12):
        return "\n".join(f"  {m.topic} {m.payload.decode(errors='replace')[:300]}"
                         for m in self.messages[-count:])

    def find(self, pattern, after=0):
        """Messages from index `after` whose topic matches."""
        return [m for m in self.messages[after:] if re.fullmatch(pattern, m.topic)]

    # --- questions about the twin

    def wait_question(self, after=0, timeout_s=20, topic=r"e/.*"):
        """The envelope in which davit asks what the twin holds."""
        def find():
            return next((m.body for m in self.find(topic, after)
                         if m.body["topic"].endswith("/things/twin/commands/retrieve")), None)
        return self.wait(find, timeout_s, "davit asks for the twin")

    def answer_question(self, question, features, **fields):
        """As Ditto answers, through the connector."""
        answer = {"topic": question["topic"],
                  "headers": {"correlation-id": question["headers"]["correlation-id"]},
                  "path": "/", "status": 200,
                  "value": {"thingId": self.thing,
                            "features": {feature: {"definition": ["a:b:1"]} for feature in features}}}
        answer.update(fields)
        thing = ":".join(question["topic"].split("/")[:2])
        self.publish(f"command//{thing}/req//retrieve-response", answer)

    # --- handshake

    def answer_handshake(self, **fields):
        answer = {"deviceId": self.device, "tenantId": self.tenant, "policyId": self.device}
        answer.update(fields)
        self.publish("edge/thing/response", {k: v for k, v in answer.items() if v is not None})

    # --- commands

    def publish(self, topic, payload, qos=1):
        if not isinstance(payload, bytes):
            payload = json.dumps(payload).encode()
        self._client.publish(topic, payload, qos)

    def send(self, feature, operation, value=None, rid=None, correlation_id=None,
             response_required=True, headers=None, thing=None, **fields):
        """Publishes a command envelope; `headers` and `fields` override parts of it, None leaves
        them out. `thing` is another than the first."""
        thing = thing or self.thing
        number = next(self._numbers)
        rid = f"r{number}" if rid is None else rid
        correlation_id = f"c{number}" if correlation_id is None else correlation_id
        all_headers = {"response-required": response_required, "correlation-id": correlation_id}
        if value is not None:
            all_headers["content-type"] = "application/json"
        all_headers.update(headers or {})
        ditto_name = thing.replace(":", "/", 1)
        envelope = {"topic": f"{ditto_name}/things/live/messages/{operation}",
                    "headers": {k: v for k, v in all_headers.items() if v is not None},
                    "path": f"/features/{feature}/inbox/messages/{operation}"}
        if value is not None:
            envelope["value"] = value
        envelope.update(fields)
        envelope = {k: v for k, v in envelope.items() if v is not None}
        with self._changed:
            seen = len(self.messages)
        self.publish(f"command//{thing}/req/{rid}/{operation}", envelope)
        return Command(feature, operation, rid, correlation_id, time.monotonic(), seen)

    def answer_of(self, command, timeout_s=20):
        """The answer to a command, by its request id or, in the documented dialect, its name."""
        last = r"\d+" if command.rid else re.escape(command.operation)
        pattern = rf"command//[^/]+/res/{re.escape(command.rid)}/{last}"

        def find():
            for message in self.find(pattern, command.seen):
                body = message.body
                got = body["headers"].get("correlation-id")
                if got == command.correlation_id or got is None:
                    return Answer(body["status"], body.get("value"), body["headers"], message)
            return None
        return self.wait(find, timeout_s, f"answer to {command.operation} of {command.feature}")

    def ask(self, feature, operation, value=None, timeout_s=20, **options):
        return self.answer_of(self.send(feature, operation, value, **options), timeout_s)

    def create(self, image_ref, start=True, name=None, config=None, timeout_s=60):
        """createWithConfig; returns the container id."""
        value = {"imageRef": image_ref, "start": start}
        if name is not None:
            value["name"] = name
        if config is not None:
            value["config"] = config
        answer = self.ask("ContainerFactory", "createWithConfig", value, timeout_s)
        assert answer.status == 200, answer.value
        return answer.value

    # --- the twin

    @property
    def twin(self):
        """Feature id -> value, of all things."""
        if len(self.twins) == 1:
            return next(iter(self.twins.values()))
        return {feature: value for twin in self.twins.values() for feature, value in twin.items()}

    def things_of(self, container):
        """The numbers of the things that show it, from 1."""
        return [number for number in range(1, 65)
                if f"Container:{container}" in self.twins.get(self.thing_name(number), {})]

    def thing_name(self, number):
        return self.thing if number == 1 else f"{self.thing}-{number}"

    def status(self, container):
        return self.twin.get(f"Container:{container}", {}).get("properties", {}).get("status")

    def states(self, container, after=0):
        """The states published for a container, in order, from message index `after`."""
        found = []
        for index, feature, path, value in self.history:
            if index < after or feature != f"Container:{container}":
                continue
            if path == "properties/status/state":
                found.append(value)
        return found

    def wait_state(self, container, status, timeout_s=20, after=0):
        """The first state of that name published from message index `after` on."""
        def find():
            for state in self.states(container, after):
                if state["status"] == status:
                    return state
            return None
        return self.wait(find, timeout_s, f"Container:{container} is {status}")

    def wait_shown(self, container, status, timeout_s=20):
        """The twin as it is now shows that state, from whatever message."""
        def find():
            shown = self.status(container)
            return shown and shown.get("state", {}).get("status") == status and shown["state"]
        return self.wait(find, timeout_s, f"the twin shows Container:{container} {status}")

    def wait_gone(self, container, timeout_s=20):
        self.wait(lambda: f"Container:{container}" not in self.twin, timeout_s,
                  f"Container:{container} is deleted")

    def mark(self):
        """An index for `after`."""
        with self._changed:
            return len(self.messages)

    def since(self, index):
        """Messages from that index on, while others may arrive."""
        with self._changed:
            return self.messages[index:]

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
