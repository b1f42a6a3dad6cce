# SPDX-License-Identifier: Apache-2.0
"""An image from the registry to unpacked layers, beside what else does that on this machine."""
import os
import random
import resource
import shutil
import subprocess
import time

from harness import images
from harness.podman import Podman

import figures
from stage import Stage

MS = 1000
LAYERS = 8
FILES = 100        # of a layer
FILE = 256 * 1024  # half of it does not compress
TICK_MS = MS / os.sysconf("SC_CLK_TCK")


def make_image():
    source = random.Random(1)
    layers = [images.layer({f"data{number}/{name}": (source.randbytes(FILE // 2) + bytes(FILE // 2),
                                                     0o644) for name in range(FILES)})
              for number in range(LAYERS)]
    return images.image(layers, ["true"])


def cpu_ms(stage):
    """Of davitd, davit-monitor and what that has started."""
    ticks = 0
    for process in (stage.gateway.daemon, stage.gateway.monitor):
        with open(f"/proc/{process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks * TICK_MS


def children_ms():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * MS


def timed(action, used):
    before, begin = used(), time.monotonic()
    action()
    return (time.monotonic() - begin) * MS, used() - before


def davit(stage, *arguments):
    code, text = stage.gateway.command(*arguments)
    if code != 0:
        raise AssertionError(f"davit {arguments[0]} failed: {text}")


def skopeo_and_umoci(stage, reference, folder):
    layout = f"{folder}/layout:image"
    for command in (["skopeo", "copy", "--quiet", "--src-tls-verify=false",
                     f"docker://{reference}", f"oci:{layout}"],
                    ["umoci", "unpack", "--image", layout, f"{folder}/bundle"]):
        subprocess.run(command, check=True, capture_output=True)
    os.sync()


def bench_pull(report, options):
    runs = options.runs or 5
    missing = [name for name in ("podman", "skopeo", "umoci") if not shutil.which(name)]
    if missing:
        report.skip("pull", f"{' and '.join(missing)} missing")
        return []
    ours, podmans, others = [], [], []
    with Stage("pull") as stage:
        reference = stage.registry.push(make_image(), "bench/large")
        podman = Podman(stage.world, stage.image, ["--tls-verify=false"])
        folder = stage.world.directory / "umoci"
        for _ in range(runs + 1):
            ours.append(timed(lambda: davit(stage, "pull", reference), lambda: cpu_ms(stage)))
            davit(stage, "rmi", reference)
            podmans.append(timed(lambda: podman.pull(reference), children_ms))
            podman.forget(reference)
            folder.mkdir()
            others.append(timed(lambda: skopeo_and_umoci(stage, reference, folder), children_ms))
            shutil.rmtree(folder)
        size = f"{LAYERS} layers, {LAYERS * FILES * FILE // 1000000} MB"
        for column, what in ((0, "until it is unpacked"), (1, "processor time")):
            mine, pod, other = (figures.median([row[column] for row in rows[1:]])
                                for rows in (ours, podmans, others))
            report.add(f"pull of {size}: {what}", mine, "ms", "podman pull", pod, runs=runs)
            report.add(f"pull of {size}: {what}", mine, "ms", "skopeo copy + umoci unpack", other,
                       runs=runs)
    return stage.left
