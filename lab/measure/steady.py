"""One kernel's rows over many cold boots, judged: pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence

from lab.measure.payload import TOTAL
from lab.measure.verdict import by_boot, why_skipped
from lab.model.judgement import Metric, Verdict
from lab.model.outcome import Status
from lab.model.run import JobResult, PayloadSpec
from lab.model.steady import Steadiness


def counted(spec: PayloadSpec, named: Sequence[str] = ()) -> tuple[Metric, ...]:
    """The payload's exact metrics, those of `named` only if there are any."""
    return tuple(metric for metric in spec.metrics if metric.kind == "exact" and (not named or metric.name in named))


def steadiness(
    spec: PayloadSpec, metrics: Sequence[Metric], jobs: Sequence[JobResult], boots: int, kernel: str
) -> tuple[Steadiness, ...]:
    """A row for each of `metrics` over the boots 1 to `boots` of one kernel, called `kernel`.

    A row that every boot skipped is left out: its case tells why. A boot that is missing, did not pass or lacks the row's value
    makes the row INCONCLUSIVE.
    """
    own = sorted((job for job in jobs if job.payload == spec.name and not job.explain), key=lambda job: job.boot)
    told = [metric for metric in metrics if not own or not all(why_skipped(metric, job) for job in own)]
    return tuple(_row(spec, metric, own, boots, kernel) for metric in told)


def _row(spec: PayloadSpec, metric: Metric, jobs: Sequence[JobResult], boots: int, kernel: str) -> Steadiness:
    good = [job for job in jobs if job.status is Status.PASS]
    values = by_boot(metric, good)
    missing = tuple(_missing(metric, good, jobs, boots))
    digests = tuple(digest(row.values) for job in good for row in job.samples if row.metric == metric.name)
    leak = spec.leaks.get(metric.name, "")
    if missing:
        verdict, note = Verdict.INCONCLUSIVE, "; ".join(missing)
    elif len(set(values)) > 1:
        verdict, note = Verdict.WOBBLE, leak or "the leak is not known"
    else:
        verdict, note = Verdict.EQUAL, f"a leak that did not show: {leak}" if leak else ""
    one = next(iter(jobs), None)
    return Steadiness(
        kernel=kernel,
        payload=spec.name,
        kconfig=one.kconfig if one else "",
        guest=one.guest if one else "",
        metric=metric.name,
        unit=metric.unit,
        boots=boots,
        values=tuple(value for value in values if math.isfinite(value)),
        digests=digests,
        alike=not missing and len(set(digests)) == 1,
        totals=tuple(value for value in by_boot(_total(metric), good) if math.isfinite(value)),
        verdict=verdict,
        note=note,
    )


def _total(metric: Metric) -> Metric:
    return Metric(metric.name + TOTAL, metric.unit, "info")


def _missing(metric: Metric, good: Sequence[JobResult], jobs: Sequence[JobResult], boots: int) -> Iterator[str]:
    """Why boots have no value, boot by boot."""
    ended = {job.boot: job for job in jobs}
    given = {job.boot: values for job in good if (values := by_boot(metric, [job]))}
    for boot in range(1, boots + 1):
        if boot not in ended:
            yield f"boot {boot} did not run"
        elif ended[boot].status is not Status.PASS:
            yield f"boot {boot} is {ended[boot].status}"
        elif boot not in given:
            yield f"{metric.name} is missing in boot {boot}"
        elif not all(map(math.isfinite, given[boot])):
            yield f"the value of boot {boot} is not a number"


def digest(values: Sequence[float]) -> str:
    """SHA-256 of the values, one a line as Python writes them, in hexadecimal."""
    return hashlib.sha256("".join(f"{value!r}\n" for value in values).encode()).hexdigest()


def furthest_apart(metric: str, jobs: Sequence[JobResult]) -> tuple[JobResult, JobResult] | None:
    """The two passed boots whose values of a row differ most, the lower first; None when no two differ."""
    wanted = Metric(metric, "", "exact")
    found = [(values[0], job) for job in jobs if job.status is Status.PASS and (values := by_boot(wanted, [job]))]
    low, high = min(found, key=_value, default=None), max(found, key=_value, default=None)
    return (low[1], high[1]) if low and high and low[0] < high[0] else None


def _value(found: tuple[float, JobResult]) -> float:
    return found[0]
