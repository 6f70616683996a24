"""The price list of a series: every patch against the series without it and what comes after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from lab.campaign.bench import boots_of, payload_names, run_stage
from lab.campaign.explain import explanations
from lab.campaign.known import Point
from lab.campaign.plan import Ask, Side
from lab.campaign.pricetests import boots_with_tests, compared_tests
from lab.campaign.probe import Stack
from lab.campaign.rundir import RunDir
from lab.campaign.session import Lab
from lab.errors import BuildError, KconfigError, UsageError
from lab.events import Note
from lab.formats.makelog import added_warnings
from lab.kernel.build import rebuilt
from lab.kernel.loadable import runs, text_growth
from lab.measure.explain import worth
from lab.measure.sampled import plan_of
from lab.measure.verdict import compare, more_boots
from lab.model.change import Build, Patch
from lab.model.judgement import APART, Comparison
from lab.model.outcome import Status
from lab.model.price import PatchPrice, PriceList
from lab.model.profile import Explanation
from lab.model.run import Job, JobResult, PayloadSpec
from lab.model.suite import CaseRow, CaseVerdict
from lab.model.wire import read_json
from lab.report.waterfall import waterfall_svg

BREAKS = (CaseVerdict.REGRESSED, CaseVerdict.UNKNOWN)
"""A test passed without the patch, or the kernel complains as it did not before. What only fails waits for later patches."""


@dataclass
class _Kernel:
    """The series up to one patch, as far as it is known."""

    side: Side
    build: Build | None
    message: str = ""
    runs: str = ""
    results: list[JobResult] = field(default_factory=list)
    tests: list[JobResult] = field(default_factory=list)
    """Boots with the series' own self-tests."""

    def of(self, payload: PayloadSpec) -> list[JobResult]:
        """The boots that may be compared."""
        return [job for job in self.results if job.payload == payload.name and job.status is Status.PASS]


def price_series(lab: Lab, ask: Ask, *, good: int = 0, bad: int | None = None) -> PriceList:
    """Price every patch from good + 1 to bad: build, boot and measure each prefix, compare neighbours.

    The kconfig, guest and payloads are those of `ask`; sampled rows have no price. `--explain` says by function, `--row` which
    rows. The list is returned, not recorded. Raises UsageError, PatchError, and what is the host's fault.
    """
    stack = Stack(*lab.stack(ask))
    last = len(stack.series.patches) if bad is None else bad
    payloads = [lab.payload(name) for name in payload_names(lab, ask, (stack.series,))]
    _check(ask, payloads)
    lab.announce(ask)
    sides = [stack.side(lab, ask, Point(k)) for k in range(good, last + 1)]
    kernels = [_built(lab, ask, side) for side in (replace(sides[0], role="baseline"), *sides[1:])]
    _boot(lab, ask, kernels, payloads)
    _test(lab, ask, kernels, stack.side(lab, ask, Point(len(stack.series.patches))))
    named = zip(stack.series.patches[good:last], pairwise(kernels), strict=True)
    patches = [_priced(lab, ask, patch, pair, payloads) for patch, pair in named]
    if patches and last == len(stack.series.patches):
        patches[-1] = _finished(patches[-1])
    whole = [row for payload in payloads for row in _compared(payload, kernels[0], kernels[-1])]
    guest = lab.guest(ask, payloads[0] if payloads else None).name
    names = tuple(payload.name for payload in payloads)
    kconfig = lab.kconfig(ask, ()).name
    return PriceList(stack.series.name, kconfig, guest, names, good, tuple(patches), tuple(whole))


def price_verb(lab: Lab, ask: Ask, *, good: int = 0, bad: int | None = None) -> PriceList:
    """The price list, recorded, with a chart of every row that differs."""
    prices = price_series(lab, ask, good=good, bad=bad)
    lab.ledger.prices.append(prices)
    for path in draw(lab.ledger.run, prices):
        lab.emit(Note(f"chart: {path}"))
    return prices


def draw(run: RunDir, prices: PriceList) -> list[str]:
    """Write a waterfall chart of each row that some patch changes; their paths."""
    paths = []
    for row in prices.whole:
        if changes_of(prices, row):
            path = run.chart(prices.series, row.payload, row.metric)
            path.parent.mkdir(exist_ok=True)
            path.write_text(waterfall_svg(prices, row), encoding="utf-8")
            paths.append(str(path))
    return paths


def changes_of(prices: PriceList, row: Comparison) -> list[Comparison]:
    """The comparisons of neighbours in which that row differs."""
    rows = [one for patch in prices.patches for one in patch.rows if (one.payload, one.metric) == (row.payload, row.metric)]
    return [one for one in rows if one.verdict in APART]


def _check(ask: Ask, payloads: Sequence[PayloadSpec]) -> None:
    if ask.kernel:
        raise UsageError("--kernel names one kernel; prices are of a series")
    known = {metric.name for payload in payloads for metric in payload.metrics}
    if unknown := sorted(set(ask.row.replace(",", " ").split()) - known):
        raise UsageError(f"--row: no payload has {', '.join(unknown)}", hint=f"there are: {', '.join(sorted(known))}")


def _built(lab: Lab, ask: Ask, side: Side) -> _Kernel:
    """The kernel of a side; one that does not build has a message."""
    try:
        build = lab.build(ask, side)
    except (BuildError, KconfigError) as error:
        return _Kernel(side, None, error.message)
    return _Kernel(side, build, runs=runs(build))


def _boot(lab: Lab, ask: Ask, kernels: Sequence[_Kernel], payloads: Sequence[PayloadSpec]) -> None:
    """Boot all kernels, but those that run as the one before them; then those again whose rows are not settled."""
    new = _distinct(kernels)
    _round(lab, ask, [(kernel, payload) for payload in payloads for kernel in new if kernel.build], 0)
    _share(kernels)
    again: dict[tuple[int, str], tuple[_Kernel, PayloadSpec]] = {}
    for before, after in pairwise(new):
        for payload in payloads:
            if plan_of(payload) is None and more_boots(payload, before.of(payload), after.of(payload)):
                again |= {(id(kernel), payload.name): (kernel, payload) for kernel in (before, after) if kernel.build}
    _round(lab, ask, list(again.values()), 1)
    _share(kernels)


def _test(lab: Lab, ask: Ask, kernels: Sequence[_Kernel], whole: Side) -> None:
    """Boot the kernels once more, with the self-tests that the whole series brings."""
    new = [kernel for kernel in _distinct(kernels) if kernel.build]
    if new:
        found = boots_with_tests(lab, ask, [(kernel.side, kernel.build) for kernel in new if kernel.build], whole)
        for kernel, results in zip(new, found, strict=True):
            kernel.tests = results
    _share(kernels)


def _distinct(kernels: Sequence[_Kernel]) -> list[_Kernel]:
    """Those that do not run as the one before them."""
    return [kernel for place, kernel in enumerate(kernels) if not (place and _alike(kernels[place - 1], kernel))]


def _alike(before: _Kernel, after: _Kernel) -> bool:
    return bool(after.runs) and before.runs == after.runs


def _share(kernels: Sequence[_Kernel]) -> None:
    """What runs alike was booted once."""
    for before, after in pairwise(kernels):
        if _alike(before, after):
            after.results, after.tests = before.results, before.tests


def _round(lab: Lab, ask: Ask, wanted: Sequence[tuple[_Kernel, PayloadSpec]], look: int) -> None:
    jobs: list[tuple[_Kernel, Job]] = []
    for kernel, payload in wanted:
        bench = lab.bench(ask, payload)
        assert kernel.build is not None
        jobs += [(kernel, bench.job(kernel.side, kernel.build, payload, boot)) for boot in boots_of(payload, look)]
    if not jobs:
        return
    kernels = {job.id: kernel for kernel, job in jobs}
    for result in run_stage(lab, ask, [job for _, job in jobs], "bench", "bisect --profile"):
        kernels[result.id].results.append(result)


def _priced(lab: Lab, ask: Ask, patch: Patch, pair: tuple[_Kernel, _Kernel], payloads: Sequence[PayloadSpec]) -> PatchPrice:
    before, after = pair
    tests = compared_tests(before.tests, after.tests, after.side.depth)
    broken = [row for row in tests if row.verdict in BREAKS]
    bad = [job for job in after.results if job.status not in (Status.PASS, Status.SKIP)]
    price = PatchPrice(
        after.side.depth,
        patch.name,
        patch.subject,
        Status.FAIL if after.build is None or bad or broken else Status.PASS,
        after.message or "; ".join([*_messages(bad), *map(_broken, broken)]),
        boots=(len(after.results) - len(bad), len(after.results)),
        cases=_cases(after.results),
        tests=tests,
    )
    if before.build is None or after.build is None:
        return price
    trees = [lab.tree(ask, kernel.side) for kernel in pair]
    ways = [(tree, kernel.side.kconfig) for tree, kernel in zip(trees, pair, strict=True)]
    growth = text_growth(before.build, after.build)
    rows = [row for payload in payloads for row in _compared(payload, before, after)]
    return replace(
        price,
        objects=rebuilt(ways[0], ways[1], cache=lab.cache, emit=lab.emit, cc=ask.cc or "gcc"),
        warnings=added_warnings(before.build.warnings, after.build.warnings),
        text=sum(by for _, by in growth),
        functions=growth,
        inert=_alike(before, after),
        rows=tuple(rows),
        explanations=tuple(_explained(lab, ask, pair, rows)) if ask.explain else (),
    )


def _finished(price: PatchPrice) -> PatchPrice:
    """The last patch of the whole series: no later one can make its self-tests pass."""
    failing = [row.test for row in price.tests if row.verdict not in BREAKS and {*row.patched} == {Status.FAIL}]
    told = "; ".join([*([price.message] if price.message else []), *(f"{test} fails on the whole series" for test in failing)])
    return replace(price, status=Status.FAIL, message=told) if failing else price


def _broken(row: CaseRow) -> str:
    """What a patch did to a self-test."""
    return f"{row.test} passed without it" if Status.PASS in row.base else f"{row.test}: {row.note or row.verdict}"


def _messages(bad: Sequence[JobResult]) -> list[str]:
    return list(dict.fromkeys(job.message.splitlines()[0] for job in bad if job.message))


def _cases(results: Sequence[JobResult]) -> tuple[int, int]:
    told = [case.status for job in results for case in job.cases if case.status is not Status.SKIP]
    return sum(status is Status.PASS for status in told), len(told)


def _compared(payload: PayloadSpec, before: _Kernel, after: _Kernel) -> list[Comparison]:
    """The rows of neighbours; sampled ones would need boots in mixed order of each pair."""
    sides = before.of(payload), after.of(payload)
    if not all(sides):
        return []
    plain = replace(payload, metrics=tuple(metric for metric in payload.metrics if metric.kind != "sample"))
    return list(compare(plain, *sides, f"k{before.side.depth:02d}", f"k{after.side.depth:02d}"))


def _explained(lab: Lab, ask: Ask, pair: tuple[_Kernel, _Kernel], rows: Sequence[Comparison]) -> list[Explanation]:
    """By function, from one more boot of each of the two: its own for either neighbour."""
    before, after = pair
    chosen = worth(rows, ask.row.replace(",", " ").split())
    if _alike(before, after) or not chosen:
        return []
    jobs = {}
    for name in {row.payload for row in chosen}:
        first, second = ([result for result in kernel.results if result.payload == name] for kernel in pair)
        jobs[name] = replace(_job(lab, first[-1]), role="baseline"), replace(_job(lab, second[0]), role="patched")
    return explanations(lab, ask, jobs, chosen, ())


def _job(lab: Lab, result: JobResult) -> Job:
    return read_json(lab.ledger.run.job(result.id).job, Job)
