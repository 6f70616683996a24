"""The kernel's own tests on two sides: self-tests and KUnit, compared result by result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from lab.model.outcome import Status

SEPARATOR = ": "
"""Between a program or suite and one of its results."""


class CaseVerdict(StrEnum):
    """What became of one test. REGRESSED, BROKEN and UNKNOWN are held against the series, the others are not."""

    PASS = "PASS"  # noqa: S105  (not a password)
    NEW = "NEW"
    """Passes, and the baseline has no result of it."""
    FIXED = "FIXED"
    FAILS = "FAILS"
    """Failed on the baseline and does not pass now."""
    SKIPPED = "SKIPPED"
    FLAKY = "FLAKY"
    """Boots of one side disagree."""
    REGRESSED = "REGRESSED"
    """Passed on the baseline, or brings a kernel complaint that the baseline does not have."""
    BROKEN = "BROKEN"
    """New, or skipped on the baseline, and it does not pass."""
    UNKNOWN = "UNKNOWN"
    """It did not get to run."""


HELD = (CaseVerdict.REGRESSED, CaseVerdict.BROKEN, CaseVerdict.UNKNOWN)


@dataclass(frozen=True)
class CaseRow:
    """One test on both sides; `a` and `b` name the sides as in a Comparison."""

    a: str
    b: str
    suite: str
    """The payload: kselftest or kunit."""
    kconfig: str
    guest: str
    test: str
    """`net:tls`, or a KUnit suite; with `: case` behind it for one of its results."""
    whole: bool
    """Whether it is a program or a suite, not one of its cases."""
    base: tuple[Status, ...]
    """By boot, those in which it ran or was to run; empty: it does not exist on that side."""
    patched: tuple[Status, ...]
    verdict: CaseVerdict
    note: str = ""


def held(row: CaseRow, *, strict: bool = False) -> bool:
    """Whether the row makes the run fail; --strict holds FLAKY too."""
    return row.verdict in HELD or (strict and row.verdict is CaseVerdict.FLAKY)


def suite_status(rows: Sequence[CaseRow], *, strict: bool = False) -> Status:
    """What the rows make of a run. ERROR: nothing passed on either side, so nothing was tested; no rows at all are no tests."""
    if any(held(row, strict=strict) for row in rows):
        return Status.FAIL
    nothing = rows and not any(Status.PASS in (*row.base, *row.patched) for row in rows)
    return Status.ERROR if nothing else Status.PASS
