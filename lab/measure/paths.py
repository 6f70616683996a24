"""A profile's tree as other tools want it: stacks for flame graphs, a call graph for KCachegrind."""

from __future__ import annotations

from collections import defaultdict

from lab.formats.profile import CONTEXTS, EVENTS, MISSES, OPERATION, ROOT, Node
from lab.measure.profiled import Profiled
from lab.model.profile import COLUMNS, Call, CallGraph, Costs, Own, Stacks
from lab.model.profile import MISSES as MISSES_COLUMNS

LOCKED, BYTES = EVENTS.index("locked"), EVENTS.index("rep-bytes")


def stacks(side: Profiled, section: str) -> Stacks:
    """Instructions by context and path, over all operations; idle left out."""
    found: defaultdict[tuple[str, ...], int] = defaultdict(int)
    paths: dict[int, tuple[str, ...]] = {ROOT: ()}
    for node in side.nodes(section):
        paths[node.number] = (*paths[node.parent], side.known[node.function].name)
        for context, count in zip(CONTEXTS[:-1], node.counts[:-1], strict=True):
            if count:
                found[context, *paths[node.number]] += count
    return dict(found)


def typical_stacks(side: Profiled, section: str, *, typical: bool) -> Stacks:
    """Instructions of the operation by path, over the median laps, or over all."""
    kind = side.typical(section) if typical else None
    found: defaultdict[tuple[str, ...], int] = defaultdict(int)
    paths: dict[int, tuple[str, ...]] = {ROOT: ()}
    for node in side.nodes(section):
        paths[node.number] = (*paths[node.parent], side.known[node.function].name)
        found[paths[node.number]] += kind.counts.get(node.number, 0) if kind else node.operation
    return {path: count for path, count in found.items() if count}


def call_graph(side: Profiled, section: str, what: str) -> CallGraph:
    """The section's functions, what each executed itself, and who called whom at what cost; over all operations."""
    nodes = side.nodes(section)
    columns = (*COLUMNS, *MISSES_COLUMNS) if side.profiling.caches else COLUMNS
    each = {node.number: _costs(node)[: len(columns)] for node in nodes}
    inclusive = dict(each)
    for node in reversed(nodes):  # children stand after their parents
        if node.parent != ROOT:
            inclusive[node.parent] = _sum(inclusive[node.parent], inclusive[node.number])
    numbers: dict[tuple[str, str], int] = {}
    own: list[Own] = []
    place: dict[int, int] = {}
    calls: dict[tuple[int, int], tuple[int, Costs]] = {}
    for node in nodes:
        known = side.known[node.function]
        number = place[node.number] = numbers.setdefault((known.name, known.layer), len(numbers))
        if number == len(own):
            own.append(Own(known.name, known.source or known.layer, (0,) * len(columns)))
        own[number] = own[number]._replace(costs=_sum(own[number].costs, each[node.number]))
        if node.parent != ROOT:
            count, costs = calls.get((place[node.parent], number), (0, ()))
            calls[place[node.parent], number] = (count + node.calls, _sum(costs, inclusive[node.number]))
    return CallGraph(what, columns, tuple(own), tuple(Call(*ends, *counted) for ends, counted in calls.items()))


def _costs(node: Node) -> Costs:
    """By model.profile.COLUMNS and MISSES."""
    misses = (node.events[EVENTS.index(name)] for name in MISSES)
    return (node.operation, sum(node.counts[OPERATION:-1]), node.events[LOCKED], node.events[BYTES], *misses)


def _sum(one: Costs, other: Costs) -> Costs:
    return tuple(a + b for a, b in zip(one or (0,) * len(other), other, strict=True))
