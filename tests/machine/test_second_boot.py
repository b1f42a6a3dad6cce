# SPDX-License-Identifier: Apache-2.0
"""What the shutdown has left, and what the boot makes of it."""
import json

import machine
from harness.world import wait_for


def first_life(name):
    """{word: second since boot} of the run that the shutdown has ended."""
    words = [line.split() for line in machine.output(name)[:3]]
    assert [word for word, _ in words] == ["begun", "told", "ended"], words
    return {word: float(stamp) for word, stamp in words}


def shown(name):
    """The last state of a container that the twin has got before the machine went down."""
    state, container = None, machine.why(name)["id"]
    for line in (machine.FOLDER / "twin-1.jsonl").read_text().splitlines():
        feature, path, value = json.loads(line)
        if feature == f"Container:{container}":
            if not path:
                state = value["properties"]["status"]["state"]
            elif path == "properties/status/state":
                state = value
    return state


def test_all_units_are_up_again():
    for unit in ("davitd", "davit-monitor", "davit-shutdown"):
        wait_for(lambda u=unit: machine.active(u) == "active", 30, f"{unit} is active")


def test_policies_have_started_what_the_shutdown_has_stopped():
    for name in machine.NAMES:
        wait_for(lambda n=name: machine.is_running(n), 60, f"{name} runs again")
        assert machine.why(name).get("restart_count", 0) == 0, "a boot uses no retry"
    assert machine.why("by-hand")["rest"] == "STOPPED"
    assert machine.why("once")["status"] == "STOPPED"


def test_all_were_stopped_side_by_side():
    lives = [first_life(name) for name in machine.NAMES]
    for life in lives:
        assert life["ended"] - life["told"] >= machine.STOPPING_S
    assert max(life["told"] for life in lives) < min(life["ended"] for life in lives), lives
    took = max(life["ended"] for life in lives) - min(life["told"] for life in lives)
    print(f"{len(lives)} containers of {machine.STOPPING_S} s each were stopped in {took:.1f} s")
    assert took < len(lives) * machine.STOPPING_S


def test_each_end_was_known_before_the_machine_went_down():
    for name in [*machine.NAMES, "once"]:
        state = shown(name)
        assert state["status"] == "STOPPED" and state.get("exitCode", 0) == 0, (name, state)


def test_each_end_is_on_the_disk():
    state = machine.why("once")
    assert state["ends"][0].get("exit_code", 0) == 0 and state["ends"][0]["is_code_known"], state


def test_systemd_had_nothing_to_kill():
    journal = (machine.FOLDER / "first-journal.txt").read_text() + machine.command(
        "journalctl", "-b", "-1", "--no-pager", "-o", "short-monotonic")
    assert "Stopped davit-shutdown.service" in journal
    for text in ("Killing process", "timed out", "Failed with result"):
        lines = [line for line in journal.splitlines() if text in line and "davit" in line]
        assert not lines, lines
