# SPDX-License-Identifier: Apache-2.0
"""Images from a real registry: formats, layers, slow and broken ones."""
import dataclasses
import io
import json
import subprocess
import tarfile

import pytest

from harness import images, world as worlds
from harness.gateway import Gateway
from harness.registry import SlowProxy

POLICY_NO = {"restartPolicy": {"type": "NO"}}


END = "-end-\n"


def run(gateway, peer, reference, script):
    """What the script writes, and its code."""
    whole = f"({script}); code=$?; echo {END.strip()}; exit $code"
    container = peer.create(reference, config={**POLICY_NO, "cmd": ["sh", "-c", whole]})
    state = peer.wait_state(container, "EXITED", 30)
    return gateway.wait_output(container, END).removesuffix(END), state.get("exitCode", 0)


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
def test_both_manifest_formats_run(gateway, peer, registry, docker):
    reference = registry.push(images.busybox(["echo", "x"], docker), "test/format")
    assert run(gateway, peer, reference, "echo yes") == ("yes\n", 0)


def tar_of(*members):
    """A tar of members that images.layer() does not make."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, link, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size, info.mode = kind, link, len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def test_what_other_builders_write_is_understood(gateway, peer, registry):
    layer = tar_of(("/", tarfile.DIRTYPE, "", b""), ("one", tarfile.REGTYPE, "", b"x"),
                   ("two", tarfile.LNKTYPE, "/one", b""))
    labels = {"maintainer": "a", "Maintainer": "b"}
    reference = registry.push(images.busybox(["true"], settings={"Labels": labels},
                                             extra_layers=[layer]), "test/builder")
    assert run(gateway, peer, reference, "cat two; stat -c %h one") == ("x2\n", 0)


def test_absolute_names_are_refused_or_taken_below_the_root(world, broker, peer, registry):
    layer = tar_of(("/opt/", tarfile.DIRTYPE, "", b""), ("/opt/file", tarfile.REGTYPE, "", b"x\n"))
    reference = registry.push(images.busybox(["true"], extra_layers=[layer]), "test/absolute")
    gateway = Gateway(world, broker, peer, [registry.host])
    gateway.wait_ready(broker)
    answer = peer.ask("ContainerFactory", "create", {"imageRef": reference, "start": True}, 40)
    assert answer.status == 500
    assert "'/opt/': absolute names are refused" in answer.text
    assert "davit.images.absolute_names" in answer.text
    gateway.daemon.stop()
    gateway.config["davit"]["images"] = {"absolute_names": True}
    gateway.start_daemon()
    gateway.wait_ready(broker, 2)
    assert run(gateway, peer, reference, "cat /opt/file") == ("x\n", 0)


def test_upper_layers_hide_what_lower_ones_have(gateway, peer, registry):
    below = images.layer({"d/a": (b"a", 0o644), "d/b": (b"b", 0o644), "o/old": (b"x", 0o644),
                          "f": (b"below", 0o644)})
    above = images.layer({"d/.wh.a": (b"", 0o644), "o/.wh..wh..opq": (b"", 0o644),
                          "o/new": (b"y", 0o644), "f": (b"above", 0o644)})
    reference = registry.push(images.busybox(["true"], extra_layers=[below, above]), "test/layers")
    assert run(gateway, peer, reference, "ls d o; cat f") == ("d:\nb\n\no:\nnew\nabove", 0)


def test_layers_are_shared_and_images_readable_by_skopeo(gateway, peer, registry):
    for name in ("one", "two"):
        registry.push(images.busybox(["echo", name]), f"test/{name}")
        run(gateway, peer, f"{registry.host}/test/{name}:1", "true")
    layers = [entry for entry in (gateway.home / "layers").iterdir() if entry.name != "staging"]
    assert len([entry for entry in layers if (entry / "bin").exists()]) == 1
    index = json.loads((gateway.home / "images" / "index.json").read_text())
    assert len(index["manifests"]) == 2
    for manifest in index["manifests"]:
        name = manifest["annotations"]["org.opencontainers.image.ref.name"]
        subprocess.run(["skopeo", "inspect", "--raw", f"oci:{gateway.home / 'images'}:{name}"],
                       check=True, capture_output=True)


@pytest.mark.shows("K44")
def test_local_image_is_not_pulled_again(gateway, peer, registry, hello):
    run(gateway, peer, hello, "true")
    registry.stop()
    assert run(gateway, peer, hello, "echo again") == ("again\n", 0)


@pytest.mark.deadline(90)
@pytest.mark.shows("repeats")
def test_slow_pull_does_not_hold_up_the_others(world, broker, peer, registry):
    slow = SlowProxy(world, registry.port, rate=20_000)
    gateway = Gateway(world, broker, peer, [registry.host, slow.host])
    gateway.wait_ready(broker)
    image = images.busybox(["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"])
    fast = registry.push(image, "test/fast")
    other = images.layer({"bulk": (bytes(range(256)) * 2000, 0o644)})
    registry.push(images.busybox(["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"],
                                 extra_layers=[other]), "test/slow")
    pulling = peer.send("ContainerFactory", "createWithConfig", {
        "imageRef": f"{slow.host}/test/slow:1", "start": True, "config": POLICY_NO})
    for name in ("a", "b"):
        container = peer.create(fast, name=name, config=POLICY_NO)
        peer.wait_state(container, "RUNNING")
        assert peer.ask(f"Container:{container}", "stop", {}).status == 204
    assert not peer.find(rf"command//[^/]+/res/{pulling.rid}/.*"), "the slow one was not slow"
    slow.rate = None
    late = peer.answer_of(pulling, 60)
    assert late.status == 200, late.value
    peer.wait_state(late.value, "RUNNING")


def staging_is_empty(gateway):
    staging = gateway.home / "layers" / "staging"
    return not staging.exists() or not any(staging.iterdir())


def lying(image, what):
    """The image with one thing that is not as promised."""
    manifest = json.loads(image.manifest.data)
    blobs = list(image.blobs)
    if what == "size":
        manifest["layers"][0]["size"] += 1
    elif what == "diff id":
        config = json.loads(blobs[-1].data)
        config["rootfs"]["diff_ids"][0] = "sha256:" + "0" * 64
        blobs[-1] = images.Blob(json.dumps(config).encode(), blobs[-1].media_type)
        manifest["config"] = blobs[-1].descriptor()
    elif what == "hostile layer":
        tar = images.layer({"../../../evil": (b"x", 0o644)})
        return images.image([images.busybox_layer(), tar], ["true"])
    elif what == "no gzip":
        blobs[0] = images.Blob(b"\x1f\x8b" + b"garbage" * 100, blobs[0].media_type)
        manifest["layers"][0] = blobs[0].descriptor()
    return dataclasses.replace(image, blobs=blobs, manifest=images.Blob(
        json.dumps(manifest).encode(), image.manifest.media_type))


@pytest.mark.parametrize("what", ["size", "diff id", "hostile layer", "no gzip"])
def test_images_that_lie_are_refused_and_leave_nothing(gateway, peer, registry, what):
    try:
        reference = registry.push(lying(images.busybox(["true"]), what), "test/liar")
    except OSError as error:
        pytest.fail(f"the registry itself refused it: {error}")
    answer = peer.ask("ContainerFactory", "create", {"imageRef": reference, "start": True}, 40)
    assert (answer.status, answer.error) == (500, "messages:execution.failed")
    assert answer.text
    assert not [feature for feature in peer.twin if feature.startswith("Container:")]
    assert staging_is_empty(gateway)
    assert not any((gateway.home / "containers").iterdir())


def test_registry_that_is_down_is_an_error(world, broker, peer):
    gateway = Gateway(world, broker, peer, ["127.0.0.1:9"])
    gateway.wait_ready(broker)
    answer = peer.ask("ContainerFactory", "create",
                      {"imageRef": "127.0.0.1:9/test/x:1", "start": True}, 40)
    assert answer.status == 500 and "127.0.0.1:9" in answer.text


def test_pull_that_is_cut_ends_in_an_answer(world, broker, peer, registry):
    proxy = SlowProxy(world, registry.port, rate=100_000)
    gateway = Gateway(world, broker, peer, [proxy.host])
    gateway.wait_ready(broker)
    registry.push(images.busybox(["true"]), "test/cut")
    command = peer.send("ContainerFactory", "create",
                        {"imageRef": f"{proxy.host}/test/cut:1", "start": False})
    worlds.wait_for(lambda: proxy.passed_bytes > 100_000, 20, "the pull is under way")
    proxy.rate = None
    proxy.cut()
    answer = peer.answer_of(command, 50)
    assert answer.status in (200, 500)
    assert staging_is_empty(gateway)
