# SPDX-License-Identifier: Apache-2.0
"""What Eclipse Ditto and its connectors accept from a device; everything davit publishes is held
against it. check() returns the violations of one message as texts."""
import json
import re

MESSAGE_BYTES_MAX = 250 * 1024
FIELDS = ["topic", "headers", "path", "value", "fields", "status", "revision", "timestamp"]
TWIN_TOPIC = re.compile(r"[^/]+/[^/]+/things/twin/commands/(modify|delete|merge|retrieve)")
LIVE_TOPIC = re.compile(r"[^/]+/[^/]+/things/live/messages/([^/]+)")
ERROR_TOPIC = "unknown/unknown/things/twin/errors"
FEATURE_PATH = re.compile(r"/features/([^/]+)(/.*)?")
MESSAGE_PATH = re.compile(r"/features/([^/]+)/(inbox|outbox)/messages/([^/]+)")
RESPONSE = re.compile(r"command//([^/]+)/res/([^/]*)/([^/]+)")
HANDSHAKE = {"topic": "", "headers": None, "path": ""}


class Strict(Exception):
    pass


def parse(payload):
    """Strict JSON: UTF-8, no duplicate keys, no NaN."""
    def pairs(items):
        result = dict(items)
        if len(result) != len(items):
            raise Strict("duplicate key")
        return result

    def constant(name):
        raise Strict(f"{name} is no JSON number")
    try:
        return json.loads(payload.decode("utf-8"), object_pairs_hook=pairs,
                          parse_constant=constant)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Strict(str(error))


def _key_faults(key, what):
    if not key or len(key) > 256 or not re.fullmatch(r"[\x20-\x2e\x30-\x7e]+", key):
        return [f"{what} {key!r} is empty, too long, or has '/', control or non-ASCII characters"]
    return []


def _thing(topic):
    return ":".join(topic.split("/")[:2])


def _check_twin(body, verb, thing):
    faults = []
    path = FEATURE_PATH.fullmatch(body["path"])
    if verb == "retrieve":
        return faults
    if not path:
        return [f"twin path {body['path']!r}"]
    faults += _key_faults(path[1], "feature id")
    if verb in ("modify", "delete") and body["headers"] != {"response-required": False}:
        faults.append(f"headers of a twin {verb}: {body['headers']!r}")
    if verb == "merge" and body["headers"].get("content-type") != "application/merge-patch+json":
        faults.append("merge without application/merge-patch+json")
    if (verb == "delete") == ("value" in body):
        faults.append(f"twin {verb} {'with' if 'value' in body else 'without'} a value")
    if "status" in body:
        faults.append("twin command with a status")
    if verb == "modify" and path[2] is None:
        value = body.get("value")
        if not isinstance(value, dict) or not set(value) <= {"definition", "properties"} \
                or not all(value.values()):
            faults.append(f"feature value {value!r}")
    if verb == "modify" and path[2] and path[2].endswith("/installedDependencies"):
        for key in body["value"] or {}:
            faults += _key_faults(key, "dependency key")
    if _thing(body["topic"]) != thing:
        faults.append(f"twin of {_thing(body['topic'])!r} published for {thing!r}")
    return faults


def _check_live(body, subject, is_response):
    path = MESSAGE_PATH.fullmatch(body["path"])
    is_error = isinstance(body.get("value"), dict) and "error" in body["value"]
    if not path:
        # An error about a path that is none repeats it.
        return [] if is_response and is_error else [f"message path {body['path']!r}"]
    faults = _key_faults(path[1], "feature id")
    # An error before dispatch repeats the request as it was.
    if path[3] != subject and not (is_response and is_error):
        faults.append(f"subject {subject!r} in the topic, {path[3]!r} in the path")
    if path[2] == "inbox" and not (is_response and is_error):
        faults.append("only errors before dispatch have an inbox path")
    if "value" in body and body["headers"].get("content-type") != "application/json":
        faults.append("value without content-type application/json")
    if not is_response and body["headers"].get("response-required") is not False:
        faults.append("outbox message without response-required false")
    return faults


def _check_response(body, mqtt_topic):
    found = RESPONSE.fullmatch(mqtt_topic)
    if not found:
        return [f"response topic {mqtt_topic!r}"]
    faults = []
    status = body.get("status")
    if not isinstance(status, int) or not 100 <= status <= 599:
        return [f"status {status!r}"]
    if found[2] and found[3] != str(status):
        faults.append(f"status {status} in the envelope, {found[3]} in the topic")
    if (status == 204) == ("value" in body):
        faults.append(f"status {status} {'with' if 'value' in body else 'without'} a value")
    if status >= 400:
        error = body.get("value")
        if not isinstance(error, dict) or list(error) != ["error", "status", "message"] \
                or error["status"] != status or not error["message"]:
            faults.append(f"error object {error!r}")
    elif not body["headers"].get("correlation-id"):
        faults.append("answer without correlation-id")
    if not set(body["headers"]) <= {"content-type", "correlation-id"}:
        faults.append(f"headers of an answer: {sorted(body['headers'])}")
    return faults


def check(mqtt_topic, payload, qos=1, retain=False):
    if len(payload) > MESSAGE_BYTES_MAX:
        return [f"{len(payload)} bytes"]
    faults = []
    if qos != 1 or retain:
        faults.append(f"published with qos {qos}, retain {retain}")
    if re.search(rb"[<>&]", payload):
        faults.append("'<', '>' or '&' not escaped")
    try:
        body = parse(payload)
    except Strict as error:
        return [f"payload is no strict JSON: {error}"]
    if mqtt_topic == "edge/thing/request":
        return faults + ([] if body == HANDSHAKE else [f"handshake {body!r}"])
    if not isinstance(body, dict) or list(body) != [f for f in FIELDS if f in body] \
            or not {"topic", "headers", "path"} <= set(body):
        return faults + [f"envelope fields {list(body)}"]
    if not isinstance(body["headers"], dict):
        return faults + ["headers are no object"]
    # A live message of a feature, in the dialect of the API document.
    is_documented_data = re.fullmatch(r"command//[^/]+/res//data", mqtt_topic) is not None
    is_response = mqtt_topic.startswith("command//") and not is_documented_data
    if is_response:
        faults += _check_response(body, mqtt_topic)
    elif not is_documented_data and not re.fullmatch(r"e/[^/]+/[^/]+", mqtt_topic):
        return faults + [f"MQTT topic {mqtt_topic!r}"]
    if body["topic"] == ERROR_TOPIC:
        return faults + ([] if is_response else ["error topic outside of an answer"])
    twin = TWIN_TOPIC.fullmatch(body["topic"])
    if twin and not is_response and not is_documented_data:
        return faults + _check_twin(body, twin[1], mqtt_topic.split("/")[2])
    live = LIVE_TOPIC.fullmatch(body["topic"])
    if not live:
        # Before dispatch the topic of the request is repeated, whatever it was.
        return faults + ([] if is_response and body.get("status", 0) >= 400
                         else [f"topic {body['topic']!r}"])
    return faults + _check_live(body, live[1], is_response)
