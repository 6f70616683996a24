"""What a cell of a matrix boots, look by look, and what its boots come to. Pure in the results: a killed run goes on by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from lab.campaign.bench import boots_of, in_blocks
from lab.campaign.plan import Bench, Side, named
from lab.campaign.rounds import borrowed_name
from lab.campaign.session import Lab
from lab.measure.regress import rows as case_rows
from lab.measure.sampled import plan_of
from lab.measure.verdict import compare, more_boots
from lab.model.change import Build
from lab.model.judgement import Comparison, Verdict, fails
from lab.model.matrix import Cell, CellResult
from lab.model.outcome import SEVERITY, Status, worst
from lab.model.run import Job, JobResult, PayloadSpec
from lab.model.suite import CaseRow, CaseVerdict, held, suite_status

Results = Mapping[str, JobResult]
"""By job id; only those that are finished."""
WORDS = (
    Verdict.REGRESSED, Verdict.MORE, Verdict.WOBBLE, Verdict.INCONCLUSIVE,
    Verdict.FEWER, Verdict.IMPROVED, Verdict.UNCHANGED, Verdict.EQUAL,
)  # fmt: skip
"""The word for a cell is the first of these that one of its rows has."""
TEST_WORDS = (
    CaseVerdict.REGRESSED, CaseVerdict.BROKEN, CaseVerdict.UNKNOWN, CaseVerdict.FLAKY, CaseVerdict.FAILS,
    CaseVerdict.FIXED, CaseVerdict.NEW, CaseVerdict.PASS, CaseVerdict.SKIPPED,
)  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """What a cell's boots come to."""

    comparisons: tuple[Comparison, ...] = ()
    tests: tuple[CaseRow, ...] = ()


class Work(Protocol):
    """A cell whose kernels are there."""

    @property
    def cell(self) -> Cell:
        """Which one it is."""
        ...

    @property
    def quiet(self) -> bool:
        """Whether its numbers depend on how busy the host is, so that nothing is built beside its boots."""
        ...

    def jobs(self, results: Results) -> list[Job]:
        """All boots that the cell wants as far as is known: more once the first ones are finished and leave it open."""
        ...

    def rows(self, results: Results) -> Rows:
        """The comparison of what is finished."""
        ...

    @property
    def labels(self) -> tuple[str, str]:
        """The sides, as the rows name them."""
        ...


@dataclass(frozen=True)
class BenchWork:
    """A payload on both kernels, judged as `bench` does."""

    lab: Lab
    cell: Cell
    payload: PayloadSpec
    bench: Bench
    kernels: tuple[tuple[Side, Build], tuple[Side, Build]]
    equipped: Mapping[str, PayloadSpec]
    """By tree: the payload with what it takes of that."""

    @property
    def quiet(self) -> bool:
        """Sampled rows are times."""
        return plan_of(self.payload) is not None

    @property
    def labels(self) -> tuple[str, str]:
        """The sides, as the rows name them."""
        (base, _), (patched, _) = self.kernels
        return base.label, patched.label

    def jobs(self, results: Results) -> list[Job]:
        """The first look's boots; the second look's when the rows are not settled and nothing is bad."""
        first = self._look(0)
        done = [results[job.id] for job in first if job.id in results]
        if len(done) < len(first) or any(result.status is not Status.PASS for result in done):
            return first
        return first + (self._look(1) if more_boots(self.payload, *_sides(done)) else [])

    def rows(self, results: Results) -> Rows:
        """Every row of the payload."""
        done = [results[job.id] for job in self.jobs(results) if job.id in results]
        base, patched = _sides([job for job in done if job.status is Status.PASS])
        return Rows(compare(self.payload, base, patched, *self.labels) if base and patched else ())

    def _look(self, look: int) -> list[Job]:
        jobs = []
        for boot in boots_of(self.payload, look):
            for (side, build), kernel in zip(self.kernels, (self.cell.base, self.cell.patched), strict=True):
                jobs.append(named(self.bench.job(side, build, self.equipped[build.tree], boot), kernel, self.shared))
        return in_blocks(self.lab, jobs)

    @property
    def shared(self) -> str:
        """What tells its boots from those of other cells: sampled rows are compared within their own blocks only."""
        return self.cell.series if self.quiet else ""


def result_of(work: Work, results: Results, rows: Rows, *, any_more: bool, strict: bool) -> CellResult:
    """What became of a cell all of whose boots are finished."""
    jobs = [results[job.id] for job in work.jobs(results)]
    status = cell_status([job.status for job in jobs], rows, any_more=any_more, strict=strict)
    ids = tuple(job.id for job in jobs)
    return cell_result(work.cell, work.labels, status=status, verdict=word(rows), message=_message(jobs, rows), jobs=ids)


def judged_again(
    cell: CellResult, jobs: Sequence[JobResult], payload: PayloadSpec | None, *, any_more: bool, strict: bool
) -> tuple[CellResult, Rows]:
    """A cell from boots that were judged again; one that came to no boots, or whose payload was not kept, stays as it is."""
    own = [job for job in jobs if job.id in cell.jobs]
    if not own or payload is None:
        return cell, Rows()
    if payload.is_suite:
        names = (cell.payload, borrowed_name(cell.payload))
        mine, borrowed = ([job for job in own if job.payload == name] for name in names)
        rows = Rows(tests=case_rows(*_sides(mine), cell.a, cell.b, borrowed))
    else:
        base, patched = _sides([job for job in own if job.status is Status.PASS])
        rows = Rows(compare(payload, base, patched, cell.a, cell.b) if base and patched else ())
    status = cell_status([job.status for job in own], rows, any_more=any_more, strict=strict)
    return replace(cell, status=status, verdict=word(rows), message=_message(own, rows)), rows


def cell_result(
    cell: Cell, labels: tuple[str, str], *, status: Status, message: str, verdict: str = "", jobs: tuple[str, ...] = ()
) -> CellResult:
    """The cell with its outcome."""
    facts = (cell.id, cell.series, cell.upto, cell.patches, cell.kconfig, cell.guest, cell.payload)
    return CellResult(*facts, *labels, status=status, verdict=verdict, message=message, jobs=jobs)


def cell_status(jobs: Sequence[Status], rows: Rows, *, any_more: bool, strict: bool) -> Status:
    """The worst boot decides, then the rows; no boots at all are an ERROR."""
    if (seen := worst(list(jobs))) is not Status.PASS:
        return seen
    if any(fails(row, any_more=any_more, strict=strict) for row in rows.comparisons):
        return Status.FAIL
    return suite_status(rows.tests, strict=strict)


def word(rows: Rows) -> str:
    """The word that says most of a cell's rows. Of what is compared for information only, nothing."""
    seen = {row.verdict for row in rows.comparisons if row.kind != "info"}
    tested = {row.verdict for row in rows.tests}
    return str(next((one for one in WORDS if one in seen), None) or next((one for one in TEST_WORDS if one in tested), ""))


def _message(jobs: Sequence[JobResult], rows: Rows) -> str:
    """What the worst boot says, if one did not pass, else the row that a person looks at first."""
    bad = next((job for job in sorted(jobs, key=_badness) if job.status is not Status.PASS), None)
    message = (bad.message or str(bad.status)).splitlines()[0] if bad else ""
    return message or _worst_row(rows)


def _worst_row(rows: Rows) -> str:
    """The row that a person looks at first."""
    told = [row for row in rows.comparisons if row.verdict not in (Verdict.EQUAL, Verdict.UNCHANGED) and row.kind != "info"]
    for one in WORDS:
        if loud := [row for row in told if row.verdict is one]:
            most = max(loud, key=lambda row: abs(row.delta))
            return f"{most.metric}: {most.base.median:g} -> {most.patched.median:g} {most.unit}"
    bad = [row for row in rows.tests if held(row)]
    return f"{bad[0].test}: {bad[0].verdict}" if bad else ""


def _badness(job: JobResult) -> int:
    return -SEVERITY.index(job.status)


def _sides(jobs: Sequence[JobResult]) -> tuple[list[JobResult], list[JobResult]]:
    return [job for job in jobs if job.role == "baseline"], [job for job in jobs if job.role == "patched"]
