"""The verb `determinism`: one kernel, many cold boots, every counted row; and for each wobble, the functions it comes from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lab.campaign.bench import run_stage
from lab.campaign.dryrun import boot_lines, build_lines, payload_lines
from lab.campaign.explain import boot_profiled, explain_pair
from lab.campaign.plan import Ask
from lab.campaign.session import Lab, width
from lab.campaign.settings import whole_number
from lab.errors import LabError, UsageError
from lab.events import Note
from lab.measure.payload import list_payloads
from lab.measure.steady import counted, furthest_apart, steadiness
from lab.measure.verdict import compare
from lab.model.judgement import Comparison, Verdict
from lab.model.profile import Explanation
from lab.model.run import Job, JobResult, PayloadSpec
from lab.model.steady import Steadiness

BOOTS, LEAST_BOOTS = 10, 2
VERB = "determinism"


def determinism_verb(lab: Lab, ask: Ask, boots: str = "") -> tuple[Steadiness, ...]:
    """Boot the patched kernel so many times with each payload that counts; a row a payload and metric, its causes found."""
    count = whole_number("--boots", boots, LEAST_BOOTS) if boots else BOOTS
    lab.ledger.strict = ask.strict
    payloads = chosen(lab, ask)
    _, side = lab.sides(ask)
    lab.announce(ask)
    kernel = lab.build(ask, side)
    lab.accel(ask, kernel, lab.image(lab.guest(ask).image))
    benches = [(payload, lab.bench(ask, payload)) for payload in payloads]
    jobs = [bench.job(side, kernel, payload, boot) for payload, bench in benches for boot in range(1, count + 1)]
    results = run_stage(lab, ask, jobs, VERB, VERB)
    found: list[Steadiness] = []
    for payload in payloads:
        rows = steadiness(payload, counted(payload, names(ask)), results, count, ask.kernel or side.label)
        found += rows if lab.ledger.failed else explained(lab, ask, [job for job in jobs if job.payload == payload], rows)
    lab.ledger.steadiness += found
    if not found and not lab.ledger.failed:
        raise LabError("no counted row came, so nothing is known", hint="every row was skipped: ./inv recheck shows why")
    return tuple(found)


def determinism_lines(lab: Lab, ask: Ask) -> Iterator[str]:
    """What determinism does, ready to paste."""
    yield from build_lines(lab, ask)
    for payload in chosen(lab, ask):
        yield from boot_lines(lab, ask, payload)
        yield from payload_lines(payload)


def names(ask: Ask) -> list[str]:
    """The rows that --row names."""
    return ask.row.replace(",", " ").split()


def chosen(lab: Lab, ask: Ask) -> list[PayloadSpec]:
    """The payloads of --payload, else all with rows that their guest counts. Raises UsageError: one counts none, no such row."""
    words = [] if ask.payload == "all" else ask.payload.replace(",", " ").split()
    payloads = [lab.payload(name) for name in words or list_payloads(lab.root / "payloads")]
    counting = [one for one in payloads if counted(one) and one.instrument and lab.guest(ask, one).mode == "exact"]
    if idle := [one.name for one in payloads if words and one not in counting]:
        raise UsageError(f"{', '.join(idle)}: no row is counted to the instruction there", hint="./inv lists payloads and guests")
    known = [metric.name for one in counting for metric in counted(one)]
    if unknown := [name for name in names(ask) if name not in known]:
        raise UsageError(f"--row: no counted row is called {', '.join(unknown)}", hint=f"there are: {', '.join(known) or 'none'}")
    return [one for one in counting if counted(one, names(ask))]


def explained(lab: Lab, ask: Ask, jobs: Sequence[Job], rows: Sequence[Steadiness]) -> list[Steadiness]:
    """The rows, the wobbling ones with their cause: `jobs` boot once more, with a profile, until two boots differ in each."""
    wobbling = [row.metric for row in rows if row.verdict is Verdict.WOBBLE]
    results: list[JobResult] = []
    while len(results) < len(jobs) and not lab.ledger.failed and (left := _unexplained(wobbling, results)):
        lab.emit(Note(f"{jobs[0].id.partition('.')[0]}: boots with a profile, to see why {', '.join(left)} wobble"))
        results += boot_profiled(lab, ask, jobs[len(results) :][: max(2, width(lab.settings))], VERB)
    causes = _causes(lab, jobs, results, wobbling)
    return [replace(row, explained=len(results), cause=causes.get(row.metric)) if row.metric in wobbling else row for row in rows]


def _unexplained(metrics: Sequence[str], results: Sequence[JobResult]) -> list[str]:
    return [metric for metric in metrics if furthest_apart(metric, results) is None]


def _causes(lab: Lab, jobs: Sequence[Job], results: Sequence[JobResult], metrics: Sequence[str]) -> dict[str, Explanation]:
    """What each row wobbles by; two boots are read once, however many rows differ most between them."""
    rows: defaultdict[tuple[int, int], list[Comparison]] = defaultdict(list)
    for metric in metrics:
        if apart := furthest_apart(metric, results):
            low, high = apart
            spec = _job(jobs, low.boot).payload
            assert spec is not None
            rows[low.boot, high.boot] += [one for one in compare(spec, [low], [high], low.id, high.id) if one.metric == metric]
    found: list[Explanation] = []
    for (low_boot, high_boot), told in rows.items():
        found += explain_pair(lab, (_job(jobs, low_boot), _job(jobs, high_boot)), results, told, metrics)
    return {one.metric: one for one in found}


def _job(jobs: Sequence[Job], boot: int) -> Job:
    return next(job for job in jobs if job.boot == boot)
