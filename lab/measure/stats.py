"""The permutation test of two sides in blocks, its interval and its power. The only module that knows numpy and scipy.

Values are on a scale where a change adds: the caller takes logarithms for ratios. The last axis of an array is the boot, so that
many rows, or simulated ones, are judged at once. It takes seconds to import: import it when a sampled row is there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from lab.measure.blocks import ASSIGNMENTS, least_p

Array = npt.NDArray[np.float64]

SEED = 20261124
"""Of the draw of assignments: the same values give the same p, today and in a recheck."""
POWER = 0.8
ROUNDING = 1e-9
"""Statistics that differ by less than this share of the values' spread are ties."""
GRID = 200
"""Points of the numeric mean over the unknown deviation."""


@dataclass(frozen=True)
class Design:
    """The boots that are compared: of each its block and whether it ran the patched side."""

    block: tuple[int, ...]
    patched: tuple[bool, ...]

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Boots of base and patched, block by block."""
        found = {block: [0, 0] for block in sorted(set(self.block))}
        for block, patched in zip(self.block, self.patched, strict=True):
            found[block][patched] += 1
        return tuple((base, patched) for base, patched in found.values())

    @property
    def information(self) -> float:
        """What divides a boot's variance to give that of the estimate: with n boots a side in one block, n / 2."""
        return sum(base * patched / (base + patched) for base, patched in self.sizes)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of what blocks and sides leave unexplained."""
        return len(self.block) - len(set(self.block)) - 1

    @property
    def least_p(self) -> float:
        """The least p that this design has for any values."""
        return least_p(self.sizes)

    @property
    def positions(self) -> list[npt.NDArray[np.intp]]:
        """Of each block, in the order of `sizes`, where its boots stand."""
        found = np.array(self.block)
        return [np.flatnonzero(found == block) for block in sorted(set(self.block))]

    def centred(self, values: npt.ArrayLike) -> Array:
        """`values` less the mean of their block."""
        result = np.array(values, dtype=float)
        for where in self.positions:
            result[..., where] -= result[..., where].mean(axis=-1, keepdims=True)
        return result


@dataclass(frozen=True)
class Shift:
    """What patched adds, each a number per row: the estimate, p of its being 0 (two-sided), the ends of the interval."""

    estimate: Array
    p: Array
    low: Array
    high: Array


@lru_cache(maxsize=2)  # the rows of a payload share their designs
def assignments(design: Design, most: int) -> Array:
    """The ways to name the sides that the test looks at, 1.0 for patched: all, or `most`, the actual one and a seeded draw."""
    actual = np.array(design.patched, dtype=float)
    if math.prod(math.comb(base + patched, patched) for base, patched in design.sizes) > most:
        return np.vstack([actual, _drawn(design, most - 1)])
    every = np.zeros((1, len(design.block)))
    for where, (_, chosen) in zip(design.positions, design.sizes, strict=True):
        ways = list(combinations(where, chosen))
        block = np.zeros((len(ways), len(design.block)))
        for row, way in enumerate(ways):
            block[row, list(way)] = 1.0
        every = (every[:, None, :] + block[None, :, :]).reshape(-1, len(design.block))
    return every


def _drawn(design: Design, number: int) -> Array:
    generator = np.random.default_rng(SEED)
    drawn = np.zeros((number, len(design.block)))
    for where, (_, chosen) in zip(design.positions, design.sizes, strict=True):
        order = generator.random((number, len(where))).argsort(axis=1)[:, :chosen]
        np.put_along_axis(drawn, where[order], 1.0, axis=1)
    return drawn


def shift_of(design: Design, values: npt.ArrayLike, level: float) -> Shift:
    """Test whether patched adds anything, and the interval of what it adds at confidence 1 - `level`.

    The statistic is the sum of the patched boots' values less their blocks' means; divided by `information` it is the
    least-squares estimate with a mean for each block. Two-sided p: twice the smaller tail, as scipy.stats.permutation_test has
    it; with a draw the actual assignment is counted in (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9:39, 2010).
    The interval holds every shift that the test does not reject at p < `level` (Pitman, J. R. Stat. Soc. Suppl. 4, 1937). The
    statistic is linear, so each assignment has one shift at which it ties with the actual one, and the ends are order
    statistics of those. They are infinite where no shift can be rejected.
    """
    ways, side = assignments(design, ASSIGNMENTS), design.centred(np.array(design.patched, dtype=float))
    centred = design.centred(values)
    actual = (centred @ np.array(design.patched, dtype=float))[..., None]
    permuted = centred @ ways.T
    tie = ROUNDING * np.abs(centred).sum(axis=-1, keepdims=True)
    tails = np.minimum((permuted >= actual - tie).mean(axis=-1), (permuted <= actual + tie).mean(axis=-1))
    estimate = actual[..., 0] / design.information
    gained = design.information - ways @ side
    other = gained > ROUNDING
    rank, last = _rejectable(len(ways), level) - int((~other).sum()), int(other.sum()) - 1
    low, high = np.full_like(estimate, -np.inf), np.full_like(estimate, np.inf)
    if rank >= 0:
        ends = np.partition((actual - permuted[..., other]) / gained[other], [rank, last - rank], axis=-1)
        low, high = ends[..., rank], ends[..., last - rank]
    return Shift(estimate, np.minimum(1.0, 2 * tails), np.minimum(low, estimate), np.maximum(high, estimate))


def sequential(looks: Sequence[tuple[Design, npt.ArrayLike, float]], alpha: float) -> Shift:
    """The last look's estimate and interval, and p over all of them; a look is its design, its values, its share of alpha.

    That p is the least of each look's p divided by its share: whenever one stops, by the union bound it is below alpha with a
    chance of at most alpha. The interval is a repeated one (Jennison and Turnbull, J. R. Stat. Soc. B 51, 1989).
    """
    found = [(shift_of(design, values, alpha * share), share) for design, values, share in looks]
    p = np.minimum.reduce([result.p / share for result, share in found])
    last, _ = found[-1]
    return Shift(last.estimate, np.minimum(1.0, p), last.low, last.high)


def _rejectable(ways: int, level: float) -> int:
    """How many of `ways` assignments, the actual one among them, a tail may hold so that p < `level`."""
    return max(0, math.ceil(level * ways / 2 - ROUNDING) - 1)


def deviation(design: Design, values: npt.ArrayLike) -> Array:
    """The standard deviation between boots of one side and block, from what blocks and sides leave unexplained."""
    side, centred = design.centred(np.array(design.patched, dtype=float)), design.centred(values)
    rest = centred - (centred @ side / design.information)[..., None] * side
    squares: Array = (rest**2).sum(axis=-1)
    return np.sqrt(squares / design.freedom, dtype=np.float64)


def power(design: Design, effect: float, sd: float, level: float, floor: float = 0.0) -> float:
    """How likely an `effect` above 0 is found: p < `level`, and an estimate above `floor`; `sd` as `deviation` gives it.

    For normal values, with the t distribution for the permutation test's own (Hoeffding, Ann. Math. Stat. 23, 1952) at the
    level that its steps attain. Without a floor it is the tail of the noncentral t (Cohen 1988, 2.2). With one the mean is taken
    over the deviation that the run would find, a chi-square's.
    """
    ways = min(ASSIGNMENTS, math.prod(math.comb(base + patched, patched) for base, patched in design.sizes))
    attained = 2 * _rejectable(ways, level) / ways
    if attained == 0.0 or design.freedom < 1:
        return 0.0
    error = sd / math.sqrt(design.information)
    if error == 0.0:
        return float(effect > floor)
    found = np.sqrt(stats.chi2.ppf((np.arange(GRID) + 0.5) / GRID, design.freedom) / design.freedom)
    bounds = np.maximum(stats.t.isf(attained / 2, design.freedom) * error * found, floor)
    return float(stats.norm.sf((bounds - effect) / error).mean())


def smallest(design: Design, sd: float, level: float, floor: float = 0.0) -> float:
    """The smallest effect that is found with 80 % power; infinite when none is."""
    most = floor + 100.0 * (sd + ROUNDING)
    if power(design, most, sd, level, floor) < POWER:
        return math.inf
    if sd == 0.0:
        return floor
    return float(optimize.brentq(lambda effect: power(design, effect, sd, level, floor) - POWER, 0.0, most))


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """The p of each row of one family, adjusted so that any false finding among them is as unlikely as alpha says.

    Holm, Scand. J. Stat. 6 (1979): the smallest times their number, the next times one less, and none below the one before.
    """
    adjusted, reached = [0.0] * len(ps), 0.0
    for step, row in enumerate(sorted(range(len(ps)), key=lambda row: ps[row])):
        reached = max(reached, min(1.0, (len(ps) - step) * ps[row]))
        adjusted[row] = reached
    return tuple(adjusted)
