# SPDX-License-Identifier: Apache-2.0
"""Names, environment, mounts and logs of a container, and what its image says: each is looked at in
the real container or around it."""
import json
import os
import pathlib
import select
import subprocess

import pytest

from harness import images, inside, world as worlds

POLICY_NO = {"restartPolicy": {"type": "NO"}}
MODES = ["rprivate", "private", "rshared", "shared", "rslave", "slave"]


def run(gateway, peer, image, config, script=":"):
    """Creates a container that stays; (id, pid, what its script printed)."""
    container = peer.create(image, config={**POLICY_NO, "cmd": inside.staying(script), **config})
    pid = peer.wait_state(container, "RUNNING")["pid"]
    return container, pid, gateway.wait_output(container, "ready\n").removesuffix("ready\n")


def finish(gateway, peer, image, config):
    """Runs a container to its end; what it printed."""
    container = peer.create(image, config={**POLICY_NO, **config})
    peer.wait_state(container, "EXITED")
    return gateway.wait_output(container, "\n")


# --- names


@pytest.mark.shows("domain-name")
def test_host_and_domain_name_are_the_containers_own(gateway, peer, hello):
    said = finish(gateway, peer, hello, {
        "hostName": "ship", "domainName": "sea.example",
        "cmd": ["sh", "-c", "hostname; cat /proc/sys/kernel/domainname /etc/hostname; "
                "echo $HOSTNAME; cat /etc/hosts; echo"]})
    lines = said.splitlines()
    assert lines[:4] == ["ship", "sea.example", "ship", "ship"]
    assert any(line.split()[1:] == ["ship.sea.example", "ship"] for line in lines), said


def test_names_that_were_not_given_come_from_the_containers(gateway, peer, hello):
    container = peer.create(hello, name="boat", config={
        **POLICY_NO, "cmd": ["sh", "-c", "hostname; cat /proc/sys/kernel/domainname"]})
    peer.wait_state(container, "EXITED")
    assert gateway.wait_output(container, "boat-domain\n") == "boat-host\nboat-domain\n"


def test_in_the_hosts_network_the_names_are_the_hosts(gateway, peer, hello):
    said = finish(gateway, peer, hello, {
        "networkMode": "HOST", "hostName": "ship", "domainName": "sea.example",
        "cmd": ["sh", "-c", "hostname; cat /proc/sys/kernel/hostname; echo $HOSTNAME"]})
    assert said.splitlines() == [os.uname().nodename] * 3


# --- environment and what the image says


def test_environment_is_set_replaced_and_removed(gateway, peer, registry):
    image = registry.push(images.busybox(["env"], settings={
        "Env": ["PATH=/bin", "KEEP=1", "REPLACE=old", "GONE=x", "EMPTY=full"]}), "test/env")
    said = finish(gateway, peer, image, {
        "hostName": "ship", "env": ["REPLACE=new", "GONE", "NEVER_WAS", "EMPTY=", "OWN=a=b c"]})
    variables = dict(line.split("=", 1) for line in said.splitlines())
    variables.pop("PWD", None), variables.pop("SHLVL", None), variables.pop("HOME", None)
    assert variables == {"PATH": "/bin", "KEEP": "1", "REPLACE": "new", "EMPTY": "",
                         "OWN": "a=b c", "HOSTNAME": "ship"}


def test_image_gives_user_directory_entry_point_and_command(gateway, peer, registry):
    layer = images.layer({
        "etc/passwd": (b"root:x:0:0::/:/bin/sh\napp:x:77:78::/srv:/bin/sh\n", 0o644),
        "etc/group": (b"app:x:78:\nextra:x:90:app\n", 0o644)}, ["srv", "srv/www"])
    script = 'echo "$@"; pwd; id -u; id -G'
    image = registry.push(images.busybox(
        ["of", "image"], extra_layers=[layer],
        settings={"User": "app", "WorkingDir": "/srv/www",
                  "Entrypoint": ["sh", "-c", script, "entry"]}), "test/everything")
    assert finish(gateway, peer, image, {}) == "of image\n/srv/www\n77\n78 90\n"
    # A command replaces the image's; the entry point stays.
    assert finish(gateway, peer, image, {"cmd": ["own"]}).startswith("own\n")


@pytest.mark.shows("D14")
def test_stop_signal_is_the_images(gateway, peer, registry):
    image = registry.push(images.busybox(
        ["sh", "-c", "trap 'exit 7' USR1; trap '' TERM; echo ready; "
         "while :; do sleep 0.1; done"], settings={"StopSignal": "SIGUSR1"}), "test/signal")
    container = peer.create(image, config=POLICY_NO)
    gateway.wait_output(container, "ready\n")
    assert peer.ask(f"Container:{container}", "stop").status == 204
    assert peer.wait_state(container, "STOPPED")["exitCode"] == 7


# --- mounts


@pytest.fixture
def shared(world):
    """A directory that is a shared mount of its own, with a mount below it."""
    folder = world.directory / "shared"
    (folder / "below").mkdir(parents=True)
    (folder / "later").mkdir()
    (folder / "back").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "outer", folder], check=True)
    for name in ("below", "later", "back"):
        (folder / name).mkdir()
    subprocess.run(["mount", "--make-shared", folder], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "inner", folder / "below"], check=True)
    yield folder
    subprocess.run(["umount", "--recursive", folder], check=True)


@pytest.mark.parametrize("mode", [*MODES, *(mode.upper() for mode in MODES), None])
@pytest.mark.shows("D8", "mounts")
def test_mounts_travel_as_the_propagation_mode_says(gateway, peer, sleeper, shared, mode):
    """Made on the host after the start, and made in the container's namespace."""
    mount = {"source": str(shared), "destination": "/data"}
    if mode:
        mount["propagationMode"] = mode
    _, pid, _ = run(gateway, peer, sleeper, {"mountPoints": [mount]})
    kind = (mode or "rprivate").lower().removeprefix("r")
    table = inside.mounts(pid)
    assert table["/data"].tags == {"private": set(), "shared": {"shared"},
                                   "slave": {"master"}}[kind]
    assert table["/data/below"].source == "inner", "what is mounted below comes along"
    subprocess.run(["mount", "-t", "tmpfs", "later", shared / "later"], check=True)
    assert ("/data/later" in inside.mounts(pid)) == (kind != "private")
    subprocess.run(["nsenter", f"--mount=/proc/{pid}/ns/mnt", "mount", "-t", "tmpfs", "back",
                    "/data/back"], check=True)
    assert (str(shared / "back") in worlds.mount_points()) == (kind == "shared")


def test_mount_reads_and_writes_files_and_directories_of_the_host(world, gateway, peer, sleeper):
    folder = world.directory / "folder"
    folder.mkdir()
    file = world.directory / "file"
    file.write_text("of the host")
    _, pid, said = run(gateway, peer, sleeper, {"mountPoints": [
        {"source": str(folder), "destination": "/made/on/the/way"},
        {"source": str(file), "destination": "/etc/settings"},
        {"source": str(file), "destination": "/etc/resolv.conf"}]},
        "cat /etc/settings /etc/resolv.conf; echo in > /made/on/the/way/new")
    assert said == "of the host" * 2
    assert (folder / "new").read_text() == "in\n"
    assert not inside.mounts(pid)["/etc/settings"].is_readonly


@pytest.mark.shows("mounts")
def test_missing_source_is_named_in_the_twin(gateway, peer, sleeper):
    container = peer.create(sleeper, config={
        **POLICY_NO, "mountPoints": [{"source": "/no/such/thing", "destination": "/data"}]})
    assert "/no/such/thing" in peer.wait_state(container, "STOPPED")["error"]


@pytest.mark.parametrize("mode", ["shared", "rshared", "slave", "rslave"])
@pytest.mark.shows("mounts")
def test_private_mount_of_the_host_is_explained(world, gateway, peer, sleeper, mode):
    folder = world.directory / "private"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "private", folder], check=True)
    try:
        subprocess.run(["mount", "--make-private", folder], check=True)
        container = peer.create(sleeper, config={**POLICY_NO, "mountPoints": [
            {"source": str(folder), "destination": "/data", "propagationMode": mode}]})
        error = peer.wait_state(container, "STOPPED")["error"]
        assert mode in error and f"mount --make-rshared {folder}" in error
    finally:
        subprocess.run(["umount", folder], check=True)


# --- log


def records(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.shows("K41")
def test_log_lines_are_records_beside_the_container(gateway, peer, hello):
    container = peer.create(hello, config={
        **POLICY_NO, "log": {"type": "json-file"},
        "cmd": ["sh", "-c", "echo out; echo err >&2; printf end"]})
    peer.wait_state(container, "EXITED")
    file = gateway.home / "containers" / container / "json.log"
    worlds.wait_for(lambda: file.exists() and len(file.read_text().splitlines()) == 3, 10, "lines")
    found = records(file)
    assert {(r["stream"], r["log"]) for r in found} == {
        ("stdout", "out\n"), ("stderr", "err\n"), ("stdout", "end\n")}
    assert all(list(r) == ["stream", "log", "time"] and r["time"].endswith("Z") for r in found)


@pytest.mark.shows("K42")
def test_log_goes_below_the_folder_that_was_named(world, gateway, peer, hello):
    root = world.directory / "logs" / "made"
    container = peer.create(hello, config={**POLICY_NO, "log": {"rootDir": str(root)}})
    peer.wait_state(container, "EXITED")
    file = root / container / "json.log"
    worlds.wait_for(lambda: file.exists() and file.stat().st_size, 10, "the log is written")
    assert records(file)[0]["log"] == "hello\n"
    assert not (gateway.home / "containers" / container / "json.log").exists()
    code, said = gateway.command("logs", container)
    assert code == 0 and "hello" in said


@pytest.mark.parametrize("files", [1, 2, 4])
@pytest.mark.shows("K41", "logs")
def test_log_rotates_at_its_size_and_keeps_so_many_files(gateway, peer, hello, files):
    container = peer.create(hello, config={
        **POLICY_NO, "log": {"maxFiles": files, "maxSize": "2K"},
        "cmd": ["sh", "-c", "for i in $(seq 1 200); do echo line $i of many; done"]})
    peer.wait_state(container, "EXITED")
    folder = gateway.home / "containers" / container
    gateway.wait_output(container, "line 200 of many\n")
    names = {file.name for file in folder.glob("json.log*")}
    assert names == {"json.log", *(f"json.log.{i}" for i in range(1, files))}
    for name in names:
        # A record is not cut: a file may be larger by one.
        assert (folder / name).stat().st_size <= 2048 + 200
    kept = [r["log"] for r in gateway.log_records(container)]
    assert kept == [f"line {i} of many\n" for i in range(200 - len(kept) + 1, 201)]


def test_log_of_type_none_is_not_kept(gateway, peer, hello):
    container = peer.create(hello, config={
        **POLICY_NO, "log": {"type": "NONE"},
        # More than a pipe holds: somebody reads it, or the container would hang.
        "cmd": ["sh", "-c", "yes | head -c 500000"]})
    peer.wait_state(container, "EXITED")
    assert not list((gateway.home / "containers" / container).glob("json.log*"))
    code, said = gateway.command("logs", container)
    assert code != 0 and "none" in said.lower(), said


@pytest.mark.parametrize("mode", ["blocking", "NON_BLOCKING"])
def test_all_lines_arrive_when_the_disk_keeps_up(gateway, peer, hello, mode):
    container = peer.create(hello, config={
        **POLICY_NO, "log": {"mode": mode},
        "cmd": ["sh", "-c", "seq 1 5000"]})
    peer.wait_state(container, "EXITED")
    said = gateway.wait_output(container, "\n5000\n")
    assert said == "".join(f"{i}\n" for i in range(1, 5001))


class HangingLog:
    """A container whose log is a FIFO: nobody reads it at first, like a disk that hangs."""

    LINES = 100_000

    def __init__(self, world, gateway, peer, image, mode):
        self.done = world.directory / "shared" / "done"
        self.done.parent.mkdir()
        root = world.directory / "logs"
        container = peer.create(image, start=False, config={
            **POLICY_NO, "log": {"rootDir": str(root), "mode": mode, "maxBufferSize": "64K"},
            "mountPoints": [{"source": str(self.done.parent), "destination": "/data"}],
            "cmd": inside.staying(f"seq 1 {self.LINES}; touch /data/done")})
        self.fifo = root / container / "json.log"
        self.fifo.parent.mkdir(parents=True)
        os.mkfifo(self.fifo)
        assert peer.ask(f"Container:{container}", "start").status == 204
        peer.wait_state(container, "RUNNING")

    def read(self):
        """All of it, up to the last line."""
        text = b""
        fd = os.open(self.fifo, os.O_RDONLY)
        while b'"ready' not in text[-200:]:
            assert select.select([fd], [], [], 10)[0], text[-1000:]
            text += os.read(fd, 1 << 16)
        os.close(fd)
        return [json.loads(line)["log"] for line in text.splitlines()]


@pytest.mark.shows("K42", "logs")
def test_container_does_not_wait_for_a_disk_in_non_blocking_mode(world, gateway, peer, hello):
    log = HangingLog(world, gateway, peer, hello, "non-blocking")
    worlds.wait_for(log.done.exists, 20, "the container has written all")
    lines = log.read()
    notes = [line for line in lines if line.startswith("davit: ")]
    assert notes, f"{len(lines)} lines and no note"
    assert "lines were dropped" in notes[0]
    is_newest_kept = f"{log.LINES}\n" in lines
    assert is_newest_kept
    assert len(lines) < log.LINES / 2


def test_container_waits_for_the_disk_and_loses_nothing_in_blocking_mode(world, gateway, peer,
                                                                         hello):
    log = HangingLog(world, gateway, peer, hello, "blocking")
    assert not log.done.exists()
    lines = log.read()
    # Not compared as a whole: pytest would spell out what differs of so many.
    assert len(lines) == log.LINES + 1
    assert all(line == f"{i}\n" for i, line in enumerate(lines[:-1], 1))
    worlds.wait_for(log.done.exists, 20, "the container has written all")


def test_hanging_log_of_one_holds_up_no_command_and_no_other_end(world, gateway, peer, hello,
                                                                 sleeper):
    log = HangingLog(world, gateway, peer, hello, "blocking")
    other = peer.create(sleeper, config=POLICY_NO)
    peer.wait_state(other, "RUNNING")
    assert peer.ask(f"Container:{other}", "stop").status == 204
    assert peer.wait_state(other, "STOPPED")["status"] == "STOPPED"
    log.read()
