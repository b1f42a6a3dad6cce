# SPDX-License-Identifier: Apache-2.0
"""Numbers about processes, and how results are shown."""
import json
import os
import pathlib
import statistics
import sys
import time

REASON_SHOWN = 60


def median(values):
    return statistics.median(values)


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def private_kb(pid):
    """Memory that nobody else shares, and the part of it that was written. The rest are pages of
    programs and libraries: whether those are shared depends on what else is running."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1])
             for line in lines if line.startswith("Private_")}
    written = found["Private_Dirty"]
    return written + found["Private_Clean"], written


def proportional_kb(pid):
    """Its own memory and its part of what it shares (PSS)."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"process {pid} has no memory")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def cpu_ticks(pid):
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2:].split()
    return int(fields[11]) + int(fields[12])


def cpu_ns(pid):
    """Processor time of a process, finer than ticks: clock_getcpuclockid(3) makes this number."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def thread_cpu_ns(pid, name):
    """Processor time of the thread of that name."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int((task / "schedstat").read_text().split()[0])
    raise AssertionError(f"process {pid} has no thread '{name}'")


def wakeups(pid):
    """How often the threads of a process have waited for something, in all."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


class Report:
    """One JSON object a line as results come; words() is the table of them all."""

    def __init__(self):
        self._rows = []

    def add(self, figure, value, unit, against=None, base=None, **more):
        """`base` is what `against` took in the same run; their ratio is what can be compared."""
        row = {"figure": figure, "value": round(value, 3), "unit": unit}
        if against:
            row.update(against=against, base=round(base, 3),
                       ratio=round(value / base, 2) if base else None)
        self._print({**row, **more})

    def skip(self, figure, reason):
        self._print({"figure": figure, "skipped": reason})

    def fail(self, figure, reason):
        print(f"bench/run: {figure}: {reason}", file=sys.stderr)
        self._print({"figure": figure, "failed": reason.splitlines()[0]})

    def _print(self, row):
        self._rows.append(row)
        print(json.dumps(row), flush=True)

    def words(self):
        lines = [("figure", "value", "against", "ratio")]
        for row in self._rows:
            without = [key for key in ("skipped", "failed") if key in row]
            if without:
                lines.append((row["figure"], without[0], row[without[0]][:REASON_SHOWN], ""))
                continue
            against = f"{row['against']}: {row['base']:g} {row['unit']}" if "against" in row else ""
            ratio = f"{row['ratio']:g}" if row.get("ratio") is not None else ""
            lines.append((row["figure"], f"{row['value']:g} {row['unit']}", against, ratio))
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                         for line in lines)
