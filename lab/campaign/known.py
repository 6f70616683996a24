"""What a search knows, and what can be asked of it: kernels, looks at them, the next probe, the answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from lab.model.bisection import Culprit, Look, Reached, Subject, Word
from lab.model.judgement import Metric

MISSES = 2
"""How often a kernel is tried again after a fault of the lab (each of them a second try by itself) before it is left out."""
MOST_LOOKS = 24
"""Looks at one kernel that are worth making."""
UNTOLD: tuple[Reached, ...] = ("unapplied", "unbuilt", "missed")


@dataclass(frozen=True)
class Point:
    """A kernel: the first `k` patches but those of `without`."""

    k: int
    without: tuple[int, ...] = ()


@dataclass(frozen=True)
class Probe:
    """Look at these kernels, so often each, in mixed order."""

    points: tuple[Point, ...]
    boots: int


@dataclass(frozen=True)
class Answer:
    """The end of a search. `culprits` lack names, which the search does not know."""

    word: Word
    culprits: tuple[Culprit, ...] = ()
    suspects: tuple[int, ...] = ()
    posterior: Mapping[int, float] | None = None
    """Of each patch, and of 0 for none; after the first search."""
    why: str = ""


@dataclass(frozen=True)
class Search:
    """Everything known: patches low + 1 to high are under suspicion."""

    low: int
    high: int
    subject: Subject | None = None
    """None: whatever the ends show, or nothing yet."""
    metric: Metric | None = None
    looks: tuple[Look, ...] = ()
    inert: frozenset[int] = frozenset()
    """Patches that are known to change nothing that is built."""
    ends: int = 2
    """Boots of each end."""
    boots: int = 1
    """Boots of a probe between."""
    confidence: float = 0.99

    def at(self, point: Point) -> tuple[Look, ...]:
        """The looks at a kernel, however it was asked for."""
        return self._by_kernel.get(self.kernel(point), ())

    @cached_property
    def _by_kernel(self) -> dict[Point, tuple[Look, ...]]:
        found: dict[Point, tuple[Look, ...]] = {}
        for look in self.looks:
            kernel = self.kernel(Point(look.k, look.without))
            found[kernel] = (*found.get(kernel, ()), look)
        return found

    def kernel(self, point: Point) -> Point:
        """One name for points that are the same kernel."""
        k = point.k
        while k > self.low and (k in point.without or k in self.inert):
            k -= 1
        return Point(k, tuple(sorted(one for one in set(point.without) if one < k and one not in self.inert)))

    @cached_property
    def sampled(self) -> bool:
        """Whether values of one kernel differ from boot to boot by nature."""
        return self.subject is not None and self.subject.kind == "sample"


def usable(search: Search, point: Point) -> int:
    """Looks at a kernel that came as far as to tell something."""
    return sum(look.reached not in UNTOLD for look in search.at(point))


def hopeless(search: Search, point: Point) -> bool:
    """Whether nothing comes of looking again: it does not build, or the lab failed too often."""
    reached = [look.reached for look in search.at(point)]
    return "unbuilt" in reached or "unapplied" in reached or reached.count("missed") >= MISSES or len(reached) >= MOST_LOOKS
