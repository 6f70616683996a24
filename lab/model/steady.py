"""Rows of one kernel over many cold boots: whether each comes to the same value every time, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.model.judgement import Verdict
from lab.model.outcome import Status
from lab.model.profile import Explanation


@dataclass(frozen=True)
class Steadiness:
    """One counted row of one kernel over cold boots."""

    kernel: str
    """What a table calls it: a side's label."""
    payload: str
    kconfig: str
    guest: str
    metric: str
    unit: str
    boots: int
    """How many were asked for."""
    values: tuple[float, ...]
    """The row's value, boot by boot, of the boots that gave one that is a number."""
    digests: tuple[str, ...]
    """SHA-256 of every lap's value in order, boot by boot."""
    alike: bool
    """Whether every boot gave samples, and all the same: each lap like its like in every other boot."""
    totals: tuple[float, ...]
    """What was executed in all per operation, boot by boot."""
    verdict: Verdict
    """EQUAL: one value; WOBBLE: several; INCONCLUSIVE: not every boot gave one."""
    note: str = ""
    """WOBBLE: the leak, as far as payload.toml names it. INCONCLUSIVE: what is missing."""
    explained: int = 0
    """Boots with a profile that were made to find the cause."""
    cause: Explanation | None = None
    """Of two such boots whose values differ, those furthest apart: the functions whose counts differ. None: no two differed."""


def steady_status(rows: Sequence[Steadiness], *, strict: bool = False) -> Status:
    """What the rows make of a run. ERROR: a boot gave no value; FAIL: a WOBBLE with --strict; no rows are none."""
    seen = {row.verdict for row in rows}
    if Verdict.INCONCLUSIVE in seen:
        return Status.ERROR
    return Status.FAIL if strict and Verdict.WOBBLE in seen else Status.PASS
