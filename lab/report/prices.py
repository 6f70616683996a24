"""What every patch of a series costs, as tables: a line a patch, then a line a row that changes, with bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.model.judgement import APART, Comparison, Verdict
from lab.model.outcome import Status
from lab.model.price import PatchPrice, PriceList
from lab.model.suite import CaseRow
from lab.report.bisections import short

Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
COSTS = (Verdict.MORE, Verdict.REGRESSED)
HEADS = (">", "patch", ">objects", ">warn", ">text", ">boots", ">cases", ">tests", "rows")
NARROW = 20
MOST_ROWS = 4
"""Rows whose waterfall is printed; all have a chart."""
BAR = 16
"""Letters of the longest bar."""


def sentence(lists: Sequence[PriceList]) -> str:
    """All lists in one sentence."""
    return "; ".join(_sentence(one) for one in lists)


def _sentence(one: PriceList) -> str:
    costly = [patch for patch in one.patches if any(row.verdict in COSTS for row in patch.rows)]
    broken = [patch for patch in one.patches if patch.status is not Status.PASS]
    head = f"{one.series}: {len(one.patches)} patches priced, {sum(p.inert for p in one.patches)} change nothing that runs"
    named = f"{', '.join(patch.patch for patch in costly) or 'none'} costs something that is counted"
    return f"{head}; {named}" + (f"; {', '.join(patch.patch for patch in broken)} failed" if broken else "")


def tables(lists: Sequence[PriceList]) -> list[Table]:
    """For each list one table of its patches, and a waterfall for each row that some patch changes."""
    return [table for one in lists for table in (_patches(one), *_waterfalls(one), *_details(one))]


def _patches(one: PriceList) -> Table:
    title = f"prices of {one.series}, kconfig {one.kconfig}, guest {one.guest}, {', '.join(one.payloads)}"
    return title, HEADS, [_line(patch) for patch in one.patches]


def _line(patch: PatchPrice) -> tuple[str, ...]:
    objects = "-" if patch.objects is None else f"{patch.objects:,}"
    told = patch.message.splitlines()[0] if patch.status is not Status.PASS and patch.message else _rows(patch)
    boots, cases = (f"{good}/{every}" for good, every in (patch.boots, patch.cases))
    name, warnings, text = short(patch.patch, NARROW), f"{len(patch.warnings)}", _signed(patch.text)
    return str(patch.k), name, objects, warnings, text, boots, cases, _tests(patch.tests), told


def _tests(rows: Sequence[CaseRow]) -> str:
    """How many results passed in every boot, of how many; a program that gives none is one itself."""
    split = {row.test.partition(": ")[0] for row in rows if not row.whole}
    told = [{*row.patched} for row in rows if row.patched and row.test not in split]
    return f"{told.count({Status.PASS})}/{len(told)}" if told else "-"


def _rows(patch: PatchPrice) -> str:
    """How many rows say what; of those that differ the largest difference."""
    if patch.inert:
        return "nothing that runs differs"
    words = [row.verdict for row in patch.rows if row.kind != "info" or row.verdict in APART]
    counted = ", ".join(f"{words.count(word)} {word}" for word in Verdict if word in words) or "no rows"
    apart = [row for row in patch.rows if row.verdict in APART]
    if not apart:
        return counted
    most = max(apart, key=lambda row: abs(row.delta))
    return f"{counted}: {most.metric} {_signed(most.delta)}"


def steps(one: PriceList, row: Comparison) -> list[tuple[PatchPrice, Comparison]]:
    """What each patch does to a row, in order."""
    found = [
        (patch, same) for patch in one.patches for same in patch.rows if (same.payload, same.metric) == (row.payload, row.metric)
    ]
    return found if any(same.verdict in APART for _, same in found) else []


def _waterfalls(one: PriceList) -> Iterator[Table]:
    """Of the rows that change most: from the first kernel's value by each patch to the last one's."""
    changed = sorted((row for row in one.whole if steps(one, row)), key=lambda row: -abs(row.delta))
    lines = [line for row in changed[:MOST_ROWS] for line in _waterfall(one, row)]
    if lines:
        more = f"; {len(changed) - MOST_ROWS} more in results.json and as charts" if len(changed) > MOST_ROWS else ""
        yield f"{one.series}: rows that change, patch by patch{more}", ("row", "patch", ">value", ">delta", ""), lines


def _waterfall(one: PriceList, row: Comparison) -> Iterator[tuple[str, ...]]:
    changed = steps(one, row)
    most = max(abs(same.delta) for _, same in changed) or 1.0
    yield row.metric, "before", _number(row.base.median), "", ""
    for patch, same in changed:
        if same.delta:
            bar = ("+" if same.delta > 0 else "-") * max(1, round(BAR * abs(same.delta) / most))
            yield "", f"{patch.k} {short(patch.patch)}", _number(same.patched.median), _signed(same.delta), bar
    yield "", f"all {len(one.patches)}", _number(row.patched.median), _signed(row.delta), str(row.verdict)


def _details(one: PriceList) -> Iterator[Table]:
    """New warnings, functions that grew, and, with --explain, where the instructions of rows are."""
    lines: list[tuple[str, ...]] = [
        (short(patch.patch), "warning", warning) for patch in one.patches for warning in patch.warnings
    ]
    for patch in one.patches:
        if patch.functions:
            lines.append((short(patch.patch), "bytes of text", _some([f"{name} {by:+d}" for name, by in patch.functions])))
        for told in patch.explanations:
            loud = [f"{item.name} {item.delta:+,.3f}" for item in told.functions if abs(item.delta) >= 0.5]
            lines.append((short(patch.patch), told.metric, _some(loud) or "no function by 0.5 or more"))
    if lines:
        yield f"{one.series}: what is behind it", ("patch", "what", ""), lines


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:6]) + (f" and {len(words) - 6} more" if len(words) > 6 else "")


def _number(value: float) -> str:
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def _signed(value: float) -> str:
    return "0" if value == 0 else f"{value:+,.3f}".rstrip("0").rstrip(".") if value != int(value) else f"{int(value):+,}"
