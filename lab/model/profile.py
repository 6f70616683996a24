"""Where instructions were executed: functions, call paths, and two sides of them compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Function(NamedTuple):
    """A function of a kernel or a program and where it lies at run time."""

    first: int
    end: int
    """The address after its last byte."""
    name: str


@dataclass(frozen=True)
class FunctionCost:
    """One function, or one layer of functions, on both sides: executed instructions per operation, its callees' left out."""

    name: str
    layer: str
    base: float
    patched: float

    @property
    def delta(self) -> float:
        """What it gained."""
        return self.patched - self.base


@dataclass(frozen=True)
class Happened:
    """Something counted beside instructions, per operation."""

    name: str
    base: float
    patched: float


@dataclass(frozen=True)
class Explanation:
    """One row explained: from one boot a side of its own, with the profile on, never the judged ones.

    `functions` and `layers` are of the operation: the measured task, its peers and the softirqs they ran; `beside` is what
    else was executed between the marks, by context.
    """

    a: str
    b: str
    payload: str
    kconfig: str
    guest: str
    metric: str
    operations: int
    """Laps of the section on each side."""
    base: float
    """Instructions per operation, gross: with those of the bracket around it; exactly the sum of `base` over all functions."""
    patched: float
    functions: tuple[FunctionCost, ...]
    """Those that differ, by the size of the difference, then the most expensive ones."""
    others: int
    """How many more functions there are; none of them differs by as much as any that is listed."""
    layers: tuple[FunctionCost, ...]
    """Every layer, in the order of the map of layers."""
    beside: tuple[Happened, ...]
    events: tuple[Happened, ...]
    """Locked instructions, MSR and CR3 writes, INVLPG, IRET, further steps of REP instructions and the bytes they moved."""
