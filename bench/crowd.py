# SPDX-License-Identifier: Apache-2.0
"""Many containers at once: until all of them run, and until davitd has taken them over again."""
import concurrent.futures
import time

import figures
from bare import BareRuntime
from stage import POLICY_NO, Stage

MS = 1000
CONTAINERS = 100
PARALLEL = 4  # calls of the runtime at the same time, here and there


def create_all_ms(stage):
    """Milliseconds from the first command until all containers run."""
    value = {"imageRef": stage.image, "start": True, "config": POLICY_NO}
    begin = time.monotonic()
    asked = [stage.cloud.send("ContainerFactory", "createWithConfig", value)
             for _ in range(CONTAINERS)]
    end = stage.cloud.wait(lambda: len(stage.cloud.containers("RUNNING")) == CONTAINERS,
                           "all containers run")
    for rid in asked:
        stage.cloud.answer_of(rid)
    return (end - begin) * MS


def bare_all_ms(runtimes):
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(BareRuntime.start, runtimes))
    took = (time.monotonic() - begin) * MS
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(BareRuntime.remove, runtimes))
    return took


def bare_runtimes(stage):
    stage.create(1)
    container = stage.cloud.containers()[0].partition(":")[2]
    first = BareRuntime(stage, container, "bare-0")
    others = [BareRuntime(stage, container, f"bare-{number}", first.rootfs)
              for number in range(1, CONTAINERS)]
    stage.remove_all()
    return [first, *others]


def restart_ms(stage):
    """Milliseconds from starting davitd again until all features are published, which is when it
    begins to take commands. It does when this returns."""
    known = len(stage.cloud.containers())
    commands = f"command//{stage.cloud.thing}/req/#"
    subscribed = stage.broker.subscriptions(commands)
    stage.gateway.daemon.stop()
    # What the old one said on its way out is not the new one's.
    stage.cloud.read_for(1)
    stage.cloud.twin.clear()
    begin = time.monotonic()
    stage.gateway.start_daemon()
    end = stage.cloud.wait(lambda: "ContainerFactory" in stage.cloud.twin and
                           len(stage.cloud.containers()) == known, "davitd is back")
    stage.gateway.wait_ready(stage.broker, subscribed + 1)
    return (end - begin) * MS


def measure_many(report, stage, runs):
    runtimes = bare_runtimes(stage)
    together, bares = [], []
    for _ in range(runs):
        bares.append(bare_all_ms(runtimes))
        together.append(create_all_ms(stage))
        stage.remove_all()
    report.add(f"create and start {CONTAINERS} at once: until all run",
               figures.median(together), "ms",
               f"bare runc create + start of them, {PARALLEL} at a time",
               figures.median(bares), containers=CONTAINERS, runs=runs)


def read_records_ms(stage):
    begin = time.monotonic()
    records = list(stage.gateway.home.glob("containers/*/config.json"))
    for record in records:
        record.read_bytes()
    if len(records) != CONTAINERS:
        raise AssertionError(f"{len(records)} records instead of {CONTAINERS}")
    return (time.monotonic() - begin) * MS


def measure_restart(report, stage, runs):
    empty = [restart_ms(stage) for _ in range(runs)]
    create_all_ms(stage)
    full = [restart_ms(stage) for _ in range(runs)]
    records = [read_records_ms(stage) for _ in range(runs)]
    report.add(f"restart of davitd over {CONTAINERS}: until all features are published",
               figures.median(full), "ms", "without containers, and reading their records",
               figures.median(empty) + figures.median(records), containers=CONTAINERS, runs=runs)
    stage.remove_all()


def bench_crowd(report, options):
    runs = options.runs or 3
    with Stage("crowd", {"workers": PARALLEL}) as stage:
        if "many" in options.wanted:
            measure_many(report, stage, runs)
        if "restart" in options.wanted:
            measure_restart(report, stage, runs)
    return stage.left
