"""The verbs that build and boot: build, boot, bench. Each is a few steps on the Lab; the judgement is measure's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lab.campaign.plan import Ask, Side
from lab.campaign.schedule import Pool
from lab.campaign.session import Lab, width
from lab.events import Note, StageFinished, StageStarted
from lab.measure.blocks import blocks
from lab.measure.payload import list_payloads
from lab.measure.sampled import plan_of
from lab.measure.verdict import compare, more_boots
from lab.model.change import Build, Series
from lab.model.judgement import Comparison
from lab.model.outcome import Status
from lab.model.run import Job, JobResult, PayloadSpec

FIRST_BOOTS = (1, 2)
MORE_BOOTS = (3, 4, 5)
"""Exact rows: two boots a side; any disagreement adds three a side."""
COUNT_BOOTS = (1, 2, 3)
"""Counts: three boots a side from the start."""


def build_verb(lab: Lab, ask: Ask) -> Build:
    """Build the patched kernel of the series (or take --kernel)."""
    _, patched = lab.sides(ask)
    lab.announce(ask)
    return lab.build(ask, patched)


def boot_verb(lab: Lab, ask: Ask) -> JobResult:
    """Boot the patched kernel once, verify what was asked of the guest, keep the milestones."""
    _, patched = lab.sides(ask)
    lab.announce(ask)
    kernel = lab.build(ask, patched)
    return run_stage(lab, ask, [lab.bench(ask).job(patched, kernel, None, 1)], "boot")[0]


def payload_names(lab: Lab, ask: Ask, series: tuple[Series, ...] = ()) -> tuple[str, ...]:
    """The payloads that were asked for: --payload a,b, or the series' own, or lab.toml's."""
    if ask.payload == "all":
        return list_payloads(lab.root / "payloads")
    own = series[-1].payloads if series else ()
    return tuple(ask.payload.replace(",", " ").split()) or own or lab.settings.default.payloads


def bench_verb(lab: Lab, ask: Ask) -> tuple[Comparison, ...]:
    """Payloads on base and patched, judged; with --kernel the one kernel is measured and nothing is compared."""
    lab.ledger.any, lab.ledger.strict = ask.any, ask.strict
    base, patched = lab.sides(ask)
    lab.announce(ask)
    payloads = [lab.payload(name) for name in payload_names(lab, ask, patched.series)]
    if ask.kernel:
        kernel = lab.build(ask, patched)
        run_stage(lab, ask, jobs_of(lab, ask, [(patched, kernel)], payloads), "bench")
        return ()
    baseline = lab.build(ask, base)
    kernels = [(base, baseline), (patched, lab.build(ask, patched, baseline))]
    lab.accel(ask, baseline, lab.image(lab.guest(ask).image))  # proven on the baseline: a patched kernel may be broken
    results = run_stage(lab, ask, jobs_of(lab, ask, kernels, payloads), "bench")
    unsettled = [item for item in payloads if more_boots(item, *_split(results, item))]
    if unsettled and not lab.ledger.failed:
        more = ", ".join(f"{item.name} ({len(boots_of(item, 1))})" for item in unsettled)
        lab.emit(Note(f"rows are not settled: more boots a side for {more}"))
        results += run_stage(lab, ask, jobs_of(lab, ask, kernels, unsettled, 1), "bench")
    rows = tuple(row for item in payloads for row in compare(item, *_split(results, item), base.label, patched.label))
    lab.ledger.comparisons += rows
    return rows


def jobs_of(
    lab: Lab, ask: Ask, kernels: Sequence[tuple[Side, Build]], payloads: Sequence[PayloadSpec], look: int = 0
) -> list[Job]:
    """Every payload on the guest it takes, so many boots of each kernel as its metrics want before that look at the values."""
    jobs = []
    for payload in payloads:
        bench = lab.bench(ask, payload)
        jobs += [bench.job(side, kernel, payload, n) for n in boots_of(payload, look) for side, kernel in kernels]
    return in_blocks(lab, jobs)


def boots_of(payload: PayloadSpec, look: int) -> tuple[int, ...]:
    """The boots of a side that are made before the values are looked at first (0) or again (1). Raises UsageError: no plan."""
    if plan := plan_of(payload):
        return plan.boots(look)
    first = COUNT_BOOTS if any(metric.kind == "count" for metric in payload.metrics) else FIRST_BOOTS
    return tuple(boot for boot in MORE_BOOTS if boot not in first) if look else first


def in_blocks(lab: Lab, jobs: Sequence[Job]) -> list[Job]:
    """The jobs as they stand, the boots of sampled payloads in randomised blocks; the run's record holds the seed."""
    ordered = list(jobs)
    for payload in {job.payload.name: job.payload for job in jobs if job.payload and plan_of(job.payload)}.values():
        lab.ledger.env["order"] = f"randomised blocks, seed {lab.ledger.run.id}"
        places = [place for place, job in enumerate(jobs) if job.payload and job.payload.name == payload.name]
        own = [jobs[place] for place in places]
        roles = sorted({job.role for job in own})
        order = blocks(sorted({job.boot for job in own}), roles, f"{lab.ledger.run.id}:{payload.name}")
        for place, job in zip(places, sorted(own, key=lambda job: order.index((job.boot, job.role))), strict=True):
            ordered[place] = job
    return ordered


def _split(results: Sequence[JobResult], payload: PayloadSpec) -> tuple[list[JobResult], list[JobResult]]:
    """The results that may be compared: passed, of this payload; baseline and patched."""
    good = [job for job in results if job.payload == payload.name and job.status is Status.PASS]
    return [job for job in good if job.role == "baseline"], [job for job in good if job.role == "patched"]


def run_stage(lab: Lab, ask: Ask, jobs: Sequence[Job], stage: str, verb: str = "") -> list[JobResult]:
    """Run jobs through the pool as one stage; every result is in the ledger as soon as it is there.

    `verb`: the words of the verb that makes such jobs; by default boot or bench.
    """
    again = again_line(ask, verb or ("boot" if jobs[0].payload is None else "bench"))
    pool = Pool(lab.ledger.run, lab.cache, lab.emit, lambda result: lab.ledger.ran(result, again), width=width(lab.settings))
    lab.ledger.env["guest"] = _each(job.guest.name for job in jobs)
    lab.ledger.env["mode"] = _each(job.guest.mode for job in jobs)
    lab.ledger.env["image"] = _each(job.image.hash for job in jobs)
    guess = lab.history.expected(f"{stage}.job") * len(jobs) / width(lab.settings)
    lab.emit(StageStarted(stage, f"{len(jobs)} boots", guess))
    clock = lab.clock()
    results = pool.run_all(lab.equip_jobs(ask, jobs))
    bad = sum(result.status not in (Status.PASS, Status.SKIP) for result in results)
    lab.history.learn(f"{stage}.job", clock() * width(lab.settings) / len(jobs))
    lab.emit(StageFinished(stage, f"{len(jobs)} boots", clock(), f"{len(jobs) - bad} good, {bad} bad", ok=bad == 0))
    return results


def _each(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def again_line(ask: Ask, verb: str) -> str:
    """The ./inv line that does this again."""
    words = ["./inv", verb]
    for name, value in vars(replace(ask, dry_run=False)).items():
        if value:
            words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [f"'{value}'" if " " in value else value])
    return " ".join(words)
