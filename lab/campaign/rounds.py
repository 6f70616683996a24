"""The kernel's own tests on both sides: one boot of each; what counts against or for the series, once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lab.campaign.bench import run_stage
from lab.campaign.plan import Ask, Bench, Side
from lab.campaign.session import Lab
from lab.events import Note
from lab.measure.regress import rows, unsettled
from lab.model.change import Build
from lab.model.outcome import Case, Status
from lab.model.run import Job, JobResult, PayloadSpec
from lab.model.suite import CaseRow

LOG = "log_buf_len=16M"
"""Tests are chatty; what falls out of the log was not looked at."""


@dataclass(frozen=True)
class Sided:
    """One side with its kernel and the tests that run on it; `tests` are payload arguments, empty for kunit."""

    side: Side
    kernel: Build
    payload: PayloadSpec
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Rounds:
    """What every boot of one verb shares; `verb` are its words."""

    lab: Lab
    ask: Ask
    bench: Bench
    verb: str

    def boot(self, sides: Sequence[Sided], boot: int) -> list[JobResult]:
        """One boot of each side that has something to run."""
        jobs, idle = [], []
        for one in sides:
            job = self.bench.job(one.side, one.kernel, one.payload, boot)
            if one.payload.kind == "kunit" or one.tests:
                jobs.append(job)
            elif boot == 1 and one.payload.unbuilt:
                idle.append(_unbuilt(job))
        for result in idle:
            self.lab.ledger.ran(result, self.verb)
        stage = self.verb.partition(" ")[0]
        return [*(run_stage(self.lab, self.ask, jobs, stage, self.verb) if jobs else ()), *idle]


def judged(lab: Lab, ask: Ask, sides: Sequence[Sided], verb: str) -> tuple[CaseRow, ...]:
    """Boot both sides, compare, boot once more what differs, compare again; the rows are in the ledger.

    `sides`: baseline, patched, and perhaps the baseline's kernel with the patched tree's new tests.
    """
    lab.ledger.strict = ask.strict
    rounds = _Rounds(lab, ask, lab.bench(with_log(ask), sides[0].payload), verb)
    results = rounds.boot(sides, 1)
    found = _compared(results, sides)
    again = unsettled(found, [name for one in sides for name in one.payload.unbuilt])
    if again and not lab.ledger.failed:
        names = ", ".join(again[:5]) + (f" and {len(again) - 5} more" if len(again) > 5 else "")
        lab.emit(Note(f"{sides[0].payload.name}: the sides differ; a second boot of each for {names}"))
        results += rounds.boot([_only(one, again, results) for one in sides[:2]], 2)
        found = _compared(results, sides)
    lab.ledger.tests += found
    return found


def with_guest(lab: Lab, ask: Ask, name: str) -> Ask:
    """The ask with that guest when none was named and lab.toml has it."""
    return ask if ask.guest or name not in lab.settings.guest else replace(ask, guest=name)


def with_log(ask: Ask) -> Ask:
    """The ask for guests whose kernel log holds all that tests say."""
    return replace(ask, append=f"{ask.append} {LOG}".strip())


def payload_name(lab: Lab, kind: str) -> str:
    """The payload's name, with a number when one line has the verb twice."""
    names = {job.payload for job in lab.ledger.jobs}
    return next(name for number in range(1, 1000) if (name := kind if number == 1 else f"{kind}-{number}") not in names)


def borrowed_name(payload: str) -> str:
    """The payload's name where the patched tree's new tests run on the baseline's kernel."""
    return f"{payload}-new"


def _compared(results: Sequence[JobResult], sides: Sequence[Sided]) -> tuple[CaseRow, ...]:
    left, right = sides[:2]
    name = left.payload.name
    base, patched = ([job for job in results if (job.payload, job.role) == (name, one.side.role)] for one in (left, right))
    borrowed = [job for job in results if job.payload == borrowed_name(name)]
    return rows(base, patched, left.side.label, right.side.label, borrowed)


def _only(one: Sided, names: Sequence[str], results: Sequence[JobResult]) -> Sided:
    """The side with those tests alone, the ones that killed its guest last; KUnit runs all of them."""
    if one.payload.kind == "kunit":
        return one
    deadly = {found.during for job in results if job.role == one.side.role for found in job.findings if found.fatal}
    chosen = sorted((test for test in one.tests if test in names), key=lambda test: test in deadly)
    words = [word for word in one.payload.command if word not in one.tests]
    return replace(one, tests=tuple(chosen), payload=replace(one.payload, command=(*words, *chosen)))


def _unbuilt(job: Job) -> JobResult:
    """The result of a side on which none of the tests builds."""
    assert job.payload is not None
    tests = tuple(
        Case(name, Status.FAIL, f"does not build: {text.splitlines()[0]}") for name, text in job.payload.unbuilt.items()
    )
    return replace(JobResult.of(job, Status.SKIP, 0.0, message="none of the tests builds"), tests=tests)
