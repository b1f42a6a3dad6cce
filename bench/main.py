# SPDX-License-Identifier: Apache-2.0
"""Command line of the measurements; called by bench/run once the packages are there.

As scripts/quickstart: everything happens in namespaces of its own below a subreaper, so that
whatever was started is found and ended however this ends.
"""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests" / "e2e")]

from harness import world as worlds  # noqa: E402

import figures  # noqa: E402
import topics  # noqa: E402

PROGRAMS = ["davitd", "davit-monitor", "davit-launch", "davit-unpack", "davit"]
LEFT_SHOWN = 10
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Not an Exception: what is retried or tolerated elsewhere must not swallow it."""


def on_signal(number, _frame):
    # Once: the clean-up that follows must not be interrupted again.
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


def build(targets):
    configure = ["cmake", "--preset", "release"]
    if shutil.which("ccache"):
        configure.append("-DCMAKE_C_COMPILER_LAUNCHER=ccache")
    for arguments in (configure, ["cmake", "--build", "--preset", "release", "--target", *targets]):
        result = subprocess.run(arguments, cwd=ROOT, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            sys.exit(f"{result.stdout[-4000:]}\nbench/run: {' '.join(arguments)} failed")


def parse():
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description="Measures what davit costs on this machine, with a private broker and registry "
                    "and real containers. Prints one JSON object a line and then a table. Needs "
                    "root; leaves nothing behind.",
        epilog="Times are medians. What can be compared between machines is the ratio to what is "
               "measured beside them in the same run.")
    parser.add_argument("--only", action="append", metavar="NAME", choices=list(topics.BENCHES),
                        help=f"only this measurement (may be repeated): {' '.join(topics.BENCHES)}")
    parser.add_argument("--runs", type=int, metavar="N", help="repetitions of each measurement")
    parser.add_argument("--messages", type=int, metavar="N", default=100,
                        help="commands to each container before its memory is read (default 100)")
    parser.add_argument("--json", action="store_true", help="no table")
    options = parser.parse_args()
    if options.runs is not None and options.runs < 1:
        parser.error("--runs: at least 1")
    if options.messages < 0:
        parser.error("--messages: not less than 0")
    return options


def main():
    options = parse()
    for number in SIGNALS:
        signal.signal(number, on_signal)
    wanted = set(options.only or topics.BENCHES)
    report = figures.Report()
    left = []
    code = 1
    try:
        worlds.become_subreaper()
        targets = list(PROGRAMS)
        if "fake" in wanted and topics.has_fake():
            targets.append("daemon_many")
        build(targets)
        os.environ["DAVIT_E2E_BIN"] = str(ROOT / "build" / "release" / "bin")
        worlds.enter_namespaces()
        left, is_good = topics.run_all(
            report, topics.Options(options.runs, options.messages, wanted))
        if not options.json:
            print(f"\n{report.words()}", flush=True)
        code = int(bool(left) or not is_good)
    except Interrupted as reason:
        code = 130
        print(f"bench/run: interrupted by {reason}", file=sys.stderr)
    except OSError as error:
        print(f"bench/run: {error}", file=sys.stderr)
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        worlds.end_descendants()
    for what in left[:LEFT_SHOWN]:
        print(f"bench/run: was left behind and has been removed: {what}", file=sys.stderr)
    if len(left) > LEFT_SHOWN:
        print(f"bench/run: and {len(left) - LEFT_SHOWN} more", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
