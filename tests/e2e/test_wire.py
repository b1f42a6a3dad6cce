# SPDX-License-Identifier: Apache-2.0
"""Recorded traffic of Eclipse Kanto, replayed: davit gives the same answers and, feature by
feature, the same twin changes. tests/golden/wire/README.md explains the recordings."""
import json
import os
import pathlib
import re
import signal
import time

import pytest

from harness import images
from harness.artifacts import Artifacts, checksums

RECORDINGS = sorted((pathlib.Path(__file__).resolve().parents[1] / "golden" / "wire")
                    .glob("*.json"))
# Rows of docs/conformance.md by the beginning of a recording's name.
SHOWS = {
    "dialects.norid": ["K7", "D1", "D2"], "dialects.rid": ["K6", "K7", "K9", "D4"],
    "lifecycle": ["K15", "K16"], "matrix": ["K3", "K5", "K6", "K13", "K15", "K33"],
    "matrix-running.unknown-op": ["E13"], "matrix-running.pause": ["K19", "D25"],
    "matrix-running.update": ["K21"], "metrics": ["K22", "K23"],
    "software": ["K24", "K25", "K26"], "software.md5-wrong": ["K27"], "software.not-found": ["K27"],
    "software-remove": ["K28"],
}
IMAGE = "localhost:5000/bb:1"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


class Replay:
    def __init__(self, peer, image, placeholders):
        self.peer = peer
        self._image = image
        self._placeholders = placeholders
        self.ids = []
        self._commands = 0

    def _send(self, feature, operation, value, step):
        peer = self.peer
        headers = {key: None if text == "(none)" else text
                   for key, text in step.get("headers", {}).items()}
        rid = step.get("rid")
        if rid is None:
            self._commands += 1
            rid = f"r{self._commands}"
        # Without a request id the recordings count on as well, in the correlation id only.
        command = peer.send(feature, operation, value, rid=rid,
                            correlation_id=f"c-{rid}" if rid else "c-norid", headers=headers)
        is_answered = headers.get("response-required", True) is True
        if is_answered:
            return peer.answer_of(command, 30)
        return None

    def create(self, step):
        value = {"imageRef": self._image, "start": step["create"].get("start", True)}
        value.update({key: step["create"][key] for key in ("name", "config")
                      if key in step["create"]})
        answer = self._send("ContainerFactory", "createWithConfig", value, step)
        self.ids.append(answer.value)
        if value["start"]:
            self.peer.wait_state(answer.value, "RUNNING")

    def do(self, step):
        operation, target = step["do"].split()
        if target == "M":
            self._send("Metrics", operation, self._with_ids(step.get("value")), step)
        elif target == "SU":
            self._send("SoftwareUpdatable", operation, self._with_ids(step.get("value")), step)
        else:
            self._send(f"Container:{self.ids[int(target[1:]) - 1]}", operation, step.get("value"),
                       step)

    def _with_ids(self, value):
        text = json.dumps(value)
        for number, container in enumerate(self.ids, 1):
            text = text.replace(f"<C{number}>", container)
        for name, value in self._placeholders.items():
            text = text.replace(json.dumps(name), self._filled(value))
        return json.loads(text)

    def _filled(self, value):
        text = json.dumps(value)
        for number, container in enumerate(self.ids, 1):
            text = text.replace(f"<C{number}>", container)
        return text

    def learn_installed(self):
        """Containers that an install made get the next numbers."""
        made = {feature[len("Container:"):] for feature in self.peer.twin
                if feature.startswith("Container:")}
        self.ids += sorted(made - set(self.ids))

    def wait(self, step):
        if step["wait"].get("on") == "twin SU":
            self.peer.wait(lambda: [value for _, _, path, value in self.peer.history
                                    if path == "properties/status/lastOperation" and
                                    value["status"].startswith("FINISHED")], step["within"],
                           "the operation is over")
        elif "state" in step["wait"]:
            target, state = step["wait"]["state"].split()
            self.peer.wait_state(self.ids[int(target[1:]) - 1], state)
        elif "on" in step["wait"]:
            self.peer.wait(lambda: len(metrics((m.topic, m.body) for m in self.peer.messages)) >=
                           step["wait"]["count"], step["within"], "messages of metrics")
        else:
            self.sleep({"sleep": step["wait"]["quiet"]})

    def sleep(self, step):
        time.sleep(step["sleep"])

    def host(self, step):
        number = int(re.fullmatch(r"kill -9 \$PID_C(\d+)", step["host"])[1])
        running = self.peer.wait_state(self.ids[number - 1], "RUNNING")
        os.kill(running["pid"], signal.SIGKILL)

    def step(self, step):
        for kind in ("create", "do", "wait", "sleep", "host"):
            if kind in step:
                return getattr(self, kind)(step)
        raise AssertionError(f"step {step!r}")

    def normal(self, topic, payload):
        """A message with ids, times and process numbers replaced as in the recordings."""
        text = json.dumps([topic, payload])
        for number, container in enumerate(self.ids, 1):
            text = text.replace(container, f"<C{number}>")
        text = text.replace(self._image, IMAGE)
        topic, payload = json.loads(TIME.sub("<time>", text))

        def walk(node):
            if isinstance(node, dict):
                return {key: "<pid>" if key == "pid" and node[key] != -1 else walk(node[key])
                        for key in node}
            return [walk(item) for item in node] if isinstance(node, list) else node
        return topic, walk(payload)


def metrics(messages):
    """What each data message is of: {originator: ids of the measurements}."""
    return [{row["originator"]: [item["id"] for item in row["measurements"]]
             for row in payload["value"]["snapshot"]}
            for topic, payload in messages if topic.startswith("e/") and
            payload["path"] == "/features/Metrics/outbox/messages/data"]


def without_io(data):
    """Whether block devices are counted is the kernel's."""
    return [{who: [name for name in ids if not name.startswith("io.")]
             for who, ids in message.items()} for message in data]


def comparable(messages):
    """Twin changes by feature in order, answers by topic; both without what may differ."""
    twins, answers = {}, []
    for topic, payload in messages:
        if topic.startswith("command//"):
            payload = json.loads(json.dumps(payload))
            if payload["status"] == 204:
                payload["headers"].pop("content-type", None)
            if payload["status"] >= 400:
                payload["value"]["message"] = "<text>"
            answers.append((topic, json.dumps(payload, sort_keys=False)))
        elif topic.startswith("e/") and payload["path"].startswith("/features/Container:"):
            feature = payload["path"].split("/")[2]
            twins.setdefault(feature, []).append(json.dumps(payload))
    return twins, sorted(answers)


def software(messages):
    """What is told of operations, in order; the words of a failure may differ."""
    told = []
    for topic, payload in messages:
        if not payload["path"].startswith("/features/SoftwareUpdatable/properties/status/last"):
            continue
        value = dict(payload["value"])
        if "message" in value:
            value["message"] = "<text>"
        told.append((payload["path"], json.dumps(value).replace("127.0.0.1", "localhost")))
    return told


def placeholders_of(recording, world, image):
    """What the recordings leave open, by their names."""
    server = Artifacts(world)
    body = server.put("/app.json", {"container_name": "app", "image": {"name": image}})
    sums = {"success": checksums(body, "MD5"), "md5-wrong": {"MD5": "0" * 32}}
    case = recording.stem.split(".")[1]
    path = "/none" if case == "not-found" else "/app.json"
    return {
        "$R": [{"download": {"HTTP": {"url": server.url + path}}, "checksums": sums.get(case, {})}],
        "$F": False,
        "$S": [{"name": "nosuch", "version": ""}] if case == "unknown" else
        [{"group": image.split(":")[0], "name": "<C1>", "version": image.split(":", 1)[1]}],
    }


def assert_same(got, expected):
    for key in sorted({*got, *expected}):
        shown = [f"got      {line}" for line in got.get(key, [])]
        wanted = [f"expected {line}" for line in expected.get(key, [])]
        assert got.get(key) == expected.get(key), "\n".join([key, *shown, *wanted])


def is_answer_in_documented_dialect(topic):
    return "/res//" in topic


def shown_by(recording):
    return {row for name, rows in SHOWS.items() if recording.stem.startswith(name) for row in rows}


@pytest.mark.parametrize("recording", [
    pytest.param(path, id=path.stem, marks=pytest.mark.shows(*sorted(shown_by(path))))
    for path in RECORDINGS])
def test_replay(world, gateway, peer, registry, recording):
    script = json.loads(recording.read_text())
    image = registry.push(images.busybox(
        ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"]), "bb")
    mark = peer.mark()
    replay = Replay(peer, image, placeholders_of(recording, world, image))
    for step in script["steps"]:
        replay.step(step)
    replay.learn_installed()
    recorded = [(row["topic"], row["payload"]) for row in script["received"]]
    expected = comparable(recorded)

    def got():
        messages = [replay.normal(message.topic, message.body) for message in peer.since(mark)]
        # Kanto leaves requests in the documented dialect without an answer.
        return comparable([(topic, payload) for topic, payload in messages
                           if not is_answer_in_documented_dialect(topic)])

    def is_complete():
        twins, _ = got()
        return sum(map(len, twins.values())) >= sum(map(len, expected[0].values()))
    peer.wait(is_complete, 20, "as many twin changes as recorded")
    twins, answers = got()
    assert_same(twins, expected[0])
    assert_same({"answers": [" ".join(answer) for answer in answers]},
                {"answers": [" ".join(answer) for answer in expected[1]]})
    assert software(replay.normal(message.topic, message.body) for message in peer.since(mark)) == \
        software(recorded)
    data = metrics(replay.normal(message.topic, message.body) for message in peer.since(mark))
    wanted = metrics(recorded)
    assert without_io(data[:len(wanted)]) == without_io(wanted)
    assert abs(len(data) - len(wanted)) <= 1  # a period may begin before or behind the stop
