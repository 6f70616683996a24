"""Sampled rows judged: values by boot on two sides -> a ratio with its interval, p, and one of four words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.measure.blocks import Plan, block_of, planned
from lab.model.judgement import Metric, Verdict
from lab.model.run import PayloadSpec

if TYPE_CHECKING:
    from lab.measure.stats import Design

Boots = Mapping[int, float]
"""One side: the value by boot number."""


@dataclass(frozen=True)
class Sampled:
    """One row as far as its values go. `ratio` is patched / base, and so are the ends of `interval`."""

    verdict: Verdict = Verdict.INCONCLUSIVE
    note: str = ""
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    """At confidence 1 - alpha for this row alone, over all looks."""
    p: float | None = None
    """Over all looks and all rows of the payload."""
    seen: float = math.inf
    """The smallest change, as a share of the base, that such boots show with 80 % power."""


def sampled_metrics(spec: PayloadSpec) -> tuple[Metric, ...]:
    """The payload's rows of kind sample."""
    return tuple(metric for metric in spec.metrics if metric.kind == "sample")


def plan_of(spec: PayloadSpec) -> Plan | None:
    """How a payload's sampled rows are booted; None when it has none. Raises UsageError: too many of them."""
    rows = len(sampled_metrics(spec))
    return planned(rows) if rows else None


def judge_sampled(plan: Plan, rows: Sequence[tuple[Metric, Boots, Boots]]) -> list[Sampled]:
    """The rows of one payload, judged together: base and patched by boot number.

    A row's p over all looks is the least of what each look gave, divided by the look's share of alpha: at most alpha of it is
    spent, whenever one stops. Holm's adjustment over the rows comes after that.
    """
    from lab.measure.stats import holm  # noqa: PLC0415 (numpy and scipy take seconds to load)

    found = [_tested(plan, *row) for row in rows]
    missing = [1.0] * (plan.rows - len(rows))
    adjusted = holm([1.0 if row.p is None else row.p for row in found] + missing)
    return [_worded(plan, metric, row, p) for (metric, _, _), row, p in zip(rows, found, adjusted, strict=False)]


def _tested(plan: Plan, metric: Metric, base: Boots, patched: Boots) -> Sampled:
    """Ratio, interval and p of one row by itself; without a p, and with the reason, when there is nothing to test."""
    from lab.measure.stats import deviation, sequential, smallest  # noqa: PLC0415 (see above)

    values = [*base.values(), *patched.values()]
    if not base or not patched:
        return Sampled(note=f"no values on {'either side' if not values else 'one side'}")
    if not all(math.isfinite(value) and value > 0 for value in values):
        return Sampled(note="a value is not a number above 0: there is no ratio")
    bounds = plan.looks_at(max(*base, *patched))
    looks = [(*_data(base, patched, bound), share) for bound, share in zip(bounds, plan.shares, strict=False)]
    for design, _, share in looks:
        if not design.information or design.least_p / share >= plan.alpha / plan.rows:
            return Sampled(note=f"{_count(design)} cannot show anything: no p below {design.least_p / share:.2g} exists")
    result = sequential(looks, plan.alpha)
    design, logs, share = looks[-1]
    sd, floor = float(deviation(design, logs)), math.log1p(metric.min_effect)
    return Sampled(
        ratio=math.exp(float(result.estimate)),
        interval=(math.exp(float(result.low)), math.exp(float(result.high))),
        p=float(result.p),
        seen=math.expm1(smallest(design, sd, plan.alpha * share / plan.rows, floor)),
        note=_count(design),
    )


def _data(base: Boots, patched: Boots, look: int) -> tuple[Design, list[float]]:
    """The boots up to number `look` whose block has both sides, and the logarithms of their values."""
    from lab.measure.stats import Design  # noqa: PLC0415 (see above)

    both = {block_of(boot) for boot in base} & {block_of(boot) for boot in patched}
    cells = [(boot, side, value) for side, values in enumerate((base, patched)) for boot, value in sorted(values.items())]
    kept = [cell for cell in cells if cell[0] <= look and block_of(cell[0]) in both]
    design = Design(tuple(block_of(boot) for boot, _, _ in kept), tuple(bool(side) for _, side, _ in kept))
    return design, [math.log(value) for _, _, value in kept]


def _count(design: Design) -> str:
    patched = sum(design.patched)
    base = len(design.patched) - patched
    return f"{base} boots a side" if base == patched else f"{base} and {patched} boots"


def _worded(plan: Plan, metric: Metric, row: Sampled, p: float) -> Sampled:
    """The verdict and its reason. REGRESSED and IMPROVED need p and size; UNCHANGED needs the whole interval to be small."""
    if row.p is None or row.ratio is None or row.interval is None:
        return row
    ratio, (low, high) = row.ratio, row.interval
    what = f"{_range(row.interval)}, p = {p:.2g}, {row.note}"
    verdict = Verdict.INCONCLUSIVE
    if p < plan.alpha and abs(ratio - 1) > metric.min_effect:
        if metric.better == "none":
            what += "; neither direction is declared better"
        else:
            verdict = Verdict.REGRESSED if (ratio > 1) == (metric.better == "less") else Verdict.IMPROVED
    elif low >= 1 - metric.min_effect and high <= 1 + metric.min_effect:
        verdict = Verdict.UNCHANGED
    else:
        seen = f"changes from {100 * row.seen:.2f} % on" if math.isfinite(row.seen) else "no change"
        what += f"; such boots show {seen} with 80 % power"
    return replace(row, verdict=verdict, p=p, note=what)


def _range(interval: tuple[float, float]) -> str:
    return "{:+.2f} to {:+.2f} %".format(*(100 * (end - 1) for end in interval))
