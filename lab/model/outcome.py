"""What one boot said: cases, rows of numbers, findings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

RowKind = Literal["exact", "count", "sample", "info"]
Better = Literal["less", "more", "none"]


class Status(StrEnum):
    """How a case, a job or a run ended. MISS is a fault of the lab or the emulator, ERROR one of the baseline."""

    PASS = "PASS"  # noqa: S105  (not a password)
    FAIL = "FAIL"
    SKIP = "SKIP"
    ERROR = "ERROR"
    MISS = "MISS"


SEVERITY = (Status.PASS, Status.SKIP, Status.MISS, Status.FAIL, Status.ERROR)


def worst(statuses: list[Status]) -> Status:
    """The most severe status; nothing at all is ERROR, since nothing was tested."""
    return max(statuses, key=SEVERITY.index, default=Status.ERROR)


@dataclass(frozen=True)
class Finding:
    """One bad thing: a kernel-log splat, a stall, a patch that does not apply, a compiler error."""

    kind: str
    """One word: patch, build, kconfig, panic, oops, bug, warn, lockdep, kasan, rcu-stall, hung-task, stall, taint, log-gap ..."""
    title: str
    """The line that names it."""
    fingerprint: str
    """Stable across boots: kind and the first functions of the trace."""
    detail: tuple[str, ...] = ()
    """The decoded stack, the hunk, the compiler's lines."""
    fatal: bool = True
    """Whether the guest is dead."""
    during: str = ""
    """The kernel's own test (self-test, KUnit suite) in which it came; that test failed by it."""


@dataclass(frozen=True)
class Case:
    """One KTAP result."""

    name: str
    status: Status
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """One metric of one boot with its raw values in order."""

    metric: str
    unit: str
    kind: RowKind
    values: tuple[float, ...]


@dataclass(frozen=True)
class Outcome:
    """What a payload said in one boot, parsed; never judged."""

    cases: tuple[Case, ...] = ()
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    """`#` lines: warm-up discarded, calibration, versions."""


@dataclass(frozen=True)
class Milestone:
    """A moment of a boot: name and seconds since QEMU was started (host clock)."""

    name: str
    seconds: float
