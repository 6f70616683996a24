"""A cell of a matrix that runs the kernel's own tests: self-tests or KUnit, on both kernels, the baseline's several times."""

from __future__ import annotations

from dataclasses import dataclass

from lab.campaign.builder import Made
from lab.campaign.cellwork import Results, Rows
from lab.campaign.kselftest import sides_of, wanted
from lab.campaign.kunit import kunit_payload, with_suites
from lab.campaign.plan import Ask, Side
from lab.campaign.rounds import Rounds, Sided, with_log
from lab.campaign.session import Lab
from lab.model.matrix import Cell
from lab.model.run import Job


@dataclass(frozen=True)
class SuiteWork:
    """Rounds as a cell's work."""

    cell: Cell
    rounds: Rounds
    quiet: bool = False

    @property
    def labels(self) -> tuple[str, str]:
        """The sides, as the rows name them."""
        base, patched = self.rounds.sides[:2]
        return base.side.label, patched.side.label

    def jobs(self, results: Results) -> list[Job]:
        """Every boot that is wanted as far as is known."""
        return self.rounds.jobs(results)

    def rows(self, results: Results) -> Rows:
        """Every test of both sides."""
        return Rows(tests=self.rounds.rows([results[job.id] for job in self.jobs(results) if job.id in results]))


def suite_work(lab: Lab, ask: Ask, cell: Cell, base: tuple[Side, Made], patched: tuple[Side, Made], *, repeats: int) -> SuiteWork:
    """The work of a cell of self-tests or KUnit suites. Raises LabError."""
    assert cell.suite
    verb, words = cell.suite
    kernels = [(side, made.build) for side, made in (base, patched) if made.build]
    if verb == "kunit":
        ask = with_suites(ask, words)
        payload = kunit_payload(lab, cell.payload)
        sides = [Sided(side, kernel, payload) for side, kernel in kernels]
    else:
        tests = [made.tests for _, made in (base, patched) if made.tests]
        sides = sides_of(lab, ask, kernels, tests, wanted(lab, ask, words), name=cell.payload)
    bench = lab.bench(with_log(ask), sides[0].payload)
    return SuiteWork(cell, Rounds(bench, tuple(sides), repeats, (cell.base, cell.patched, cell.base)))
