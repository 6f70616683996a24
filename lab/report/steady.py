"""What every face says of one kernel's rows over many cold boots, in the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lab.model.judgement import Verdict
from lab.model.run import Results
from lab.model.steady import Steadiness
from lab.report import explained, words

COLUMNS = ("row", "value (boots)", "samples", ">total by", "verdict")
MOST_VALUES = 4
MEANING = (
    "EQUAL: the same value in every boot. Samples: in how many boots every single lap is alike, the largest group first; a tick "
    "makes laps differ. Total by: how far all that was executed, ticks and other tasks too, moves between boots."
)


@dataclass(frozen=True)
class Table:
    """The rows of one kernel, payload and guest."""

    head: str
    rows: tuple[Steadiness, ...]

    @property
    def lines(self) -> list[tuple[str, ...]]:
        """The cells."""
        return [(row.metric, value_set(row), samples(row), total_moves(row), str(row.verdict)) for row in self.rows]

    @property
    def notes(self) -> list[str]:
        """What is to be said of a row, the wobbles' causes first."""
        loud = sorted((row for row in self.rows if row.verdict is not Verdict.EQUAL or row.note), key=_calm)
        return [f"{row.metric} {row.verdict}: {reason(row)}" for row in loud]


def _calm(row: Steadiness) -> bool:
    return row.verdict is Verdict.EQUAL


def tables(results: Results) -> list[Table]:
    """A table a kernel, payload and guest."""
    found: dict[tuple[str, str, str, str], list[Steadiness]] = {}
    for row in results.steadiness:
        found.setdefault((row.kernel, row.payload, row.kconfig, row.guest), []).append(row)
    return [Table(_head(results, rows[0]), tuple(rows)) for rows in found.values()]


def _head(results: Results, row: Steadiness) -> str:
    cell = (row.payload, row.kconfig, row.guest)
    how = words.environment(results, cell).get("mode", "exact")
    return f"{words.where(results, cell, how)}; {row.unit}; {row.boots} cold boots of {row.kernel}"


def value_set(row: Steadiness) -> str:
    """`28,627 (7), 28,630 (3)`: each value and in how many boots it came, ascending."""
    counts = sorted(Counter(row.values).items())
    shown = [f"{words.number(value)} ({times})" for value, times in counts[:MOST_VALUES]]
    more = [f"{len(counts) - MOST_VALUES} more up to {words.number(counts[-1][0])}"] if len(counts) > MOST_VALUES else []
    return ", ".join([*shown, *more]) or "none"


def samples(row: Steadiness) -> str:
    """`alike`, or how many boots are in each group of boots whose laps are all the same: `7, 2, 1`."""
    if row.alike:
        return "alike"
    groups = sorted(Counter(row.digests).values(), reverse=True)
    some = ", ".join(map(str, groups[:MOST_VALUES])) + (", ..." if len(groups) > MOST_VALUES else "")
    return "all differ" if groups and groups[0] == 1 else some or "none"


def total_moves(row: Steadiness) -> str:
    """How far all that was executed moves between boots, of its least value."""
    if not row.totals or min(row.totals) <= 0:
        return "-"
    return f"{max(row.totals) / min(row.totals) - 1:.2%}"


def reason(row: Steadiness) -> str:
    """Why a row is not EQUAL: what the profile found, what payload.toml names, what is missing."""
    parts: Sequence[str] = (_found(row), row.note)
    return "; ".join(filter(None, parts))


def _found(row: Steadiness) -> str:
    if row.cause:
        return f"{row.cause.a} and {row.cause.b} differ, {explained.sentence(row.cause)}"
    return f"no two of {row.explained} boots with a profile differ" if row.explained else ""
