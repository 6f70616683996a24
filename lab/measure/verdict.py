"""Values by boot on two sides, judged: pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median_low

from lab.measure.blocks import planned
from lab.measure.payload import TOTAL
from lab.measure.sampled import Sampled, judge_sampled, plan_of, sampled_metrics
from lab.model.judgement import Comparison, Metric, Spread, Verdict
from lab.model.outcome import Status
from lab.model.run import JobResult, PayloadSpec

SMALL = 0.001
"""A delta below this share of the base wants more boots."""
COUNT_BOOTS = 3
TOTAL_WOBBLE = 0.02
"""How far a total must move to say anything. It holds the interrupts and other tasks that happened to run: in eight unchanged
boots the totals of 21 rows varied by up to 0.6 %, while 19 of the medians were identical and two varied by 0.03 %."""
TOTAL_NOISE = 0.01
"""How far a total may stay behind a median that fell: not by more than totals of one kernel are seen to move (`determinism`)."""

Values = Sequence[float]
Judged = tuple[Verdict, float, bool, str]
"""Verdict, delta, material, note."""
SAMPLED_MODES = frozenset(("wall", "counts"))
"""Guests whose sampled rows say something: elsewhere the clock is the emulator's."""


def judge(metric: Metric, base: Values, patched: Values) -> Judged:
    """Judge one metric by its values by boot, which are numbered from 1; a sampled row as if it were its payload's only one."""
    if not base or not patched:
        return Verdict.INCONCLUSIVE, 0.0, False, "no values on " + ("either side" if not (base or patched) else _lacking(base))
    if not all(map(math.isfinite, (*base, *patched))):
        return Verdict.INCONCLUSIVE, 0.0, False, "a value is not a number"
    delta = median_low(patched) - median_low(base)
    moved = _share(delta, median_low(base))
    material = moved > metric.min_effect
    if metric.kind == "exact":
        verdict, note = _exact(base, patched)
    elif metric.kind == "count":
        verdict, note = _counts(metric, base, patched, material=material)
    elif metric.kind == "info":
        verdict, note = _info(base, patched, moved)
    else:
        (row,) = judge_sampled(planned(1), [(metric, dict(enumerate(base, 1)), dict(enumerate(patched, 1)))])
        return row.verdict, delta, _beyond(metric, row), row.note
    return verdict, delta, material and verdict not in (Verdict.EQUAL, Verdict.WOBBLE), note


def _lacking(base: Values) -> str:
    return "the patched side" if base else "the base side"


def _share(delta: float, base: float) -> float:
    """|delta| relative to the base; infinite when something came out of nothing."""
    if delta == 0:
        return 0.0
    return abs(delta / base) if base else math.inf


def _beyond(metric: Metric, row: Sampled) -> bool:
    return row.ratio is not None and abs(row.ratio - 1) > metric.min_effect


def _exact(base: Values, patched: Values) -> tuple[Verdict, str]:
    """EQUAL for equal value sets, MORE / FEWER for disjoint ones with a gap wider than any side's own spread, else WOBBLE."""
    varying = len(set(base)) > 1 or len(set(patched)) > 1
    if set(base) == set(patched):
        return Verdict.EQUAL, "the same values on both sides, but several" if varying else ""
    spread = max(max(base) - min(base), max(patched) - min(patched))
    if min(patched) - max(base) > spread:
        return Verdict.MORE, ""
    if min(base) - max(patched) > spread:
        return Verdict.FEWER, ""
    return Verdict.WOBBLE, f"boots of one side differ by up to {spread:g}, the sides by no more"


def _counts(metric: Metric, base: Values, patched: Values, *, material: bool) -> tuple[Verdict, str]:
    if min(len(base), len(patched)) < COUNT_BOOTS:
        return Verdict.INCONCLUSIVE, f"counts need {COUNT_BOOTS} boots a side"
    if len({*base, *patched}) == 1:
        return Verdict.UNCHANGED, ""
    higher, lower = min(patched) > max(base), max(patched) < min(base)
    if not higher and not lower:
        near = _share(max(*base, *patched) - min(*base, *patched), median_low(base)) <= metric.min_effect
        return (Verdict.UNCHANGED if near else Verdict.INCONCLUSIVE), f"the ranges overlap{', within min_effect' if near else ''}"
    if not material:
        return Verdict.UNCHANGED, "the ranges are disjoint, by less than min_effect"
    if metric.better == "none":
        return Verdict.INCONCLUSIVE, "the ranges are disjoint, and neither direction is declared better"
    return (Verdict.REGRESSED if higher == (metric.better == "less") else Verdict.IMPROVED), ""


def _info(base: Values, patched: Values, moved: float) -> tuple[Verdict, str]:
    """A total: told when it moved by more than it moves by itself, and the ranges are apart."""
    apart = min(patched) > max(base) or max(patched) < min(base)
    if moved <= TOTAL_WOBBLE or not apart:
        return Verdict.UNCHANGED, f"moves by less than {TOTAL_WOBBLE:.0%} mean nothing here"
    return (Verdict.MORE if min(patched) > max(base) else Verdict.FEWER), ""


def needs_more_boots(metric: Metric, base: Values, patched: Values) -> bool:
    """Whether two boots a side are too few: a side disagrees with itself, or the sides by under 0.1 %; counts want three.

    An info row that would say something is asked again too.
    """
    if not base or not patched:
        return False
    if metric.kind == "count":
        return min(len(base), len(patched)) < COUNT_BOOTS
    if metric.kind == "info":  # two boots may have met one tick more, each of them: they are much alike
        return len(base) == 2 and judge(metric, base, patched)[0] is not Verdict.UNCHANGED
    if metric.kind != "exact":
        return False
    delta = median_low(patched) - median_low(base)
    return len(set(base)) > 1 or len(set(patched)) > 1 or 0 < _share(delta, median_low(base)) < SMALL


def more_boots(spec: PayloadSpec, base: Sequence[JobResult], patched: Sequence[JobResult]) -> bool:
    """Whether any row of the payload needs more boots; one with sampled rows does until each of them is settled."""
    if (plan := plan_of(spec)) and base and patched:
        taken = max(job.boot for job in (*base, *patched))
        rows = _sampled_rows(spec, _Side("", base), _Side("", patched)).values()
        return taken < plan.looks[-1] and any(row.verdict is Verdict.INCONCLUSIVE and row.p is not None for row in rows)
    return any(needs_more_boots(metric, by_boot(metric, base), by_boot(metric, patched)) for metric in spec.metrics)


def by_boot(metric: Metric, jobs: Sequence[JobResult]) -> tuple[float, ...]:
    """One value a boot, in boot order: the lower median, so that a value that occurred stands for an exact row."""
    found = [row.values for job in sorted(jobs, key=lambda job: job.boot) for row in job.samples if row.metric == metric.name]
    return tuple(median_low(values) if values else math.nan for values in found)


@dataclass(frozen=True)
class _Side:
    """The boots of one side."""

    label: str
    jobs: Sequence[JobResult]

    def gaps(self, metric: Metric) -> str:
        """Which boots lack the metric's row; never silent."""
        lacking = [job for job in self.jobs if metric.name not in [row.metric for row in job.samples]]
        if not self.jobs:
            return f"no boot of {self.label} passed"
        if self.skips(metric):
            return f"skipped on {self.label}: {why_skipped(metric, self.jobs[0])}"
        return f"{metric.name} is missing in {', '.join(job.id for job in lacking)}" if lacking else ""

    def by_number(self, metric: Metric) -> dict[int, float]:
        """The metric's value by boot number, of the boots that have one."""
        return {job.boot: value for job in self.jobs for value in by_boot(metric, [job])}

    def skips(self, metric: Metric) -> bool:
        """Whether every boot skipped it."""
        return bool(self.jobs) and all(why_skipped(metric, job) for job in self.jobs)


def why_skipped(metric: Metric, job: JobResult) -> str:
    """The reason that the skipped case of the metric's name, or of a part of it before a dot, gave."""
    skipped = [case for case in job.cases if case.status is Status.SKIP]
    return next((case.detail for case in skipped if f"{metric.name}.".startswith(f"{case.name}.")), "")


def compare(spec: PayloadSpec, base: Sequence[JobResult], patched: Sequence[JobResult], a: str, b: str) -> tuple[Comparison, ...]:
    """Every declared metric, judged; `a` and `b` name the sides. A row that is missing on a side is INCONCLUSIVE and says so.

    A row that every boot skipped is left out: its case tells why.
    """
    sides = _Side(a, base), _Side(b, patched)
    told = [metric for metric in spec.metrics if not all(side.skips(metric) for side in sides)]
    sampled = _sampled_rows(spec, *sides)
    rows = {metric.name: _compare(spec, metric, *sides, sampled.get(metric.name)) for metric in told}
    return tuple(_confirmed(row, rows.get(row.metric + TOTAL)) for row in rows.values())


def _sampled_rows(spec: PayloadSpec, base: _Side, patched: _Side) -> dict[str, Sampled]:
    """The payload's sampled rows by name, judged together, where both sides can be compared."""
    metrics, plan = sampled_metrics(spec), plan_of(spec)
    if plan is None:
        return {}
    jobs = (*base.jobs, *patched.jobs)
    if len({job.role for job in jobs}) == 1:
        return {metric.name: Sampled(note="the sides were not booted in one run, in mixed order") for metric in metrics}
    if wrong := sorted({job.env.get("mode", "unknown") for job in jobs} - SAMPLED_MODES):
        why = f"sampled rows need a guest of mode wall or counts, not {' or '.join(wrong)}"
        return {metric.name: Sampled(note=why) for metric in metrics}
    rows = [(metric, base.by_number(metric), patched.by_number(metric)) for metric in metrics]
    return dict(zip([metric.name for metric in metrics], judge_sampled(plan, rows), strict=True))


def _compare(spec: PayloadSpec, metric: Metric, base: _Side, patched: _Side, sampled: Sampled | None) -> Comparison:
    values = by_boot(metric, base.jobs), by_boot(metric, patched.jobs)
    if sampled is None:
        verdict, delta, material, note = judge(metric, *values)
    else:
        verdict, material, note = sampled.verdict, _beyond(metric, sampled), sampled.note
        delta = _spread(values[1]).median - _spread(values[0]).median if all(values) else 0.0
    if gaps := "; ".join(filter(None, (base.gaps(metric), patched.gaps(metric)))):
        new = f"new on {patched.label}; " if base.skips(metric) and not patched.gaps(metric) else ""
        verdict, material, note = Verdict.INCONCLUSIVE, False, new + gaps
    if verdict is Verdict.WOBBLE:
        note += f"; {spec.leaks.get(metric.name, 'the leak is not known')}"
    one = next(iter((*base.jobs, *patched.jobs)), None)
    spreads = _spread(values[0]), _spread(values[1])
    return Comparison(
        a=base.label,
        b=patched.label,
        payload=spec.name,
        kconfig=one.kconfig if one else "",
        guest=one.guest if one else "",
        metric=metric.name,
        unit=metric.unit,
        kind=metric.kind,
        base=spreads[0],
        patched=spreads[1],
        delta=delta,
        ratio=sampled.ratio if sampled else _ratio(*spreads),
        min_effect=metric.min_effect,
        verdict=verdict,
        material=material,
        note=note,
        interval=sampled.interval if sampled else None,
        p=sampled.p if sampled else None,
    )


def _spread(values: Values) -> Spread:
    finite = tuple(value for value in values if math.isfinite(value))
    return Spread(median_low(finite) if finite else 0.0, len(finite), finite)


def _ratio(base: Spread, patched: Spread) -> float | None:
    return patched.median / base.median if base.median and patched.n else None


def _confirmed(row: Comparison, total: Comparison | None) -> Comparison:
    """FEWER needs the total to agree: work that only moved out of the operation is no gain.

    A fall that is smaller than what a total moves by itself stands, and says that nothing confirms it.
    """
    if row.kind != "exact" or row.verdict is not Verdict.FEWER or total is None:
        return row
    noise = TOTAL_NOISE * total.base.median
    if total.verdict is Verdict.MORE or total.delta - row.delta > noise:
        totals = f"{total.base.median:.1f} to {total.patched.median:.1f}"
        note = f"work moved: the median fell by {-row.delta:g}, all that was executed went from {totals}"
        return replace(row, verdict=Verdict.WOBBLE, material=False, note=note)
    if -row.delta <= noise:
        return replace(row, note=f"all that was executed moves by up to {TOTAL_NOISE:.0%} by itself and cannot confirm so little")
    return row
