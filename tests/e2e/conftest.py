# SPDX-License-Identifier: Apache-2.0
"""Every test runs in a process of its own, in its own network and mount namespaces, under a
subreaper. The outer pytest collects and reports; for each test it starts itself again with
DAVIT_E2E_REPORT set, and takes over the reports that this inner run writes.

A test has a deadline (60 s, or @pytest.mark.deadline(seconds)): then the inner run prints its
stacks and ends, and whatever it left is ended by the outer one.
"""
import contextlib
import faulthandler
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import world as worlds  # noqa: E402
from harness.broker import Broker  # noqa: E402
from harness.gateway import Gateway  # noqa: E402
from harness.peer import Peer  # noqa: E402
from harness.registry import Registry  # noqa: E402
from harness import faults, images  # noqa: E402

DEADLINE_S = 60
REPORT = os.environ.get("DAVIT_E2E_REPORT")


def pytest_configure(config):
    config.addinivalue_line("markers", "deadline(seconds): how long the test may take")
    config.addinivalue_line("markers", "full: only in a full run (DAVIT_E2E_FULL=1)")
    config.addinivalue_line("markers", "runtime: run again with crun (DAVIT_E2E_RUNTIME=crun)")
    config.addinivalue_line("markers", "machine: only in the guest of unified_machine.py, whose "
                            "clock it may set (DAVIT_E2E_MACHINE=1)")
    config.addinivalue_line("markers", "shows(*rows): rows of docs/conformance.md that this proves")
    worlds.become_subreaper()
    if REPORT:
        worlds.enter_namespaces()


def pytest_collection_modifyitems(config, items):
    """Leaves what this run is for: a full run or not, and its shard (DAVIT_E2E_SHARD=i/n)."""
    if REPORT:
        return
    chosen = items[:]
    if os.environ.get("DAVIT_E2E_FULL") != "1":
        chosen = [item for item in items if not item.get_closest_marker("full")]
    if os.environ.get("DAVIT_E2E_MACHINE") != "1":
        chosen = [item for item in chosen if not item.get_closest_marker("machine")]
    if os.environ.get("DAVIT_E2E_SHARD"):
        number, count = map(int, os.environ["DAVIT_E2E_SHARD"].split("/"))
        chosen = chosen[number::count]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def deadline_of(item):
    marker = item.get_closest_marker("deadline")
    return int((marker.args[0] if marker else DEADLINE_S) * worlds.SLOW)


# --- outer run


def clean_after(unique):
    """Ends what a test has left to us, if it did not come to that itself."""
    worlds.end_descendants()
    worlds.remove_cgroups(unique)
    shutil.rmtree(worlds.DIRECTORY / unique, ignore_errors=True)


def run_isolated(item):
    """Runs one test in a process of its own; its reports."""
    deadline_s = deadline_of(item)
    unique = worlds.unique_name()
    with tempfile.TemporaryDirectory(prefix="davit-e2e-") as folder:
        report = pathlib.Path(folder) / "reports"
        output = pathlib.Path(folder) / "output"
        with open(output, "wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short",
                 f"--rootdir={item.config.rootpath}", "-c", os.devnull,
                 f"{item.path}::{item.nodeid.split('::', 1)[1]}"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True, cwd=item.config.rootpath,
                env={**os.environ, "DAVIT_E2E_REPORT": str(report),
                     "DAVIT_E2E_UNIQUE": unique})
            try:
                process.wait(deadline_s + 40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            except BaseException:
                # Interrupted: the inner run cleans up after itself first.
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                process.kill()
                raise
            finally:
                clean_after(unique)
        lines = report.read_text().splitlines() if report.exists() else []
        return [json.loads(line) for line in lines], output.read_text(errors="replace")


# Tests that failed and passed when they were run again, with the reports of their failure. Real
# programs on a machine that others use as well miss a deadline now and then; what fails twice fails.
SECOND_TRIES = []


def reports_of(item):
    start = time.time()
    rows, output = run_isolated(item)
    reports = [item.config.hook.pytest_report_from_serializable(config=item.config, data=row)
               for row in rows]
    if not any(report.when == "teardown" for report in reports):
        reports.append(pytest.TestReport(
            item.nodeid, item.location, {}, "failed",
            f"the test's process ended early or passed its deadline of {deadline_of(item)} s:\n"
            f"{output[-20000:]}", "call", duration=time.time() - start))
    return reports


def pytest_terminal_summary(terminalreporter):
    if not REPORT and os.environ.get("DAVIT_E2E_FULL") != "1":
        seed, chosen = faults.sample(faults.SAMPLE)
        terminalreporter.write_line(f"sample: kill matrix {len(chosen)} of {len(faults.matrix())} "
                                    f"cells, seed {seed} (DAVIT_E2E_SEED)")
    for nodeid, reports in SECOND_TRIES:
        terminalreporter.write_line(f"second try: {nodeid} failed once:")
        for report in reports:
            if report.failed:
                text = report.longreprtext.splitlines()
                errors = [line for line in text if line.startswith("E ")] or text[-3:]
                terminalreporter.write_line(f"second try:   {errors[0][:300] if errors else ''}")


def pytest_runtest_protocol(item, nextitem):
    if REPORT:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = reports_of(item)
    if any(report.failed for report in reports):
        again = reports_of(item)
        if not any(report.failed for report in again):
            SECOND_TRIES.append((item.nodeid, reports))
            reports = again
    for report in reports:
        report.nodeid, report.location = item.nodeid, item.location
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


# --- inner run


def pytest_runtest_logreport(report):
    if not REPORT:
        return
    data = _config.hook.pytest_report_to_serializable(config=_config, report=report)
    with open(REPORT, "a") as file:
        file.write(json.dumps(data) + "\n")


_config = None


def pytest_sessionstart(session):
    global _config
    _config = session.config

    def on_terminate(_number, _frame):
        # Once: the clean-up that follows must not be interrupted again.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, on_terminate)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and getattr(item, "davit_world", None):
        report.sections.append(("programs", item.davit_world.logs()))


# --- fixtures


@pytest.fixture
def world(request):
    deadline_s = deadline_of(request.node)

    def on_deadline(_number, _frame):
        faulthandler.dump_traceback(all_threads=True)
        raise TimeoutError(f"the test passed its deadline of {deadline_s} s")
    signal.signal(signal.SIGALRM, on_deadline)
    signal.alarm(deadline_s)
    made = worlds.World(request.node.name, os.environ.get("DAVIT_E2E_UNIQUE"))
    request.node.davit_world = made
    try:
        yield made
    finally:
        signal.alarm(0)
        logs = made.logs()
        left = made.close()
    assert not left, "left behind: " + ", ".join(left) + "\n" + logs


@pytest.fixture
def broker(world):
    return Broker(world, 1883)


@pytest.fixture
def peer(world, broker):
    made = Peer(world, broker)
    yield made
    assert not made.faults, "Ditto would refuse:\n" + "\n".join(made.faults)


@pytest.fixture
def registry(world):
    return Registry(world, 5000)


@pytest.fixture
def hello(registry):
    """An image that says hello and ends."""
    return registry.push(images.busybox(["echo", "hello"]), "test/hello")


@pytest.fixture
def sleeper(registry):
    """An image that runs until it is told to end, with 0 on SIGTERM."""
    return registry.push(
        images.busybox(["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]),
        "test/sleeper")


@pytest.fixture
def gateway(world, broker, peer, registry):
    made = Gateway(world, broker, peer, [registry.host])
    made.wait_ready(broker)
    return made
