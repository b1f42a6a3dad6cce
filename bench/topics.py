# SPDX-License-Identifier: Apache-2.0
"""The measurements. Each interleaves what it measures with what it is held against, so that both
see the same machine, and reports medians and their ratio: times alone say more about the machine.
"""
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from harness import world as worlds
from harness.gateway import ROOT
from harness.podman import Podman

import figures
import mqtt
from bare import BareRuntime
from crowd import bench_crowd
from pulling import bench_encrypted, bench_pull
from stage import POLICY_NO, Stage

MS = 1000
COUNTS = (0, 10, 100)
METRICS_COUNTS = (10, 100, 500)
PERIOD_S = 1
FEW_HOSTS = 8
IDLE_S = 10
PAUSE_S = 0.3  # the kernel takes network namespaces apart after their end, holding up new ones
SETTLE_S = 5  # records are written beside their journal a moment after the last change
FAKE_CONTAINERS = 1500
FAKE_HOSTS = (256, 1500)
FAKE_TIMEOUT_S = 900
PODMAN_CONTAINERS = 10


@dataclasses.dataclass
class Options:
    runs: int | None  # None: what each measurement takes by itself
    messages: int
    wanted: set


# --- start


def create_and_start(stage):
    """Milliseconds from createWithConfig to RUNNING in the twin, and the container."""
    known = set(stage.cloud.containers())
    begin = time.monotonic()
    rid = stage.cloud.send("ContainerFactory", "createWithConfig", {
        "imageRef": stage.image, "start": True, "config": POLICY_NO})
    end = stage.cloud.wait(lambda: set(stage.cloud.containers("RUNNING")) - known, "it runs")
    return (end - begin) * MS, f"Container:{stage.cloud.answer_of(rid)}"


def start(stage, feature):
    begin = time.monotonic()
    rid = stage.cloud.send(feature, "start")
    end = stage.cloud.wait_state(feature, "RUNNING")
    stage.cloud.answer_of(rid)
    return (end - begin) * MS


def end(stage, feature):
    stage.cloud.ask(feature, "stopWithOptions", {"signal": "SIGKILL", "timeout": 10})
    stage.cloud.wait(lambda: stage.cloud.twin.get(feature) in ("STOPPED", "EXITED"), "it ends")


def remove(stage, feature):
    end(stage, feature)
    stage.cloud.ask(feature, "remove", True)


def bench_start(report, options):
    runs = options.runs or 30
    against = "bare runc create + start of the same bundle"
    starts, creates, bares = [], [], []
    with Stage("start") as stage:
        _, feature = create_and_start(stage)
        bare = BareRuntime(stage, feature.partition(":")[2])
        end(stage, feature)
        # The first round warms the caches.
        for _ in range(runs + 1):
            bares.append(bare.start())
            bare.remove()
            time.sleep(PAUSE_S)
            starts.append(start(stage, feature))
            end(stage, feature)
            time.sleep(PAUSE_S)
            took, other = create_and_start(stage)
            creates.append(took)
            remove(stage, other)
            time.sleep(PAUSE_S)
    base = figures.median(bares[1:])
    for what, values in (("start", starts[1:]), ("create and start", creates[1:])):
        report.add(f"{what}: command to RUNNING", figures.median(values), "ms", against, base,
                   p99=round(figures.percentile(values, 99), 3), runs=runs)
    return stage.left


# --- rename


def sync_ms(file):
    """One write that is on disk when this returns; a command is before it is acknowledged."""
    begin = time.monotonic()
    os.pwrite(file.fileno(), bytes(512), 0)
    os.fdatasync(file.fileno())
    return (time.monotonic() - begin) * MS


def round_trip_ms(client, topic, payload, answer_topic):
    begin = time.monotonic()
    client.publish(topic, payload)
    while True:
        message = client.read(begin + 30)
        if message and message.topic.startswith(answer_topic):
            return (message.at - begin) * MS, message
        if time.monotonic() > begin + 30:
            raise AssertionError(f"no answer to {topic} within 30 s")


def bench_rename(report, options):
    runs = options.runs or 500
    renames, echoes, syncs = [], [], []
    with Stage("rename") as stage:
        cloud = stage.cloud
        rid = cloud.send("ContainerFactory", "createWithConfig",
                         {"imageRef": stage.image, "start": False})
        feature = f"Container:{cloud.answer_of(rid)}"
        echo = stage.world.start("echo", [sys.executable, "-I", mqtt.__file__, stage.broker.port])
        worlds.wait_for(lambda: "ready" in echo.text(), 10, "the echo is subscribed")
        client = mqtt.Client(stage.broker.port, "prober", [mqtt.ANSWER, "command//+/res/#"])
        with open(stage.world.directory / "sync", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 1 << 20)
            for number in range(runs + 10):
                _, topic, payload = cloud.envelope(feature, "rename", f"name-{number}")
                echoes.append(round_trip_ms(client, mqtt.REQUEST, payload, mqtt.ANSWER)[0])
                took, message = round_trip_ms(client, topic, payload, "command//")
                if json.loads(message.payload)["status"] != 204:
                    raise AssertionError(f"rename was refused: {message.payload}")
                renames.append(took)
                syncs.append(sync_ms(file))
        client.close()
    renames, echoes, syncs = renames[10:], echoes[10:], syncs[10:]
    for what, measure in (("median", figures.median),
                          ("99 %", lambda values: figures.percentile(values, 99))):
        report.add(f"rename: command to answer, {what}", measure(renames), "ms",
                   "a subscriber that answers at once", measure(echoes),
                   fdatasync_ms=round(measure(syncs), 3), runs=runs)
    return stage.left


# --- memory and idle


def talk(stage, messages):
    """That many commands to each container, one at a time for each."""
    for number in range(messages):
        asked = [stage.cloud.send(feature, "rename", f"{feature[-8:]}-{number}")
                 for feature in stage.cloud.containers()]
        for rid in asked:
            stage.cloud.answer_of(rid)


def footprint(stage):
    """Written KB, descriptors, threads and private KB of davitd and davit-monitor, and processes
    of ours."""
    found = {}
    for name, pid in (("davitd", stage.gateway.daemon.pid),
                      ("davit-monitor", stage.gateway.monitor.pid)):
        private, written = figures.private_kb(pid)
        found[name] = (written, figures.descriptors(pid), figures.threads(pid), private)
    below = worlds.descendants(stage.gateway.monitor.pid)
    found["processes"] = 2 + len(below) - len(stage.cloud.containers())
    return found


def report_memory(report, points):
    for count, point in points.items():
        for name in ("davitd", "davit-monitor"):
            written, descriptors, threads, private = point[name]
            report.add(f"{name}, {count} containers: private memory", private, "KB",
                       containers=count, written_kb=written, descriptors=descriptors,
                       threads=threads)
    report_slopes(report, points, "each container")
    report.add("each container: further processes",
               (points[COUNTS[-1]]["processes"] - points[0]["processes"]) / COUNTS[-1],
               "processes", containers=COUNTS[-1])


def report_slopes(report, points, what):
    first, last = min(points), max(points)
    for column, (name, unit) in enumerate((("written memory", "KB"), ("descriptors", "open"),
                                           ("threads", "threads"))):
        more = {program: (points[last][program][column] - points[first][program][column]) /
                (last - first) for program in ("davitd", "davit-monitor")}
        report.add(f"{what}: {name} of both", sum(more.values()), unit, containers=last, **more)


def measure_memory(stage, options, counts):
    points = {}
    for count in counts:
        stage.create(count - len(stage.cloud.containers()))
        talk(stage, options.messages)
        points[count] = footprint(stage)
    return points


def bench_memory(report, options):
    left = []
    with Stage("memory") as stage:
        if "memory" in options.wanted:
            report_memory(report, measure_memory(stage, options, COUNTS))
        else:
            stage.create(COUNTS[-1])
        if "idle" in options.wanted:
            measure_idle(report, stage)
    left += stage.left
    if "memory" in options.wanted:
        with Stage("hosts", {"actors": {"container_hosts": FEW_HOSTS}}) as stage:
            points = measure_memory(stage, options, (0, COUNTS[-1]))
        left += stage.left
        report_slopes(report, points, f"each container, {FEW_HOSTS} hosts")
    return left


def measure_idle(report, stage):
    time.sleep(SETTLE_S)
    for name, pid in (("davitd", stage.gateway.daemon.pid),
                      ("davit-monitor", stage.gateway.monitor.pid)):
        ticks, wakeups = figures.cpu_ticks(pid), figures.wakeups(pid)
        begin = time.monotonic()
        time.sleep(IDLE_S)
        took = time.monotonic() - begin
        used = (figures.cpu_ticks(pid) - ticks) / os.sysconf("SC_CLK_TCK")
        report.add(f"{name} idle, {COUNTS[-1]} containers", used / took * 100, "% of a CPU",
                   containers=COUNTS[-1], seconds=round(took, 1),
                   wakeups_per_s=round((figures.wakeups(pid) - wakeups) / took, 1))


# --- metrics


# What a pass reads of a container: (controller of version 1, file), else (file of version 2).
READ_V1 = [("cpuacct", "cpuacct.usage"), ("memory", "memory.usage_in_bytes"),
           ("memory", "memory.stat"), ("blkio", "blkio.throttle.io_service_bytes_recursive"),
           ("pids", "pids.current")]
READ_V2 = ["cpu.stat", "memory.current", "memory.stat", "memory.max", "io.stat", "pids.current"]
CGROUP = pathlib.Path("/sys/fs/cgroup")


def open_counters(stage):
    """Descriptors of the files that a pass reads, of all containers."""
    found = []
    for feature in stage.cloud.containers("RUNNING"):
        group = f"{stage.world.unique}/{feature.removeprefix('Container:')}"
        for path in [CGROUP / controller / group / name for controller, name in READ_V1] + \
                [CGROUP / group / name for name in READ_V2]:
            if path.exists():
                found.append(os.open(path, os.O_RDONLY))
    return found


def pread_all_ms(descriptors):
    """Processor time of reading them once, by a program that slept a period before, as davitd."""
    time.sleep(PERIOD_S)
    begin = time.thread_time_ns()
    for descriptor in descriptors:
        os.pread(descriptor, 8192, 0)
    return (time.thread_time_ns() - begin) / 1e6


def pass_ms(stage, passes):
    """Processor time of each pass: of the thread that reads the files, and of davitd, without what
    it uses when nobody wants metrics."""
    pid = stage.gateway.daemon.pid
    used = []
    for frequency in (0, PERIOD_S):
        stage.cloud.ask("Metrics", "request", {"frequency": frequency})
        stage.cloud.read_for(SETTLE_S if frequency else 1)
        before = figures.thread_cpu_ns(pid, "sampler"), figures.cpu_ns(pid)
        stage.cloud.read_for(passes * PERIOD_S)
        after = figures.thread_cpu_ns(pid, "sampler"), figures.cpu_ns(pid)
        used.append([(end - begin) / passes / 1e6 for begin, end in zip(before, after)])
    stage.cloud.ask("Metrics", "request", {"frequency": 0})
    return used[1][0], used[1][1] - used[0][1]


def bench_metrics(report, options):
    passes = options.runs or 10
    with Stage("metrics") as stage:
        for count in METRICS_COUNTS:
            stage.create(count - len(stage.cloud.containers()))
            time.sleep(SETTLE_S)
            descriptors = open_counters(stage)
            bare = figures.median([pread_all_ms(descriptors) for _ in range(passes + 1)][1:])
            for descriptor in descriptors:
                os.close(descriptor)
            for what, value in zip(("one pass", "one pass, filtered, written and sent"),
                                   pass_ms(stage, passes)):
                report.add(f"metrics of {count} containers: {what}", value, "ms of CPU",
                           "pread of the same files", bare, containers=count,
                           files=len(descriptors), passes=passes)
        stage.remove_all()
    return stage.left


# --- many containers without a kernel


def has_fake():
    return (ROOT / "tests" / "sim" / "daemon_many.c").exists()


def run_fake(program, what, hosts, messages):
    """What daemon_many tells: memory when empty, running and after messages, then times."""
    result = subprocess.run(
        [program, str(FAKE_CONTAINERS), str(hosts), str(messages)], capture_output=True,
        stdin=subprocess.DEVNULL, text=True, timeout=FAKE_TIMEOUT_S)
    rows = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    if result.returncode != 0 or not rows:
        raise AssertionError(f"{what}: daemon_many failed\n{result.stderr[-2000:]}")
    return rows


def bench_fake(report, options):
    """A test program of the whole daemon with all its threads, on a machine that it imitates."""
    found = sorted((path for path in (ROOT / "build").glob("*/tests/sim/daemon_many")),
                   key=lambda path: path.parts[-4] != "release")
    if not found:
        report.skip(f"{FAKE_CONTAINERS} containers on the fake machine",
                    "daemon_many is not built: cmake --build --preset release")
        return []
    preset = found[0].parts[-4]
    for hosts in FAKE_HOSTS:
        what = f"{FAKE_CONTAINERS} containers on the fake machine, {hosts} hosts"
        *costs, times = run_fake(found[0], what, hosts, options.messages)
        report.add(f"{what}: create and start all", times.pop("create_start_ms"), "ms",
                   preset=preset, **times)
        if len(costs) < 2:
            continue
        empty, full = costs[0], costs[-1]
        more = (full["private_kb"] - empty["private_kb"]) / FAKE_CONTAINERS
        report.add(f"{what}: private memory of each", more, "KB", preset=preset,
                   **{**full, "messages": options.messages})
    return []


# --- podman


def bench_podman(report, options):
    if not shutil.which("podman"):
        report.skip("podman", "podman is not installed")
        return []
    runs = options.runs or 10
    creates, bares, theirs = [], [], []
    with Stage("podman") as stage:
        podman = Podman(stage.world, stage.image, ["--tls-verify=false"])
        _, feature = create_and_start(stage)
        bare = BareRuntime(stage, feature.partition(":")[2])
        remove(stage, feature)
        for _ in range(runs + 1):
            bares.append(bare.start())
            bare.remove()
            time.sleep(PAUSE_S)
            begin = time.monotonic()
            podman.run(network="bridge")
            theirs.append((time.monotonic() - begin) * MS)
            podman.remove_all()
            time.sleep(PAUSE_S)
            took, feature = create_and_start(stage)
            creates.append(took)
            remove(stage, feature)
            time.sleep(PAUSE_S)
        for what, values in (("create and start: command to RUNNING", creates),
                             ("bare runc create + start, no network", bares)):
            report.add(what, figures.median(values[1:]), "ms",
                       "podman run -d of the same image, on a bridge", figures.median(theirs[1:]),
                       runs=runs)
        for _ in range(PODMAN_CONTAINERS):
            podman.run()
        conmons = podman.conmons()
        memory = [figures.private_kb(pid) for pid in conmons]
        report.add("podman, each container: written memory of conmon",
                   figures.median([written for _, written in memory]), "KB",
                   private_kb=figures.median([private for private, _ in memory]),
                   containers=len(memory))
    return stage.left


BENCHES = {"start": bench_start, "rename": bench_rename, "memory": bench_memory,
           "idle": bench_memory, "metrics": bench_metrics, "fake": bench_fake,
           "many": bench_crowd, "restart": bench_crowd,
           "podman": bench_podman, "pull": bench_pull,
           "encrypted": bench_encrypted}


def run_all(report, options):
    """Runs what is wanted; what was left behind and had to be removed, and whether all went well.
    One that fails is reported and does not stop the others."""
    left, is_good, done = [], True, set()
    for name, bench in BENCHES.items():
        if name not in options.wanted or bench in done:
            continue
        done.add(bench)
        try:
            left += bench(report, options)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            is_good = False
            report.fail(name, str(error))
    return left, is_good
