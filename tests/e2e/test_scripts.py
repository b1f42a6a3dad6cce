# SPDX-License-Identifier: Apache-2.0
"""scripts/quickstart, as a newcomer runs it."""
import pathlib
import signal
import subprocess

import pytest

from harness import world as worlds
from harness.world import Process

QUICKSTART = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "quickstart"


def traces():
    return list(worlds.DIRECTORY.glob("davit-quickstart-*"))


@pytest.mark.deadline(300)
def test_quickstart_shows_a_container_and_cleans_up(world):
    result = subprocess.run([QUICKSTART], capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stdout + result.stderr
    for line in ("[6/6] create", "CREATED", "RUNNING pid", "reply 200", "EXITED code 0",
                 "container says: hello from davit", "cleaned up"):
        assert line in result.stdout
    assert result.stderr == ""
    assert not traces()


@pytest.mark.deadline(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_quickstart_leaves_nothing(world, number):
    process = Process(world, "quickstart", [QUICKSTART, "--keep", "--raw"])
    worlds.wait_for(lambda: "kept, until" in process.text() or not process.is_running, 250,
                    "quickstart is up")
    process.signal(number)
    assert process.wait(60) == 0, process.text()
    assert "things/live/messages/createWithConfig" in process.text()
    assert not traces() and not world.leftovers()
