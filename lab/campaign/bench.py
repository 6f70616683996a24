"""The verbs that build and boot: build, boot, bench. Each is a few steps on the Lab; the judgement is measure's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.campaign.plan import Ask, Bench, Side
from lab.campaign.schedule import Pool
from lab.campaign.session import Lab, width
from lab.events import Note, StageFinished, StageStarted
from lab.measure.payload import list_payloads, read_payload
from lab.measure.verdict import compare, more_boots
from lab.model.change import Build
from lab.model.judgement import Comparison
from lab.model.outcome import Status
from lab.model.run import Job, JobResult, PayloadSpec

FIRST_BOOTS = (1, 2)
MORE_BOOTS = (3, 4, 5)
"""Exact rows: two boots a side; any disagreement adds three a side."""


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
    result = run_stage(lab, ask, [lab.bench(ask).job(patched, kernel, None, 1)], "boot")[0]
    for milestone in result.milestones:
        lab.emit(Note(f"boot: {milestone.name} at {milestone.seconds:.2f} s"))
    for case in result.cases:
        lab.emit(Note(f"boot: {case.name}: {case.detail}"))
    return result


def payload_names(lab: Lab, ask: Ask) -> tuple[str, ...]:
    """The payloads that were asked for: --payload a,b, or the series' own, or lab.toml's."""
    if ask.payload == "all":
        return list_payloads(lab.root / "payloads")
    return tuple(ask.payload.replace(",", " ").split()) or lab.settings.default.payloads


def bench_verb(lab: Lab, ask: Ask) -> tuple[Comparison, ...]:
    """Payloads on base and patched, judged; with --kernel the one kernel is measured and nothing is compared."""
    lab.ledger.any, lab.ledger.strict = ask.any, ask.strict
    base, patched = lab.sides(ask)
    lab.announce(ask)
    payloads = [read_payload(lab.root / "payloads", name, lab.cache) for name in payload_names(lab, ask)]
    if ask.kernel:
        kernel = lab.build(ask, patched)
        bench = lab.bench(ask)
        run_stage(lab, ask, [bench.job(patched, kernel, payload, n) for payload in payloads for n in FIRST_BOOTS], "bench")
        return ()
    baseline = lab.build(ask, base)
    kernels = [(base, baseline), (patched, lab.build(ask, patched, baseline))]
    bench = lab.bench(ask, baseline)
    results = run_stage(lab, ask, _jobs(bench, kernels, payloads, FIRST_BOOTS), "bench")
    unsettled = [item for item in payloads if more_boots(item, *_split(results, item))]
    if unsettled and not lab.ledger.failed:
        lab.emit(Note("values differ within a side: three more boots a side for " + ", ".join(item.name for item in unsettled)))
        results += run_stage(lab, ask, _jobs(bench, kernels, unsettled, MORE_BOOTS), "bench")
    rows = tuple(row for item in payloads for row in compare(item, *_split(results, item), base.label, patched.label))
    lab.ledger.comparisons += rows
    return rows


def _jobs(
    bench: Bench, kernels: Sequence[tuple[Side, Build]], payloads: Sequence[PayloadSpec], boots: Sequence[int]
) -> list[Job]:
    return [bench.job(side, kernel, item, n) for item in payloads for n in boots for side, kernel in kernels]


def _split(results: Sequence[JobResult], payload: PayloadSpec) -> tuple[list[JobResult], list[JobResult]]:
    """The results that may be compared: passed, of this payload; baseline and patched."""
    good = [job for job in results if job.payload == payload.name and job.status is Status.PASS]
    return [job for job in good if job.role == "baseline"], [job for job in good if job.role == "patched"]


def run_stage(lab: Lab, ask: Ask, jobs: Sequence[Job], stage: str) -> list[JobResult]:
    """Run jobs through the pool as one stage; every result is in the ledger as soon as it is there."""
    again = again_line(ask, jobs[0].payload is None)
    pool = Pool(lab.ledger.run, lab.cache, lab.emit, lambda result: lab.ledger.ran(result, again), width(lab.settings))
    lab.ledger.env.update({"guest": jobs[0].guest.name, "mode": jobs[0].guest.mode, "image": jobs[0].image.hash})
    guess = lab.history.expected(f"{stage}.job") * len(jobs) / width(lab.settings)
    lab.emit(StageStarted(stage, f"{len(jobs)} boots", guess))
    clock = lab.clock()
    results = pool.run_all(jobs)
    bad = sum(result.status not in (Status.PASS, Status.SKIP) for result in results)
    lab.history.learn(f"{stage}.job", clock() * width(lab.settings) / len(jobs))
    lab.emit(StageFinished(stage, f"{len(jobs)} boots", clock(), f"{len(jobs) - bad} good, {bad} bad", ok=bad == 0))
    return results


def again_line(ask: Ask, boot_only: bool) -> str:
    """The ./inv line that does this again."""
    words = ["./inv", "boot" if boot_only else "bench"]
    for name, value in vars(replace(ask, dry_run=False)).items():
        if value:
            words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [f"'{value}'" if " " in value else value])
    return " ".join(words)
