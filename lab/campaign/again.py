"""The verbs about runs that are over: report, recheck, rerun, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab.campaign.bench import in_blocks, jobs_of, payload_names, run_stage
from lab.campaign.cellwork import judged_again
from lab.campaign.explain import check, explained, explained_runs
from lab.campaign.job import judge
from lab.campaign.ledger import rows_status, write_faces
from lab.campaign.plan import Ask, Side
from lab.campaign.rounds import borrowed_name
from lab.campaign.rundir import RunDir, find_run
from lab.campaign.session import Lab
from lab.errors import UsageError
from lab.kernel.foreign import foreign
from lab.measure.regress import rows as case_rows
from lab.measure.steady import counted, steadiness
from lab.measure.verdict import compare
from lab.model.judgement import Comparison, Verdict
from lab.model.outcome import Status, worst
from lab.model.run import Job, JobResult, PayloadSpec, Results, Role
from lab.model.steady import Steadiness
from lab.model.suite import CaseRow
from lab.model.wire import read_json
from lab.report.markdown import cover_text

MUST_AGREE = ("mode", "qemu", "accel", "guest", "network", "image", "payload_hash")
"""What two results must have in common before their numbers may be compared."""


def rejudged(run: RunDir) -> Results:
    """The run's results from its logs, by today's rules. Jobs that left no boot.json keep what was recorded.

    A bisection or a price list stays as it is: what was looked at next depended on what was seen.
    """
    old = run.read_results()
    if old.bisection or old.prices:
        return old
    jobs = {place.path.name.removesuffix(".again"): read_json(place.job, Job) for place in run.jobs() if place.boot.is_file()}
    results = tuple(replace(judge(jobs[job.id]), attempts=job.attempts) if job.id in jobs else job for job in old.jobs)
    payloads = [job.payload for job in jobs.values() if job.payload]
    if old.cells:
        return _rejudged_cells(old, results, {payload.name: payload for payload in payloads})
    rows = compared(results, payloads, old.comparisons)
    status = worst([*(item.status for item in old.builds), *(job.status for job in results)])
    tests = retested(results, old.tests)
    steady = resteadied(results, payloads, old.steadiness)
    if status is Status.PASS:
        status = rows_status(rows, tests, steady, any_more=old.any_more, strict=old.strict)
    code = {Status.PASS: 0, Status.FAIL: 1}.get(status, 3)
    return replace(old, jobs=results, comparisons=rows, tests=tests, steadiness=steady, status=status, exit=code)


def _rejudged_cells(old: Results, jobs: tuple[JobResult, ...], payloads: dict[str, PayloadSpec]) -> Results:
    told = [judged_again(cell, jobs, payloads.get(cell.payload), any_more=old.any_more, strict=old.strict) for cell in old.cells]
    cells = tuple(cell for cell, _ in told)
    status = worst([cell.status for cell in cells if cell.status is not Status.SKIP])
    return replace(
        old,
        jobs=jobs,
        cells=cells,
        comparisons=tuple(row for _, rows in told for row in rows.comparisons),
        tests=tuple(row for _, rows in told for row in rows.tests),
        status=status,
        exit={Status.PASS: 0, Status.FAIL: 1}.get(status, 3),
    )


def _one_pair(run: RunDir) -> Results:
    """The results of a run that compares two sides. Raises UsageError for a matrix, a bisection, a price list."""
    results = run.read_results()
    if results.cells:
        raise UsageError(f"run {run.id} is a matrix, which has many sides", hint="./inv matrix --fresh runs it again")
    if results.bisection or results.prices:
        raise UsageError(
            f"run {run.id} is of every patch of a series, which has many sides", hint=f"do it again: {results.command}"
        )
    return results


def compared(results: Sequence[JobResult], payloads: Sequence[PayloadSpec], old: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The comparisons of a run made again, in the order and with the labels they had."""
    specs = {payload.name: payload for payload in payloads}
    rows: list[Comparison] = []
    for name, labels in {row.payload: (row.a, row.b) for row in old}.items():
        good = [job for job in results if job.payload == name and job.status is Status.PASS and not job.explain]
        if name in specs:
            rows += compare(specs[name], _side(good, "baseline"), _side(good, "patched"), *labels)
    return tuple(rows)


def retested(results: Sequence[JobResult], old: Sequence[CaseRow]) -> tuple[CaseRow, ...]:
    """The kernel's own tests of a run compared again, with the labels they had."""
    found: list[CaseRow] = []
    for name, labels in {row.suite: (row.a, row.b) for row in old}.items():
        jobs = [job for job in results if job.payload == name]
        borrowed = [job for job in results if job.payload == borrowed_name(name)]
        found += case_rows(_side(jobs, "baseline"), _side(jobs, "patched"), *labels, borrowed)
    return tuple(found)


def resteadied(
    results: Sequence[JobResult], payloads: Sequence[PayloadSpec], old: Sequence[Steadiness]
) -> tuple[Steadiness, ...]:
    """The rows of one kernel over many boots judged again; what explains a wobble stays as long as it is one."""
    specs = {payload.name: payload for payload in payloads}
    found: list[Steadiness] = []
    for row in old:
        spec = specs.get(row.payload)
        news = steadiness(spec, counted(spec, [row.metric]), results, row.boots, row.kernel) if spec else (row,)
        kept = [replace(new, explained=row.explained, cause=row.cause) for new in news]
        found += [told if new.verdict is Verdict.WOBBLE else new for told, new in zip(kept, news, strict=True)]
    return tuple(found)


def _side(jobs: Sequence[JobResult], role: Role) -> list[JobResult]:
    return [job for job in jobs if job.role == role]


def recheck(lab: Lab, name: str) -> tuple[RunDir, Results]:
    """Judge a run's logs again and write its reports anew."""
    run = find_run(lab.reports, name)
    results = rejudged(run)
    write_faces(run, results)
    return run, results


def rerun_verb(lab: Lab, ask: Ask, name: str) -> None:
    """Boot the builds of a run again, with the same guests and payloads, and judge as before."""
    run = find_run(lab.reports, name)
    old = _one_pair(run)
    lab.ledger.any, lab.ledger.strict, lab.ledger.source, lab.ledger.env = ask.any, ask.strict, old.source, dict(old.env)
    lab.announce(ask)
    lab.ledger.builds += old.builds
    jobs = [read_json(place.job, Job) for place in run.jobs() if not place.path.name.endswith(".again")]
    jobs = [job for job in jobs if not job.explain]
    if not jobs:
        raise UsageError(f"run {run.id} has no jobs to boot again", hint="./inv bench makes some")
    moved = [replace(job, directory=lab.ledger.run.job(job.id).path) for job in jobs]
    results = run_stage(lab, ask, in_blocks(lab, moved), "bench")
    payloads = [job.payload for job in jobs if job.payload]
    lab.ledger.comparisons += compared(results, payloads, old.comparisons)
    lab.ledger.steadiness += resteadied(results, payloads, [replace(row, explained=0, cause=None) for row in old.steadiness])
    lab.ledger.tests += retested(results, old.tests)


def compare_verb(lab: Lab, ask: Ask, a: str, b: str) -> None:
    """Two runs (their patched sides), or two kernels, which are booted now."""
    check(ask)
    if all(_is_kernel(name) for name in (a, b)):
        return explained(lambda lab, ask: _compare_kernels(lab, ask, a, b))(lab, ask)
    left, right = (find_run(lab.reports, name) for name in (a, b))
    jobs = [_measured(run) for run in (left, right)]
    check_alike(left.id, right.id, *jobs)
    lab.ledger.source = f"{left.id} against {right.id}"
    lab.ledger.accel = right.read_results().accel
    for side in jobs:
        lab.ledger.jobs += side
    specs = {job.payload.name: job.payload for place in left.jobs() if (job := read_json(place.job, Job)).payload}
    for name, spec in specs.items():
        one, two = ([job for job in side if job.payload == name] for side in jobs)
        lab.ledger.comparisons += compare(spec, one, two, left.id, right.id)
    if not lab.ledger.comparisons:
        raise UsageError(f"{left.id} and {right.id} have no payload in common")
    if ask.explain:
        explained_runs(lab, ask, a, b)
    return None


def _compare_kernels(lab: Lab, ask: Ask, a: str, b: str) -> None:
    lab.announce(ask)
    lab.ledger.any, lab.ledger.strict = ask.any, ask.strict
    kernels = [foreign(name, lab.cache) for name in (a, b)]
    kconfig = lab.kconfig(ask, ())
    sides = [Side("baseline", (), None, kconfig), Side("patched", (), None, kconfig)]
    payloads = [lab.payload(name) for name in payload_names(lab, ask)]
    jobs = jobs_of(lab, ask, list(zip(sides, kernels, strict=True)), payloads)
    good = [job for job in run_stage(lab, ask, jobs, "bench") if job.status is Status.PASS]
    for spec in payloads:
        said = [job for job in good if job.payload == spec.name]
        lab.ledger.comparisons += compare(spec, _side(said, "baseline"), _side(said, "patched"), a, b)


def _is_kernel(name: str) -> bool:
    return name.startswith("O=") or Path(name).is_file()


def _measured(run: RunDir) -> list[JobResult]:
    """The passed jobs of a run's patched side."""
    jobs = _one_pair(run).jobs
    return [job for job in jobs if job.payload and job.role == "patched" and job.status is Status.PASS and not job.explain]


def check_alike(a: str, b: str, left: Sequence[JobResult], right: Sequence[JobResult]) -> None:
    """Raise UsageError when two runs' environments differ in what their numbers depend on."""
    for payload in sorted({job.payload for job in left} & {job.payload for job in right}):
        one, two = (next(job.env for job in side if job.payload == payload) for side in (left, right))
        for key in MUST_AGREE:
            if one.get(key) != two.get(key):
                what = f"{payload}: {key} is {one.get(key)!r} in {a} and {two.get(key)!r} in {b}"
                raise UsageError(f"these runs cannot be compared: {what}", hint="./inv rerun --run makes one like the other")
        releases = {".".join(env.get("release", "").split(".")[:3]).split("-")[0] for env in (one, two)}
        if len(releases) > 1:
            raise UsageError(f"these runs cannot be compared: releases {' and '.join(sorted(releases))}", hint="pin one source")


def rendered(lab: Lab, name: str) -> tuple[RunDir, Results]:
    """A run's directory and its results, as they are."""
    run = find_run(lab.reports, name)
    return run, run.read_results()


def cover_of(lab: Lab, name: str) -> str:
    """A run as Markdown for a cover letter."""
    return cover_text(rendered(lab, name)[1])
