# SPDX-License-Identifier: Apache-2.0
"""podman, to compare with what it gives a container: everything it keeps is in the test's
directory, and its containers end with it."""
import json
import os
import pathlib
import subprocess

from . import world as worlds

# What has no other place than this gets one that vanishes: a cache of blobs, leases of addresses,
# namespaces.
HOMES = [pathlib.Path("/var/lib/containers"), pathlib.Path("/var/lib/cni"),
         pathlib.Path("/run/netns")]
# By default podman asks for more than some machines allow.
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096")


class Podman:
    """`source` is what podman pulls; `options` are podman's own, before its commands."""

    def __init__(self, world, source, pull_options=(), options=()):
        self._world = world
        folder = self._folder = world.directory / "podman"
        folder.mkdir()
        self._made = [home for home in HOMES if not home.exists()]
        self._links, self._tables = worlds.links(), worlds.tables()
        for home in HOMES:
            home.mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "podman", home], check=True)
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

    def run(self, *options, network="none"):
        """Starts the image in the background; the container's id."""
        return self._call("run", "--detach", f"--network={network}", "--cgroups=no-conmon",
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
                if point.startswith(tuple(map(str, HOMES))) or point.startswith(f"{self._folder}/"):
                    subprocess.run(["umount", "--lazy", point], check=True)
            for home in self._made:
                home.rmdir()
            # Its bridge and its rules stay when nothing uses them.
            for link in worlds.links():
                if link.startswith("cni-") and link not in self._links:
                    subprocess.run(["ip", "link", "delete", link], check=True)
            for table in set(worlds.tables()) - set(self._tables) - {"ip davit"}:
                subprocess.run(["nft", "delete", "table", *table.split()], check=True)

    @staticmethod
    def _names():
        return set(worlds.descendants(os.getpid()).values())

    @staticmethod
    def conmons():
        return [pid for pid, name in worlds.descendants(os.getpid()).items() if name == "conmon"]
