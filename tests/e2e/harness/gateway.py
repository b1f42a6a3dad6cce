# SPDX-License-Identifier: Apache-2.0
"""davit-monitor and davitd of one test, with everything they own below the test's directory."""
import json
import os
import pathlib
import subprocess

from .world import RUNTIME, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[3]


def programs(program="davitd"):
    """The folder of the programs under test."""
    chosen = os.environ.get("DAVIT_E2E_BIN")
    folders = [pathlib.Path(chosen)] if chosen else \
        [ROOT / "build" / preset / "bin" for preset in ("release", "dev")]
    for folder in folders:
        if (folder / program).exists():
            return folder
    raise AssertionError(f"{program} is not built in {', '.join(map(str, folders))}: run "
                         "cmake --preset dev && cmake --build --preset dev")


class Gateway:
    """`peer` is asked to remove the containers at the end: they outlive the daemon by design."""

    def __init__(self, world, broker, peer, registries=(), settings=None, start=True, folder=None):
        self._world = world
        self._bin = folder or programs()
        self._peer = peer
        self.home = world.directory / "home"
        self.run = world.directory / "run"
        self.home.mkdir()
        self.run.mkdir()
        self.config_file = world.directory / "config.json"
        self.config = self._default_config(broker, registries)
        for section, values in (settings or {}).items():
            self.config.setdefault(section, {}).update(values)
        self.monitor = None
        self.daemon = None
        self._starts = 0
        if start:
            self.start_monitor()
            self.start_daemon()
        world.defer(self._give_back)

    def _give_back(self):
        if not (self.daemon and self.daemon.is_running and self.monitor.is_running):
            return
        features = [f for f in self._peer.twin if f.startswith("Container:")]
        for command in [self._peer.send(feature, "remove", True) for feature in features]:
            self._peer.answer_of(command)

    def _default_config(self, broker, registries):
        return {
            "log": {"log_file": "", "log_level": "DEBUG"},
            "manager": {"home_dir": str(self.home), "exec_root_dir": str(self.run)},
            "containers": {"insecure_registries": [*registries]},
            "connection": {"broker_url": broker.url},
            "davit": {"run_dir": str(self.run), "cgroup_parent": self._world.cgroup_parent,
                      "runtime": RUNTIME,
                      "bridge": {"retry_max": "2s"}},
        }

    def start_monitor(self, fault=None):
        """`fault`: a point of base/fault.def with what happens there, name:kill or name:stop."""
        self._starts += 1
        self.monitor = self._world.start(f"davit-monitor-{self._starts}",
                                         [self._bin / "davit-monitor", "--run-dir", self.run],
                                         environment={"DAVIT_FAULT": fault or ""})
        return self.monitor

    def start_daemon(self, fault=None, descriptors=()):
        self._starts += 1
        self.config_file.write_text(json.dumps(self.config, indent=1))
        self.daemon = self._world.start(f"davitd-{self._starts}",
                                        [self._bin / "davitd", "--cfg-file", self.config_file],
                                        environment={"DAVIT_FAULT": fault or ""},
                                        descriptors=descriptors)
        return self.daemon

    def wait_ready(self, broker, subscriptions=1, timeout_s=20):
        """Features are published and commands subscribed, `subscriptions` times in all."""
        pattern = f"command//{self._peer.thing}/req/#"
        wait_for(lambda: broker.subscriptions(pattern) >= subscriptions or
                 not self.daemon.is_running, timeout_s, "davitd subscribes to its commands")
        assert self.daemon.is_running, self.daemon.text()

    def command_line(self):
        """How the davit command reaches this gateway."""
        return f"{self._bin / 'davit'} --run-dir {self.run}"

    def command(self, *arguments):
        """Runs the davit command against this gateway; (exit code, what it printed)."""
        result = subprocess.run([*self.command_line().split(), *arguments],
                                capture_output=True, text=True, timeout=30)
        return result.returncode, result.stdout + result.stderr

    def why(self, name):
        """What davit why says of a container; empty while the daemon cannot be asked."""
        code, text = self.command("--json", "why", name)
        return json.loads(text) if code == 0 else {}

    def log_records(self, container):
        """The json-file log of a container, with its rotated files, oldest first."""
        folder = self.home / "containers" / container
        records = []
        for text in wait_for(lambda: self._log_texts(folder), 10, f"logs in {folder} stand still"):
            for line in text.splitlines():
                try:
                    records.append(json.loads(line))
                except json.JSONDecodeError:
                    pass  # the line being written
        return records

    @staticmethod
    def _log_texts(folder):
        """All log files, oldest first, in one list that holds; None when they were rotated."""
        def look():
            return [(f, f.stat().st_ino) for f in sorted(folder.glob("json.log*"), reverse=True)]
        try:
            files = look()
            texts = [""] + [f.read_text(errors="replace") for f, _ in files]
            return texts if look() == files else None
        except FileNotFoundError:
            return None

    def wait_output(self, container, end):
        """What a container wrote, as soon as it ends with `end`: logs are written beside the exit."""
        return wait_for(lambda: (text := self.output(container)).endswith(end) and text, 10,
                        f"{container} has written {end!r}")

    def output(self, container):
        return "".join(record.get("log", "") for record in self.log_records(container))
