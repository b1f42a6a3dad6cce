# SPDX-License-Identifier: Apache-2.0
"""Processes, namespaces and what they may leave behind.

A World is entered once by the process of one test: it becomes a subreaper in network and mount
namespaces of its own, so everything the test starts is found among its descendants, its mounts and
its links. close() ends and removes what is left and says what that was.
"""
import contextlib
import ctypes
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import time

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_MS_REC = 0x4000
_MS_SLAVE = 1 << 19
_MS_SHARED = 1 << 20
_MNT_DETACH = 2
# Not /tmp: that may be a tmpfs, which cannot hold every attribute of an image.
DIRECTORY = pathlib.Path("/var/tmp")
CGROUP_ROOT = pathlib.Path("/sys/fs/cgroup")
# The OCI runtime that davitd is told to use.
RUNTIME = os.environ.get("DAVIT_E2E_RUNTIME", "auto")
# How many times longer everything may take, for a machine that is emulated.
SLOW = float(os.environ.get("DAVIT_E2E_SLOW", "1"))


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def become_subreaper():
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def enter_mounts(more=0):
    """Own mount namespace; mounts are shared among themselves as on a usual host, but nothing goes
    out."""
    _check(_libc.unshare(_CLONE_NEWNS | more), "unshare (root is needed)")
    _check(_libc.mount(None, b"/", None, _MS_REC | _MS_SLAVE, None), "mount --make-rslave /")
    _check(_libc.mount(None, b"/", None, _MS_REC | _MS_SHARED, None), "mount --make-rshared /")


def enter_namespaces():
    """Own mount and network namespace."""
    enter_mounts(_CLONE_NEWNET)
    if RUNTIME == "crun":
        leave_unified_out()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def leave_unified_out():
    """crun takes no machine where cgroup v2 owns a controller beside v1: here there is v1 alone.
    It makes folders in the place of v2 all the same, which go with this mount."""
    unified = CGROUP_ROOT / "unified"
    if unified.is_mount():
        _check(_libc.umount2(str(unified).encode(), _MNT_DETACH), f"umount {unified}")
        _check(_libc.mount(b"none", str(unified).encode(), b"tmpfs", 0, None), f"hide {unified}")


def wait_for(condition, timeout_s, what):
    """The first true value of condition(); fails naming `what`."""
    deadline = time.monotonic() + timeout_s * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.01)


def parents():
    """Parent, state and name of every process, by pid."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(errors="replace")
        except OSError:
            continue
        fields = text[text.rindex(")") + 2:].split()
        name = text[text.index("(") + 1:text.rindex(")")]
        found[int(stat.parent.name)] = (int(fields[1]), fields[0], name)
    return found


def descendants(root):
    """Living processes below `root` as {pid: name}."""
    table = parents()
    found, queue = {}, [root]
    while queue:
        above = queue.pop()
        for pid, (parent, state, name) in table.items():
            if parent == above:
                queue.append(pid)
                if state != "Z":
                    found[pid] = name
    return found


def reap_zombies(known=()):
    """Waits for orphans that were given to us; children that a Process object owns are its own."""
    for pid, (parent, state, _) in parents().items():
        if parent == os.getpid() and state == "Z" and pid not in known:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def end_descendants(timeout_s=10):
    """Kills whatever is below this process."""
    deadline = time.monotonic() + timeout_s
    while (below := descendants(os.getpid())) and time.monotonic() < deadline:
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
        reap_zombies()


def mount_points():
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines]


def unmount_below(directory):
    """As a boot of the machine would."""
    for point in reversed(mount_points()):
        name = point.encode().decode("unicode_escape")
        if name.startswith(f"{directory}/"):
            _libc.umount2(name.encode(), _MNT_DETACH)


def links():
    result = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
    return [line.split(":")[1].strip().split("@")[0] for line in result.stdout.splitlines()]


def tables():
    """nftables tables, as "ip davit"."""
    result = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True)
    return [line.removeprefix("table ") for line in result.stdout.splitlines()]


FORWARDING = pathlib.Path("/proc/sys/net/ipv4/ip_forward")


def cgroups(name):
    """Directories of that name in every hierarchy, deepest first, with all below them."""
    tops = [CGROUP_ROOT / name] + [
        hierarchy / name for hierarchy in CGROUP_ROOT.iterdir()
        if hierarchy.is_dir() and not (RUNTIME == "crun" and hierarchy.name == "unified")]
    found = []
    for top in tops:
        if top.is_dir():
            found += [pathlib.Path(folder) for folder, _, _ in os.walk(top, topdown=False)]
    return found


class Process:
    """A program of the test; its output goes to a file that a failing test shows."""

    def __init__(self, world, name, arguments, environment=None, working_directory=None,
                 descriptors=()):
        self.name = name
        self.log = world.directory / f"{name}.out"
        self._file = open(self.log, "ab")
        self._process = subprocess.Popen(
            [str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=self._file,
            stderr=self._file, start_new_session=True, cwd=working_directory or world.directory,
            pass_fds=descriptors,
            env={**os.environ, **(environment or {})})
        world.processes.append(self)

    @property
    def pid(self):
        return self._process.pid

    @property
    def is_running(self):
        return self._process.poll() is None

    def signal(self, number):
        if self.is_running:
            self._process.send_signal(number)

    def wait(self, timeout_s):
        return self._process.wait(timeout_s)

    def kill(self):
        """kill -9 and wait."""
        self.signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self, timeout_s=20):
        """SIGTERM and wait; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {timeout_s} s of SIGTERM")
        finally:
            self._file.close()

    def text(self):
        return self.log.read_text(errors="replace")


def unique_name():
    return f"davit-test-{secrets.token_hex(4)}"


def remove_cgroups(unique):
    for path in cgroups(unique):
        with contextlib.suppress(OSError):
            path.rmdir()


class World:
    """`unique` names everything that has a name outside of the namespaces."""

    def __init__(self, name, unique=None):
        self.unique = unique or unique_name()
        self.directory = DIRECTORY / self.unique
        self.directory.mkdir(mode=0o700)
        self.name = name
        self.cgroup_parent = f"/{self.unique}"
        self.processes = []
        self._closers = []
        self._mounts = mount_points()
        self._links = links()
        self._tables = tables()
        self._forwarding = FORWARDING.read_text()

    def defer(self, function):
        """Called by close(), last first."""
        self._closers.append(function)

    def start(self, name, arguments, **options):
        return Process(self, name, arguments, **options)

    def logs(self):
        """What the programs said, for the report of a failed test."""
        parts = []
        # os.walk passes over a folder that goes meanwhile, rglob does not.
        files = [pathlib.Path(folder) / name for folder, _, names in os.walk(self.directory)
                 for name in names]
        for log in sorted(f for f in files if f.suffix in (".out", ".log")):
            try:
                text = log.read_text(errors="replace") if log.is_file() else ""
            except FileNotFoundError:
                continue  # of a container that has just gone
            if text:
                parts.append(f"--- {log.relative_to(self.directory)}\n{text[-8000:]}")
        return "\n".join(parts)

    def leftovers(self):
        """What a test has not given back, after its own programs have been stopped."""
        own = {process.pid for process in self.processes}
        reap_zombies(own)
        found = [f"process {pid} ({name})" for pid, name in descendants(os.getpid()).items()]
        found += [f"mount {point}" for point in mount_points() if point not in self._mounts]
        found += [f"link {link}" for link in links() if link not in self._links]
        found += [f"table {table}" for table in tables() if table not in self._tables]
        # The parent group itself belongs to the test; davit may have made it and keeps it.
        found += [f"cgroup {path}" for path in cgroups(self.unique) if path.name != self.unique]
        return found

    def close(self):
        """Stops the test's programs, newest first, then returns what was left and removes it."""
        failures = []
        for closer in reversed(self._closers):
            try:
                closer()
            except Exception as error:  # the rest must still be cleaned up
                failures.append(f"closing: {error!r}")
        for process in reversed(self.processes):
            if process.is_running:
                process.signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(15)
            if process.is_running:
                process.kill()
        # The kernel takes its time to end what was just signalled.
        deadline = time.monotonic() + 5
        left = self.leftovers()
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = self.leftovers()
        self.remove_all()
        return failures + left

    def remove_all(self):
        end_descendants()
        for point in reversed(mount_points()):
            if point not in self._mounts:
                _libc.umount2(point.encode().decode("unicode_escape").encode(), _MNT_DETACH)
        # Ports end with their namespaces, bridges do not.
        for link in links():
            if link not in self._links:
                subprocess.run(["ip", "link", "delete", link], stderr=subprocess.DEVNULL)
        for table in tables():
            if table not in self._tables:
                subprocess.run(["nft", "delete", "table", *table.split()])
        if FORWARDING.read_text() != self._forwarding:
            FORWARDING.write_text(self._forwarding)
        remove_cgroups(self.unique)
        shutil.rmtree(self.directory, ignore_errors=True)
