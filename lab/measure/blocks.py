"""Sampled rows: how often a side is booted, in which order, and how much error each look at the values may spend. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from lab.errors import UsageError

ALPHA = 0.05
"""How often, at most, a payload that nothing changed may have a row that is called changed."""
BLOCK = 4
"""Boots of each side in a block: within one, every order of the sides is as likely as any other. 70 ways to name the sides."""
LOOKS = 2
"""How often the values are looked at: once, and again after as many boots more when a row is not settled."""
FIRST_BLOCKS = (2, 3)
"""Blocks before the first look: so many as the number of rows takes."""
ASSIGNMENTS = 20_000
"""Ways to name the sides that a test looks at: all where there are no more, else the actual one and a draw of others."""

Side = TypeVar("Side")


@dataclass(frozen=True)
class Plan:
    """What is booted for a payload with `rows` sampled rows: `looks` are boots a side, in all, at each look.

    Raises UsageError when a look could not find anything, whatever the values: 2 / C(2n, n) bounds the p of n boots a side.
    """

    rows: int
    looks: tuple[int, ...]
    alpha: float = ALPHA

    def __post_init__(self) -> None:
        if not self.looks or self.rows < 1 or any(a >= b for a, b in zip((0, *self.looks), self.looks, strict=False)):
            raise UsageError(f"{self.rows} sampled rows, looks after {self.looks} boots a side: not a plan")
        for boots, share in zip(self.looks, self.shares, strict=True):
            least, needed = least_p([(part, part) for part in _sizes(boots)]), self.alpha * share / self.rows
            if least >= needed:
                raise UsageError(
                    f"{boots} boots a side cannot show anything in {self.rows} sampled rows: no p below {least:.2g} exists, "
                    f"and less than {needed:.2g} is needed",
                    hint="more boots or fewer rows",
                )

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of alpha that each look spends, in proportion to its new boots; the shares add up to 1.

        The power family with rho = 1 of Kim and DeMets (Biometrika 74, 1987), spent as by Lan and DeMets (Biometrika 70, 1983).
        """
        return tuple((new - old) / self.looks[-1] for old, new in zip((0, *self.looks), self.looks, strict=False))

    def looks_at(self, boots: int) -> tuple[int, ...]:
        """After which boots those values were looked at that reach to boot number `boots`; the last one takes all there are."""
        before = [look for look in self.looks[:-1] if look < boots]
        return (*before, max(boots, self.looks[len(before)]))

    def boots(self, look: int) -> tuple[int, ...]:
        """The boot numbers that a 0-based look adds; none after the last."""
        bounds = (0, *self.looks)
        return tuple(range(bounds[look] + 1, bounds[look + 1] + 1)) if look < len(self.looks) else ()


def planned(rows: int) -> Plan:
    """The plan for a payload with `rows` sampled rows. Raises UsageError: too many rows for any."""
    for blocks in FIRST_BLOCKS[:-1]:
        try:
            return _plan(rows, blocks)
        except UsageError:
            continue
    return _plan(rows, FIRST_BLOCKS[-1])


def _plan(rows: int, blocks: int) -> Plan:
    return Plan(rows, tuple(BLOCK * blocks * look for look in range(1, LOOKS + 1)))


def _sizes(boots: int) -> Iterator[int]:
    """How `boots` boots of a side fall into blocks."""
    yield from (min(BLOCK, boots - first) for first in range(0, boots, BLOCK))


def block_of(boot: int) -> int:
    """The 1-based block of a 1-based boot number."""
    return (boot - 1) // BLOCK + 1


def least_p(sizes: Sequence[tuple[int, int]]) -> float:
    """The least two-sided p that exists with so many boots of each side, block by block."""
    return 2 / min(ASSIGNMENTS, math.prod(math.comb(base + patched, patched) for base, patched in sizes))


def blocks(boots: Sequence[int], sides: Sequence[Side], seed: str) -> tuple[tuple[int, Side], ...]:
    """Every boot of every side, block after block, in an order within each that `seed` and the block's number decide.

    A boot's block follows from its number, so that later boots of the same seed go on where these end.
    """
    order: list[tuple[int, Side]] = []
    for block, numbers in groupby(sorted(boots), key=block_of):
        mixed = [(boot, side) for boot in numbers for side in sides]
        random.Random(f"{seed}:{block}").shuffle(mixed)  # noqa: S311 (fair, not secret)
        order += mixed
    return tuple(order)
