"""What the lab's runner of kernel self-tests prints (lab/kernel/kselftest.sh): text in, tests out.

Lines that begin with `## ` are the runner's own; a test's output has `# ` in front, as the kernel's
tools/testing/selftests/kselftest/runner.sh does it. Exit statuses are those of tools/testing/selftests/kselftest.h.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lab.formats.ktap import PLAN, RESULT, parse_ktap
from lab.model.outcome import Case, Status

SKIP, TIMEOUT, NOT_EXECUTABLE, NOT_FOUND = 4, 124, 126, 127
MARKER = "lab: "
"""In front of `begin TEST` and `end TEST` in the kernel's log."""
CONTROL = re.compile(r"## (?P<word>\w+) ?(?P<rest>.*)$")
LIBRARY = re.compile(r"error while loading shared libraries: (?P<library>\S+?):")
NO_LOADER = re.compile(r"(?:not found|No such file or directory)\s*$")
WHY_SKIPPED = re.compile(r"(?:#\s*SKIP\b:?|\bSKIP\b:?|\[SKIP\])\s*(?P<why>.*)$", re.IGNORECASE)


@dataclass
class Program:
    """One test program: exit status (None: it did not end), seconds and what they were limited to, output, taint afterwards."""

    name: str
    limit: int = 0
    status: int | None = None
    seconds: int = 0
    taint: int = 0
    skip: str = ""
    """Why the runner did not start it."""
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """One run of the runner: what it was to run, what it ran, the kernel's taint before, whether it came to its end."""

    planned: tuple[str, ...]
    tests: tuple[Program, ...]
    taint: int
    done: bool


def parse_run(text: str) -> Run:
    """The runner's output, which may end anywhere: a test without its end line has no status."""
    planned: list[str] = []
    tests: list[Program] = []
    taint, done = 0, False
    for line in text.rpartition("\n")[0].split("\n"):  # a line that is cut off says nothing
        if not (match := CONTROL.match(line)):
            if tests and tests[-1].status is None and line.startswith("#"):
                tests[-1].lines.append(line[2:])
            continue
        values = dict(word.partition("=")[::2] for word in match["rest"].split())
        name = match["rest"].partition(" ")[0]
        if match["word"] == "plan":
            planned.append(name)
        elif match["word"] == "taint":
            taint = _number(name)
        elif match["word"] == "begin":
            tests.append(Program(name, limit=_number(values.get("limit", ""))))
        elif match["word"] == "skip" and tests and tests[-1].name == name:
            tests[-1].skip = match["rest"].partition(" ")[2]
        elif match["word"] == "end" and tests and tests[-1].name == name and values.get("taint", "").isdigit():
            tests[-1].status = _number(values.get("status", ""))
            tests[-1].seconds, tests[-1].taint = _number(values.get("seconds", "")), _number(values["taint"])
        elif match["word"] == "done":
            done = True
    return Run(tuple(planned), tuple(tests), taint, done)


def cases_of(test: Program) -> tuple[Case, ...]:
    """The program's own result first, then one case for each result line it printed, as `program: case`."""
    subs = _subcases(test)
    return (_whole(test, subs), *subs)


def _whole(test: Program, subs: Sequence[Case]) -> Case:
    """The verdict of the exit status, as the kernel's runner gives it, with the reason."""
    if test.skip:
        return Case(test.name, Status.SKIP, test.skip)
    if test.status == 0:
        return _good(test, subs)
    if test.status == SKIP:
        return Case(test.name, Status.SKIP, _why_skipped(test.lines))
    if lack := _lacking(test):
        return Case(test.name, Status.SKIP, lack)
    return Case(test.name, Status.FAIL, _why_failed(test, subs))


def _good(test: Program, subs: Sequence[Case]) -> Case:
    """A program that ended with 0: it has passed if it kept nothing back and not all of it was skipped."""
    if lost := _lost(test.lines):
        return Case(test.name, Status.FAIL, f"exit=0, but {lost}")
    if subs and all(case.status is Status.SKIP for case in subs):
        return Case(test.name, Status.SKIP, f"each of its {len(subs)} results: {subs[0].detail or 'no reason given'}")
    return Case(test.name, Status.PASS)


def _lost(lines: Sequence[str]) -> str:
    """What the plans of a program promise and its results do not keep; some print several documents one after the other."""
    planned = sum(int(match["count"]) for line in lines if (match := PLAN.match(line)))
    given = sum(RESULT.match(line) is not None for line in lines)
    return f"it planned {planned} results and gave {given}" if given < planned else ""


def _why_failed(test: Program, subs: Sequence[Case]) -> str:
    if test.status is None:
        return "it began and did not end"
    if test.status == TIMEOUT or (test.limit and test.seconds >= test.limit):
        return f"TIMEOUT {test.limit} seconds"
    bad = [case.name.partition(": ")[2] for case in subs if case.status is Status.FAIL]
    said = f"not ok: {', '.join(bad[:3])}" if bad else next((line.strip() for line in reversed(test.lines) if line.strip()), "")
    return f"exit={test.status}" + (f", {said}" if said else "")


def _subcases(test: Program) -> tuple[Case, ...]:
    if not any(RESULT.match(line.strip()) for line in test.lines):
        return ()
    cases = parse_ktap("\n".join([*test.lines, ""]), kernels_own=True).cases
    return tuple(_numbered(test.name, cases))


def _numbered(program: str, cases: Iterable[Case]) -> Iterable[Case]:
    """The cases under their program's name; a name that comes again gets a number, so that no result hides another."""
    seen = Counter[str]()
    for case in cases:
        seen[case.name] += 1
        again = f" #{seen[case.name]}" if seen[case.name] > 1 else ""
        yield Case(f"{program}: {case.name}{again}", case.status, case.detail)


def _why_skipped(lines: Sequence[str]) -> str:
    """The last line that says SKIP and why."""
    for line in reversed(lines):
        if match := WHY_SKIPPED.search(line):
            return match["why"].strip() or line.strip()
    return next((line.strip() for line in reversed(lines) if line.strip()), "it gives no reason")


def _lacking(test: Program) -> str:
    """What the guest lacks for the program to start at all."""
    if test.status not in (NOT_EXECUTABLE, NOT_FOUND) or len(test.lines) > 2:
        return ""
    said = "\n".join(test.lines)
    if match := LIBRARY.search(said):
        return f"the guest lacks {match['library']}"
    if NO_LOADER.search(said):
        return f"the guest lacks what starts it: {said.strip()}"
    return ""


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
