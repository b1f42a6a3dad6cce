# SPDX-License-Identifier: Apache-2.0
"""Runs every suite of the project and counts; called by scripts/test.

Each command runs in a session of its own, and this process is a subreaper: whatever a test leaves
behind, also after an interrupt, is found among its descendants and ended.
"""
import argparse
import concurrent.futures
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import reliability  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
RESULTS = BUILD / "results"
PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 20
# What runs side by side: tests that wait more than they compute, and programs that only compute.
PROCESSORS = len(os.sched_getaffinity(0))
SHARDS = 1 if PROCESSORS < 2 else 2 if PROCESSORS < 6 else 3
SYNTHESIS = re.compile(r"Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")


class Interrupted(Exception):
    pass


def on_signal(number, _frame):
    raise Interrupted(signal.Signals(number).name)


def descendants(root):
    """All living processes below `root` as {pid: name}, nearest first."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(errors="replace")
        except OSError:
            continue
        state, parent = text[text.rindex(")") + 2:].split()[:2]
        name = text[text.index("(") + 1:text.rindex(")")]
        children.setdefault(int(parent), []).append((int(stat.parent.name), state, name))
    found, queue = {}, [root]
    while queue:
        for pid, state, name in children.get(queue.pop(0), []):
            queue.append(pid)
            if state != "Z":
                found[pid] = name
    return found


def end_descendants(patience_s=0):
    """Asks what is still below us after `patience_s` to end, then kills it; returns the names."""
    names = None
    for number, wait_s in ((None, patience_s), (signal.SIGTERM, GRACE_S), (signal.SIGKILL, 5)):
        left = descendants(os.getpid())
        if number and names is None:
            names = sorted(left.values())
        for pid in left if number else ():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + wait_s
        while left and time.monotonic() < deadline:
            reap()
            time.sleep(0.02)
            left = descendants(os.getpid())
    reap()
    return names


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def reasons(output):
    """What a failing run of Criterion or a sanitizer said, in a few lines."""
    wanted = re.compile(r"^\[FAIL\]|^\[----\] \S+:\d+|ERROR: \w+Sanitizer|runtime error:")
    return [line[:200] for line in output.splitlines() if wanted.search(line)][:5] or ["no reason"]


def remarks(output):
    """Prints what a green run has to say, too: which sample was drawn, what failed once."""
    for line in dict.fromkeys(output.splitlines()):
        if line.startswith(("sample: ", "second try: ")):
            print(line, flush=True)


def side_by_side(calls, workers):
    """Results of functions in their order; a signal ends the waiting, not the calls."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(call) for call in calls]
        try:
            return [future.result() for future in futures]
        except Interrupted:
            pool.shutdown(wait=False, cancel_futures=True)
            end_descendants()
            raise


def is_found(output):
    """Whether a sanitizer found something; a leak of a test that failed half way is none."""
    return bool(re.search(r"ERROR: AddressSanitizer|runtime error:|ThreadSanitizer", output)
                or ("LeakSanitizer" in output and "[FAIL]" not in output))


class Run:
    def __init__(self, options):
        self.options = options
        self.passed = 0
        self.failed = 0
        self.environment = dict(os.environ, LC_ALL="C.UTF-8", CLICOLOR_FORCE="0")
        if shutil.which("ccache"):
            self.environment.setdefault("CCACHE_BASEDIR", str(ROOT))
            self.environment.setdefault("CCACHE_NOHASHDIR", "1")

    def command(self, arguments, timeout_s, environment=None):
        """Exit code and output; a timeout reads as a failure."""
        process = subprocess.Popen(
            [str(a) for a in arguments], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            start_new_session=True, env={**self.environment, **(environment or {})})
        try:
            output, _ = process.communicate(timeout=timeout_s)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            end_descendants()
            return 124, f"{arguments[0]}: not done after {timeout_s} s\n"

    def report(self, suite, passed, failed, start, output=""):
        left = end_descendants(patience_s=2)
        if left:
            failed += 1
            output += f"\n{suite}: {len(left)} processes left behind: {' '.join(left)}\n"
        self.passed += passed
        self.failed += failed
        if failed and output:
            print(output[-30000:], flush=True)
        print(f"{suite:<28} {passed:>5} passed, {failed:>3} failed  "
              f"{time.monotonic() - start:6.1f} s", flush=True)

    def build(self, preset):
        """True if the preset is built; a failure counts as one failed test."""
        start = time.monotonic()
        configure = ["cmake", "--preset", preset, "-DBUILD_TESTING=ON"]
        if shutil.which("ccache"):
            configure.append("-DCMAKE_C_COMPILER_LAUNCHER=ccache")
        code, output = self.command(configure, 300)
        if code == 0:
            code, output = self.command(["cmake", "--build", "--preset", preset], 1800)
        if code != 0:
            self.report(f"build {preset}", 0, 1, start, output)
            return False
        print(f"{'build ' + preset:<28} ok {time.monotonic() - start:33.1f} s", flush=True)
        return True

    def ctest(self, suite, preset, label, environment=None, jobs=PROCESSORS):
        """Runs the tests of one label; Criterion's own counts where there are some."""
        start = time.monotonic()
        results = RESULTS / f"{suite.replace(' ', '-')}.xml"
        results.unlink(missing_ok=True)
        # Without address randomisation: the sanitizers of clang 14 do not know the layout that
        # kernels since 6.6 use.
        arguments = ["setarch", "-R", "ctest", "--test-dir", BUILD / preset, "--output-on-failure",
                     "-L", f"^({label})$", "-j", str(jobs), "--no-tests=ignore",
                     "--output-junit", results,
                     "--test-output-size-passed", "4194304",
                     "--test-output-size-failed", "4194304"]
        code, output = self.command(arguments, 3600, environment)
        passed, failed = count_ctest(results)
        remarks(printed_by_ctest(results))
        if code != 0 and failed == 0:
            failed = 1
        # What waits for real programs misses a deadline now and then on a machine that others use
        # as well; what fails twice fails. What a sanitizer found is no matter of time.
        if failed and label in ("unit", "sim") and not is_found(output):
            names = re.findall(r"^\s*\d+ - (\S+) \(", output, re.MULTILINE)
            # The results of the first run stay: they are of all tests.
            again_results = results.with_suffix(".again.xml")
            code, again = self.command(
                [again_results if argument == results else argument for argument in arguments] +
                ["--rerun-failed"], 3600, environment)
            if code == 0 and names:
                for line in reasons(output):
                    print(f"second try: {', '.join(names)} failed once: {line}", flush=True)
                passed, failed = passed + failed, 0
            else:
                output += again
        self.report(suite, passed, failed, start, output)

    def pytest(self, suite, folder, environment=None, mark=None):
        """Runs every SHARDS-th test in a process of its own."""
        def shard(number):
            results = RESULTS / f"{suite.replace(' ', '-')}-{number}.xml"
            results.unlink(missing_ok=True)
            code, output = self.command(
                ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short",
                 f"--junitxml={results}", *(["-m", mark] if mark else []), folder], 5400,
                {**(environment or {}), "DAVIT_E2E_SHARD": f"{number}/{SHARDS}"})
            passed, failed = count_junit(results)
            # 5: no test was collected.
            if code not in (0, 5) and failed == 0:
                failed = 1
            return passed, failed, output

        start = time.monotonic()
        shards = side_by_side([lambda n=n: shard(n) for n in range(SHARDS)], SHARDS)
        output = "".join(row[2] for row in shards if row[1])
        remarks("".join(row[2] for row in shards))
        self.report(suite, sum(row[0] for row in shards), sum(row[1] for row in shards), start,
                    output)

    def unified(self, runtimes):
        """The tests of each runtime once more, on machines with cgroup v2 alone."""
        def machine(runtime):
            results = RESULTS / f"e2e-cgroup-v2-{runtime}.xml"
            results.unlink(missing_ok=True)
            code, output = self.command(
                ["/usr/bin/python3", "-I", ROOT / "scripts" / "lib" / "unified_machine.py",
                 BUILD / "release" / "bin", results, runtime], 3600)
            passed, failed = count_junit(results)
            if (code != 0 or passed == 0) and failed == 0:
                failed = 1
            return passed, failed, output

        start = time.monotonic()
        rows = side_by_side([lambda r=r: machine(r) for r in runtimes],
                            1 if PROCESSORS < 4 else len(runtimes))
        for runtime, row in zip(runtimes, rows):
            self.report(f"e2e cgroup v2 {runtime}", row[0], row[1], start, row[2])

    def systemd(self):
        """The packaged units under a real systemd, over two boots."""
        start = time.monotonic()
        results = RESULTS / "systemd.xml"
        results.unlink(missing_ok=True)
        code, output = self.command(
            ["/usr/bin/python3", "-I", ROOT / "scripts" / "lib" / "systemd_machine.py",
             BUILD / "release", results], 3600)
        passed, failed = count_junit(results)
        if (code != 0 or passed == 0) and failed == 0:
            failed = 1
        self.report("systemd", passed, failed, start, output)

    def check(self):
        start = time.monotonic()
        code, output = self.command([ROOT / "scripts" / "check"], 600)
        found = re.search(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
        passed, failed = (int(found[1]), int(found[2])) if found else (0, 1)
        if code != 0 and failed == 0:
            failed = 1
        self.report("check", passed, failed, start, output)

    def fuzz_long(self, seconds):
        """The fuzz targets again, each for longer than ctest gives them."""
        code, output = self.command(
            ["ctest", "--test-dir", BUILD / "fuzz", "-L", "^fuzz$", "--show-only=json-v1"], 60)
        tests = json.loads(output)["tests"] if code == 0 else []
        start = time.monotonic()

        def target(test):
            arguments = [re.sub(r"^-max_total_time=\d+$", f"-max_total_time={seconds}", argument)
                         for argument in test["command"]]
            return self.command(["setarch", "-R", *arguments], seconds + 120)

        rows = side_by_side([lambda t=t: target(t) for t in tests], PROCESSORS)
        output = "".join(f"{test['name']}:\n{row[1][-4000:]}"
                         for test, row in zip(tests, rows) if row[0] != 0)
        failed = sum(row[0] != 0 for row in rows)
        self.report(f"fuzz {seconds} s", len(rows) - failed, max(failed, not rows), start, output)


def count_junit(path):
    if not path.exists():
        return 0, 0
    passed = failed = 0
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is None:
            passed += 1
    return passed, failed


def printed_by_ctest(path):
    if not path.exists():
        return ""
    return "\n".join(case.findtext("system-out") or ""
                     for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"))


def count_ctest(path):
    if not path.exists():
        return 0, 0
    passed = failed = 0
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        is_good = case.find("failure") is None and case.find("error") is None \
            and case.get("status") == "run"
        synthesis = SYNTHESIS.findall(case.findtext("system-out") or "")
        good = sum(int(row[1]) for row in synthesis)
        bad = sum(int(row[2]) + int(row[3]) for row in synthesis)
        if is_good:
            passed += max(good, 1)
        else:
            passed += good
            failed += max(bad, 1)
    return passed, failed


def run_suites(run):
    full = run.options.full
    chosen = run.options.suite
    wants = (lambda name: not chosen or name in chosen)
    RESULTS.mkdir(parents=True, exist_ok=True)
    if wants("check"):
        run.check()
    if wants("unit") and run.build("dev"):
        run.ctest("unit dev", "dev", "unit")
        run.ctest("sim dev", "dev", "sim", {"DAVIT_SIM_FULL": "1"} if full else None)
    if wants("asan") and run.build("asan"):
        run.ctest("unit asan", "asan", "unit")
        run.ctest("sim asan", "asan", "sim")
    if wants("race") and run.build("tsan"):
        run.ctest("race tsan", "tsan", "race", jobs=1)
    if wants("fuzz") and run.build("fuzz"):
        run.ctest("fuzz", "fuzz", "fuzz")
        if full:
            run.fuzz_long(30)
    if wants("layers") and run.build("layers"):
        run.ctest("layers", "layers", "layers", jobs=1)
        if full:
            run.ctest("unit layers", "layers", "unit")
    # The kill matrix needs fault points, which a release has not.
    if wants("e2e") and run.build("release") and run.build("dev"):
        if full:
            run.ctest("unit release", "release", "unit")
        environment = {"DAVIT_E2E_BIN": str(BUILD / "release" / "bin"),
                       **({"DAVIT_E2E_FULL": "1"} if full else {})}
        run.pytest("e2e", ROOT / "tests" / "e2e", environment)
        run.pytest("e2e crun", ROOT / "tests" / "e2e",
                   {**environment, "DAVIT_E2E_RUNTIME": "crun"}, "runtime")
        if full:
            run.unified(["crun", "runc"])
            run.systemd()


def main():
    suites = ["check", "unit", "asan", "race", "fuzz", "layers", "e2e"]
    parser = argparse.ArgumentParser(
        prog="scripts/test", description="Builds every way and runs every test.",
        epilog="Exit code 0 if nothing failed, 1 otherwise, 130 when interrupted.")
    parser.add_argument("--full", action="store_true",
                        help="whole matrices: all simulation seeds, half a minute for each fuzz "
                             "target, unit tests of every preset, every end-to-end combination, "
                             "a machine with cgroup v2 alone, one that systemd boots")
    parser.add_argument("--record", action="store_true",
                        help="with --full: writes what was counted to docs/reliability.md")
    parser.add_argument("suite", nargs="*", metavar="SUITE",
                        help=f"only these: {' '.join(suites)}")
    options = parser.parse_args()
    if options.record and not (options.full and not options.suite):
        parser.error("--record needs --full and all suites")
    for suite in options.suite:
        if suite not in suites:
            parser.error(f"no suite {suite!r}; there are {' '.join(suites)}")
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    run = Run(options)
    code = 0
    try:
        run_suites(run)
        if options.record:
            reliability.record(RESULTS, ROOT / "docs" / "reliability.md")
    except Interrupted as reason:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        print(f"interrupted by {reason}", flush=True)
        run.failed += 1
        code = 130
    end_descendants()
    print(f"{run.passed} passed, {run.failed} failed", flush=True)
    return code or int(run.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
