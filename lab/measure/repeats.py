"""Tests that repeat their results as long as they have time: how often is the machine's affair, and compares with nothing."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lab.model.outcome import Case, Status
from lab.model.run import JobResult
from lab.model.suite import SEPARATOR

AGAIN = re.compile(r" #\d+$")
"""What formats.kselftest adds to a name that comes again."""
WORST = (Status.FAIL, Status.ERROR, Status.MISS, Status.PASS, Status.SKIP)
"""What the repeats of a result come to: the first of these that one of them is."""


def joined(sides: Sequence[Sequence[JobResult]]) -> list[list[JobResult]]:
    """The jobs, with one result for all its repeats where boots in which the program passed differ in how many there are."""
    counts: defaultdict[str, set[int]] = defaultdict(set)
    for side in sides:
        for job in side:
            passed = {case.name for case in job.tests if case.status is Status.PASS}
            for name, count in Counter(AGAIN.sub("", case.name) for case in job.tests if SEPARATOR in case.name).items():
                if name.partition(SEPARATOR)[0] in passed:
                    counts[name].add(count)
    loops = {name.partition(SEPARATOR)[0] for name, found in counts.items() if len(found) > 1}
    return [[replace(job, tests=tuple(_joined(job.tests, loops))) for job in side] for side in sides]


def _joined(cases: Iterable[Case], loops: set[str]) -> list[Case]:
    found: dict[str, Case] = {}
    for case in cases:
        name = AGAIN.sub("", case.name) if case.name.partition(SEPARATOR)[0] in loops else case.name
        if name not in found or WORST.index(case.status) < WORST.index(found[name].status):
            found[name] = replace(case, name=name)
    return list(found.values())
