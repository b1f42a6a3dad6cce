# SPDX-License-Identifier: Apache-2.0
"""What a whole run has broken on purpose, counted from its results, as a section of
docs/reliability.md.

usage: reliability.py RESULTS [DOCUMENT]   without DOCUMENT: on standard output
"""
import pathlib
import re
import sys
import xml.etree.ElementTree

BEGIN = "<!-- written by scripts/test --full --record -->"
END = "<!-- until here -->"
SIMULATED = (
    (r"sim_power: power cut at (?P<n>\d+) operations of (?P<m>\d+) seeds.*: (?P<failed>\d+) failed",
     "power cut at an operation of the disk, simulation", "{n} operations of {m} scenarios"),
    (r"sim_daemon: (?P<n>\d+) seeds.*: (?P<failed>\d+) failed; (?P<commands>\d+) commands, "
     r"(?P<ends>\d+) ends of the daemon, (?P<points>\d+) quiet",
     "daemon, machine, monitor, link, disks, simulation",
     "{n} scenarios, {commands} commands, {ends} ends of davitd, {points} states compared"),
    (r"^(?P<n>\d+) seeds from \d+, (?P<failed>\d+) failed",
     "power cuts, failing calls, repeats, simulation", "{n} scenarios"),
)
REAL = (
    ("test_kills", "processes killed or stopped at a named point, real programs", "points"),
    ("test_outages", "broker, davitd, davit-monitor killed or stopped, records damaged", "tests"),
    ("test_restarts", "boots and restarts, real programs", "tests"),
)


def cases(results, pattern):
    for path in sorted(results.glob(pattern)):
        yield from xml.etree.ElementTree.parse(path).getroot().iter("testcase")


def is_failed(case):
    return case.find("failure") is not None or case.find("error") is not None


def simulated(results):
    printed = "\n".join(case.findtext("system-out") or "" for case in cases(results, "sim-dev.xml"))
    for pattern, what, words in SIMULATED:
        for found in re.finditer(pattern, printed, re.MULTILINE):
            yield what, words.format(**found.groupdict()), int(found["failed"])


def real(results):
    ran = [case for case in cases(results, "e2e*.xml") if case.find("skipped") is None]
    for module, what, unit in REAL:
        chosen = [case for case in ran if case.get("classname", "").endswith(module)]
        if chosen:
            yield what, f"{len(chosen)} {unit}", sum(map(is_failed, chosen))
    stops = failed = kinds = 0
    for case in ran:
        for row in case.iter("property"):
            if row.get("name") == "stops":
                kinds += 1
                stops += int(row.get("value"))
                failed += is_failed(case)
    if kinds:
        yield "stops that are hard, real programs", f"{stops} of {kinds} kinds", failed


def section(results):
    rows = [*simulated(results), *real(results)]
    lines = ["| What was broken | How often | Failed |", "|---|---|---|"]
    return "\n".join(lines + [f"| {what} | {count} | {failed} |" for what, count, failed in rows])


def record(results, document):
    text = document.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    document.write_text(f"{before}{BEGIN}\n{section(results)}\n{END}{after}")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        record(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    else:
        print(section(pathlib.Path(sys.argv[1])))
