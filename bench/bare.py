# SPDX-License-Identifier: Apache-2.0
"""What starting is held against: the OCI runtime without a manager."""
import io
import json
import shutil
import subprocess
import tarfile
import time

from harness import images

MS = 1000
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class BareRuntime:
    """runc with a bundle that davitd wrote, on a plain folder instead of an overlay mount. `rootfs`
    of another one may be shared."""

    def __init__(self, stage, container, name="bare", rootfs=None):
        self._name = name
        self._folder = stage.world.directory / name
        bundle = self._folder / "bundle"
        bundle.mkdir(parents=True)
        self.rootfs = rootfs or bundle / "rootfs"
        if not rootfs:
            with tarfile.open(fileobj=io.BytesIO(images.busybox_layer())) as tar:
                tar.extractall(self.rootfs)
        source = stage.gateway.run / "containers" / container
        config = json.loads((source / "bundle" / "config.json").read_text())
        config["root"]["path"] = str(self.rootfs)
        config["linux"]["cgroupsPath"] = f"{stage.world.cgroup_parent}/{name}"
        for mount in config["mounts"]:
            if mount["source"].startswith(str(source)):
                mount["source"] = shutil.copy(mount["source"], self._folder)
        (bundle / "config.json").write_text(json.dumps(config))

    def _call(self, *arguments):
        subprocess.run(["runc", "--root", self._folder / "state", *arguments], check=True, **QUIET)

    def start(self):
        """Milliseconds of create and start."""
        begin = time.monotonic()
        self._call("create", "--bundle", self._folder / "bundle", self._name)
        self._call("start", self._name)
        return (time.monotonic() - begin) * MS

    def remove(self):
        self._call("delete", "--force", self._name)
