# SPDX-License-Identifier: Apache-2.0
"""Small images made by hand from busybox-static."""
import dataclasses
import gzip
import hashlib
import io
import json
import pathlib
import tarfile

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
APPLETS = ("sh cat echo sleep true false kill env ls id touch mkdir rm seq yes head tail dd wc "
           "hostname printf test date stat mount grep ps trap mknod ip nc wget").split()


@dataclasses.dataclass
class Blob:
    data: bytes
    media_type: str

    @property
    def digest(self):
        return "sha256:" + hashlib.sha256(self.data).hexdigest()

    def descriptor(self):
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}


@dataclasses.dataclass
class Image:
    manifest: Blob
    blobs: list


def _member(name, kind=tarfile.REGTYPE, mode=0o644, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size = kind, mode, link, size
    info.mtime = 1700000000
    return info


def layer(files, folders=(), symlinks=None):
    """A tar of {name: (bytes, mode)}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in folders:
            tar.addfile(_member(name, tarfile.DIRTYPE, 0o755))
        for name, (data, mode) in files.items():
            tar.addfile(_member(name, mode=mode, size=len(data)), io.BytesIO(data))
        for name, target in (symlinks or {}).items():
            tar.addfile(_member(name, tarfile.SYMTYPE, 0o777, target))
    return out.getvalue()


def busybox_layer():
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if pathlib.Path(path).exists():
            data = pathlib.Path(path).read_bytes()
            break
    else:
        raise AssertionError("busybox is missing: install the package busybox-static")
    return layer({"bin/busybox": (data, 0o755), "etc/passwd": (b"root:x:0:0::/:/bin/sh\n", 0o644)},
                 ["bin", "etc", "tmp", "proc", "sys", "dev"],
                 {f"bin/{applet}": "busybox" for applet in APPLETS})


def image(layers, command, docker=False, settings=None):
    """An Image of uncompressed tars; `command` is what it runs by default."""
    blobs = [Blob(gzip.compress(tar, 6, mtime=0), DOCKER_LAYER if docker else OCI_LAYER)
             for tar in layers]
    config = Blob(json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2023-11-14T22:13:20Z",
        "config": {"Cmd": command, "Env": ["PATH=/bin"], **(settings or {})},
        "rootfs": {"type": "layers",
                   "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in layers]},
    }).encode(), DOCKER_CONFIG if docker else OCI_CONFIG)
    manifest = Blob(json.dumps({
        "schemaVersion": 2, "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
        "config": config.descriptor(), "layers": [blob.descriptor() for blob in blobs],
    }).encode(), DOCKER_MANIFEST if docker else OCI_MANIFEST)
    return Image(manifest, [*blobs, config])


def busybox(command, docker=False, settings=None, extra_layers=()):
    return image([busybox_layer(), *extra_layers], command, docker, settings)


def write_layout(image_, directory, tag):
    """An OCI image layout of that image, as skopeo and davit read it."""
    directory = pathlib.Path(directory)
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for blob in [*image_.blobs, image_.manifest]:
        (blobs / blob.digest.removeprefix("sha256:")).write_bytes(blob.data)
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    descriptor = {**image_.manifest.descriptor(),
                  "annotations": {"org.opencontainers.image.ref.name": tag}}
    (directory / "index.json").write_text(
        json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
