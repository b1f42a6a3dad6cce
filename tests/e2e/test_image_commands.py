# SPDX-License-Identifier: Apache-2.0
"""davit images, pull, load, rmi and prune; what expires and what stays."""
import gzip
import hashlib
import io
import json
import pathlib
import shutil
import subprocess
import tarfile
import threading

import pytest

from harness import images, world as worlds
from harness.gateway import Gateway
from harness.registry import SlowProxy

POLICY_NO = {"restartPolicy": {"type": "NO"}}


def command(gateway, *arguments):
    code, text = gateway.command(*arguments)
    assert code == 0, text
    return text


def stored(gateway):
    rows = json.loads(command(gateway, "--json", "images")).get("images", [])
    return {row["ref"]: row for row in rows}


def on_disk(gateway):
    """Names of blobs and of unpacked layers."""
    blobs = [path.name for path in (gateway.home / "images" / "blobs").glob("*/*")]
    layers = [path.name for path in (gateway.home / "layers").iterdir()
              if path.name not in ("ids", "staging", "damaged")]
    return blobs, layers


def staging_is_empty(gateway):
    return not any((gateway.home / "layers" / "staging").iterdir())


def run(peer, reference):
    container = peer.create(reference, config=POLICY_NO)
    peer.wait_state(container, "EXITED", 30)
    return container


def test_pull_list_use_and_remove(gateway, peer, registry, hello):
    assert command(gateway, "pull", hello).startswith("sha256:")
    assert stored(gateway)[hello]["layers"] == 1
    text = command(gateway, "images")
    assert hello in text and "USED" in text
    container = run(peer, hello)
    assert stored(gateway)[hello]["containers"] == 1
    code, text = gateway.command("rmi", hello)
    assert code == 1 and "is used by a container" in text
    assert peer.ask(f"Container:{container}", "remove", True).status == 204
    assert "removed: 1 images, 1 layers" in command(gateway, "rmi", hello)
    assert on_disk(gateway) == ([], [])
    worlds.wait_for(lambda: staging_is_empty(gateway), 10, "the layer's files are deleted")
    code, text = gateway.command("rmi", hello)
    assert code == 1 and "is not stored" in text


def test_pull_fetches_the_tag_anew_and_the_old_container_goes_on(gateway, peer, registry):
    first = images.busybox(["cat", "/v"], extra_layers=[images.layer({"v": (b"one\n", 0o644)})])
    second = images.busybox(["cat", "/v"], extra_layers=[images.layer({"v": (b"two\n", 0o644)})])
    reference = registry.push(first, "test/moving")
    old = run(peer, reference)
    registry.push(second, "test/moving")
    command(gateway, "pull", reference)
    command(gateway, "prune", "-a")
    new = run(peer, reference)
    assert gateway.wait_output(new, "\n") == "two\n"
    assert peer.ask(f"Container:{old}", "start", {}).status == 204
    worlds.wait_for(lambda: gateway.output(old) == "one\none\n", 20, "the old one runs once more")


def test_shared_layers_stay_until_the_last_image_goes(gateway, peer, registry):
    for name in ("one", "two"):
        extra = [images.layer({"name": (name.encode(), 0o644)})]
        registry.push(images.busybox(["true"], extra_layers=extra), f"test/{name}")
        command(gateway, "pull", f"{registry.host}/test/{name}:1")
    assert len(on_disk(gateway)[1]) == 3
    command(gateway, "rmi", f"{registry.host}/test/one:1")
    assert len(on_disk(gateway)[1]) == 2
    run(peer, f"{registry.host}/test/two:1")
    assert "removed: 0 images, 0 layers, 0 blobs" in command(gateway, "prune", "-a")


def test_progress_is_shown(world, broker, peer, registry):
    proxy = SlowProxy(world, registry.port, rate=300_000)
    gateway = Gateway(world, broker, peer, [proxy.host])
    gateway.wait_ready(broker)
    registry.push(images.busybox(["true"]), "test/slow")
    text = command(gateway, "pull", "--progress", f"{proxy.host}/test/slow:1")
    assert "downloading: " in text and " of " in text


def test_what_is_not_pulled_says_why(gateway):
    code, text = gateway.command("pull", "127.0.0.1:9/test/x:1")
    assert code == 1 and "127.0.0.1:9" in text
    code, text = gateway.command("pull", "no-host")
    assert code == 1 and "no-host" in text


@pytest.mark.deadline(120)
def test_prune_takes_nothing_that_is_wanted(gateway, peer, registry):
    """Containers come and go while everything unused is removed without a pause."""
    shared = images.layer({"shared": (bytes(200_000), 0o644)})
    references = [registry.push(
        images.busybox(["cat", "/name"], extra_layers=[
            shared, images.layer({"name": (f"image {i}\n".encode(), 0o644)})],
            docker=i % 2 == 1), f"test/turn{i}") for i in range(6)]
    is_over, faults, prunes = threading.Event(), [], []

    def prune():
        while not is_over.is_set():
            code, text = gateway.command("prune", "-a")
            prunes.append(text)
            if code != 0:
                faults.append(text)
    thread = threading.Thread(target=prune)
    thread.start()
    try:
        for _ in range(6):
            commands = [peer.send("ContainerFactory", "createWithConfig", {
                "imageRef": reference, "start": True, "config": POLICY_NO})
                for reference in references]
            answers = [peer.answer_of(command, 60) for command in commands]
            assert all(answer.status == 200 for answer in answers), [a.value for a in answers]
            for i, answer in enumerate(answers):
                peer.wait_state(answer.value, "EXITED", 30)
                gateway.wait_output(answer.value, f"image {i}\n")
                assert peer.ask(f"Container:{answer.value}", "remove", True).status == 204
    finally:
        is_over.set()
        thread.join()
    assert not faults
    assert any("image" in text and "removed: 0 images" not in text for text in prunes)
    worlds.wait_for(lambda: command(gateway, "prune", "-a") and on_disk(gateway) == ([], []), 10,
                    "all is pruned at the end")
    worlds.wait_for(lambda: staging_is_empty(gateway), 10, "the layers' files are deleted")


# -- load


def docker_save(image, file, tags, layers, is_linked=False):
    """As docker save wrote it for years: a directory a layer, manifest.json."""
    config = image.blobs[-1]
    with tarfile.open(file, "w") as tar:
        def add(name, data):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        names = []
        for number, layer in enumerate(layers):
            add(f"layer{number}/layer.tar", layer)
            names.append(f"layer{number}/layer.tar")
            if is_linked:
                link = tarfile.TarInfo(f"linked{number}/layer.tar")
                link.type, link.linkname = tarfile.SYMTYPE, f"../layer{number}/layer.tar"
                tar.addfile(link)
                names[-1] = link.name
        add("config.json", config.data)
        add("manifest.json", json.dumps(
            [{"Config": "config.json", "RepoTags": tags, "Layers": names}]).encode())


def write_tar(folder, file):
    with tarfile.open(file, "w") as tar:
        tar.add(folder, ".")


def test_load_an_oci_layout(world, gateway, peer):
    for tag in ("directory", "tar", "gzip"):
        layout = world.directory / tag
        images.write_layout(images.busybox(["echo", tag]), layout, f"gateway.example/app:{tag}")
        file = layout
        if tag != "directory":
            file = world.directory / f"{tag}.tar"
            write_tar(layout, file)
        if tag == "gzip":
            file.write_bytes(gzip.compress(file.read_bytes()))
        assert command(gateway, "load", str(file)) == f"gateway.example/app:{tag}\n"
        assert gateway.wait_output(run(peer, f"gateway.example/app:{tag}"), "\n") == f"{tag}\n"
    assert staging_is_empty(gateway)
    assert not any((gateway.home / "images" / "ingest").iterdir())


@pytest.mark.parametrize("is_linked", [False, True], ids=["files", "links"])
def test_load_what_docker_saved(world, gateway, peer, is_linked):
    layers = [images.busybox_layer(), images.layer({"v": (b"seen\n", 0o644)})]
    image = images.image(layers, ["cat", "/v"], docker=True)
    file = world.directory / "saved.tar"
    docker_save(image, file, ["team/app:3", "registry.example:5000/app:3"], layers, is_linked)
    assert command(gateway, "load", str(file)) == \
        "docker.io/team/app:3\nregistry.example:5000/app:3\n"
    assert gateway.wait_output(run(peer, "docker.io/team/app:3"), "\n") == "seen\n"


def test_load_what_skopeo_writes(world, gateway, peer, registry, hello):
    for kind, name in (("oci-archive", "oci.tar"), ("docker-archive", "docker.tar")):
        file = world.directory / name
        subprocess.run(["skopeo", "copy", "--src-tls-verify=false", f"docker://{hello}",
                        f"{kind}:{file}:gateway.example/{kind}:1"], check=True,
                       capture_output=True)
        assert command(gateway, "load", str(file)) == f"gateway.example/{kind}:1\n"
        assert gateway.wait_output(run(peer, f"gateway.example/{kind}:1"), "\n") == "hello\n"


def test_an_image_without_a_name_gets_one(world, gateway, peer):
    layout = world.directory / "layout"
    images.write_layout(images.busybox(["true"]), layout, "1")
    code, text = gateway.command("load", str(layout))
    assert code == 1 and "no full name" in text
    assert command(gateway, "load", "-n", "a.example/b:1", str(layout)) == "a.example/b:1\n"


def broken_layout(layout, how):
    blobs = sorted((layout / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    index = layout / "index.json"
    if how == "changed layer":
        data = bytearray(blobs[-1].read_bytes())
        data[len(data) // 2] ^= 1
        blobs[-1].write_bytes(data)
    elif how == "missing layer":
        blobs[-1].unlink()
    elif how == "link to the host":
        blobs[-1].unlink()
        blobs[-1].symlink_to("/etc/shadow")
    elif how == "no json":
        index.write_text("{")
    elif how == "bad digest":
        index.write_text(index.read_text().replace("sha256:", "sha256:../"))
    elif how == "index in a circle":
        digest = hashlib.sha256(b"x").hexdigest()
        entry = {"mediaType": "application/vnd.oci.image.index.v1+json",
                 "digest": f"sha256:{digest}", "size": 1}
        (layout / "blobs" / "sha256" / digest).write_text("x")
        index.write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    elif how == "nothing":
        shutil.rmtree(layout)
        layout.mkdir()


@pytest.mark.parametrize("packed", [False, True], ids=["directory", "tar"])
def test_broken_archives_are_refused_and_leave_nothing(world, gateway, packed):
    for number, how in enumerate(["changed layer", "missing layer", "link to the host", "no json",
                                  "bad digest", "index in a circle", "nothing"]):
        layout = world.directory / f"layout{number}"
        images.write_layout(images.busybox(["true"]), layout, "a.example/b:1")
        broken_layout(layout, how)
        file = layout
        if packed:
            file = world.directory / f"layout{number}.tar"
            write_tar(layout, file)
        code, text = gateway.command("load", str(file))
        assert code == 1 and str(file) in text, (how, text)
        assert not stored(gateway)
        assert staging_is_empty(gateway)
        assert not any((gateway.home / "images" / "ingest").iterdir())
        # What came within the last moment stays.
        worlds.wait_for(lambda: command(gateway, "prune") and on_disk(gateway) == ([], []), 5,
                        f"{how}: all is pruned")


def test_archive_that_breaks_out_stays_inside(world, gateway):
    file = world.directory / "evil.tar"
    with tarfile.open(file, "w") as tar:
        info = tarfile.TarInfo("../../../../../../var/tmp/davit-evil")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    code, text = gateway.command("load", str(file))
    assert code == 1 and "evil" in text
    assert not pathlib.Path("/var/tmp/davit-evil").exists()
    assert staging_is_empty(gateway)


# -- expiry


def expiring(world, broker, peer, registry, **settings):
    gateway = Gateway(world, broker, peer, [registry.host], {"containers": settings}, start=False)
    gateway.config["containers"]["insecure_registries"] = [registry.host]
    gateway.start_monitor()
    gateway.start_daemon()
    gateway.wait_ready(broker)
    return gateway


@pytest.mark.shows("K46")
def test_unused_images_expire_and_used_ones_stay(world, broker, peer, registry, hello, sleeper):
    gateway = expiring(world, broker, peer, registry, image_expiry="3s")
    container = peer.create(sleeper, config=POLICY_NO)
    peer.wait_state(container, "RUNNING")
    command(gateway, "pull", hello)
    worlds.wait_for(lambda: hello not in stored(gateway), 30, "the unused image expires")
    assert sleeper in stored(gateway)
    assert peer.ask(f"Container:{container}", "stop", {}).status == 204
    assert peer.ask(f"Container:{container}", "start", {}).status == 204
    peer.wait_state(container, "RUNNING")
    assert peer.ask(f"Container:{container}", "remove", True).status == 204
    worlds.wait_for(lambda: on_disk(gateway) == ([], []), 30, "all expires with its container")
    worlds.wait_for(lambda: staging_is_empty(gateway), 10, "the layer's files are deleted")


@pytest.mark.shows("K46")
def test_images_that_expired_while_the_daemon_was_away(world, broker, peer, registry, hello):
    gateway = expiring(world, broker, peer, registry, image_expiry="1h")
    command(gateway, "pull", hello)
    gateway.daemon.stop()
    gateway.config["containers"]["image_expiry"] = "1s"
    gateway.start_daemon()
    gateway.wait_ready(broker, 2)
    worlds.wait_for(lambda: not stored(gateway), 30, "the image is gone after the start")
    worlds.wait_for(lambda: staging_is_empty(gateway), 10, "the layer's files are deleted")


def test_expiry_can_be_switched_off(world, broker, peer, registry, hello):
    gateway = expiring(world, broker, peer, registry, image_expiry="1s",
                       image_expiry_disable=True)
    container = run(peer, hello)
    assert peer.ask(f"Container:{container}", "remove", True).status == 204
    other = registry.push(images.busybox(["echo", "b"]), "test/other")
    container = run(peer, other)
    assert peer.ask(f"Container:{container}", "remove", True).status == 204
    # Nothing is to happen, so there is nothing to wait for but what came later.
    command(gateway, "pull", hello)
    assert set(stored(gateway)) == {hello, other}


# -- damage


@pytest.mark.parametrize("what", ["layer", "config", "manifest"])
def test_a_damaged_blob_is_fetched_again(gateway, peer, registry, hello, what):
    command(gateway, "pull", hello)
    container = run(peer, hello)
    assert peer.ask(f"Container:{container}", "remove", True).status == 204
    blobs = sorted((gateway.home / "images" / "blobs" / "sha256").iterdir(),
                   key=lambda path: path.stat().st_size)
    index = json.loads((gateway.home / "images" / "index.json").read_text())
    manifest = index["manifests"][0]["digest"].removeprefix("sha256:")
    chosen = {"layer": blobs[-1],
              "manifest": next(blob for blob in blobs if blob.name == manifest),
              "config": next(blob for blob in blobs[:-1] if blob.name != manifest)}[what]
    data = bytearray(chosen.read_bytes())
    data[len(data) // 2] ^= 1
    chosen.write_bytes(data)
    if what == "layer":
        for layer in on_disk(gateway)[1]:
            shutil.rmtree(gateway.home / "layers" / layer)
    assert gateway.wait_output(run(peer, hello), "\n") == "hello\n"
    assert chosen.read_bytes() != bytes(data)


@pytest.mark.parametrize("damage", ["gone", "partly gone", "gone with its blob"])
def test_a_damaged_layer_is_made_whole_at_the_next_start(gateway, peer, registry, hello, damage):
    container = run(peer, hello)
    (layer,) = on_disk(gateway)[1]
    path = gateway.home / "layers" / layer
    if damage == "partly gone":
        shutil.rmtree(path / "bin")
    else:
        shutil.rmtree(path)
    blob = max((gateway.home / "images" / "blobs" / "sha256").iterdir(),
               key=lambda file: file.stat().st_size)
    if damage == "gone with its blob":
        blob.unlink()
    assert peer.ask(f"Container:{container}", "start", timeout_s=40).status == 204
    worlds.wait_for(lambda: gateway.output(container) == "hello\nhello\n", 30, "it ran again")
    assert blob.exists() and (path / "bin").is_dir()
    assert (gateway.home / "layers" / "damaged" / f"{layer}.1").exists() == (damage == "partly gone")
    assert peer.ask(f"Container:{container}", "remove", True).status == 204
    command(gateway, "prune", "-a")
    assert not list((gateway.home / "layers").glob("damaged/*"))


def test_a_damaged_layer_that_cannot_be_repaired_is_the_error(gateway, peer, registry, hello):
    container = run(peer, hello)
    shutil.rmtree(gateway.home / "layers" / on_disk(gateway)[1][0])
    max((gateway.home / "images" / "blobs" / "sha256").iterdir(),
        key=lambda file: file.stat().st_size).unlink()
    registry.stop()
    answer = peer.ask(f"Container:{container}", "start", timeout_s=60)
    assert answer.status >= 400 and "is damaged and could not be repaired" in answer.text
