# SPDX-License-Identifier: Apache-2.0
"""A running container, seen from the kernel's side and from its own: /proc of its first process,
its mount table, its control groups, what its program can open."""
import pathlib

from .world import CGROUP_ROOT

# A program that ends at SIGTERM, after it has run the text in front of it.
STAY = "; echo ready; trap 'exit 0' TERM; while :; do sleep 0.1; done"


def staying(script):
    """cmd of a container that runs the script, says `ready`, and stays; all in one stream."""
    return ["sh", "-c", "exec 2>&1; " + script + STAY]


def status(pid):
    """/proc/<pid>/status as a dict."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


class Mount:
    """One line of a mount table."""

    def __init__(self, line):
        left, right = line.split(" - ")
        fields = left.split()
        self.id, self.parent, self.root, self.point = fields[0], fields[1], fields[3], fields[4]
        self.options = set(fields[5].split(","))
        self.tags = {tag.split(":")[0] for tag in fields[6:]}
        self.kind, self.source = right.split()[:2]
        self.super_options = set(right.split()[2].split(","))

    @property
    def is_readonly(self):
        return "ro" in self.options

    def __repr__(self):
        return f"{self.point} {self.kind} {sorted(self.options)} {sorted(self.tags)}"


def parse_mounts(text):
    """The mount table as {point: Mount}; of several at one place the last, which is on top."""
    return {mount.point: mount for mount in map(Mount, text.splitlines())}


def mounts(pid):
    return parse_mounts(pathlib.Path(f"/proc/{pid}/mountinfo").read_text())


def masked(table):
    """Places that are covered by nothing: a null device or an empty read-only tmpfs."""
    return {point for point, mount in table.items() if point.startswith(("/proc/", "/sys/")) and
            (mount.root == "/null" or mount.kind == "tmpfs" and mount.is_readonly)}


def readonly(table):
    """Places of the kernel's file systems that can be read and not written."""
    return {point for point, mount in table.items()
            if point.startswith(("/proc", "/sys")) and mount.is_readonly} - masked(table)


def cgroup_file(pid, controller, name):
    """A file of the control group that a process is in, v1 or v2; None if there is none."""
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            file = CGROUP_ROOT / controller / path.lstrip("/") / name
        elif not controllers and (CGROUP_ROOT / "cgroup.controllers").exists():
            file = CGROUP_ROOT / path.lstrip("/") / name
        else:
            continue
        if file.exists():
            return file
    return None
