# SPDX-License-Identifier: Apache-2.0
"""What both boots know of the machine."""
import json
import pathlib
import subprocess

FOLDER = pathlib.Path("/var/lib/machine")
HOME = pathlib.Path("/var/lib/container-management")
STOPPING_S = 4
# Says when it is told to end, and when it has: the stamps are those of the machine, since its boot.
SCRIPT = f"""up() {{ read up rest < /proc/uptime; echo $1 $up; }}
trap 'up told; sleep {STOPPING_S}; up ended; exit 0' TERM
up begun
while :; do sleep 0.2; done"""
NAMES = [f"worker{number}" for number in range(5)]


def command(*arguments, timeout_s=300):
    """What a command printed; it must succeed."""
    result = subprocess.run(list(arguments), capture_output=True, text=True, timeout=timeout_s)
    assert result.returncode == 0, f"{arguments}: {result.returncode} {result.stdout}{result.stderr}"
    return result.stdout


def why(name):
    """What davit why says of a container; empty while davitd cannot be asked."""
    result = subprocess.run(["davit", "--json", "why", name], capture_output=True, text=True)
    return json.loads(result.stdout) if result.returncode == 0 else {}


def is_running(name):
    return why(name).get("status") == "RUNNING"


def pids(names):
    return {name: why(name)["pid"] for name in names}


def start_ticks(pid):
    """When the process began; a process id alone may have been given again."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return int(text[text.rindex(")") + 2:].split()[19])


def output(name):
    """The lines of a container, of all its runs."""
    return command("davit", "logs", name).splitlines()


def active(unit):
    return subprocess.run(["systemctl", "is-active", unit], capture_output=True,
                          text=True).stdout.strip()
