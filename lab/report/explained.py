"""What explanations say: a sentence a row, and tables by function, by layer, and of what else happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.model.profile import Caches, Explanation, FunctionCost, Happened, InlineCost
from lab.report.published import Table, beside

WORTH_SAYING = 0.5
"""Instructions per operation from which on a function is named in the sentence."""
MOST_NAMED = 6
NUMBERS = (">base", ">patched", ">delta")
ESTIMATES = (">est. base", ">est. patched", ">est. delta")
FEW = 2
"""So many rows are shown as tables without being asked for."""


def sentence(one: Explanation) -> str:
    """`pipe.64 +2.000 instructions per operation: vfs_read +2.000 (VFS); no other function by 0.5 or more`."""
    loud = [function for function in one.functions if abs(function.delta) >= WORTH_SAYING]
    named = ", ".join(f"{function.name} {function.delta:+,.3f} ({function.layer})" for function in loud[:MOST_NAMED])
    more = f", {len(loud) - MOST_NAMED} more" if len(loud) > MOST_NAMED else ""
    rest = f"no {'other ' if loud else ''}function by {WORTH_SAYING:g} or more"
    parts = [named + more] if loud else []
    return f"{one.metric} {one.patched - one.base:+,.3f} instructions per operation: {'; '.join([*parts, rest])}"


def shown(explanations: Sequence[Explanation], *, everything: bool) -> list[Explanation]:
    """The rows that get tables: all of few, those that were asked for of many."""
    few = everything or len(explanations) <= FEW
    return [one for one in explanations if few or one.asked]


def tables(one: Explanation) -> Iterator[Table]:
    """Functions, layers, and what was counted beside the operation's instructions."""
    laps = (
        f"{one.operations[0]:,} and {one.operations[1]:,} alike"
        if one.typical
        else f"{one.operations[0]:,} and {one.operations[1]:,}"
    )
    which = "the median operation" if one.typical else "the mean of all operations"
    title = f"{one.payload} {one.metric}, explained: instructions of {which} ({laps}), the bracket's {one.bracket} included"
    if one.caches:
        title += f". {_model(one.caches)}"
    columns = (*NUMBERS, *ESTIMATES) if one.caches else NUMBERS
    width = len(columns)
    rows: list[tuple[str, ...]] = [(function.name, function.layer, *_numbers(function)[:width]) for function in one.functions]
    if one.others:
        rows.append((f"{one.others} other functions", f"at most {one.largest:+,.3f} each", *[""] * width))
    stalls = (sum(layer.stalls[0] for layer in one.layers), sum(layer.stalls[1] for layer in one.layers))
    whole = FunctionCost("", "", one.base, one.patched, one.patched - one.base, stalls)
    rows.append(("all functions", "", *_numbers(whole)[:width]))
    yield f"{title}; base = {one.a}, patched = {one.b}", ("function", "layer", *columns), rows
    yield "", ("layer", *columns), [(layer.name, *_numbers(layer)[:width]) for layer in one.layers]
    if one.inlines:
        inlined = [_inlined(inline) for inline in one.inlines]
        yield "", ("inlined function, mean of all operations", "in", *NUMBERS), inlined
    happened = [_happened(item) for item in (one.mean, *one.beside, *one.spaces, *one.events) if item.base or item.patched]
    if happened:
        yield "", ("per operation, of all operations", ">base", ">patched", ">delta"), happened
    if one.published:
        yield from beside(one, one.published)


def _model(caches: Caches) -> str:
    """What the estimates are of, and that they are no measurement."""
    shapes = (("I1", caches.i1), ("D1", caches.d1), ("LL", caches.ll))
    told = ", ".join(f"{name} {cache.kib} KiB {cache.ways}-way" for name, cache in shapes)
    return (
        f"est.: cycles, not measured, but estimated as instructions + 10 for each L1 miss + 100 for each LL miss of a model "
        f"({told}, {caches.line}-byte lines) over all operations"
    )


def _numbers(one: FunctionCost) -> tuple[str, ...]:
    """By NUMBERS and ESTIMATES."""
    base, patched = one.base + one.stalls[0], one.patched + one.stalls[1]
    counted = _number(one.base), _number(one.patched), f"{one.delta:+,.3f}"
    return (*counted, f"{base:,.0f}", f"{patched:,.0f}", f"{patched - base:+,.1f}")


def _inlined(one: InlineCost) -> tuple[str, ...]:
    inside = "" if one.inside == one.name else one.inside
    return one.name, inside, _number(one.base), _number(one.patched), f"{one.delta:+,.3f}"


def _happened(item: Happened) -> tuple[str, ...]:
    return item.name, _number(item.base), _number(item.patched), f"{item.patched - item.base:+,.3f}"


def _number(value: float) -> str:
    return f"{value:,.2f}"
