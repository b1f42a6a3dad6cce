# SPDX-License-Identifier: Apache-2.0
"""bench/run, as an integrator runs it; what it measures is not judged here."""
import json
import pathlib
import signal
import subprocess

import pytest

from harness import world as worlds
from harness.world import Process

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench" / "run"


def traces():
    return list(worlds.DIRECTORY.glob("davit-bench-*"))


@pytest.mark.deadline(300)
def test_bench_prints_json_and_cleans_up(world):
    before = traces()
    result = subprocess.run([BENCH, "--only", "rename", "--runs", "3", "--json"],
                            capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stdout + result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows
    for row in rows:
        assert row["figure"].startswith("rename") and row["unit"] == "ms"
        assert row["value"] > 0 and row["base"] > 0 and row["ratio"] > 0 and row["runs"] == 3
    assert traces() == before and not world.leftovers()


@pytest.mark.deadline(300)
def test_interrupted_bench_leaves_nothing(world):
    before = traces()
    process = Process(world, "bench", [BENCH, "--only", "start", "--runs", "100000"])
    worlds.wait_for(lambda: "runc" in worlds.descendants(process.pid).values() or
                    not process.is_running, 250, "containers are started")
    process.signal(signal.SIGTERM)
    assert process.wait(60) == 130, process.text()
    assert traces() == before and not world.leftovers()
