"""The kernel's own tests on both sides: one boot of each; what counts against or for the series, once more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lab.campaign.bench import run_stage
from lab.campaign.plan import Ask, Bench, Side, named
from lab.campaign.session import Lab
from lab.events import Note
from lab.measure.regress import rows, unsettled
from lab.model.change import Build
from lab.model.matrix import Kernel
from lab.model.outcome import Case, Status
from lab.model.run import Job, JobResult, PayloadSpec
from lab.model.suite import CaseRow

LOG = "log_buf_len=16M"
"""Tests are chatty; what falls out of the log was not looked at."""
TWICE = 2
"""How often a side has to be booted before a difference is believed."""


@dataclass(frozen=True)
class Sided:
    """One side with its kernel and the tests that run on it; `tests` are payload arguments, empty for kunit."""

    side: Side
    kernel: Build
    payload: PayloadSpec
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rounds:
    """What is booted, round by round, of baseline, patched, and perhaps the baseline's kernel with the patched tree's new tests.

    Pure in the results, which are by job id: a run that was killed goes on by those it has.
    """

    bench: Bench
    sides: tuple[Sided, ...]
    repeats: int = 1
    """Boots of the baseline before anything is compared: tests that disagree there are flaky, whatever the series does."""
    kernels: tuple[Kernel, ...] = ()
    """In a matrix: the kernel of each side, of which jobs take their names."""

    def jobs(self, results: Mapping[str, JobResult]) -> list[Job]:
        """The first round; once it is finished and good, also one more boot of each side for what is not settled."""
        first = [job for place, one in enumerate(self.sides) for job in self._boots(place, one, range(1, self._first(place) + 1))]
        done = [results[job.id] for job in first if job.id in results]
        if len(done) < len(first) or any(result.status not in (Status.PASS, Status.SKIP) for result in done):
            return first
        again = self.open(done)
        second = [(place, _only(one, again, done)) for place, one in enumerate(self.sides[:2]) if again]
        return first + [job for place, one in second if self._first(place) < TWICE for job in self._boots(place, one, (TWICE,))]

    def open(self, results: Sequence[JobResult]) -> tuple[str, ...]:
        """Programs or suites about which the sides differ."""
        return unsettled(self.rows(results), [name for one in self.sides for name in one.payload.unbuilt])

    def rows(self, results: Sequence[JobResult]) -> tuple[CaseRow, ...]:
        """The comparison of what is finished."""
        left, right = self.sides[:2]
        told = [*results, *self.idle()]
        name = left.payload.name
        base, patched = ([job for job in told if (job.payload, job.role) == (name, one.side.role)] for one in (left, right))
        borrowed = [job for job in told if job.payload == borrowed_name(name)]
        return rows(base, patched, left.side.label, right.side.label, borrowed)

    def idle(self) -> list[JobResult]:
        """The sides on which none of the tests builds."""
        return [_unbuilt(self._job(place, one, 1)) for place, one in enumerate(self.sides) if _is_idle(one)]

    def _first(self, place: int) -> int:
        return self.repeats if place == 0 else 1

    def _boots(self, place: int, one: Sided, numbers: Iterable[int]) -> list[Job]:
        runs = one.payload.kind == "kunit" or one.tests
        return [self._job(place, one, number) for number in numbers] if runs else []

    def _job(self, place: int, one: Sided, boot: int) -> Job:
        job = self.bench.job(one.side, one.kernel, one.payload, boot)
        return named(job, self.kernels[place]) if self.kernels else job


def judged(lab: Lab, ask: Ask, sides: Sequence[Sided], verb: str) -> tuple[CaseRow, ...]:
    """Boot both sides, compare, boot once more what differs, compare again; the rows are in the ledger."""
    lab.ledger.strict = ask.strict
    rounds = Rounds(lab.bench(with_log(ask), sides[0].payload), tuple(sides))
    for result in rounds.idle():
        lab.ledger.ran(result, verb)
    results: dict[str, JobResult] = {}
    while missing := [job for job in rounds.jobs(results) if job.id not in results]:
        if results:
            again = rounds.open([*results.values()])
            names = ", ".join(again[:5]) + (f" and {len(again) - 5} more" if len(again) > 5 else "")
            lab.emit(Note(f"{sides[0].payload.name}: the sides differ; a second boot of each for {names}"))
        results |= {result.id: result for result in run_stage(lab, ask, missing, verb.partition(" ")[0], verb)}
    found = rounds.rows([*results.values()])
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


def _is_idle(one: Sided) -> bool:
    return one.payload.kind != "kunit" and not one.tests and bool(one.payload.unbuilt)


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
