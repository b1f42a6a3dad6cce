# SPDX-License-Identifier: Apache-2.0
"""An image from the registry to unpacked layers, beside what else does that on this machine."""
import random
import shutil
import subprocess
import threading
import time

from harness import images

import figures
import pullers
from stage import Stage

LAYERS = 8
FILES = 100        # of a layer
FILE = 256 * 1024  # half of it does not compress
SAMPLE_S = 0.01


def make_image():
    source = random.Random(1)
    layers = [images.layer({f"data{number}/{name}": (source.randbytes(FILE // 2) + bytes(FILE // 2),
                                                     0o644) for name in range(FILES)})
              for number in range(LAYERS)]
    return images.image(layers, ["true"])


def timed(puller, reference):
    """Milliseconds that passed, and those of processors."""
    before, begin = puller.cpu_ms(), time.monotonic()
    puller.pull(reference)
    return (time.monotonic() - begin) * pullers.MS, puller.cpu_ms() - before


def peak_kb(puller, reference):
    """The most memory that was seen. Looking costs time: nothing else is measured meanwhile."""
    seen, done = [0], threading.Event()

    def look():
        while not done.wait(SAMPLE_S):
            seen.append(pullers.memory_kb(puller.pids()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        puller.pull(reference)
    finally:
        done.set()
        thread.join()
    return max(seen)


def bench_pull(report, options):
    runs = options.runs or 5
    size = f"{LAYERS} layers, {LAYERS * FILES * FILE // 1000000} MB"
    with Stage("pull") as stage:
        reference = stage.registry.push(make_image(), "bench/large")
        working, rows, peaks = [], {}, {}
        for kind in pullers.ALL:
            missing = [name for name in kind.needs if not shutil.which(name)]
            if missing:
                report.skip(f"pull: {kind.name}", f"{' and '.join(missing)} missing")
            else:
                working.append(kind(stage))
        # In turns, so that a busy moment of the machine meets all of them; the first is to warm up.
        for _ in range(runs + 1):
            for puller in working:
                rows.setdefault(puller.name, []).append(timed(puller, reference))
                puller.forget(reference)
        for puller in working:
            peaks[puller.name] = peak_kb(puller, reference)
            puller.forget(reference)
        ours = working[0].name
        for puller in working[1:]:
            for column, what in ((0, "until it is unpacked"), (1, "processor time")):
                mine, other = (figures.median([row[column] for row in rows[name][1:]])
                               for name in (ours, puller.name))
                report.add(f"pull of {size}: {what}", mine, "ms", puller.name, other, runs=runs)
            report.add(f"pull of {size}: most memory", peaks[ours] / 1000, "MB", puller.name,
                       peaks[puller.name] / 1000)
    return stage.left


def bench_encrypted(report, options):
    """The same image, encrypted for a key of davitd and in clear."""
    runs = options.runs or 5
    if not shutil.which("skopeo"):
        report.skip("encrypted", "skopeo missing")
        return []
    stage = Stage("encrypted")
    private, public = (stage.world.directory / name for name in ("key.pem", "key.pub"))
    for command in (["genrsa", "-out", private, "2048"],
                    ["rsa", "-in", private, "-pubout", "-out", public]):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    stage.containers = {"image_dec_keys": [str(private)]}
    with stage:
        clear = stage.registry.push(make_image(), "bench/large")
        sealed = f"{stage.registry.host}/bench/sealed:1"
        subprocess.run(["skopeo", "copy", "--quiet", "--src-tls-verify=false",
                        "--dest-tls-verify=false", "--encryption-key", f"jwe:{public}",
                        f"docker://{clear}", f"docker://{sealed}"], check=True,
                       capture_output=True)
        puller = pullers.Davit(stage)
        rows = {clear: [], sealed: []}
        for _ in range(runs + 1):
            for reference, row in rows.items():
                row.append(timed(puller, reference))
                puller.forget(reference)
        for column, what in ((0, "until it is unpacked"), (1, "processor time")):
            ours, base = (figures.median([row[column] for row in rows[reference][1:]])
                          for reference in (sealed, clear))
            report.add(f"pull of an encrypted image: {what}", ours, "ms", "the same in clear", base,
                       runs=runs)
    return stage.left
