"""The verb bisect: a search that looks at real kernels, whose state is on disk after every look."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lab.cache import digest
from lab.campaign.bisectlog import log_text
from lab.campaign.dryrun import bench_lines, boot_lines, build_lines
from lab.campaign.known import Answer, Point, Search
from lab.campaign.plan import Ask, refuse
from lab.campaign.price import price_verb
from lab.campaign.probe import BOOT, BUILD, Prober, Stack
from lab.campaign.rundir import RunDir
from lab.campaign.search import advance, inert, word
from lab.campaign.session import Lab
from lab.campaign.settings import whole_number
from lab.campaign.subject import of_row, with_subject
from lab.deadline import Deadline
from lab.errors import HostError, UsageError
from lab.events import Note
from lab.kernel.build import known_build
from lab.model.bisection import Bisection, Look, Subject
from lab.model.change import Series
from lab.model.judgement import Metric
from lab.model.outcome import RowKind
from lab.model.run import PayloadSpec
from lab.model.wire import read_json, write_json

NOT_BUILT = ("Documentation/", "tools/testing/", "MAINTAINERS", ".mailmap")
"""Files that no kernel is made of."""
ENDS: dict[RowKind, int] = {"count": 3, "sample": 8}
"""Boots of each end, where two are too few."""
SAMPLED_BOOTS = 4
BUILD_S, BOOT_S = 45.0, 12.0
"""A step along a series and a boot with a payload, before any was seen: on two cores without KVM."""


@dataclass(frozen=True)
class Words:
    """The options of `bisect` alone, as they were given."""

    good: str = ""
    bad: str = ""
    boots: str = ""
    confidence: str = ""
    fresh: bool = False
    profile: bool = False


@dataclass(frozen=True)
class State:
    """What a bisection knows: from this it goes on."""

    question: str
    """Digest of all that the answer depends on."""
    subject: Subject | None = None
    metric: Metric | None = None
    ends: int = 2
    looks: tuple[Look, ...] = ()
    finished: bool = False


def bisect_verb(lab: Lab, ask: Ask, words: Words) -> None:
    """Find the patch, or price all of them; the ledger has the answer. Raises UsageError, PatchError, HostError."""
    stack = Stack(*lab.stack(ask))
    if words.profile:
        low, high = span(stack.series, ask, words)
        price_verb(lab, ask, good=low, bad=high)
        return
    if ask.explain:
        raise UsageError("--explain goes with --profile, or with bench on what was found")
    payload = _payload(lab, ask)
    search = first_search(stack.series, payload, ask, words)
    prober, question = Prober(lab, ask, stack, payload), _question(lab, ask, stack, payload, words)
    with _run(lab, question, fresh=words.fresh) as state:
        if state is not None:
            metric = state.metric or search.metric
            search = replace(search, looks=state.looks, subject=state.subject, metric=metric, ends=state.ends)
        lab.announce(ask)
        lab.emit(Note(forecast(lab, ask, stack, search)))
        answer, search = _searched(prober, search, question)
        lab.ledger.bisection = _named(prober, search, answer)
        _save(prober, question, search, answer)


def bisect_lines(lab: Lab, ask: Ask, words: Words) -> Iterator[str]:
    """What a bisection does at its ends, ready to paste; between them it is the same with --upto."""
    low, high = span(lab.stack(ask)[1], ask, words)
    between = math.ceil(math.log2(high - low))
    yield f"# {low} and {high} patches; at most {between} kernels between them; {high} patches without the one that is found"
    yield from bench_lines(lab, ask) if ask.payload else (*build_lines(lab, ask), *boot_lines(lab, ask))


def first_search(series: Series, payload: PayloadSpec | None, ask: Ask, words: Words) -> Search:
    """The search before anything was looked at. Raises UsageError."""
    low, high = span(series, ask, words)
    metric = _metric(payload, ask.row)
    kinds = [metric.kind] if metric else [one.kind for one in payload.metrics if one.kind == "count"] if payload else []
    ends = whole_number("--boots", words.boots, 2) if words.boots else max((ENDS.get(kind, 2) for kind in kinds), default=2)
    sampled = metric is not None and metric.kind == "sample"
    return Search(
        low,
        high,
        of_row(metric) if metric else None,
        metric,
        inert=frozenset(
            k for k, patch in enumerate(series.patches, 1) if all(file.startswith(NOT_BUILT) for file in patch.files)
        ),
        ends=ends,
        boots=SAMPLED_BOOTS if sampled else 1,
        confidence=_share("--confidence", words.confidence) if words.confidence else 0.99,
    )


def span(series: Series, ask: Ask, words: Words) -> tuple[int, int]:
    """Good and bad end, in patches. Raises UsageError."""
    refuse(ask, "upto", "--bad K ends the series earlier")
    refuse(ask, "kernel", "one kernel has no patches to tell apart")
    count = len(series.patches)
    low = whole_number("--good", words.good, 0) if words.good else 0
    high = whole_number("--bad", words.bad, 1) if words.bad else count
    if not 0 <= low < high <= count:
        raise UsageError(
            f"--good {low} --bad {high}: {series.name} has {count} patches",
            hint="0 <= GOOD < BAD: only what lies between is searched",
        )
    return low, high


def _payload(lab: Lab, ask: Ask) -> PayloadSpec | None:
    if not ask.payload and ask.row:
        raise UsageError(f"--row {ask.row} needs the --payload that has it")
    return lab.payload(ask.payload) if ask.payload else None


def _metric(payload: PayloadSpec | None, row: str) -> Metric | None:
    if payload is None or not row:
        return None
    told = [metric for metric in payload.metrics if metric.kind != "info"]
    for metric in told:
        if metric.name == row:
            return metric
    raise UsageError(
        f"--row: {payload.name} has no row {row!r} that can be judged", hint=f"there are: {', '.join(m.name for m in told)}"
    )


def _share(option: str, text: str) -> float:
    with suppress(ValueError):
        if 0.5 < float(text) < 1:
            return float(text)
    raise UsageError(f"{option} takes a probability between 0.5 and 1, got {text!r}")


def _question(lab: Lab, ask: Ask, stack: Stack, payload: PayloadSpec | None, words: Words) -> str:
    """What the answer depends on: with the same digest a run that was cut off may go on."""
    whole = stack.side(lab, ask, Point(len(stack.series.patches)))
    patches = [(patch.name, patch.text) for series in (*stack.below, stack.series) for patch in series.patches]
    told = [
        lab.source(ask).tree,
        repr(patches),
        repr(whole.kconfig),
        payload.hash if payload else "",
        repr(lab.guest(ask, payload)),
    ]
    return digest(*told, repr(replace(words, fresh=False)), ask.row, ask.symptom, ask.cc, ask.accel)


@contextmanager
def _run(lab: Lab, question: str, *, fresh: bool) -> Iterator[State | None]:
    """The run, held by a lock: one that was cut off with what it knew, else a new one."""
    with ExitStack() as held:
        old = None if fresh or lab.has_run else unfinished(lab.reports, question)
        if old is None or not _taken(lab, old, held):
            held.enter_context(lab.cache.lock(f"bisect-{lab.ledger.run.id}"))
            yield None
            return
        state = read_json(lab.ledger.run.bisection, State)
        lab.emit(Note(f"going on with {lab.ledger.run.id}: {len(state.looks)} looks are known (--fresh begins anew)"))
        yield state


def _taken(lab: Lab, run: RunDir, held: ExitStack) -> bool:
    """Whether the run is ours now; not while somebody else is at it."""
    with suppress(HostError):
        held.enter_context(lab.cache.lock(f"bisect-{run.id}", deadline=Deadline.after(0)))
        lab.continued(run)
        return True
    return False


def unfinished(reports: Path, question: str) -> RunDir | None:
    """The newest run that was cut off while it looked for the same thing."""
    for path in sorted(reports.glob("2*"), reverse=True):
        run = RunDir(path)
        if run.bisection.is_file():
            state = read_json(run.bisection, State)
            if state.question == question and not state.finished:
                return run
    return None


def forecast(lab: Lab, ask: Ask, stack: Stack, search: Search) -> str:
    """What it will take: kernels and boots, and minutes as things went so far on this host."""
    between = math.ceil(math.log2(search.high - search.low))
    cached = sum(_is_known(lab, ask, stack, Point(k)) for k in (search.low, search.high))
    made = 3 + between - cached
    boots = 3 * search.ends + between * search.boots + 2
    build_s, boot_s = lab.history.expected(BUILD) or BUILD_S, lab.history.expected(BOOT) or BOOT_S
    cold = lab.history.expected("build") if not lab.cache.slots() else 0.0
    minutes = (cold + made * build_s + boots * boot_s) / 60
    told = f"both ends, at most {between} kernels between, 1 without the patch that is found"
    return (
        f"forecast: {told}: up to {made} to build ({cached} of the ends are there) at {build_s:.0f} s, "
        f"{boots} boots at {boot_s:.0f} s: about {minutes:.0f} min, if one patch does it"
    )


def _is_known(lab: Lab, ask: Ask, stack: Stack, point: Point) -> bool:
    side = stack.side(lab, ask, point)
    return known_build(lab.tree(ask, side), side.kconfig, cache=lab.cache, cc=ask.cc or "gcc") is not None


def _searched(prober: Prober, search: Search, question: str) -> tuple[Answer, Search]:
    """Probe by probe to the answer; after each the state is on disk."""
    metrics = prober.payload.metrics if prober.payload else ()
    while True:
        search = with_subject(search, metrics, prober.ask.symptom)
        step = advance(search)
        if isinstance(step, Answer):
            return step, search
        number = max((look.probe for look in search.looks), default=0) + 1
        boots = search.subject is None or search.subject.kind != "build"
        search = replace(search, looks=(*search.looks, *prober.look(step, number, boot=boots)))
        _save(prober, question, search, None)


def _save(prober: Prober, question: str, search: Search, answer: Answer | None) -> None:
    """The state, and beside it the log, which is for people and for git."""
    run = prober.lab.ledger.run
    state = State(question, search.subject, search.metric, search.ends, search.looks, finished=answer is not None)
    run.bisect_log.write_text(log_text(_named(prober, search, answer or Answer("unknown", why="not over"))), encoding="utf-8")
    write_json(run.bisection, state)


def _named(prober: Prober, search: Search, answer: Answer) -> Bisection:
    """The answer with the names of patches, and what each look counted as."""
    series, payload = prober.stack.series, prober.payload
    names = {k: patch.name for k, patch in enumerate(series.patches, 1)} | {0: "none"}
    titles = {k: patch.subject for k, patch in enumerate(series.patches, 1)}
    culprits = [replace(one, patch=names[one.k], title=titles[one.k]) for one in answer.culprits]
    return Bisection(
        series=series.name,
        payload=payload.name if payload else "",
        kconfig=prober.lab.kconfig(prober.ask, ()).name,
        guest=prober.lab.guest(prober.ask, payload).name,
        good=search.low,
        bad=search.high,
        patches=tuple(names[k] for k in range(1, len(series.patches) + 1)),
        subject=search.subject,
        word=answer.word,
        culprits=tuple(culprits),
        suspects=tuple(names[k] for k in answer.suspects),
        posterior={names[k]: mass for k, mass in (answer.posterior or {}).items()},
        inert=tuple(names[k] for k in inert(search)),
        why=answer.why,
        looks=tuple(replace(look, word=word(search, look)) for look in search.looks),
    )
