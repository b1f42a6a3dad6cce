# SPDX-License-Identifier: Apache-2.0
"""Registries that lie, swell, drip and turn in circles: each a clear error, nothing left, memory
bounded. What a layer's tar can try is in tests/unit/unpack."""
import io
import json
import subprocess
import tarfile
import time

import pytest

from harness import images
from harness.gateway import Gateway
from harness.handmade import HandRegistry

INDEX = "application/vnd.oci.image.index.v1+json"
MEMORY_KB = 120_000  # davitd may grow by so much


def peak_kb(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


class Case:
    """A gateway and a hostile registry. fails() wants each of `words` in the error."""

    def __init__(self, world, broker, peer):
        self.registry = HandRegistry(world)
        self.image = images.busybox(["true"])
        self.reference = self.registry.push(self.image, "test/hostile")
        self._peer = peer
        self.gateway = Gateway(world, broker, peer, [self.registry.host], start=False)
        self.gateway.config["davit"]["deadlines"] = {"pull_stall": "2s"}
        self.gateway.start_monitor()
        self.gateway.start_daemon()
        self.gateway.wait_ready(broker)
        self._before_kb = peak_kb(self.gateway.daemon.pid)

    def put_manifest(self, data, media_type=images.OCI_MANIFEST, tag="1"):
        blob = images.Blob(data if isinstance(data, bytes) else json.dumps(data).encode(),
                           media_type)
        for name in (tag, blob.digest):
            self.registry.put(f"/v2/test/hostile/manifests/{name}", blob.data, media_type,
                              blob.digest)
        return blob

    def answer(self, part, reply):
        """Lets reply(request handler) answer what has `part` in its path."""
        def hook(request, path):
            if part not in path:
                return False
            reply(request)
            return True
        self.registry.hook = hook

    def fails(self, *words, timeout_s=40):
        answer = self._peer.ask("ContainerFactory", "create",
                                {"imageRef": self.reference, "start": True}, timeout_s)
        assert answer.status == 500, answer.text
        for word in words:
            assert word in answer.text, answer.text
        assert self.gateway.daemon.is_running
        home = self.gateway.home
        assert not any((home / "layers" / "staging").iterdir())
        assert not any((home / "containers").iterdir())
        assert "manifests\":[]" in (home / "images" / "index.json").read_text()
        assert peak_kb(self.gateway.daemon.pid) - self._before_kb < MEMORY_KB


@pytest.fixture
def case(world, broker, peer):
    return Case(world, broker, peer)


def stream(request, piece, count, headers=()):
    """`count` times `piece`, chunked, until the other side has had enough."""
    request.send_response(200)
    for name, value in headers:
        request.send_header(name, value)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    try:
        for _ in range(count):
            request.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        request.wfile.write(b"0\r\n\r\n")
    except OSError:
        request.close_connection = True


def test_documents_that_lie(case):
    manifest = json.loads(case.image.manifest.data)
    # A manifest of 100 MB.
    case.answer("/manifests/", lambda request: stream(
        request, b" " * (1 << 20), 100, [("Content-Type", images.OCI_MANIFEST)]))
    case.fails("manifest", "larger")
    case.registry.hook = None
    # Indexes without end.
    inner = case.put_manifest(manifest, tag="inner")
    for depth in range(6):
        inner = case.put_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {**inner.descriptor(), "platform": {"os": "linux", "architecture": machine()}}]},
            INDEX, tag="1")
    case.fails("indexes")
    # An index that leads to itself, as far as a server can pretend.
    entry = {"mediaType": INDEX, "digest": "sha256:" + "1" * 64, "size": 200,
             "platform": {"os": "linux", "architecture": machine()}}
    index = case.put_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]},
                              INDEX)
    case.answer("/manifests/sha256:", lambda request: request.reply(
        200, index.data, [("Content-Type", INDEX)]))
    case.fails("manifest")
    case.registry.hook = None
    for change, words in (
            ({"layers": manifest["layers"] * 200}, ["layers"]),
            ({"config": {**manifest["config"], "digest": "sha256:../../x"}}, ["digest"]),
            ({"layers": [{**manifest["layers"][0], "size": -1}]}, ["size"]),
            ({"layers": [{**manifest["layers"][0], "size": 1 << 50}]}, ["size"]),
            ({"layers": [{**manifest["layers"][0], "mediaType": "text/html"}]}, ["text/html"]),
            ({"schemaVersion": 1}, ["schema"])):
        case.put_manifest({**manifest, **change})
        case.fails(*words)
    case.put_manifest(b"{" * 100000)
    case.fails("manifest")
    case.put_manifest(b"\xff\xfe" + case.image.manifest.data)
    case.fails("manifest")


def machine():
    return json.loads(images.busybox(["true"]).blobs[-1].data)["architecture"]


def test_blobs_that_lie(case):
    layer = case.image.blobs[0]
    changed = bytearray(layer.data)
    changed[-20] ^= 1
    case.answer(layer.digest, lambda request: request.reply(200, bytes(changed)))
    case.fails("digest")
    case.answer(layer.digest, lambda request: request.reply(200, layer.data + b"more"))
    case.fails("more bytes")
    case.answer(layer.digest, lambda request: stream(request, b"x" * 65536, 1000))
    case.fails("more bytes")
    case.answer(layer.digest, lambda request: request.reply(200, layer.data[:-7]))
    case.fails("bytes came")
    case.answer(layer.digest, lambda request: request.reply(206, layer.data[5:], [
        ("Content-Range", f"bytes 5-{len(layer.data) - 1}/{len(layer.data)}")]))
    case.fails("another part")
    # A blob that is no image configuration, and one that is too large.
    case.registry.hook = None
    manifest = json.loads(case.image.manifest.data)
    config = images.Blob(b"[]", images.OCI_CONFIG)
    case.registry.put(f"/v2/test/hostile/blobs/{config.digest}", config.data, "", config.digest)
    case.put_manifest({**manifest, "config": config.descriptor()})
    case.fails("configuration")
    huge = {**manifest["config"], "size": 100_000_000}
    case.put_manifest({**manifest, "config": huge})
    case.fails("size")


@pytest.mark.deadline(120)
def test_servers_that_drip_and_turn_in_circles(case):
    url = case.registry.url
    case.answer("", lambda request: request.reply(307, b"", [("Location", f"{url}/v2/again")]))
    case.fails("redirect")
    case.answer("/manifests/", lambda request: request.reply(
        307, b"", [("Location", "file:///etc/passwd")]))
    case.fails("file")
    case.answer("/manifests/", lambda request: request.reply(307, b"", [("Location", "http://")]))
    case.fails(case.registry.host)

    def drip(request):
        request.send_response(200)
        request.send_header("Content-Type", images.OCI_MANIFEST)
        request.send_header("Content-Length", str(len(case.image.manifest.data)))
        request.end_headers()
        try:
            for byte in case.image.manifest.data:
                request.wfile.write(bytes([byte]))
                time.sleep(0.2)
        except OSError:
            request.close_connection = True
    case.answer("/manifests/", drip)
    begin = time.monotonic()
    case.fails("manifest")
    assert time.monotonic() - begin < 15

    def mute(request):
        time.sleep(30)
        request.close_connection = True
    case.answer("/manifests/", mute)
    case.fails("manifest")

    def flood(request):
        request.send_response(200)
        try:
            for number in range(100_000):
                request.wfile.write(f"X-Flood-{number}: {'x' * 1000}\r\n".encode())
            request.end_headers()
        except OSError:
            pass
        request.close_connection = True
    case.answer("/manifests/", flood)
    case.fails(case.registry.host)
    case.answer("/manifests/", lambda request: request.wfile.write(b"\x15\x03\x01\x00\x02\x02\x16"))
    case.fails(case.registry.host)


@pytest.mark.deadline(90)
def test_a_bomb_does_not_fill_the_disk(world, broker, peer, case):
    size = 200_000_000
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("bomb")
        info.size = size
        tar.addfile(info, io.BytesIO(bytes(size)))
    bomb = images.image([out.getvalue()], ["true"])
    assert len(bomb.blobs[0].data) < 400_000
    case.registry.push(bomb, "test/hostile")
    staging = case.gateway.home / "layers"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", staging], check=True)
    world.defer(lambda: subprocess.run(["umount", "-l", staging], check=True))
    for folder in ("ids", "staging"):
        (staging / folder).mkdir()
    case.fails("exceed")
