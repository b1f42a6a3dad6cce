# SPDX-License-Identifier: Apache-2.0
"""How pulls fare: cut, resumed, shared, put off, without room, past dead registries."""
import ctypes
import http.server
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import pytest

from harness import images, world as worlds
from harness.gateway import Gateway
from harness.handmade import HandRegistry
from harness.registry import SlowProxy

POLICY_NO = {"restartPolicy": {"type": "NO"}}
BULK = 6_000_000


def bulk(seed=1, size=BULK):
    """A layer that does not compress."""
    return images.layer({f"bulk{seed}": (random.Random(seed).randbytes(size), 0o644)})


def big_image(seed=1, size=BULK):
    return images.busybox(["echo", "hello"], extra_layers=[bulk(seed, size)])


def start(world, broker, peer, hosts, settings=None, begin=True):
    gateway = Gateway(world, broker, peer, hosts, settings, start=False)
    if begin:
        gateway.start_monitor()
        gateway.start_daemon()
        gateway.wait_ready(broker)
    return gateway


def works(gateway, peer, reference, timeout_s=50):
    container = peer.ask("ContainerFactory", "createWithConfig",
                         {"imageRef": reference, "start": True, "config": POLICY_NO}, timeout_s)
    assert container.status == 200, container.text
    peer.wait_state(container.value, "EXITED", 30)
    assert gateway.wait_output(container.value, "\n") == "hello\n"


def largest(image):
    return max(image.blobs, key=lambda blob: len(blob.data))


class Cutter:
    """A hook that sends part of a blob and then cuts, or waits to be cut."""

    def __init__(self, image, part=0.5, times=1, waits=False, ranges=True):
        self.blob = largest(image)
        self.part, self.times, self.waits, self.ranges = part, times, waits, ranges
        self.is_waiting = threading.Event()
        self.seen = []  # Range headers of requests for the blob

    def __call__(self, request, path):
        if not path.endswith(self.blob.digest):
            return False
        self.seen.append(request.headers.get("Range"))
        if not self.ranges:
            request.headers.replace_header("Range", "") if "Range" in request.headers else None
        if self.times == 0:
            return False
        self.times -= 1
        request.send_response(200)
        request.send_header("Content-Length", str(len(self.blob.data)))
        request.end_headers()
        request.wfile.write(self.blob.data[:int(len(self.blob.data) * self.part)])
        request.wfile.flush()
        self.is_waiting.set()
        if self.waits:
            request.connection.settimeout(60)
            request.rfile.read(1)
        request.close_connection = True
        try:
            request.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        return True


def offset(text):
    match = re.fullmatch(r"bytes=(\d+)-", text or "")
    return int(match[1]) if match else 0


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "none"])
def test_a_cut_pull_goes_on(world, broker, peer, ranges):
    image = big_image()
    cutter = Cutter(image, times=2, ranges=ranges)
    registry = HandRegistry(world, hook=cutter)
    reference = registry.push(image, "test/cut")
    gateway = start(world, broker, peer, [registry.host])
    works(gateway, peer, reference)
    assert len(cutter.seen) == 3 and not cutter.seen[0]
    assert offset(cutter.seen[1]) > BULK // 4


@pytest.mark.parametrize("harm", [None, "changed", "longer"])
def test_a_pull_goes_on_after_the_daemon_was_killed(world, broker, peer, harm):
    image = big_image()
    cutter = Cutter(image, waits=True)
    registry = HandRegistry(world, hook=cutter)
    reference = registry.push(image, "test/kill")
    gateway = start(world, broker, peer, [registry.host])
    peer.send("ContainerFactory", "create", {"imageRef": reference, "start": False})
    assert cutter.is_waiting.wait(30)
    ingest = gateway.home / "images" / "ingest"
    part = worlds.wait_for(lambda: next((path for path in ingest.iterdir()
                                         if path.stat().st_size > BULK // 3), None), 20,
                           "half of the layer is here")
    gateway.daemon.kill()
    if harm:
        data = bytearray(part.read_bytes())
        data[1000] ^= 1
        part.write_bytes(data if harm == "changed" else data + b"x" * BULK)
    gateway.start_daemon()
    gateway.wait_ready(broker, 2)
    works(gateway, peer, reference)
    offsets = [offset(text) for text in cutter.seen]
    if harm == "longer":
        assert offsets == [0, 0]
    elif harm == "changed":
        assert len(offsets) == 3 and offsets[1] > BULK // 3 and offsets[2] == 0
    else:
        assert len(offsets) == 2 and offsets[1] > BULK // 3
    assert not any(ingest.iterdir())


def test_one_layer_of_two_images_is_fetched_once(world, broker, peer):
    shared, gate = bulk(7), threading.Event()
    image_of = {name: images.busybox(["echo", "hello"], settings={"Labels": {"name": name}},
                                     extra_layers=[shared]) for name in ("one", "two")}
    blob = largest(image_of["one"])
    asked = []

    def hook(_request, path):
        if path.endswith(blob.digest):
            asked.append(path)
            gate.wait(30)
        return False
    registry = HandRegistry(world, hook=hook)
    for name, image in image_of.items():
        registry.push(image, "test/shared", name)
    gateway = start(world, broker, peer, [registry.host])
    commands = [peer.send("ContainerFactory", "createWithConfig", {
        "imageRef": f"{registry.host}/test/shared:{name}", "start": False}) for name in image_of]
    configs = [image.blobs[-1].digest for image in image_of.values()]
    worlds.wait_for(lambda: asked and all(registry.paths(digest) for digest in configs), 20,
                    "both pulls are under way")
    gate.set()
    for command in commands:
        assert peer.answer_of(command, 40).status == 200
    assert len(asked) == 1
    assert gateway.daemon.is_running


@pytest.mark.parametrize("status,header", [(429, "1"), (503, None)], ids=["429", "503"])
def test_a_busy_registry_is_asked_again_later(world, broker, peer, status, header):
    times = []

    def hook(request, _path):
        times.append(time.monotonic())
        if len(times) > 2:
            return False
        request.reply(status, b"{}", [("Retry-After", header)] if header else [])
        return True
    registry = HandRegistry(world, hook=hook)
    reference = registry.push(images.busybox(["echo", "hello"]), "test/busy")
    gateway = start(world, broker, peer, [registry.host])
    works(gateway, peer, reference)
    least = 1.0 if header else 0.4
    assert times[1] - times[0] >= least and times[2] - times[1] >= least


def test_a_registry_that_wants_an_hour_is_an_error_now(world, broker, peer):
    registry = HandRegistry(world, hook=lambda request, _path: request.reply(
        429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"come back"}]}',
        [("Retry-After", "3600")]) or True)
    reference = registry.push(images.busybox(["true"]), "test/busy")
    start(world, broker, peer, [registry.host])
    answer = peer.ask("ContainerFactory", "create", {"imageRef": reference, "start": False}, 10)
    assert answer.status == 500 and "3600" in answer.text and "come back" in answer.text
    assert len(registry.seen) == 1


def test_a_dead_registry_is_not_stormed(world, broker, peer):
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    host = f"127.0.0.1:{listener.getsockname()[1]}"
    accepted = []

    def refuse():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            accepted.append(time.monotonic())
            time.sleep(0.2)
            connection.close()
    threading.Thread(target=refuse, daemon=True).start()
    world.defer(listener.close)
    gateway = start(world, broker, peer, [host])
    commands = [peer.send("ContainerFactory", "createWithConfig",
                          {"imageRef": f"{host}/test/x{i}:1", "start": True}) for i in range(80)]
    for command in commands:
        answer = peer.answer_of(command, 50)
        assert answer.status == 500 and host in answer.text
    # Plain HTTP, then TLS; and again for those that came when the rest was over.
    assert len(accepted) <= 16, len(accepted)
    assert gateway.daemon.is_running


@pytest.mark.deadline(120)
def test_hundreds_of_pulls_wait_for_one_server(world, broker, peer):
    """All at once, behind one request that takes its time; more than that is busy."""
    gate, first = threading.Event(), threading.Event()

    def hook(_request, _path):
        first.set()
        gate.wait(60)
        return False
    registry = HandRegistry(world, hook=hook)
    image = images.image([images.layer({"x": (b"x", 0o644)})], ["true"])
    references = [registry.push(image, f"test/wait{i}") for i in range(256)]
    gateway = start(world, broker, peer, [registry.host])
    commands = [world.start(f"pull{i}", [*gateway.command_line().split(), "pull", reference])
                for i, reference in enumerate(references[:40])]
    created = [peer.send("ContainerFactory", "createWithConfig",
                         {"imageRef": reference, "start": False}) for reference in references[40:]]
    assert first.wait(30)
    worlds.wait_for(lambda: len(gateway.command("ps")[1].split("pulling ")) == 257, 30,
                    "all 256 pulls wait")
    assert len(registry.seen) == 1
    gate.set()
    for command in commands:
        assert command.wait(60) == 0, command.text()
    for command in created:
        assert peer.answer_of(command, 60).status == 200
    assert gateway.daemon.is_running


def test_no_room_is_told_before_the_first_byte(world, broker, peer):
    image = big_image(size=20_000_000)
    registry = HandRegistry(world)
    reference = registry.push(image, "test/room")
    gateway = start(world, broker, peer, [registry.host], begin=False)
    folder = gateway.home / "images"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=True)
    world.defer(lambda: subprocess.run(["umount", "-l", folder], check=True))
    gateway.start_monitor()
    gateway.start_daemon()
    gateway.wait_ready(broker)
    answer = peer.ask("ContainerFactory", "create", {"imageRef": reference, "start": False}, 20)
    assert answer.status == 500 and "no room" in answer.text, answer.text
    assert not registry.paths(largest(image).digest)


def test_progress_moves_within_a_layer(world, broker, peer, registry):
    proxy = SlowProxy(world, registry.port, rate=1_500_000)
    gateway = start(world, broker, peer, [proxy.host])
    registry.push(images.image([bulk(size=5_000_000)], ["true"]), "test/slow")
    code, text = gateway.command("pull", "--progress", f"{proxy.host}/test/slow:1")
    assert code == 0, text
    percents = [int(number) for number in re.findall(r"\((\d+) %\)", text)]
    assert any(0 < percent < 100 for percent in percents), text


def test_lists_show_what_is_being_pulled(world, broker, peer):
    image = big_image()
    cutter = Cutter(image, waits=True)
    registry = HandRegistry(world, hook=cutter)
    reference = registry.push(image, "test/shown")
    gateway = start(world, broker, peer, [registry.host])
    peer.send("ContainerFactory", "create", {"imageRef": reference, "start": False})
    assert cutter.is_waiting.wait(30)
    for command in ("ps", "images"):
        worlds.wait_for(lambda: re.search(rf"pulling {reference}  downloading: .* of .* %\)",
                                          gateway.command(command)[1]), 10, f"davit {command}")
    assert "pulling" not in gateway.command("ps", "-q")[1]


def test_the_log_tells_each_phase_of_a_pull_once(world, broker, peer, registry):
    proxy = SlowProxy(world, registry.port, rate=1_500_000)
    gateway = start(world, broker, peer, [proxy.host])
    registry.push(big_image(size=4_000_000), "test/told")
    works(gateway, peer, f"{proxy.host}/test/told:1")
    lines = [line for line in gateway.daemon.text().splitlines()
             if f"image {proxy.host}/test/told:1: " in line]
    told = [re.search(r":1: (\w+)", line)[1] for line in lines]
    assert told == ["pulling", "downloading", "unpacking", "pulled"], lines
    assert re.search(r"pulled in \d{4,} ms, \d{7} bytes in 2 layers", lines[-1]), lines


def test_a_pull_that_nobody_wants_any_more_ends(world, broker, peer):
    image = big_image()
    cutter = Cutter(image, waits=True)
    registry = HandRegistry(world, hook=cutter)
    reference = registry.push(image, "test/cancel")
    gateway = start(world, broker, peer, [registry.host])
    command = world.start("pull", [*gateway.command_line().split(), "pull", reference])
    assert cutter.is_waiting.wait(30)
    command.signal(signal.SIGINT)
    assert command.wait(10) == 1
    worlds.wait_for(lambda: "pulling" not in gateway.command("images")[1], 10, "it ends")
    works(gateway, peer, reference)
    assert offset(cutter.seen[1]) > BULK // 4


def test_pulls_keep_to_their_rate(world, broker, peer):
    registry = HandRegistry(world)
    image = images.image([bulk(1, 1_000_000), bulk(2, 1_000_000)], ["true"])
    reference = registry.push(image, "test/rate")
    gateway = start(world, broker, peer, [registry.host], begin=False)
    gateway.config["davit"]["images"] = {"rate_limit": 500}
    gateway.start_monitor()
    gateway.start_daemon()
    gateway.wait_ready(broker)
    begin = time.monotonic()
    code, text = gateway.command("pull", reference)
    assert code == 0, text
    assert 2 < time.monotonic() - begin < 25


def test_a_mirror_is_asked_before_the_registry(world, broker, peer):
    registry, mirror = HandRegistry(world), HandRegistry(world)
    image = images.busybox(["echo", "hello"])
    reference = registry.push(image, "test/both")
    mirror.push(image, "test/both")
    alone = registry.push(images.busybox(["echo", "hello"], settings={"Labels": {"x": "y"}}),
                          "test/alone")
    gateway = start(world, broker, peer, [registry.host, mirror.host], begin=False)
    gateway.config["davit"]["images"] = {"mirrors": [f"{registry.host}={mirror.host}"]}
    gateway.start_monitor()
    gateway.start_daemon()
    gateway.wait_ready(broker)
    works(gateway, peer, reference)
    assert not registry.seen and mirror.paths("/blobs/")
    works(gateway, peer, alone)
    assert mirror.paths("test/alone/manifests") and registry.paths("test/alone/manifests")


class _Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        headers = {name: value for name, value in self.headers.items()
                   if name.lower() not in ("host", "proxy-connection")}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(self.path, headers=headers)) as answer:
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *_):
        pass


def test_the_proxy_of_the_environment_is_used(world, broker, peer, monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    world.defer(server.shutdown)
    registry = HandRegistry(world)
    reference = registry.push(images.busybox(["echo", "hello"]), "test/proxy")
    # Not http_proxy, which would lead the MQTT connection there, too.
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    gateway = start(world, broker, peer, [registry.host])
    works(gateway, peer, reference)
    assert len(server.asked) == len(registry.seen) == 3


# -- shapes of images


def zstd(data):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    library.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
    library.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p,
                                      ctypes.c_size_t, ctypes.c_int]
    out = ctypes.create_string_buffer(library.ZSTD_compressBound(len(data)))
    size = library.ZSTD_compress(out, len(out), data, len(data), 3)
    return out.raw[:size]


def test_zstd_layers(world, broker, peer):
    image = images.busybox(["echo", "hello"])
    tar = images.busybox_layer()
    layer = images.Blob(zstd(tar), "application/vnd.oci.image.layer.v1.tar+zstd")
    manifest = images.json.loads(image.manifest.data)
    manifest["layers"] = [layer.descriptor()]
    image = images.Image(images.Blob(images.json.dumps(manifest).encode(),
                                     image.manifest.media_type), [layer, image.blobs[-1]])
    registry = HandRegistry(world)
    reference = registry.push(image, "test/zstd")
    gateway = start(world, broker, peer, [registry.host])
    works(gateway, peer, reference)


def test_128_layers(world, broker, peer):
    more = [images.layer({f"l/{i}": (str(i).encode(), 0o644)}) for i in range(127)]
    registry = HandRegistry(world)
    reference = registry.push(images.busybox(["sh", "-c", "ls /l | wc -l | grep -q 127 && "
                                              "echo hello"], extra_layers=more), "test/many")
    gateway = start(world, broker, peer, [registry.host])
    works(gateway, peer, reference)


def test_the_fitting_platform_of_an_index_is_taken(world, broker, peer):
    registry = HandRegistry(world)
    image = images.busybox(["echo", "hello"])
    registry.push(image, "test/index", "amd64")
    entry = {**image.manifest.descriptor(), "platform": {"os": "linux",
                                                         "architecture": machine()}}
    other = {"mediaType": images.OCI_MANIFEST, "digest": "sha256:" + "0" * 64, "size": 7,
             "platform": {"os": "windows", "architecture": "amd64"}}
    index = images.Blob(images.json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [other, entry]}).encode(), "application/vnd.oci.image.index.v1+json")
    registry.put("/v2/test/index/manifests/1", index.data, index.media_type, index.digest)
    gateway = start(world, broker, peer, [registry.host])
    works(gateway, peer, f"{registry.host}/test/index:1")


def machine():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
