# SPDX-License-Identifier: Apache-2.0
"""What a container may do and reach: capabilities, privileged, devices. Each is looked at from the
kernel's side, not in davit's own record."""
import os
import pathlib
import stat

import pytest

from harness import images, inside

POLICY_NO = {"restartPolicy": {"type": "NO"}}
USUAL = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}  # what Docker gives
NET_ADMIN, SYS_PTRACE, SYS_ADMIN = 12, 19, 21


def bits(text):
    number = int(text, 16)
    return {bit for bit in range(64) if number >> bit & 1}


def run(gateway, peer, image, config, script=":"):
    """Creates a container that stays; (id, pid, what its script printed)."""
    container = peer.create(image, config={**POLICY_NO, "cmd": inside.staying(script), **config})
    pid = peer.wait_state(container, "RUNNING")["pid"]
    return container, pid, gateway.wait_output(container, "ready\n").removesuffix("ready\n")


def available():
    """What this machine lets davit give."""
    return bits(inside.status("self")["CapBnd"])


def refused(peer, image, config):
    answer = peer.ask("ContainerFactory", "createWithConfig",
                      {"imageRef": image, "start": True, "config": config})
    assert (answer.status, answer.error) == (400, "messages:parameter.invalid")
    return answer.text


def test_container_gets_the_usual_capabilities(gateway, peer, sleeper):
    _, pid, _ = run(gateway, peer, sleeper, {})
    status = inside.status(pid)
    for name in ("CapBnd", "CapEff", "CapPrm"):
        assert bits(status[name]) == USUAL & available(), name
    assert not bits(status["CapInh"]) and not bits(status["CapAmb"])
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"


@pytest.mark.shows("capabilities")
def test_extra_capabilities_are_added_in_any_spelling(gateway, peer, sleeper):
    _, pid, said = run(gateway, peer, sleeper,
                       {"extraCapabilities": ["CAP_NET_ADMIN", "sys_admin"]},
                       "hostname other && hostname")
    assert bits(inside.status(pid)["CapEff"]) == (USUAL | {NET_ADMIN, SYS_ADMIN}) & available()
    # The filter of system calls has opened with the capability.
    assert said == "other\n"


def test_calls_of_a_capability_that_is_not_given_are_refused(gateway, peer, sleeper):
    _, _, said = run(gateway, peer, sleeper, {}, "hostname other || echo refused; hostname")
    assert "refused" in said and "other\n" not in said


def test_extra_capability_reaches_a_user_that_is_not_root(gateway, peer, registry):
    image = registry.push(images.busybox(["true"], settings={"User": "1000"}), "test/user")
    _, pid, _ = run(gateway, peer, image, {"extraCapabilities": ["SYS_PTRACE"]})
    status = inside.status(pid)
    assert status["Uid"].split() == ["1000"] * 4
    assert bits(status["CapEff"]) == {SYS_PTRACE}
    assert bits(status["CapBnd"]) == (USUAL | {SYS_PTRACE}) & available()


@pytest.mark.shows("capabilities")
def test_unknown_capability_is_refused_with_the_nearest(gateway, peer, sleeper):
    text = refused(peer, sleeper, {"extraCapabilities": ["CAP_NET_ADMN"]})
    assert "config.extraCapabilities[0]" in text and "CAP_NET_ADMIN" in text


def test_privileged_lifts_what_confines(gateway, peer, sleeper):
    _, pid, said = run(gateway, peer, sleeper, {"privileged": True},
                       "echo 1 > /proc/sys/kernel/domainname && echo written")
    status = inside.status(pid)
    assert bits(status["CapEff"]) == bits(status["CapBnd"]) == available()
    assert status["Seccomp"] == "0" and status["NoNewPrivs"] == "0"
    table = inside.mounts(pid)
    assert not inside.masked(table) and not inside.readonly(table)
    assert said == "written\n"
    rules = inside.cgroup_file(pid, "devices", "devices.list")
    assert not rules or rules.read_text().split() == ["a", "*:*", "rwm"]


def test_privileged_has_the_devices_of_the_host(gateway, peer, sleeper):
    _, pid, _ = run(gateway, peer, sleeper, {"privileged": True})

    def devices(folder):
        found = {}
        for path in pathlib.Path(folder).rglob("*"):
            name = str(path.relative_to(folder))
            if name.split("/")[0] in ("pts", "shm", "fd", "mqueue", "console", "ptmx"):
                continue
            entry = path.lstat()
            if stat.S_ISCHR(entry.st_mode) or stat.S_ISBLK(entry.st_mode):
                found[name] = (stat.S_IFMT(entry.st_mode), entry.st_rdev)
        return found
    host = devices("/dev")
    seen = devices(f"/proc/{pid}/root/dev")
    assert host.items() <= seen.items(), sorted(host.keys() - seen.keys())


@pytest.mark.parametrize("more, named", [
    ({"devices": [{"pathOnHost": "/dev/null"}]}, "config.devices"),
    ({"extraCapabilities": ["CAP_NET_ADMIN"]}, "config.extraCapabilities"),
])
@pytest.mark.shows("privileged", "K32", "D24")
def test_privileged_with_less_is_refused_naming_both(gateway, peer, sleeper, more, named):
    text = refused(peer, sleeper, {"privileged": True, **more})
    assert "config.privileged" in text and named in text


# --- devices


@pytest.fixture
def device():
    """A device of the host that containers do not have by default and anybody may open."""
    for path in ("/dev/fuse", "/dev/net/tun", "/dev/loop-control"):
        if os.path.exists(path):
            return path
    raise AssertionError("this machine has none of the devices this test can use")


def number_of(path):
    return os.stat(path).st_rdev


def opening(path):
    """A script that says in which ways a path can be opened."""
    return f"(: < {path}) && echo r; (: > {path}) && echo w; true"


@pytest.mark.parametrize("permissions, opens", [
    ("r", "r"), ("w", "w"), ("rw", "rw"), ("rwm", "rw"), ("m", ""), ("", "rw"), (None, "rw")])
def test_device_opens_as_its_permissions_say(gateway, peer, sleeper, device, permissions, opens):
    given = {"pathOnHost": device, "pathInContainer": "/dev/mine"}
    if permissions is not None:
        given["cgroupPermissions"] = permissions
    _, pid, said = run(gateway, peer, sleeper, {"devices": [given]}, opening("/dev/mine"))
    node = os.stat(f"/proc/{pid}/root/dev/mine")
    assert stat.S_ISCHR(node.st_mode) and node.st_rdev == number_of(device)
    assert stat.S_IMODE(node.st_mode) == stat.S_IMODE(os.stat(device).st_mode)
    lines = [line for line in said.splitlines() if line in "rw"]
    assert "".join(lines) == opens, said
    rules = inside.cgroup_file(pid, "devices", "devices.list")
    if rules:  # version 2 keeps them in a program
        place = f"c {os.major(node.st_rdev)}:{os.minor(node.st_rdev)} "
        found = [line.removeprefix(place) for line in rules.read_text().splitlines()
                 if line.startswith(place)]
        wanted = permissions or "rwm"
        assert not found and wanted == "m" or set("".join(found)) | {"m"} == set(wanted) | {"m"}


def test_device_that_was_not_given_cannot_be_opened(gateway, peer, sleeper, device):
    number = number_of(device)
    _, pid, said = run(gateway, peer, sleeper, {},
                       f"mknod /tmp/d c {os.major(number)} {os.minor(number)}; "
                       + opening("/tmp/d"))
    assert os.stat(f"/proc/{pid}/root/tmp/d").st_rdev == number
    assert "r" not in said.splitlines() and "w" not in said.splitlines()


def test_device_keeps_its_path_when_no_other_is_named(gateway, peer, sleeper, device):
    _, pid, said = run(gateway, peer, sleeper, {"devices": [{"pathOnHost": device}]},
                       opening(device))
    assert os.stat(f"/proc/{pid}/root{device}").st_rdev == number_of(device)
    assert said.splitlines() == ["r", "w"]


def test_link_to_a_device_is_that_device(world, gateway, peer, sleeper, device):
    link = world.directory / "link"
    link.symlink_to(device)
    _, pid, _ = run(gateway, peer, sleeper, {"devices": [
        {"pathOnHost": str(link), "pathInContainer": "/dev/mine"}]})
    node = os.lstat(f"/proc/{pid}/root/dev/mine")
    assert stat.S_ISCHR(node.st_mode) and node.st_rdev == number_of(device)


def test_directory_gives_all_devices_below_it(world, gateway, peer, sleeper, device):
    folder = world.directory / "devices"
    (folder / "deep").mkdir(parents=True)
    os.mknod(folder / "one", 0o640 | stat.S_IFCHR, number_of(device))
    os.mknod(folder / "deep" / "two", 0o600 | stat.S_IFBLK, os.makedev(7, 200))
    (folder / "no-device").write_text("")
    _, pid, said = run(gateway, peer, sleeper, {"devices": [
        {"pathOnHost": str(folder), "pathInContainer": "/dev/mine", "cgroupPermissions": "r"}]},
        opening("/dev/mine/one"))
    root = f"/proc/{pid}/root/dev/mine"
    assert os.stat(f"{root}/one").st_rdev == number_of(device)
    assert stat.S_ISBLK(os.stat(f"{root}/deep/two").st_mode)
    assert not os.path.exists(f"{root}/no-device")
    assert "r" in said.splitlines() and "w" not in said.splitlines()


def test_missing_device_is_named_in_the_twin(gateway, peer, sleeper):
    container = peer.create(sleeper, config={
        **POLICY_NO, "devices": [{"pathOnHost": "/dev/nosuch"}]})
    assert "/dev/nosuch" in peer.wait_state(container, "STOPPED")["error"]
