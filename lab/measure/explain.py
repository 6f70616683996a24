"""Where the instructions of a row are executed: one boot a side with the plugin's profile on, by function and by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from lab.formats.profile import CONTEXTS, EVENTS, OPERATION
from lab.measure.cost import SPACES
from lab.measure.layers import Layers
from lab.measure.profiled import Key, Profiled
from lab.model.judgement import Comparison, Verdict
from lab.model.profile import Explanation, FunctionCost, Happened, InlineCost
from lab.model.published import Published

DIFFERS = 0.05
"""Instructions per operation from which on a function is listed for its difference."""
MOST_DIFFERENT, MOST_EXPENSIVE = 25, 10
"""How many functions are listed for either reason."""
C = TypeVar("C", bound=FunctionCost | InlineCost)


def worth(rows: Sequence[Comparison], named: Sequence[str]) -> tuple[Comparison, ...]:
    """The rows to be explained: those that --row named, else every counted one that is not EQUAL."""
    if named:
        return tuple(row for row in rows if row.metric in named)
    return tuple(row for row in rows if row.kind == "exact" and row.verdict is not Verdict.EQUAL)


def having(row: Comparison, base: Profiled, patched: Profiled) -> tuple[Profiled, Profiled]:
    """Both boots with the row's section, an empty one where the judged boots of that side had no value of the row."""
    sides = zip((base, patched), (row.base, row.patched), strict=True)
    first, second = (side if values.n else side.without(row.metric) for side, values in sides)
    return first, second


def explain(
    row: Comparison, base: Profiled, patched: Profiled, layers: Layers, *, asked: bool, published: Published | None = None
) -> Explanation:
    """One row's instructions per operation by function and by layer, and where the sides differ. Raises LabError."""
    metric, sides = row.metric, (base, patched)
    typical = all(side.typical(metric) for side in sides)
    functions = _functions(sides, metric, typical=typical)
    listed = _listed(functions)
    rest = [one for one in functions if one not in listed]
    operations = base.operations(metric, typical=typical), patched.operations(metric, typical=typical)
    return Explanation(
        a=row.a,
        b=row.b,
        payload=row.payload,
        kconfig=row.kconfig,
        guest=row.guest,
        metric=metric,
        operations=operations,
        typical=typical,
        mean=Happened("mean of all operations", base.mean(metric), patched.mean(metric)),
        base=sum(one.base for one in functions),
        patched=sum(one.patched for one in functions),
        bracket=base.bracket,
        functions=tuple(listed),
        others=len(rest),
        largest=max((one.delta for one in rest), key=abs, default=0.0),
        layers=_by_layer(functions, layers),
        beside=tuple(
            Happened(name, base.context(metric, name), patched.context(metric, name)) for name in CONTEXTS[OPERATION:-1]
        ),
        spaces=tuple(Happened(name, base.space(metric, name), patched.space(metric, name)) for name in SPACES),
        interrupts=_by_layer(_interrupts(sides, metric), layers),
        events=tuple(Happened(name, base.events(metric, name), patched.events(metric, name)) for name in EVENTS),
        asked=asked,
        published=published,
        caches=patched.profiling.caches,
        inlines=_inlines(base.by_inline(metric), patched.by_inline(metric)),
    )


def _functions(sides: Sequence[Profiled], metric: str, *, typical: bool) -> list[FunctionCost]:
    base, patched = (side.costs(metric, typical=typical) for side in sides)
    lost, lost_too = (side.stalls(metric) for side in sides)
    return [
        _cost(key, base.get(key, 0.0), patched.get(key, 0.0), (lost.get(key, 0.0), lost_too.get(key, 0.0)))
        for key in base | patched
    ]


def _interrupts(sides: Sequence[Profiled], metric: str) -> list[FunctionCost]:
    base, patched = (side.interrupts(metric) for side in sides)
    return [_cost(key, base.get(key, 0.0), patched.get(key, 0.0)) for key in base | patched]


def _cost(key: Key, base: float, patched: float, stalls: tuple[float, float] = (0.0, 0.0)) -> FunctionCost:
    return FunctionCost(*key, base, patched, patched - base, stalls)


def _by_layer(functions: Sequence[FunctionCost], layers: Layers) -> tuple[FunctionCost, ...]:
    sums = [_sum(layer, [one for one in functions if one.layer == layer]) for layer in layers.names]
    return tuple(one for one in sums if one.base or one.patched)


def _sum(layer: str, functions: Sequence[FunctionCost]) -> FunctionCost:
    base, patched = sum(one.base for one in functions), sum(one.patched for one in functions)
    stalls = sum(one.stalls[0] for one in functions), sum(one.stalls[1] for one in functions)
    return _cost((layer, layer), base, patched, stalls)


def _inlines(base: Mapping[Key, float], patched: Mapping[Key, float]) -> tuple[InlineCost, ...]:
    sides = {key: (base.get(key, 0.0), patched.get(key, 0.0)) for key in {**base, **patched}}
    costs = [InlineCost(*key, *both, both[1] - both[0]) for key, both in sides.items()]
    listed = _listed(costs)
    rest = [one for one in costs if one not in listed]
    if not rest:
        return tuple(listed)
    sums = sum(one.base for one in rest), sum(one.patched for one in rest)
    return (*listed, InlineCost("", f"{len(rest)} others", *sums, sums[1] - sums[0]))


def _listed(functions: Sequence[C]) -> list[C]:
    different = [one for one in functions if abs(one.delta) >= DIFFERS]
    alike = [one for one in functions if abs(one.delta) < DIFFERS]
    different.sort(key=lambda one: (-abs(one.delta), one.name))
    alike.sort(key=lambda one: (-one.patched, one.name))
    return different[:MOST_DIFFERENT] + alike[:MOST_EXPENSIVE]
