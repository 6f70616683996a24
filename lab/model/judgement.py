"""Two sides compared, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lab.model.outcome import Better, RowKind


class Verdict(StrEnum):
    """Exact rows: EQUAL MORE FEWER WOBBLE. Counts and samples: UNCHANGED IMPROVED REGRESSED INCONCLUSIVE."""

    EQUAL = "EQUAL"
    MORE = "MORE"
    FEWER = "FEWER"
    WOBBLE = "WOBBLE"
    UNCHANGED = "UNCHANGED"
    IMPROVED = "IMPROVED"
    REGRESSED = "REGRESSED"
    INCONCLUSIVE = "INCONCLUSIVE"


APART = (Verdict.MORE, Verdict.FEWER, Verdict.REGRESSED, Verdict.IMPROVED)
"""What says that two sides differ."""


@dataclass(frozen=True)
class Metric:
    """A metric as a payload declares it; `min_effect` is relative (0.005 = half a percent)."""

    name: str
    unit: str
    kind: RowKind
    better: Better = "less"
    min_effect: float = 0.005
    summary: str = ""
    waits: bool = False
    """Exact rows: the operation waits for a device. Laps in which the device was faster than the task are another operation."""
    per: int = 1
    """Exact rows: of how many operations a lap is made; the row is of one of them."""
    net_of: str = ""
    """Exact rows: another section, which does all but these operations; its median lap is taken off. Empty: the bracket alone."""


@dataclass(frozen=True)
class Spread:
    """One side of a comparison: the headline and every boot's value, in boot order."""

    median: float
    n: int
    values_by_boot: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """One row, two sides; `a` and `b` name any two sides (job side labels)."""

    a: str
    b: str
    payload: str
    kconfig: str
    guest: str
    metric: str
    unit: str
    kind: RowKind
    base: Spread
    patched: Spread
    delta: float
    ratio: float | None
    """patched / base, of the medians; None when base is 0. Sampled rows: of the geometric means, block by block; or None."""
    min_effect: float
    verdict: Verdict
    material: bool
    """Whether |delta| exceeds the metric's min_effect."""
    note: str = ""
    """For WOBBLE: the leak, as far as it is known."""
    interval: tuple[float, float] | None = None
    """Sampled rows: the ratio's, at 95 % for this row alone, looks at fewer boots allowed for."""
    p: float | None = None
    """Sampled rows: of no difference at all, allowing for those looks and for the payload's other sampled rows."""


def fails(comparison: Comparison, *, any_more: bool = False, strict: bool = False) -> bool:
    """Whether the row makes the run fail: REGRESSED, MORE and material; any MORE with --any; loud verdicts with --strict."""
    match comparison.verdict:
        case Verdict.REGRESSED:
            return True
        case Verdict.MORE:
            return comparison.material or any_more
        case Verdict.WOBBLE | Verdict.INCONCLUSIVE:
            return strict
    return False
