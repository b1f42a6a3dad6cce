# SPDX-License-Identifier: Apache-2.0
"""What can fetch an image and unpack it: davit, and what else does that on this machine. Each has
pull(reference), forget(reference), cpu_ms(), which counts up, and pids(): the processes that work."""
import os
import pathlib
import resource
import shutil
import subprocess

from harness import world as worlds
from harness.podman import Podman

import figures

MS = 1000
TICK_MS = MS / os.sysconf("SC_CLK_TCK")
READY_S = 30


def children_ms():
    """Of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * MS


def service_ms(pid):
    """Of a process and of its children that have ended."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2:].split()
    return sum(map(int, fields[11:15])) * TICK_MS


def named(*names):
    return [pid for pid, name in worlds.descendants(os.getpid()).items() if name in names]


class Davit:
    name = "davit pull"
    needs = ()

    def __init__(self, stage):
        self._gateway = stage.gateway
        self._services = (stage.gateway.daemon.pid, stage.gateway.monitor.pid)

    def _call(self, *arguments):
        code, text = self._gateway.command(*arguments)
        if code != 0:
            raise AssertionError(f"davit {arguments[0]} failed: {text}")

    def pull(self, reference):
        self._call("pull", reference)

    def forget(self, reference):
        self._call("rmi", reference)

    def cpu_ms(self):
        return sum(map(service_ms, self._services))

    def pids(self):
        return [*self._services, *worlds.descendants(self._services[1]), *named("davit")]


class PodmanPull:
    name = "podman pull"
    needs = ("podman",)

    def __init__(self, stage):
        self._podman = Podman(stage.world, stage.image, ["--tls-verify=false"])
        self.pull, self.forget, self.cpu_ms = self._podman.pull, self._podman.forget, children_ms

    def pids(self):
        return named("podman", "exe", "storage-untar")


class SkopeoUmoci:
    """With a sync, which the others do by themselves."""
    name = "skopeo copy + umoci unpack"
    needs = ("skopeo", "umoci")

    def __init__(self, stage):
        self._folder = stage.world.directory / "umoci"
        self.cpu_ms = children_ms

    def pull(self, reference):
        self._folder.mkdir()
        layout = f"{self._folder}/layout:image"
        for command in (["skopeo", "copy", "--quiet", "--src-tls-verify=false",
                         f"docker://{reference}", f"oci:{layout}"],
                        ["umoci", "unpack", "--image", layout, f"{self._folder}/bundle"]):
            subprocess.run(command, check=True, capture_output=True)
        os.sync()

    def forget(self, _reference):
        shutil.rmtree(self._folder)

    def pids(self):
        return named("skopeo", "umoci")


class Ctr:
    """containerd with all that it keeps in the test's directory."""
    name = "ctr images pull"
    needs = ("containerd", "ctr")

    def __init__(self, stage):
        folder = stage.world.directory / "containerd"
        folder.mkdir()
        self._socket = folder / "sock"
        config = folder / "config.toml"
        config.write_text(f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
                          f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
                          f'[grpc]\naddress = "{self._socket}"\n'
                          f'[ttrpc]\naddress = "{self._socket}.ttrpc"\n'
                          f'[plugins."io.containerd.internal.v1.opt"]\npath = "{folder}/opt"\n')
        self._daemon = stage.world.start("containerd", ["containerd", "--config", config])
        worlds.wait_for(self._socket.exists, READY_S, "containerd listens")

    def _call(self, *arguments):
        result = subprocess.run(["ctr", "--address", self._socket, *arguments],
                                capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise AssertionError(f"ctr {' '.join(arguments[:2])} failed: {result.stderr[-2000:]}")

    def pull(self, reference):
        self._call("images", "pull", "--plain-http", reference)

    def forget(self, reference):
        self._call("images", "remove", "--sync", reference)

    def cpu_ms(self):
        return service_ms(self._daemon.pid) + children_ms()

    def pids(self):
        return [self._daemon.pid, *named("ctr", "unpigz")]


ALL = (Davit, PodmanPull, SkopeoUmoci, Ctr)


def memory_kb(pids):
    """Private memory of processes, and what they share divided among them."""
    total = 0
    for pid in pids:
        try:
            total += figures.proportional_kb(pid)
        except (OSError, ValueError):  # it has ended
            continue
    return total
