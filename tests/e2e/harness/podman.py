# SPDX-License-Identifier: Apache-2.0
"""podman, to compare with what it gives a container: everything it keeps is in the test's
directory, and its containers end with it."""
import json
import os
import pathlib
import subprocess

from . import world as worlds

HOME = pathlib.Path("/var/lib/containers")
# By default podman asks for more than some machines allow.
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096")


class Podman:
    """`source` is what podman pulls; `options` are podman's own, before its commands."""

    def __init__(self, world, source, pull_options=(), options=()):
        self._world = world
        folder = self._folder = world.directory / "podman"
        folder.mkdir()
        # A cache of blobs has no other place than this: it gets one that vanishes.
        self._had_home = HOME.exists()
        HOME.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "podman", HOME], check=True)
        world.defer(self._close)
        settings = folder / "containers.conf"
        settings.write_text('[engine]\nlock_type = "file"\nevents_logger = "none"\n')
        self._environment = {**os.environ, "CONTAINERS_CONF": str(settings)}
        self._options = ["--root", folder / "root", "--runroot", folder / "run", "--tmpdir",
                         folder / "tmp", "--network-config-dir", folder / "networks",
                         "--cgroup-manager", "cgroupfs", "--runtime", "runc", *options]
        self._image = self._call("pull", "--quiet", *pull_options, source).strip()

    def _call(self, *arguments):
        result = subprocess.run(["podman", *self._options, *arguments], text=True,
                                stdin=subprocess.DEVNULL, capture_output=True,
                                env=self._environment, check=False)
        if result.returncode != 0:
            raise AssertionError(f"podman {arguments[0]} failed: {result.stderr[-2000:]}")
        return result.stdout

    def pull(self, source):
        self._call("pull", "--quiet", "--tls-verify=false", source)

    def forget(self, source):
        self._call("rmi", "--force", source)

    def run(self, *options):
        """Starts the image in the background; the container's id."""
        return self._call("run", "--detach", "--network=none", "--cgroups=no-conmon",
                          "--cgroup-parent", self._world.cgroup_parent, *LIMITS, *options,
                          self._image).strip()

    def pid_of(self, container):
        """Its first process."""
        return json.loads(self._call("inspect", container))[0]["State"]["Pid"]

    def remove_all(self):
        self._call("rm", "--all", "--force", "--time=0")

    def _close(self):
        try:
            self.remove_all()
            # A container that ends makes conmon start podman once more.
            worlds.wait_for(lambda: not self._names() & {"conmon", "podman"}, 30, "podman ends")
        finally:
            for point in reversed(worlds.mount_points()):
                if point == str(HOME) or point.startswith(f"{self._folder}/"):
                    subprocess.run(["umount", "--lazy", point], check=True)
            if not self._had_home:
                HOME.rmdir()

    @staticmethod
    def _names():
        return set(worlds.descendants(os.getpid()).values())

    @staticmethod
    def conmons():
        return [pid for pid, name in worlds.descendants(os.getpid()).items() if name == "conmon"]
