"""How the cells of a matrix are built and run by a Lab: the steps and the work that the engine asks for."""

from __future__ import annotations

from dataclasses import replace

from lab.campaign.bench import again_line
from lab.campaign.builder import Made, Request
from lab.campaign.cellwork import BenchWork, Work
from lab.campaign.engine import Step
from lab.campaign.kselftest import wanted
from lab.campaign.kunit import kunit_sides
from lab.campaign.plan import Ask, Side
from lab.campaign.session import Lab
from lab.campaign.suitework import suite_work
from lab.errors import LabError
from lab.kernel.selftests import Want
from lab.model.change import Build, Source
from lab.model.matrix import Cell, Kernel, Plan, file_name, shortened
from lab.model.run import JobResult

COLD_OBJECTS = 1500
"""A build of so many objects began with none."""


class LabMaker:
    """Turns cells into what `bench`, `kselftest` and `kunit` do. Raises UsageError for a series that cannot be read."""

    def __init__(self, lab: Lab, ask: Ask, plan: Plan, source: Source) -> None:
        self.lab = lab
        self.ask = ask
        self.plan = plan
        self.source = source
        self._sides = {cell.id: self._read(cell) for cell in plan.cells}
        self._recorded: set[tuple[str, str]] = set()
        self._again: dict[str, str] = {}

    def asked(self, cell: Cell) -> Ask:
        """The cell as the command line of its verb would have it."""
        upto = "" if cell.upto == cell.patches else str(cell.upto)
        payload = "" if cell.suite else cell.payload
        return replace(self.ask, series=cell.series, upto=upto, kconfig=cell.kconfig, guest=cell.guest, payload=payload)

    def _read(self, cell: Cell) -> tuple[Side, Side]:
        kunit = cell.suite is not None and cell.suite[0] == "kunit"
        return kunit_sides(self.lab, self.asked(cell)) if kunit else self.lab.sides(self.asked(cell))

    def labels(self, cell: Cell) -> tuple[str, str]:
        """The sides, as comparisons name them."""
        base, patched = self._sides[cell.id]
        return base.label, patched.label

    def steps(self, cell: Cell) -> tuple[Step, Step]:
        """Both kernels, with the self-tests that the cell runs."""
        wants = " ".join(str(want) for want in self._wants(cell))
        return self._step(cell.base, wants), self._step(cell.patched, wants)

    def _wants(self, cell: Cell) -> tuple[Want, ...]:
        """The self-tests that the cell runs; those a series declares are other ones for each series."""
        return wanted(self.lab, self.asked(cell), cell.suite[1]) if cell.suite and cell.suite[0] == "kselftest" else ()

    def _step(self, kernel: Kernel, wants: str) -> Step:
        lab = self.lab
        request = Request(
            root=lab.root,
            cache=lab.cache.root,
            source=self.source,
            kernel=kernel,
            pin=repr(lab.settings.source),
            inputs=self.plan.inputs[kernel.id],
            cc=self.ask.cc or "gcc",
            wants=wants,
        )
        return Step(file_name(".".join(filter(None, (kernel.id, shortened(wants))))), request)

    def work(self, cell: Cell, base: Made, patched: Made) -> Work:
        """The cell's boots. Raises LabError."""
        assert base.build and patched.build
        lab, ask = self.lab, self.asked(cell)
        left, right = self._sides[cell.id]
        lab.accel(ask, base.build, lab.image(lab.guest(ask).image))  # proven on the baseline: a patched kernel may be broken
        if cell.suite:
            made: Work = suite_work(
                lab, ask, cell, (left, base), (right, patched), repeats=int(self.plan.facts["baseline_boots"])
            )
        else:
            payload = lab.payload(cell.payload)
            kernels = (left, base.build), (right, patched.build)
            ready = {build.tree: lab.equip(ask, payload, build.tree) for _, build in kernels}
            made = BenchWork(lab, cell, payload, lab.bench(ask, payload), kernels, ready)
        for job in made.jobs({}):
            self._again.setdefault(_stem(job.id), again_line(ask, cell.payload if cell.suite else "bench"))
        return made

    def built(self, cell: Cell, base: Made | None, patched: Made | None) -> None:
        """Record each kernel once a role."""
        for side, kernel, made in zip(self._sides[cell.id], (cell.base, cell.patched), (base, patched), strict=True):
            if made is None or (kernel.id, side.role) in self._recorded:
                continue
            self._recorded.add((kernel.id, side.role))
            if made.fault:
                error = LabError(made.fault.message, finding=made.fault.finding)
                error.code = made.fault.code
                self.lab.ledger.not_built(side, error)
            elif made.build:
                self.lab.ledger.built(side, made.build, base.build if base and side.role == "patched" else None)
                self._learn(made.build)

    def ran(self, result: JobResult) -> None:
        """Record a boot."""
        self.lab.ledger.ran(result, self._again.get(_stem(result.id), self.lab.command))
        if result.seconds:
            self.lab.history.learn(f"job.{result.payload}.{result.kconfig}", result.seconds)

    def _learn(self, build: Build) -> None:
        if not build.reused:
            cold = ".cold" if build.objects >= COLD_OBJECTS else ""
            self.lab.history.learn(f"build.{build.kconfig}{cold}", build.seconds)


def _stem(job_id: str) -> str:
    """A job's id without the number of the boot."""
    return job_id.rpartition(".")[0]
