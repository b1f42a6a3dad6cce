# SPDX-License-Identifier: Apache-2.0
"""What confines a container of davit, beside what podman gives the same image: seen in
/proc/<pid>/status and in its mount table. What may differ is listed here, by name."""
import json
import pathlib
import platform
import shutil

import pytest

from harness import images, inside
from harness.podman import Podman

POLICY_NO = {"restartPolicy": {"type": "NO"}}
STAY = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]

# Capabilities that davit gives as Docker does, and podman has taken away.
DOCKERS_CAPABILITIES = {13: "NET_RAW", 27: "MKNOD", 29: "AUDIT_WRITE"}
# As Kanto's containers have it; podman leaves setuid programs their effect.
KANTOS_STATUS = {"NoNewPrivs": ("1", "0")}
# What Docker hides: podman leaves /proc/asound to be read, and does not know the other.
DOCKERS_MASKS = {"/proc/asound", "/sys/devices/virtual/powercap"}
# Programs that map /dev/zero as code need it; Docker leaves it out too.
DOCKERS_OPTIONS = {"/dev": {"noexec"}}
# Podman's filter leaves these to the capability they need; Docker's asks for it, and so does davit's.
DOCKERS_REFUSALS = set("""clone3 fsconfig fsmount fsopen fspick get_mempolicy keyctl mbind mount
    mount_setattr move_mount open_tree pidfd_getfd pivot_root reboot set_mempolicy setns syslog umount
    umount2 unshare""".split())
# No call of any kernel: a slip of podman's list.
NO_CALLS = {"timerfd"}
# Calls that are younger than the podman of Debian 12.
NEW_CALLS = set("""cachestat fchmodat2 futex_requeue futex_wait futex_waitv futex_wake
    map_shadow_stack""".split())
# Docker allows them, podman answers that they do not exist.
DOCKERS_CALLS = {"io_pgetevents", "io_pgetevents_time64", "nice", "vmsplice"}
# Calls of other processors than the one that podman's list was read for.
OTHER_CALLS = set("""arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush riscv_flush_icache
    set_tls sync_file_range2""".split())
FILTER = pathlib.Path("/usr/share/containers/seccomp.json")

pytestmark = pytest.mark.deadline(120)


def bits(text):
    number = int(text, 16)
    return {bit for bit in range(64) if number >> bit & 1}


@pytest.fixture
def image(registry):
    return images.busybox(STAY)


@pytest.fixture
def podman(world, registry, image):
    assert shutil.which("podman"), "podman is missing: run scripts/packages"
    folder = world.directory / "layout"
    images.write_layout(image, folder, "1")
    return Podman(world, f"oci:{folder}:1", options=("--storage-driver", "vfs"))


def run(registry, peer, image, config):
    container = peer.create(registry.push(image, "test/stay"), config={**POLICY_NO, **config})
    return peer.wait_state(container, "RUNNING")["pid"]


def both(registry, peer, podman, image, config, *options):
    """What davit's and what podman's container look like: (status, mounts) each."""
    pids = run(registry, peer, image, config), podman.pid_of(podman.run(*options))
    return [(inside.status(pid), inside.mounts(pid)) for pid in pids]


def test_plain_container_is_confined_as_podmans(gateway, peer, registry, podman, image):
    (ours, mounts), (theirs, their_mounts) = both(registry, peer, podman, image, {})
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        more = bits(ours[name]) - bits(theirs[name])
        assert more <= DOCKERS_CAPABILITIES.keys(), f"{name}: more than podman gives: {more}"
        assert not bits(theirs[name]) - bits(ours[name]), name
    for name in ("Seccomp", "Seccomp_filters", "Uid", "Gid", "Groups"):
        assert ours.get(name) == theirs.get(name), name
    for name, wanted in KANTOS_STATUS.items():
        assert (ours[name], theirs[name]) == wanted, name


def test_what_is_hidden_is_what_podman_hides(gateway, peer, registry, podman, image):
    (_, mounts), (_, theirs) = both(registry, peer, podman, image, {})
    assert inside.masked(theirs) <= inside.masked(mounts)
    assert inside.masked(mounts) - inside.masked(theirs) <= DOCKERS_MASKS
    assert inside.masked(mounts), "some of it exists on every machine"


def test_what_is_readonly_is_what_podman_lets_be_read(gateway, peer, registry, podman, image):
    (_, mounts), (_, theirs) = both(registry, peer, podman, image, {})
    ours = inside.readonly(mounts)
    assert inside.readonly(theirs) - ours <= DOCKERS_MASKS, "or hidden altogether"
    assert not ours - inside.readonly(theirs)
    assert {"/proc/sys", "/sys"} <= ours


def test_options_of_kernel_mounts_are_podmans(gateway, peer, registry, podman, image):
    (_, mounts), (_, theirs) = both(registry, peer, podman, image, {})
    for point in ("/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"):
        wanted = {"nosuid", "nodev", "noexec", "ro", "rw"} & theirs[point].options
        wanted -= DOCKERS_OPTIONS.get(point, set())
        assert wanted <= mounts[point].options, point
        assert mounts[point].kind == theirs[point].kind


def test_privileged_container_is_as_free_as_podmans(gateway, peer, registry, podman, image):
    (ours, mounts), (theirs, their_mounts) = both(
        registry, peer, podman, image, {"privileged": True}, "--privileged")
    for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "Seccomp", "NoNewPrivs"):
        assert ours[name] == theirs[name], name
    assert inside.masked(mounts) == inside.masked(their_mounts) == set()
    assert inside.readonly(mounts) == inside.readonly(their_mounts) == set()


def test_extra_capability_is_podmans(gateway, peer, registry, podman, image):
    (ours, _), (theirs, _) = both(registry, peer, podman, image,
                                  {"extraCapabilities": ["NET_ADMIN"]}, "--cap-add=NET_ADMIN")
    for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert bits(ours[name]) - bits(theirs[name]) <= DOCKERS_CAPABILITIES.keys(), name
        assert not bits(theirs[name]) - bits(ours[name]), name


def test_extra_capability_of_another_user_is_podmans(gateway, peer, registry, podman, image):
    user = images.busybox(STAY, settings={"User": "1000:1000"})
    (ours, _), (theirs, _) = both(registry, peer, podman, user,
                                  {"extraCapabilities": ["NET_ADMIN"]},
                                  "--user=1000:1000", "--cap-add=NET_ADMIN")
    for name in ("CapPrm", "CapEff", "CapAmb", "CapInh"):
        assert ours[name] == theirs[name], name


def podmans_calls(capabilities, architecture):
    """The calls that podman's filter allows, with and without a look at their arguments."""
    allowed = set()
    for row in json.loads(FILTER.read_text())["syscalls"]:
        needs, bars = row.get("includes", {}), row.get("excludes", {})
        if row["action"] == "SCMP_ACT_ALLOW" and \
                set(needs.get("caps", ())) <= capabilities and \
                architecture in needs.get("arches", [architecture]) and \
                not set(bars.get("caps", ())) & capabilities:
            allowed.update(row["names"])
    return allowed


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the lists are those of x86_64")
def test_filter_of_system_calls_is_podmans(gateway, peer, registry, image):
    container = peer.create(registry.push(image, "test/stay"), config=POLICY_NO)
    peer.wait_state(container, "RUNNING")
    bundle = gateway.run / "containers" / container / "bundle" / "config.json"
    config = json.loads(bundle.read_text())
    ours = {name for row in config["linux"]["seccomp"]["syscalls"]
            if row["action"] == "SCMP_ACT_ALLOW" for name in row["names"]}
    theirs = podmans_calls(set(config["process"]["capabilities"]["bounding"]), "amd64")
    assert theirs - ours == DOCKERS_REFUSALS | NO_CALLS
    assert ours - theirs == NEW_CALLS | DOCKERS_CALLS | OTHER_CALLS
