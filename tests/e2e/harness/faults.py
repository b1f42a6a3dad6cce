# SPDX-License-Identifier: Apache-2.0
"""What may be killed or stopped, and who puts it back on its feet.

davitd and davit-monitor have fault points (base/fault.def). Programs that they start are replaced
by a script that kills or stops itself before or behind the real one."""
import os
import pathlib
import random
import re
import signal
import stat
import threading

from . import world as worlds
from .gateway import programs

ROOT = pathlib.Path(__file__).resolve().parents[3]
SAMPLE = 8
HOWS = ("kill", "stop")
# Longer than the deadlines of the settings below.
STOPPED_S = 6
SETTINGS = {"deadlines": {"runtime": "3s", "command": "4s", "unpack": "4s"},
            "bridge": {"retry_min": "200ms", "retry_max": "1s"}, "monitor_grace": "2s"}


def points():
    text = (ROOT / "base" / "fault.def").read_text()
    own = re.findall(r'^FAULT\(\w+, "([a-z-]+)"', text, re.M)
    wrapped = [f"{program}-{when}" for program in ("runtime-create", "runtime-start",
                                                  "runtime-delete", "unpack")
               for when in ("before", "behind")]
    return own + wrapped


def build_with_points():
    """A folder of programs with fault points, which are not in a release."""
    for folder in (programs(), ROOT / "build" / "dev" / "bin"):
        davitd = folder / "davitd"
        if davitd.exists() and b"davitd-command-durable" in davitd.read_bytes():
            return folder
    raise AssertionError("needs a build with fault points: cmake --preset dev && "
                         "cmake --build --preset dev")


def matrix():
    return [(point, how) for point in points() for how in HOWS]


def sample(count):
    """`count` of the matrix, drawn by a seed that a failing run names."""
    seed = int(os.environ.get("DAVIT_E2E_SEED", "1"))
    cells = matrix()
    return seed, set(random.Random(seed).sample(cells, min(count, len(cells))))


def wrapper(world, program, real, point, how):
    """A script in place of `program`, which fails once at `point` when the folder `fault-armed` is
    there; its path, and that of the folder that says that it was reached."""
    name, when = point.rsplit("-", 1)
    operation = name.removeprefix("runtime-") if name.startswith("runtime-") else ""
    done = world.directory / "fault-reached"
    act = f"if rmdir {world.directory}/fault-armed 2>/dev/null && mkdir {done}; then kill -{'STOP' if how == 'stop' else 'KILL'} $$; fi"
    script = world.directory / program
    is_meant = f'case " $* " in *" {operation} "*) ;; *) exec {real} "$@" ;; esac' \
        if operation else ":"
    before, behind = (act, ":") if when == "before" else (":", act)
    script.write_text(f"#!/bin/sh\n{is_meant}\n{before}\n{real} \"$@\"\ncode=$?\n{behind}\n"
                      "exit $code\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script, done


class Nurse(threading.Thread):
    """Starts davitd and davit-monitor again when they die, lets them go on when they are stopped,
    and reaps what has lost its parent, as the init of a machine does."""

    def __init__(self, world, gateway):
        super().__init__(daemon=True)
        self._world = world
        self._gateway = gateway
        self._is_over = threading.Event()
        self.deaths = 0
        self.stops = 0
        world.defer(self.close)
        self.start()

    def close(self):
        self._is_over.set()
        self.join()

    def _tend(self, process, start_again):
        if not process.is_running:
            self.deaths += 1
            start_again()
            return
        state = worlds.parents().get(process.pid, (0, "?", ""))[1]
        if state == "T":
            self.stops += 1
            self._is_over.wait(STOPPED_S)
            process.signal(signal.SIGCONT)

    def run(self):
        while not self._is_over.wait(0.05):
            self._tend(self._gateway.monitor, self._gateway.start_monitor)
            self._tend(self._gateway.daemon, self._gateway.start_daemon)
            worlds.reap_zombies({process.pid for process in self._world.processes})
