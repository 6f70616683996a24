"""--explain: one more boot a side with the profile on, and what it says about the rows that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from lab.campaign.bench import bench_verb, run_stage
from lab.campaign.job import COST
from lab.campaign.plan import Ask
from lab.campaign.rundir import JobDir, RunDir, find_run
from lab.campaign.session import Lab
from lab.errors import UsageError
from lab.events import Note
from lab.formats.profile import parse_profile
from lab.kernel.debuginfo import has_debug_info, inlined_at, source_files
from lab.kernel.symbols import parse_kallsyms
from lab.measure.cost import FUNCTIONS, PROFILE
from lab.measure.explain import explain, having, worth
from lab.measure.layers import read_layers
from lab.measure.paths import call_graph, stacks, typical_stacks
from lab.measure.profiled import Profiled, Texts, kernel_addresses, profiled
from lab.model.judgement import Comparison
from lab.model.outcome import Status
from lab.model.profile import Explanation, Profiling
from lab.model.run import Job, JobResult
from lab.model.wire import read_json
from lab.report.callgrind import callgrind_text
from lab.report.flame import flame_svg, folded_text
from lab.report.published import bars_svg

DWARF = "CONFIG_DEBUG_INFO_DWARF5=y"
SLOWER = 3.0
"""How much longer than a judged boot one with a profile may take."""

Pair = tuple[Job, Job]


def explained(verb: Callable[[Lab, Ask], object]) -> Callable[[Lab, Ask], None]:
    """A verb that compares, and then explains its rows if --explain is given."""

    def both(lab: Lab, ask: Ask) -> None:
        check(ask)
        verb(lab, ask)
        if ask.explain and not lab.ledger.failed:
            explain_rows(lab, ask, pairs(lab.ledger.run.jobs()))

    return both


def explained_bench(lab: Lab, ask: Ask) -> None:
    """Payloads on base and patched, judged, and explained if asked for."""
    explained(bench_verb)(lab, ask)


def explained_runs(lab: Lab, ask: Ask, a: str, b: str) -> None:
    """Explain a comparison of two runs: what their patched sides booted is booted once more."""
    left, right = (_jobs(find_run(lab.reports, name), "patched") for name in (a, b))
    explain_rows(lab, ask, {name: (replace(left[name], role="baseline"), right[name]) for name in left if name in right})


def check(ask: Ask) -> None:
    """Raise UsageError for options that need each other."""
    if ask.row and not ask.explain:
        raise UsageError("--row names what --explain explains; give both")
    if (ask.caches or ask.inlines) and not ask.explain:
        raise UsageError(f"{'--caches' if ask.caches else '--inlines'} adds to what --explain explains; give both")
    if ask.explain and ask.kernel:
        raise UsageError("--explain compares two sides; `./inv compare --a KERNEL --b KERNEL --explain` takes two kernels")


def pairs(places: Sequence[JobDir]) -> dict[str, Pair]:
    """The first judged job of each side, by payload."""
    sides = [_first(places, role) for role in ("baseline", "patched")]
    return {name: (job, sides[1][name]) for name, job in sides[0].items() if name in sides[1]}


def _jobs(run: RunDir, role: str) -> dict[str, Job]:
    return _first(run.jobs(), role)


def _first(places: Iterable[JobDir], role: str) -> dict[str, Job]:
    found: dict[str, Job] = {}
    for place in places:
        job = read_json(place.job, Job)
        if job.payload and job.payload.instrument and job.guest.mode == "exact" and job.role == role and not job.explain:
            found.setdefault(job.payload.name, job)
    return found


def explain_rows(lab: Lab, ask: Ask, jobs: dict[str, Pair]) -> None:
    """Boot once a side for every payload with rows to explain; explanations go into the ledger, files beside the boots."""
    named = ask.row.replace(",", " ").split()
    rows = worth([row for row in lab.ledger.comparisons if row.payload in jobs], named)
    if unknown := sorted(set(named) - {row.metric for row in rows}):
        known = ", ".join(row.metric for row in lab.ledger.comparisons if row.kind == "exact")
        raise UsageError(f"--row: no counted row is called {', '.join(unknown)}", hint=f"there are: {known or 'none'}")
    if not rows:
        lab.emit(Note("nothing to explain: every counted row is EQUAL (--row NAME explains one all the same)"))
    lab.ledger.explanations += explanations(lab, ask, jobs, rows, named)


def explanations(
    lab: Lab, ask: Ask, jobs: dict[str, Pair], rows: Sequence[Comparison], named: Sequence[str]
) -> list[Explanation]:
    """One more boot a side for every payload of the rows, and what each row's difference is made of."""
    if not rows:
        return []
    found: list[Explanation] = []
    chosen = {name: jobs[name] for name in dict.fromkeys(row.payload for row in rows)}
    results = boot_profiled(lab, ask, [job for pair in chosen.values() for job in pair], "bench")
    for name, pair in chosen.items():
        if {job.role for job in results if job.payload == name and job.status is Status.PASS} == {"baseline", "patched"}:
            found += explain_pair(lab, pair, results, [row for row in rows if row.payload == name], named)
    return found


def boot_profiled(lab: Lab, ask: Ask, jobs: Sequence[Job], verb: str) -> list[JobResult]:
    """Boot judged jobs again with a profile; the ledger's environment stays that of the judged boots."""
    env = dict(lab.ledger.env)
    if ask.inlines:
        check_debug_info(jobs)
    profiling = Profiling(lab.settings.caches.plain if ask.caches else None, ask.inlines)
    own = [_profiling(lab, job, profiling) for job in jobs]
    results = run_stage(lab, ask, own, "explain", verb)
    lab.ledger.env = env
    return results


def check_debug_info(jobs: Sequence[Job]) -> None:
    """Raise UsageError when a side's kernel cannot tell what is inlined."""
    bare = sorted({job.role for job in jobs if not has_debug_info(job.kernel.vmlinux)})
    if bare:
        raise UsageError(
            f"--inlines needs debug information, and there is none for the kernel of {' and '.join(bare)}",
            hint=f"build it with {DWARF}: --set {DWARF} does",
        )


def _profiling(lab: Lab, job: Job, profiling: Profiling) -> Job:
    """The same boot with a profile."""
    name = _name(job)
    slow = {key: SLOWER * getattr(job, key) for key in ("stall_budget_s", "boot_budget_s", "slow")}
    return replace(job, id=name, directory=lab.ledger.run.job(name).path, explain=True, profiling=profiling, **slow)


def _name(job: Job) -> str:
    stem, _, boot = job.id.rpartition(".")
    return f"{stem}.{job.role}.x{boot[1:]}" if job.role not in stem.split(".") else f"{stem}.x{boot[1:]}"


def _place(lab: Lab, job: Job, results: Sequence[JobResult]) -> JobDir:
    """Where the boot is that counted: the second one's directory when the first was lost."""
    name = _name(job)
    again = any(result.id == name and result.attempts > 1 for result in results)
    return lab.ledger.run.job(f"{name}.again" if again else name)


def explain_pair(
    lab: Lab, pair: Pair, results: Sequence[JobResult], rows: Sequence[Comparison], named: Sequence[str]
) -> list[Explanation]:
    """What the two boots with a profile that `boot_profiled` made of a pair of jobs say of rows; drawn beside them, too."""
    layers = read_layers()
    places = [_place(lab, job, results) for job in pair]
    whole = [_side(job, place, rows) for job, place in zip(pair, places, strict=True)]
    published = {table.row: table for table in pair[1].payload.published} if pair[1].payload else {}
    found = []
    for row in rows:
        base, patched = having(row, *whole)
        explanation = explain(row, base, patched, layers, asked=row.metric in named, published=published.get(row.metric))
        _draw(explanation, places, (base, patched))
        found.append(explanation)
    return found


def _side(job: Job, place: JobDir, rows: Sequence[Comparison]) -> Profiled:
    waiting = frozenset(metric.name for metric in job.payload.metrics if metric.waits) if job.payload else frozenset()
    texts = Texts(
        stdout=_text(place.payload_out),
        cost=_text(place.path / COST),
        functions=_text(place.path / FUNCTIONS),
        late=parse_kallsyms(_text(place.kallsyms)),
        waiting=waiting,
        profiling=read_json(place.job, Job).profiling,
    )
    profile = parse_profile(_text(place.path / PROFILE))
    side = profiled(texts, profile, source_files(job.kernel.vmlinux, kernel_addresses(profile)), read_layers())
    ran = [row.metric for row in rows if row.metric in side.laps]
    return replace(side, inlined=inlined_at(job.kernel.vmlinux, side.spots(ran)))


def _draw(explanation: Explanation, places: Sequence[JobDir], sides: tuple[Profiled, Profiled]) -> None:
    """Call graph and stacks of each side beside its boot, the flame graph of the difference beside the patched one."""
    row = explanation.metric
    stem = row.replace("/", "-")
    for place, side in zip(places, sides, strict=True):
        place.explain.mkdir(exist_ok=True)
        if not side.laps[row]:
            continue
        graph = call_graph(side, row, f"{explanation.payload} {row}, {side.laps[row]} operations")
        (place.explain / f"callgrind.out.{stem}").write_text(callgrind_text(graph), encoding="utf-8")
        (place.explain / f"{stem}.folded").write_text(folded_text(stacks(side, row)), encoding="utf-8")
    title = f"{explanation.payload} {row}: {explanation.a} and {explanation.b}"
    base, patched = (typical_stacks(side, row, typical=explanation.typical) for side in sides)
    svg = flame_svg(title, base, patched, explanation.operations)
    (places[1].explain / f"{stem}.diff.svg").write_text(svg, encoding="utf-8")
    if explanation.published:
        bars = bars_svg(explanation, explanation.published)
        (places[1].explain / f"{stem}.published.svg").write_text(bars, encoding="utf-8")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="backslashreplace") if path.is_file() else ""
