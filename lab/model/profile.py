"""Where instructions were executed: functions, call paths, and two sides of them compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from lab.model.published import Published


class Function(NamedTuple):
    """A function of a kernel or a program and where it lies at run time."""

    first: int
    end: int
    """The address after its last byte."""
    name: str


@dataclass(frozen=True)
class Cache:
    """A cache of the model that --caches runs beside the guest."""

    kib: int
    ways: int


@dataclass(frozen=True)
class Caches:
    """The model: what misses I1 (instructions) or D1 (data) is looked up in LL."""

    i1: Cache
    d1: Cache
    ll: Cache
    line: int = 64
    """Bytes of a line of each."""

    @property
    def unfit(self) -> str:
        """Which of them cannot be, in words; empty: none."""
        for name, cache in (("i1", self.i1), ("d1", self.d1), ("ll", self.ll)):
            sets, rest = divmod(cache.kib << 10, max(cache.ways * self.line, 1))
            if rest or min(cache.kib, cache.ways, self.line) < 1 or any(n & (n - 1) for n in (sets, self.line)):
                return f"{name}: {cache.kib} KiB in {cache.ways} ways of {self.line}-byte lines is no power of two of sets"
        return ""


@dataclass(frozen=True)
class Profiling:
    """What a boot for an explanation records beside instructions by function and path."""

    caches: Caches | None = None
    addresses: bool = False
    """How often each instruction was executed, for --inlines."""


PLAIN = Profiling()


@dataclass(frozen=True)
class InlineCost:
    """The instructions of one function where the compiler put it, inlined or not: per operation, mean of all operations."""

    name: str
    inside: str
    """The function that was called; `name` itself where nothing is inlined."""
    base: float
    patched: float
    delta: float


@dataclass(frozen=True)
class FunctionCost:
    """One function, or one layer of functions, on both sides: executed instructions per operation, its callees' left out."""

    name: str
    layer: str
    base: float
    patched: float
    delta: float
    stalls: tuple[float, float] = (0.0, 0.0)
    """Estimated cycles per operation that cache misses cost on top, on each side: mean of all operations; 0 without --caches."""


@dataclass(frozen=True)
class Happened:
    """Something counted beside the operation's instructions, per operation."""

    name: str
    base: float
    patched: float


@dataclass(frozen=True)
class Explanation:
    """One row explained: from one boot a side of its own, with the profile on, never the judged ones.

    `functions` and `layers` are of the operation: the measured task, its peers and the softirqs they ran.
    """

    a: str
    b: str
    payload: str
    kconfig: str
    guest: str
    metric: str
    operations: tuple[int, int]
    """The laps that were looked at, on each side."""
    typical: bool
    """Whether these are the ones as long as the median one, which is the row's headline. Else all of them, ticks' traces too."""
    base: float
    """Instructions per operation, the bracket's included: those of all functions add up to it."""
    patched: float
    mean: Happened
    """Instructions per operation over all laps."""
    bracket: int
    """Instructions of an empty section's lap, which a row is net of and this is not."""
    functions: tuple[FunctionCost, ...]
    """Those that differ, by the size of the difference, then the most expensive of the others."""
    others: int
    """How many functions are not listed."""
    largest: float
    """The largest difference among those that are not listed."""
    layers: tuple[FunctionCost, ...]
    """Every layer that has instructions, in the order of the map of layers."""
    beside: tuple[Happened, ...]
    """What else was executed between the marks, by context."""
    interrupts: tuple[FunctionCost, ...]
    """Of that, what hard interrupts and the softirqs at their end executed, by layer: mean of all operations."""
    events: tuple[Happened, ...]
    """Locked instructions, MSR reads and writes, CR3 loads, INVLPG and INVPCID, IRET, further steps of REP instructions and the
    bytes they moved."""
    spaces: tuple[Happened, ...] = ()
    """All of it but idle, in the address space that the measured task began in and in others; how often another was loaded."""
    asked: bool = False
    """Whether --row named it."""
    published: Published | None = None
    """What others measured of it."""
    caches: Caches | None = None
    """The model of caches that `stalls` come from."""
    inlines: tuple[InlineCost, ...] = ()
    """With --inlines: those that differ, then the most expensive of the others; the last one, without a name, is the rest."""


Stacks = dict[tuple[str, ...], int]
"""Context and functions from the outermost in -> instructions executed in the innermost."""

COLUMNS = ("Instructions", "Beside", "Locked", "RepBytes")
"""What a CallGraph counts: of the operation; of interrupts and other tasks; locked instructions; bytes of REP instructions."""
MISSES = ("I1Misses", "D1Misses", "LLMisses")
"""What it counts with --caches, too: of the operation."""
Costs = tuple[int, ...]


class Own(NamedTuple):
    """A function and what was executed in it, by CallGraph.columns."""

    name: str
    source: str
    costs: Costs


class Call(NamedTuple):
    """Calls from one function to another; `costs` include all below. Both are numbers in CallGraph.functions."""

    caller: int
    callee: int
    calls: int
    costs: Costs


@dataclass(frozen=True)
class CallGraph:
    """One section as a call graph."""

    what: str
    columns: tuple[str, ...]
    """COLUMNS, perhaps MISSES."""
    functions: tuple[Own, ...]
    calls: tuple[Call, ...]
