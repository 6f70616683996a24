"""A matrix at work: builds in processes of their own, one a build slot, beside the boots of cells whose kernels are there."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from typing import Protocol

from lab.campaign.builder import Fault, Made, Request
from lab.campaign.cellwork import Rows, Work, cell_result, result_of
from lab.campaign.children import Child
from lab.campaign.rundir import BuildDir
from lab.campaign.schedule import Pool
from lab.deadline import Deadline
from lab.errors import LabError
from lab.events import Emit, Note, from_line
from lab.model.judgement import Comparison
from lab.model.matrix import Cell, CellResult, Plan
from lab.model.outcome import Status
from lab.model.run import JobResult
from lab.model.suite import CaseRow
from lab.model.wire import read_json, write_json
from lab.proc import Argv

BUILD_S = 10 * 3600.0
"""A builder has deadlines of its own, for the slot's lock and for make; this is when the parent loses patience."""
BUILDER: Argv = (sys.executable, "-P", "-m", "lab.campaign.builder")


@dataclass(frozen=True)
class Step:
    """One thing to build: a kernel, and for cells of self-tests these too."""

    id: str
    request: Request


class Maker(Protocol):
    """What the engine does not know: how cells are built and run."""

    def steps(self, cell: Cell) -> tuple[Step, Step]:
        """What is to be built for a cell: baseline and patched."""
        ...

    def work(self, cell: Cell, base: Made, patched: Made) -> Work:
        """The cell's work, its builds being there. Raises LabError."""
        ...

    def labels(self, cell: Cell) -> tuple[str, str]:
        """The sides, as comparisons name them."""
        ...

    def built(self, cell: Cell, base: Made | None, patched: Made | None) -> None:
        """Called once a cell, when its builds are over."""
        ...


@dataclass
class Found:
    """What is finished so far."""

    results: dict[str, JobResult] = field(default_factory=dict)
    cells: dict[str, CellResult] = field(default_factory=dict)
    rows: dict[str, Rows] = field(default_factory=dict)

    def comparisons(self, plan: Plan) -> list[Comparison]:
        """In the plan's order."""
        return [row for cell in plan.cells if cell.id in self.rows for row in self.rows[cell.id].comparisons]

    def tests(self, plan: Plan) -> list[CaseRow]:
        """In the plan's order."""
        return [row for cell in plan.cells if cell.id in self.rows for row in self.rows[cell.id].tests]

    def done(self, plan: Plan) -> list[CellResult]:
        """In the plan's order."""
        return [self.cells[cell.id] for cell in plan.cells if cell.id in self.cells]


@dataclass(frozen=True)
class Rules:
    """How a cell's rows are judged, and how much goes on at a time."""

    any_more: bool = False
    strict: bool = False
    builders: int = 1
    """Kernels that are built at a time, each in a slot of its own: while one is linked by one CPU, the other compiles.
    0: one, and only while no guest runs."""


class Engine:
    """Runs a plan to its end. Its state is the run's directory: builds/*/result.json and jobs/*/result.json."""

    def __init__(self, plan: Plan, maker: Maker, pool: Pool, rules: Rules, *, emit: Emit, builder: Argv = BUILDER) -> None:
        self.plan = plan
        self.maker = maker
        self.run = pool.run
        self.pool = pool
        self.emit = emit
        self.rules = rules
        self.builder = builder
        self.found = Found()
        self._said = pool.done
        self._made: dict[str, Made] = {}
        self._work: dict[str, Work] = {}
        self._asked: set[str] = set()
        self._later: dict[str, Work] = {}
        self._needed: dict[str, list[Cell]] = {}
        self._builds: list[Step] = []
        self._slots: set[str] = set()
        for cell in plan.cells:
            for step in maker.steps(cell):
                if step.id not in self._needed:
                    self._builds.append(step)
                self._needed.setdefault(step.id, []).append(cell)

    def go(self) -> Found:
        """Everything that is not finished yet; what is finished when an interrupt comes is in `found`."""
        self.pool.done = self._finished
        self._next_builds()
        self.pool.work()
        return self.found

    # --- builds ------------------------------------------------------------------------------------------------------

    def _next_builds(self) -> None:
        """Take what is there, start what has a slot to itself and is not; cells whose builds are over go on."""
        for step in list(self._builds):
            slot, place = step.request.kernel.kconfig, self.run.build(step.id)
            if all(cell.id in self.found.cells for cell in self._needed[step.id]):
                self._builds.remove(step)  # their other kernel failed
            elif known := _kept(place):
                self._builds.remove(step)
                self._take(step, known)
            elif slot not in self._slots and self._may_build():
                self._builds.remove(step)
                self._slots.add(slot)
                self._start(step, place)
        if not self.building:
            later, self._later = self._later, {}
            for work in later.values():
                self._advance(work)

    def _may_build(self) -> bool:
        if self.rules.builders == 0:
            return not (self._slots or self.pool.busy)
        return len(self._slots) < self.rules.builders

    @property
    def building(self) -> bool:
        """Whether any kernel is still to come."""
        return bool(self._builds or self._slots)

    def _start(self, step: Step, place: BuildDir) -> None:
        shutil.rmtree(place.path, ignore_errors=True)
        place.path.mkdir(parents=True)
        write_json(place.request, step.request)

        def over(child: Child) -> None:
            self._slots.remove(step.request.kernel.kconfig)
            self._take(step, read_json(place.result, Made) if place.result.is_file() else _lost(step, place, child))
            self._next_builds()

        self.pool.children.start(
            [*self.builder, place.request, place.result],
            errors=place.errors,
            deadline=Deadline.after(BUILD_S),
            say=lambda line: self.emit(from_line(line)),
            over=over,
        )

    def _take(self, step: Step, made: Made) -> None:
        self._made[step.id] = made
        for cell in self._needed[step.id]:
            if cell.id not in self._work and cell.id not in self.found.cells:
                self._begin(cell)

    # --- cells -------------------------------------------------------------------------------------------------------

    def _begin(self, cell: Cell) -> None:
        """Start a cell whose builds are over, or close it when one of them failed. Nothing that a cell does stops the others."""
        base, patched = (self._made.get(step.id) for step in self.maker.steps(cell))
        broken = next((made for made in (base, patched) if made and made.fault), None)
        if broken is None and not (base and patched):
            return
        self.maker.built(cell, base, patched)
        if broken and broken.fault:
            self._failed(cell, broken.fault, Status.ERROR if broken is base else Status.FAIL)
        elif base and patched:
            self._work_on(cell, base, patched)

    def _work_on(self, cell: Cell, base: Made, patched: Made) -> None:
        try:
            work = self._work[cell.id] = self.maker.work(cell, base, patched)
        except LabError as error:
            self._failed(cell, Fault.of(error), Status.MISS)
            return
        if work.quiet and self.building:
            self._later[cell.id] = work
        else:
            self._advance(work)

    def _failed(self, cell: Cell, fault: Fault, status: Status) -> None:
        """Close a cell that nothing can be booted for; `status`: if it is the kernel's fault."""
        status = status if fault.code == 1 else Status.MISS
        message = fault.message.splitlines()[0]
        self._close(cell_result(cell, self.maker.labels(cell), status=status, message=message))

    def _advance(self, work: Work) -> None:
        """Queue what the cell wants next; when it wants nothing more, judge it."""
        missing = [job for job in work.jobs(self.found.results) if job.id not in self.found.results]
        self.pool.add([job for job in missing if job.id not in self._asked])
        self._asked |= {job.id for job in missing}
        if not missing:
            rows = work.rows(self.found.results)
            self.found.rows[work.cell.id] = rows
            self._close(result_of(work, self.found.results, rows, any_more=self.rules.any_more, strict=self.rules.strict))

    def _finished(self, result: JobResult) -> None:
        self.found.results[result.id] = result
        self._said(result)
        for name, work in self._work.items():
            if name not in self.found.cells and name not in self._later:
                self._advance(work)
        if self.rules.builders == 0:
            self._next_builds()

    def _close(self, result: CellResult) -> None:
        self.found.cells[result.id] = result
        what = " ".join(filter(None, (str(result.status), result.verdict)))
        self.emit(Note(f"cell {result.id}: {what}" + (f": {result.message}" if result.message else "")))


def _kept(place: BuildDir) -> Made | None:
    """What an earlier life of this run left: a kernel that is still in the cache, or a failure that is the kernel's own."""
    if not place.result.is_file():
        return None
    made = read_json(place.result, Made)
    if made.fault:
        return made if made.fault.code == 1 else None
    there = made.build is not None and made.build.bzimage.is_file() and (made.tests is None or made.tests.directory.is_dir())
    return made if there else None


def _lost(step: Step, place: BuildDir, child: Child) -> Made:
    """The outcome of a builder that left none: the lab's fault."""
    tail = place.errors.read_text(encoding="utf-8", errors="backslashreplace").strip().splitlines()[-1:]
    why = "was still running at its deadline" if child.late else f"ended with status {child.process.returncode} and no result"
    return Made(fault=Fault(3, "\n".join([f"the builder of {step.id} {why}", *tail, f"log: {place.errors}"])))
