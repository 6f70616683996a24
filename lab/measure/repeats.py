"""Tests that repeat their results as long as they have time: how often is the machine's affair, and compares with nothing."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lab.model.outcome import SEVERITY, Case, Status
from lab.model.run import JobResult
from lab.model.suite import SEPARATOR

AGAIN = re.compile(r" #\d+$")
"""What formats.kselftest adds to a name that comes again."""


def joined(sides: Sequence[Sequence[JobResult]]) -> list[list[JobResult]]:
    """The jobs, with one result for all its repeats where a program goes round and round, and boots differ in how often."""
    rounds: defaultdict[str, set[int]] = defaultdict(set)
    for job in (job for side in sides for job in side):
        for program, found in _rounds(job.tests).items():
            rounds[program].add(found)
    loops = {program for program, found in rounds.items() if len(found) > 1 and 0 not in found}
    return [[replace(job, tests=tuple(_joined(job.tests, loops))) for job in side] for side in sides]


def _rounds(cases: Sequence[Case]) -> dict[str, int]:
    """How often each program that passed went through all of its results, the last time begun included; 0: it did not."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for case in cases:
        if SEPARATOR in case.name:
            counts[case.name.partition(SEPARATOR)[0]][AGAIN.sub("", case.name)] += 1
    passed = {case.name for case in cases if case.status is Status.PASS}
    often = {program: found.values() for program, found in counts.items() if program in passed}
    return {program: max(found) if max(found) - min(found) <= 1 else 0 for program, found in often.items()}


def _joined(cases: Iterable[Case], loops: set[str]) -> list[Case]:
    found: dict[str, Case] = {}
    for case in cases:
        name = AGAIN.sub("", case.name) if case.name.partition(SEPARATOR)[0] in loops else case.name
        if name not in found or SEVERITY.index(case.status) > SEVERITY.index(found[name].status):
            found[name] = replace(case, name=name)
    return list(found.values())
