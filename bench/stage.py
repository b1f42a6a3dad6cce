# SPDX-License-Identifier: Apache-2.0
"""What a figure is measured on: a private broker, registry and gateway with real containers, and
the cloud's side of MQTT. All of it belongs to one World of the end-to-end tests and ends with it.
"""
import itertools
import json
import re
import time

from harness import images
from harness import world as worlds
from harness.broker import Broker
from harness.gateway import Gateway
from harness.registry import Registry

import mqtt

DEVICE = "org.davit:bench"
TENANT = "bench"
WAIT_S = 120
REMOVED_AT_ONCE = 16
POLICY_NO = {"restartPolicy": {"type": "NO"}}


class QuietBroker(Broker):
    """Without a log line for every packet, and without collecting small packets of one moment
    (Nagle), which holds an answer back for 40 ms until the reader's delayed acknowledgement."""

    def start(self):
        lines = self._config.read_text().splitlines()
        lines.remove("log_type all")
        self._config.write_text("\n".join([*lines, "log_type error", "log_type subscribe",
                                           "set_tcp_nodelay true", ""]))
        super().start()

    def subscriptions(self, pattern):
        return len(re.findall(rf" 1 {pattern}$", self.log_text(), re.MULTILINE))


class Cloud:
    """Sends commands; knows states and answers from what it has read so far."""

    def __init__(self, broker):
        self._broker = broker
        self._numbers = itertools.count(1)
        self.thing = f"{DEVICE}:edge:containers"
        self.twin = {}     # feature -> state of a container, None for other features
        self.answers = {}  # request id -> (status, value)
        self._client = None
        self.connect()

    def connect(self):
        if self._client:
            self._client.close()
        self._client = mqtt.Client(self._broker.port, f"cloud-{next(self._numbers)}", [
            "e/#", "edge/thing/request", "command//+/res/#"])

    def envelope(self, feature, operation, value=None):
        """Request id, topic and payload of a new command."""
        rid = f"r{next(self._numbers)}"
        headers = {"response-required": True, "correlation-id": rid}
        body = {"topic": f"{self.thing.replace(':', '/', 1)}/things/live/messages/{operation}",
                "headers": headers, "path": f"/features/{feature}/inbox/messages/{operation}"}
        if value is not None:
            headers["content-type"] = "application/json"
            body["value"] = value
        return rid, f"command//{self.thing}/req/{rid}/{operation}", json.dumps(body).encode()

    def send(self, feature, operation, value=None):
        rid, topic, payload = self.envelope(feature, operation, value)
        self._client.publish(topic, payload)
        return rid

    def wait(self, condition, what, timeout_s=WAIT_S):
        """Reads until condition() holds; when the last message for it arrived."""
        deadline = time.monotonic() + timeout_s
        at = time.monotonic()
        while not condition():
            message = self._client.read(deadline)
            if message:
                at = message.at
                self._apply(message)
            elif time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_s} s: {what}")
        return at

    def _apply(self, message):
        if message.topic == "edge/thing/request":
            self._client.publish("edge/thing/response", json.dumps(
                {"deviceId": DEVICE, "tenantId": TENANT, "policyId": DEVICE}).encode())
            return
        body = json.loads(message.payload)
        if message.topic.startswith("command//"):
            rid = message.topic.split("/")[4]
            self.answers[rid] = (body["status"], body.get("value"))
            return
        if body["topic"].endswith("/retrieve"):
            return  # Ditto would answer with the twin; davit does without
        feature, _, rest = body["path"].removeprefix("/features/").partition("/")
        if body["topic"].endswith("/delete"):
            self.twin.pop(feature, None)
        elif not rest:
            status = body["value"].get("properties", {}).get("status", {})
            self.twin[feature] = status.get("state", {}).get("status")
        elif rest == "properties/status/state":
            self.twin[feature] = body["value"]["status"]

    def read_for(self, seconds):
        """Reads what comes for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            message = self._client.read(deadline)
            if message:
                self._apply(message)

    def answer_of(self, rid, timeout_s=WAIT_S):
        self.wait(lambda: rid in self.answers, f"answer {rid}", timeout_s)
        status, value = self.answers.pop(rid)
        if status >= 300:
            raise AssertionError(f"a command was refused: {value}")
        return value

    def ask(self, feature, operation, value=None):
        return self.answer_of(self.send(feature, operation, value))

    def containers(self, state=None):
        return [feature for feature, now in self.twin.items()
                if feature.startswith("Container:") and state in (None, now)]

    def wait_state(self, feature, state):
        return self.wait(lambda: self.twin.get(feature) == state, f"{feature} is {state}")


class Stage:
    """`with Stage(name)`; after it, `left` says what was not given back (and has been removed)."""

    def __init__(self, name, settings=None):
        """`settings` of davit's own section of the configuration."""
        self._settings = settings or {}
        self.containers = {}  # of that section of Kanto's, before the stage is entered
        self.world = worlds.World(name, f"davit-bench-{worlds.unique_name()[-8:]}")
        self.left = []
        self.broker = self.registry = self.cloud = self.gateway = self.image = None

    def __enter__(self):
        try:
            self._open()
        except BaseException as error:
            self._end(error)
            raise
        return self

    def _open(self):
        self.broker = QuietBroker(self.world)
        self.registry = Registry(self.world)
        self.image = self.registry.push(images.busybox(["sleep", "1000000"]), "bench/sleep")
        self.cloud = Cloud(self.broker)
        self.gateway = Gateway(self.world, self.broker, self.cloud, [self.registry.host], {
            "log": {"log_level": "INFO"},
            # sleep does not listen to SIGTERM.
            "manager": {"default_ctrs_stop_timeout": "1s"},
            "containers": {"insecure_registries": [self.registry.host], **self.containers},
            # The one that is measured against.
            "davit": {"runtime": "runc", **self._settings}})
        # Runs before the gateway removes its containers: an interrupted read is not gone on with.
        self.world.defer(self.cloud.connect)
        self.cloud.wait(lambda: "ContainerFactory" in self.cloud.twin, "davitd publishes features")
        self.gateway.wait_ready(self.broker)

    def create(self, count):
        """Starts more containers; all are running when this returns."""
        value = {"imageRef": self.image, "start": True, "config": POLICY_NO}
        for rid in [self.cloud.send("ContainerFactory", "createWithConfig", value)
                    for _ in range(count)]:
            self.cloud.answer_of(rid)
        self.cloud.wait(lambda: len(self.cloud.containers("RUNNING")) ==
                        len(self.cloud.containers()), "all containers run")

    def remove_all(self):
        """A few at a time: hundreds at once would have to wait for each other's ends."""
        features = self.cloud.containers()
        for first in range(0, len(features), REMOVED_AT_ONCE):
            for rid in [self.cloud.send(feature, "remove", True)
                        for feature in features[first:first + REMOVED_AT_ONCE]]:
                self.cloud.answer_of(rid)

    def _end(self, error):
        if isinstance(error, AssertionError):
            error.args = (f"{error}\n{self.world.logs()}",)
        self.left = self.world.close()

    def __exit__(self, _kind, error, _trace):
        self._end(error)
