#!/usr/bin/python3 -I
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/conformance.md: what davit does, how Kanto differs, and which tests show it.

The behaviours are in tests/conformance/behaviours.txt. A test says what it shows: in Python with
@pytest.mark.shows("K12", "D7"), in C with /* shows: K12, D7 */ on the line above Test() or main().
With --check nothing is written; the page must be what would be written.
"""
import argparse
import contextlib
import io
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEHAVIOURS = ROOT / "tests" / "conformance" / "behaviours.txt"
PAGE = ROOT / "docs" / "conformance.md"
MARK = re.compile(r"/\* shows: (.*?) \*/[ \t]*\n([^\n]*)", re.DOTALL)
C_TEST = re.compile(r"Test\(\w+, (\w+)|int (main)\(")
DIFFERS = "differs: "
HEAD = """\
<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Written by scripts/lib/conformance.py from tests/conformance/behaviours.txt and the tests. -->
# Conformance

davit keeps the documented API of the container features and, where the document is silent or nobody keeps to it, does what Eclipse
Kanto container management (commit 351ca14) does. Each row is one behaviour, with the tests that show it. The third column says what
is different for a peer that is used to Kanto; where it is empty there is no difference. K rows are what a peer of Kanto relies on, D rows the
places where the document and Kanto disagree, E rows the errors of the wire in the order in which they are checked; the rest are named.
"""


class Wrong(Exception):
    """The table cannot be made; the text says where and why."""


class Row:
    def __init__(self, name, section):
        self.name = name
        self.section = section
        self.texts = []
        self.differs = []
        self.tests = {}  # file: names of its tests


def read_behaviours():
    """{name: row} in the order of the file.

    `== Section` begins a section, a name at the margin a row; indented lines are its text, from
    `differs:` on the difference. `#` begins a comment.
    """
    rows, row, section = {}, None, None
    for number, line in enumerate(BEHAVIOURS.read_text().splitlines(), 1):
        def wrong(what, at=number):
            return Wrong(f"{BEHAVIOURS.relative_to(ROOT)}:{at}: {what}")
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("== "):
            section, row = text[3:], None
        elif line == text:
            if not re.fullmatch(r"[A-Za-z0-9-]+", text) or section is None:
                raise wrong(f"'{text}' is no name of a row in a section")
            if text in rows:
                raise wrong(f"there is a row {text} above")
            rows[text] = row = Row(text, section)
        elif row is None:
            raise wrong("text that belongs to no row")
        elif text.startswith(DIFFERS):
            row.differs.append(text[len(DIFFERS):])
        else:
            (row.differs or row.texts).append(text)
    for row in rows.values():
        if not row.texts:
            raise Wrong(f"{BEHAVIOURS.relative_to(ROOT)}: row {row.name} has no text")
    return rows


def marks_of_c():
    """(file, test, names of rows) of each mark; a mark must stand above a test that is built."""
    lists = "\n".join(path.read_text() for path in ROOT.rglob("CMakeLists.txt")
                      if "build" not in path.relative_to(ROOT).parts)
    for path in sorted((ROOT / "tests").rglob("*.c")):
        file = str(path.relative_to(ROOT))
        text = path.read_text()
        for found in MARK.finditer(text):
            at = f"{file}:{text.count(chr(10), 0, found.start()) + 1}"
            test = C_TEST.match(found[2])
            if test is None:
                raise Wrong(f"{at}: 'shows' is not on the line above a test")
            if file not in lists:
                raise Wrong(f"{at}: marked, but no CMakeLists.txt builds this file")
            yield file, test[1] or path.stem, re.split(r",\s*(?:\*\s*)?", found[1])


class Collector:
    """Plugin of pytest: the tests that it would run in a full run."""

    def __init__(self):
        self.items = []

    def pytest_collection_finish(self, session):
        self.items = list(session.items)


def marks_of_python():
    """As marks_of_c. A test with parameters of which only some show a row appears with those."""
    try:
        import pytest
    except ImportError:
        raise Wrong("pytest is needed to collect the tests (scripts/packages installs it)") from None
    os.environ["DAVIT_E2E_FULL"] = "1"
    collector, output = Collector(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "--strict-markers",
                            f"--rootdir={ROOT}", "-c", os.devnull, str(ROOT / "tests" / "e2e")],
                           plugins=[collector])
    if code != 0:
        why = output.getvalue()
        raise Wrong("pytest cannot collect tests/e2e:\n" + why[max(why.find("= ERRORS ="), 0):])
    shown, all_of = {}, {}
    for item in collector.items:
        key = (str(item.path.relative_to(ROOT)), item.originalname or item.name)
        all_of.setdefault(key, []).append(item)
        for mark in item.iter_markers("shows"):
            for name in mark.args:
                chosen = shown.setdefault((*key, name), [])
                if item not in chosen:
                    chosen.append(item)
    for (file, test, name), items in shown.items():
        text = test.removeprefix("test_")
        if len(items) < len(all_of[file, test]):
            ids = ", ".join(item.callspec.id for item in items)
            text += f"[{ids if len(items) <= 4 else f'{len(items)} cases'}]"
        yield file, text, [name]


def add_marks(rows):
    for file, test, names in [*marks_of_c(), *marks_of_python()]:
        for name in names:
            if name not in rows:
                raise Wrong(f"{file}: {test} shows '{name}', which is no row of "
                            f"{BEHAVIOURS.relative_to(ROOT)}")
            tests = rows[name].tests.setdefault(file, [])
            if test not in tests:
                tests.append(test)
    missing = [row.name for row in rows.values() if not row.tests]
    if missing:
        raise Wrong("no test shows " + ", ".join(missing))


def page_of(rows):
    lines, section = [HEAD], None
    for row in rows.values():
        if row.section != section:
            section = row.section
            lines.append(f"## {section}\n| | davit | differs from Kanto by | tests |\n|---|---|---|---|")
        tests = "<br>".join(f"`{file.removeprefix('tests/')}`: {', '.join(names)}"
                            for file, names in sorted(row.tests.items()))
        cells = [row.name, " ".join(row.texts), " ".join(row.differs), tests]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        if row is list(rows.values())[-1] or following(rows, row).section != section:
            lines.append("")
    return "\n".join(lines)


def following(rows, row):
    names = list(rows)
    return rows[names[names.index(row.name) + 1]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    options = parser.parse_args()
    sys.dont_write_bytecode = True
    try:
        rows = read_behaviours()
        add_marks(rows)
    except Wrong as wrong:
        print(wrong)
        return 1
    page = page_of(rows)
    if not options.check:
        PAGE.write_text(page)
    elif not PAGE.exists() or PAGE.read_text() != page:
        print(f"{PAGE.relative_to(ROOT)} is stale: run scripts/lib/conformance.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
