"""KUnit's results (lib/kunit/test.c) as they stand in the kernel's log, or in debugfs: text in, suites out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lab.formats.klog import STAMP
from lab.formats.ktap import HEADER, PLAN, RESULT, parse_ktap, result_case
from lab.model.outcome import Case, Status

INDENT = "    "
SUBTEST = re.compile(rf"{INDENT}# Subtest: (?P<name>\S.*)$")
MARK = "## suite "
"""What stands before each suite's file in a dump of debugfs; `DONE` ends the dump."""
DONE = "## done"


@dataclass(frozen=True)
class Suite:
    """One suite: its result line (None: it began and did not end), its cases, and the log while it ran."""

    name: str
    result: Case | None
    cases: tuple[Case, ...]
    log: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kunit:
    """Everything that ran at boot; `planned` is how many suites the kernel announced, None when it announced nothing."""

    planned: int | None
    suites: tuple[Suite, ...]
    rest: str
    """The log outside the suites."""


@dataclass
class _Open:
    name: str
    lines: list[str] = field(default_factory=list)


def parse_kunit(text: str) -> Kunit:
    """The suites of a console log, with or without time stamps. Other kernel messages may stand between any two lines."""
    planned: int | None = None
    begun = False
    suites: list[Suite] = []
    inside: _Open | None = None
    rest: list[str] = []
    for line in (STAMP.sub("", raw.rstrip("\r")) for raw in text.splitlines()):
        if inside is None:
            if HEADER.match(line):
                begun = True
            elif begun and planned is None and (plan := PLAN.match(line)):
                planned = int(plan["count"])
            elif begun and len(suites) < (planned or 0) and (match := SUBTEST.match(line)):
                inside = _Open(match["name"])
            else:
                rest.append(line)
        elif (match := RESULT.match(line)) and result_case(match).name == inside.name:
            suites.append(_closed(inside, result_case(match)))
            inside = None
        else:
            inside.lines.append(line)
    if inside is not None:
        suites.append(_closed(inside, None))
    return Kunit(planned, tuple(suites), "\n".join(rest))


def parse_debugfs(text: str) -> tuple[dict[str, Suite], bool]:
    """Suites by name out of a dump of /sys/kernel/debug/kunit/*/results, and whether the dump is whole."""
    found: dict[str, Suite] = {}
    for part in text.split(MARK)[1:]:
        name, _, body = part.partition("\n")
        suites = parse_kunit(body).suites
        if suites and suites[0].result is not None:
            found[name.strip()] = suites[0]
    return found, text.endswith(f"{DONE}\n")


def disagreements(log: Suite, other: Suite) -> Iterator[str]:
    """Where the kernel's log and debugfs tell different things of one suite."""
    names, others = ([case.name for case in suite.cases] for suite in (log, other))
    if names != others:
        different = sorted(set(names) ^ set(others)) or ["their order"]
        yield f"the kernel's log and debugfs differ in the cases of {log.name}: {', '.join(different[:5])}"
        return
    for one, two in zip(log.cases, other.cases, strict=True):
        if (one.status is Status.FAIL) != (two.status is Status.FAIL):
            yield f"{log.name}: {one.name} is {one.status} in the kernel's log and {two.status} in debugfs"


def _closed(suite: _Open, result: Case | None) -> Suite:
    own = [line.removeprefix(INDENT) for line in suite.lines if line.startswith(INDENT)]
    ktap = parse_ktap("\n".join(["KTAP version 1", *own, ""]), kernels_own=True)
    return Suite(suite.name, result, ktap.cases, "\n".join(suite.lines), () if result is None else ktap.problems)
