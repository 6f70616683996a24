"""A matrix at a glance, as lines of text: a row a series and prefix, a column a kconfig, guest and payload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.model.matrix import CellResult, LeftOut, Plan
from lab.model.outcome import Status
from lab.report.words import SYMBOLS, duration

Column = tuple[str, str, str]
"""Kconfig, guest, payload."""
GAP = "  "
MOST_LEFT_OUT = 12
LONG = 32
"""Characters of a column's head."""


@dataclass(frozen=True)
class Grid:
    """What stands where; `marks` by row and column, empty where there is no such cell."""

    columns: tuple[Column, ...]
    rows: tuple[str, ...]
    marks: dict[tuple[str, Column], str]


def grid(cells: Sequence[CellResult]) -> Grid:
    """The cells in their order."""
    columns = tuple(dict.fromkeys(_column(cell) for cell in cells))
    rows = tuple(dict.fromkeys(_row(cell) for cell in cells))
    return Grid(columns, rows, {(_row(cell), _column(cell)): mark(cell) for cell in cells})


def mark(cell: CellResult) -> str:
    """The word of a cell: what its rows say when it passed, what went wrong when it did not."""
    if cell.status is Status.PASS:
        return cell.verdict or str(cell.status)
    return f"{cell.status} {cell.verdict}" if cell.status is Status.FAIL and cell.verdict else str(cell.status)


def grid_lines(cells: Sequence[CellResult], width: int) -> list[str]:
    """The grid in so many columns of text: with words, else with symbols, else one grid below the other."""
    whole = grid(cells)
    if not whole.rows:
        return []
    words = _drawn(
        whole, whole.columns, {key: f"{SYMBOLS.get(text.split()[0], ' ')} {text}" for key, text in whole.marks.items()}
    )
    if max(map(len, words)) <= width:
        return words
    symbols = {key: SYMBOLS.get(text.split()[0], text) for key, text in whole.marks.items()}
    lines: list[str] = []
    for columns in _chunks(whole, symbols, width):
        lines += ([""] if lines else []) + _drawn(whole, columns, symbols)
    used = dict.fromkeys(text.split()[0] for text in whole.marks.values())
    return [*lines, "", ", ".join(f"{SYMBOLS.get(text, text)} {text}" for text in used)]


def told_lines(cells: Sequence[CellResult], left_out: Sequence[LeftOut]) -> Iterator[str]:
    """A line for every cell that is no plain pass, and for what was not run."""
    for cell in cells:
        if cell.status is not Status.PASS or cell.verdict not in ("", "EQUAL", "UNCHANGED", "PASS"):
            yield f"{mark(cell)} {cell.id}" + (f": {cell.message}" if cell.message else "")
    yield from left_lines(left_out)


def left_lines(left_out: Sequence[LeftOut]) -> Iterator[str]:
    """What is left out and why."""
    for one in left_out[:MOST_LEFT_OUT]:
        yield f"left out: {one.what}: {one.why}"
    if len(left_out) > MOST_LEFT_OUT:
        yield f"left out: {len(left_out) - MOST_LEFT_OUT} more"


def plan_lines(plan: Plan, builds: int, boots: int, seconds: float) -> Iterator[str]:
    """A plan and its forecast, for --dry-run."""
    yield f"# matrix {plan.name}: {len(plan.cells)} cells, {len(plan.kernels)} kernels ({builds} to build), {boots} boots"
    for number, kernel in enumerate(plan.kernels, 1):
        yield f"kernel {number:3} {kernel.id}"
    for cell in plan.cells:
        yield f"cell {cell.id}"
    yield from left_lines(plan.left_out)
    yield f"# about {duration(seconds)}"


def _row(cell: CellResult) -> str:
    return cell.series + ("" if cell.upto == cell.patches else f"[:{cell.upto}]")


def _column(cell: CellResult) -> Column:
    return cell.kconfig, cell.guest, cell.payload


def _head(column: Column) -> Column:
    """The column's words; of a suite of many tests the first and how many more."""
    kconfig, guest, payload = column
    first, *more = payload.split(",")
    return kconfig, guest, payload if len(payload) <= LONG else f"{first} and {len(more)} more"


def _drawn(whole: Grid, columns: Sequence[Column], texts: dict[tuple[str, Column], str]) -> list[str]:
    first = max(len(row) for row in whole.rows)
    widths = [_width(whole, column, texts) for column in columns]
    lines = [
        GAP.join(
            ["".ljust(first), *(_head(column)[level].ljust(size) for column, size in zip(columns, widths, strict=True))]
        ).rstrip()
        for level in range(3)
    ]
    for row in whole.rows:
        cells = (texts.get((row, column), "").ljust(size) for column, size in zip(columns, widths, strict=True))
        lines.append(GAP.join([row.ljust(first), *cells]).rstrip())
    return lines


def _width(whole: Grid, column: Column, texts: dict[tuple[str, Column], str]) -> int:
    return max(*map(len, _head(column)), *(len(texts.get((row, column), "")) for row in whole.rows))


def _chunks(whole: Grid, texts: dict[tuple[str, Column], str], width: int) -> Iterator[list[Column]]:
    room = width - max(len(row) for row in whole.rows)
    chunk: list[Column] = []
    for column in whole.columns:
        taken = sum(len(GAP) + _width(whole, one, texts) for one in [*chunk, column])
        if chunk and taken > room:
            yield chunk
            chunk = []
        chunk.append(column)
    yield chunk
