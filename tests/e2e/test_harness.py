# SPDX-License-Identifier: Apache-2.0
"""The harness itself: what the other tests rely on."""
import hashlib
import http.client
import json
import os
import subprocess
import threading
import time
import urllib.request

import pytest

from harness import ditto, images, world as worlds
from harness.gateway import programs
from harness.peer import Peer
from harness.registry import SlowProxy

THING = "org.example:gw1:edge:containers"
NAME = "org.example/gw1:edge:containers"


def test_world_has_namespaces_of_its_own(world):
    assert worlds.links() == ["lo"]
    assert os.readlink("/proc/self/ns/net") != os.readlink(f"/proc/{os.getppid()}/ns/net")
    assert os.readlink("/proc/self/ns/mnt") != os.readlink(f"/proc/{os.getppid()}/ns/mnt")


def test_world_finds_and_removes_what_is_left(world):
    other = worlds.World("inner")
    orphan = subprocess.run(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True)
    point = other.directory / "mount"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", point], check=True)
    subprocess.run(["ip", "link", "add", "left0", "type", "bridge"], check=True)
    left = other.close()
    assert f"process {orphan.stdout.strip()} (sleep)" in left
    assert f"mount {point}" in left
    assert "link left0" in left
    assert not other.directory.exists()
    assert not world.leftovers()


def test_peer_answers_the_handshake_and_keeps_the_twin(world, broker):
    device = Peer(world, broker, answers=False)
    peer = Peer(world, broker)
    device.publish("edge/thing/request", {"topic": "", "headers": None, "path": ""})
    for path, value in (("Container:1", {"definition": ["a:b:1"]}),
                        ("Container:1/properties/status/state", {"status": "RUNNING"})):
        device.publish(f"e/t1/{THING}", {
            "topic": f"{NAME}/things/twin/commands/modify",
            "headers": {"response-required": False}, "path": f"/features/{path}", "value": value})
    assert peer.wait_state("1", "RUNNING") == {"status": "RUNNING"}
    device.publish(f"e/t1/{THING}", {
        "topic": f"{NAME}/things/twin/commands/delete",
        "headers": {"response-required": False}, "path": "/features/Container:1"})
    peer.wait_gone("1")
    assert not peer.faults


def test_broker_restart_is_survived_by_the_peer(world, broker, peer):
    broker.stop()
    broker.start()
    peer.wait(lambda: peer._is_connected, 10, "peer is back")


GOOD = [
    (f"e/t1/{THING}", {"topic": f"{NAME}/things/twin/commands/modify",
                       "headers": {"response-required": False}, "path": "/features/Metrics",
                       "value": {"definition": ["a:b:1"]}}),
    (f"command//{THING}/res/r1/204", {"topic": f"{NAME}/things/live/messages/start",
                                      "headers": {"correlation-id": "c"},
                                      "path": "/features/Container:1/outbox/messages/start",
                                      "status": 204}),
    (f"command//{THING}/res//create", {
        "topic": f"{NAME}/things/live/messages/create",
        "headers": {"content-type": "application/json", "correlation-id": "c"},
        "path": "/features/ContainerFactory/outbox/messages/create", "value": "1", "status": 200}),
    (f"command//{THING}/res/r1/400", {
        "topic": "unknown/unknown/things/twin/errors",
        "headers": {"content-type": "application/json"}, "path": "/",
        "value": {"error": "messages:parameter.invalid", "status": 400, "message": "x"},
        "status": 400}),
]

CHANGES = [
    (0, {"headers": {"response-required": True}}, "headers of a twin modify"),
    (0, {"path": "/features/"}, "twin path"),
    (0, {"path": "/features/Container:\u00e4"}, "feature id"),
    (0, {"value": {"properties": {}}}, "feature value"),
    (0, {"topic": "a/b/things/twin/commands/modify"}, "published for"),
    (0, {"topic": f"{NAME}/things/twin/commands/create"}, "topic"),
    (0, {"value": {"definition": ["<"]}}, "not escaped"),
    (0, {"status": 200}, "status"),
    (1, {"status": 200}, "without a value"),
    (1, {"status": 99}, "status 99"),
    (1, {"headers": {}}, "correlation-id"),
    (1, {"path": "/features/Container:1/outbox/messages/stop"}, "subject"),
    (1, {"path": "/features/Container:1/inbox/messages/start"}, "inbox path"),
    (2, {"headers": {"correlation-id": "c"}}, "content-type"),
    (3, {"value": "x"}, "error object"),
]


def test_ditto_accepts_what_is_right(world):
    for topic, body in GOOD:
        assert ditto.check(topic, json.dumps(body).encode()) == []


@pytest.mark.parametrize("row", range(len(CHANGES)))
def test_ditto_refuses_what_is_wrong(world, row):
    index, change, expected = CHANGES[row]
    topic, body = GOOD[index]
    payload = json.dumps({**body, **change}).encode()
    faults = ditto.check(topic, payload)
    assert any(expected in fault for fault in faults), faults


@pytest.mark.parametrize("payload", [
    b"{", b"[]", b'{"topic":"a","topic":"a","headers":{},"path":"/"}', b'{"headers":{},"topic":""}',
    b'{"topic":"\xff","headers":{},"path":"/"}', b" " * 300000],
    ids=["cut", "array", "twice", "order", "utf8", "large"])
def test_ditto_refuses_broken_payloads(world, payload):
    assert ditto.check(f"e/t1/{THING}", payload)


def fetch(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers={"Accept": f"{images.OCI_MANIFEST}, */*"})
    return opener.open(request, timeout=10).read()


def test_registry_serves_what_was_pushed(world, registry):
    image = images.busybox(["true"])
    registry.push(image, "test/true")
    assert fetch(f"http://{registry.host}/v2/test/true/manifests/1") == image.manifest.data


def test_images_are_read_by_skopeo(world, registry):
    layout = world.directory / "layout"
    images.write_layout(images.busybox(["true"]), layout, "1")
    subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:1",
                    f"docker://{registry.host}/test/copied:1"], check=True)
    assert json.loads(fetch(f"http://{registry.host}/v2/test/copied/manifests/1"))["layers"]


def test_slow_proxy_is_slow_and_cuts(world, registry):
    image = images.busybox(["true"])
    registry.push(image, "test/true")
    proxy = SlowProxy(world, registry.port, rate=1 << 20)
    start = time.monotonic()
    blob = image.blobs[0]
    assert fetch(f"http://{proxy.host}/v2/test/true/blobs/{blob.digest}") == blob.data
    assert time.monotonic() - start > 0.8 * len(blob.data) / (1 << 20)
    proxy.rate = 1
    threading.Timer(0.5, proxy.cut).start()
    with pytest.raises(http.client.IncompleteRead):
        fetch(f"http://{proxy.host}/v2/test/true/blobs/{blob.digest}")


def test_unpacker_takes_layers_of_real_tools(world):
    """A layer written by umoci, unpacked as davit does it."""
    layout = world.directory / "layout"
    images.write_layout(images.busybox(["true"]), layout, "1")
    bundle = world.directory / "bundle"
    run = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:1", bundle], **run)
    (bundle / "rootfs" / "etc" / "new").write_text("new")
    (bundle / "rootfs" / "bin" / "yes").unlink()
    subprocess.run(["umoci", "repack", "--image", f"{layout}:2", bundle], **run)
    index = json.loads((layout / "index.json").read_text())

    def blob(descriptor):
        return layout / "blobs" / "sha256" / descriptor["digest"].split(":")[1]
    descriptor = [m for m in index["manifests"]
                  if m["annotations"]["org.opencontainers.image.ref.name"] == "2"][0]
    manifest = json.loads(blob(descriptor).read_text())
    config = json.loads(blob(manifest["config"]).read_text())
    layer = manifest["layers"][-1]
    target = world.directory / "target"
    target.mkdir()
    result = subprocess.run(
        [programs("davit-unpack") / "davit-unpack", "--blob", blob(layer), "--digest", layer["digest"],
         "--media-type", layer["mediaType"], "--diff-id", config["rootfs"]["diff_ids"][-1],
         "--dir", target], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["entries"] >= 2
    assert (target / "etc" / "new").read_text() == "new"
    assert (target / "bin" / "yes").is_char_device()
    assert hashlib.sha256(blob(layer).read_bytes()).hexdigest() in layer["digest"]
