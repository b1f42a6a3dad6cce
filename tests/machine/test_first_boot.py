# SPDX-License-Identifier: Apache-2.0
"""The packaged units while the machine is up."""
import tarfile

import machine
from harness import images
from harness.world import wait_for

IMAGE = "gateway.example/worker:1"
RUN_ONCE = "gateway.example/once:1"
POLICIES = ["always", "unless-stopped", "always", "on-failure", "on-failure"]


def load(folder, reference, script):
    layout = folder / "layout"
    images.write_layout(images.busybox(["sh", "-c", script]), layout, reference)
    archive = folder / "image.tar"
    with tarfile.open(archive, "w") as tar:
        for path in layout.iterdir():
            tar.add(path, path.name)
    machine.command("davit", "load", str(archive))


def test_all_units_are_up():
    for unit in ("davitd", "davit-monitor", "davit-shutdown"):
        wait_for(lambda u=unit: machine.active(u) == "active", 30, f"{unit} is active")


def run_workers():
    for name, policy in zip(machine.NAMES, POLICIES):
        machine.command("davit", "run", "--name", name, "--restart", policy, IMAGE)
    for name in machine.NAMES:
        wait_for(lambda n=name: machine.is_running(n), 20, f"{name} runs")
        wait_for(lambda n=name: machine.output(n), 20, f"{name} has begun")


def test_containers_are_started(tmp_path):
    (tmp_path / "worker").mkdir()
    (tmp_path / "once").mkdir()
    load(tmp_path / "worker", IMAGE, machine.SCRIPT)
    load(tmp_path / "once", RUN_ONCE, "trap 'exit 0' TERM; while :; do sleep 0.2; done")
    run_workers()
    machine.command("davit", "run", "--name", "once", "--restart", "no", RUN_ONCE)
    machine.command("davit", "run", "--name", "by-hand", "--restart", "unless-stopped", RUN_ONCE)
    for name in ("once", "by-hand"):
        wait_for(lambda n=name: machine.is_running(n), 20, f"{name} runs")
    machine.command("davit", "stop", "by-hand")


def restart_of(*units):
    before = machine.pids(machine.NAMES)
    begun = {name: machine.start_ticks(pid) for name, pid in before.items()}
    programs = {unit: machine.command("systemctl", "show", "-P", "MainPID", unit)
                for unit in units}
    machine.command("systemctl", "restart", *units)
    for unit in units:
        assert machine.command("systemctl", "show", "-P", "MainPID", unit) != programs[unit]
    for name in machine.NAMES:
        wait_for(lambda n=name: machine.is_running(n), 30, f"{name} is known to run")
        assert machine.start_ticks(before[name]) == begun[name]
    assert machine.pids(machine.NAMES) == before
    for name in machine.NAMES:
        assert [line.split()[0] for line in machine.output(name)] == ["begun"], \
            "no signal reached it"


def test_a_restart_of_davitd_touches_no_container():
    restart_of("davitd")


def test_a_restart_of_the_monitor_touches_no_container():
    restart_of("davit-monitor")


def test_a_restart_of_both_touches_no_container():
    restart_of("davit-monitor", "davitd")
    wait_for(lambda: machine.active("davit-shutdown") == "active", 5, "it still waits for the end")


def test_what_the_shutdown_will_end_is_started():
    # Anew: systemd as process 1 reaps what a davit-monitor that ended has left, with its exit code.
    for name in [*machine.NAMES, "once"]:
        machine.command("davit", "rm", "-f", name)
    run_workers()
    machine.command("davit", "run", "--name", "once", "--restart", "no", RUN_ONCE)
    wait_for(lambda: machine.is_running("once"), 20, "once runs")


def test_a_reload_makes_the_monitor_another_program_and_keeps_its_children():
    before = machine.pids(machine.NAMES)
    monitor = machine.command("systemctl", "show", "-P", "MainPID", "davit-monitor")
    machine.command("systemctl", "reload", "davit-monitor")
    wait_for(lambda: "took over from" in machine.command("journalctl", "-b", "-u", "davit-monitor"), 30,
             "davit-monitor has begun anew")
    assert machine.command("systemctl", "show", "-P", "MainPID", "davit-monitor") == monitor
    assert machine.active("davit-monitor") == "active"
    assert machine.pids(machine.NAMES) == before
