"""What every patch of a series costs: to build, to boot, to run."""

from __future__ import annotations

from dataclasses import dataclass

from lab.model.judgement import Comparison
from lab.model.outcome import Status
from lab.model.profile import Explanation
from lab.model.suite import CaseRow


@dataclass(frozen=True)
class PatchPrice:
    """One patch: the series up to it against the series up to the one before."""

    k: int
    """1-based number in the series."""
    patch: str
    """Its file's name."""
    title: str
    status: Status
    message: str = ""
    """Why it has no price: it does not build, its boots failed."""
    objects: int | None = None
    """Objects that are compiled anew because of it."""
    warnings: tuple[str, ...] = ()
    """Of the compiler, that were not there before it."""
    text: int = 0
    """Bytes of functions added."""
    functions: tuple[tuple[str, int], ...] = ()
    """Functions that grew or shrank, by how many bytes; the largest growth first."""
    inert: bool = False
    """Whether nothing that runs differs: it was not booted then."""
    boots: tuple[int, int] = (0, 0)
    """Of its own kernel: good ones, and all."""
    cases: tuple[int, int] = (0, 0)
    """Of the payloads in these boots: passed, and all that were not skipped."""
    tests: tuple[CaseRow, ...] = ()
    """The self-tests of the whole series on its kernel, beside those on the kernel before it."""
    rows: tuple[Comparison, ...] = ()
    explanations: tuple[Explanation, ...] = ()


@dataclass(frozen=True)
class PriceList:
    """Every patch of a series, and the whole of it against what it stands on."""

    series: str
    kconfig: str
    guest: str
    payloads: tuple[str, ...]
    good: int
    """How many patches were in before the first one that has a price."""
    patches: tuple[PatchPrice, ...]
    whole: tuple[Comparison, ...] = ()
    """The rows of the last kernel against those of the first."""
