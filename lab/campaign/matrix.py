"""The verb matrix: from [matrix.NAME] and the command line to a plan, and from a plan to a run that can be continued."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lab.cache import digest, digest_files
from lab.campaign.bench import boots_of
from lab.campaign.builder import inputs_of, material
from lab.campaign.cells import Catalogue, Stacked, Suits, expand, parse_shard, shard
from lab.campaign.engine import Engine, Found, Rules
from lab.campaign.forecast import Forecast, Times, forecast
from lab.campaign.maker import LabMaker
from lab.campaign.plan import Ask
from lab.campaign.price import price_verb
from lab.campaign.rundir import RunDir, new_run, runs
from lab.campaign.schedule import Pool
from lab.campaign.session import Lab, width
from lab.campaign.settings import MatrixTable, guest_spec, unknown
from lab.deadline import Deadline
from lab.errors import HostError, LabError, UsageError
from lab.events import Note, StageFinished, StageStarted, silent
from lab.kernel.build import known_build
from lab.kernel.kconfig import find_kconfig, list_kconfigs, requested
from lab.kernel.series import combine, list_series
from lab.kernel.tree import apply
from lab.measure.payload import Declaration, list_payloads, read_declaration
from lab.measure.payload import expand as metrics_of
from lab.model.matrix import OWN, Cell, Kernel, Plan
from lab.model.run import PayloadSpec, Results
from lab.model.wire import read_json, to_json, write_json
from lab.report.ci import github_text, gitlab_text
from lab.report.grid import plan_lines

COLD_S, FURTHER_S = 560.0, 60.0
"""Builds before any was seen: a first one with the default kconfig, and one patch further, on two cores."""
DYING_S = 15.0
"""How long the children of a killed run may take to be gone."""
DEFAULT = "default"
EMITS = {"github": github_text, "gitlab": gitlab_text}


@dataclass(frozen=True)
class Words:
    """The verb's own options."""

    name: str = ""
    """Empty: default."""
    shard: str = ""
    emit: str = ""
    fresh: bool = False
    per_patch: bool = False


def matrix_verb(lab: Lab, ask: Ask, words: Words) -> None:
    """Run a matrix; one that was interrupted goes on where it was. Nothing that a cell does stops the others."""
    if words.per_patch:
        _price(lab, ask, words)
        return
    plan = plan_of(lab, ask, words.name, words.shard)
    with run_of(lab, plan, fresh=words.fresh) as (run, held):
        ledger = lab.continued(run)
        ledger.any, ledger.strict, ledger.left_out = ask.any, ask.strict, plan.left_out
        lab.announce(ask)
        source = lab.source(ask)
        ledger.source = " ".join(filter(None, (source.release, source.tree[:12], source.label)))
        write_json(run.plan, plan)
        maker = LabMaker(lab, ask, plan, source)
        pool = Pool(run, lab.cache, lab.emit, maker.ran, width=width(lab.settings), held=held)
        engine = Engine(plan, maker, pool, Rules(ask.any, ask.strict, max(0, lab.settings.budget.builders)), emit=lab.emit)
        what, clock = f"{plan.name}: {len(plan.cells)} cells", lab.clock()
        lab.emit(StageStarted("matrix", what, _forecast(lab, ask, plan).seconds))
        try:
            engine.go()
        finally:
            _keep(lab, plan, engine.found)
        bad = sum(cell.status not in ("PASS", "SKIP") for cell in ledger.cells)
        lab.emit(StageFinished("matrix", what, clock(), f"{len(ledger.cells) - bad} good, {bad} bad", ok=bad == 0))


def matrix_lines(lab: Lab, ask: Ask, words: Words) -> Iterator[str]:
    """The plan and its forecast; with --emit the plan as a CI's own matrix. Raises UsageError for a CI that is not known."""
    if words.emit:
        yield _emitted(lab, ask, words)
        return
    plan = plan_of(lab, replace(ask, upto="all") if words.per_patch else ask, words.name, words.shard)
    seen = _forecast(lab, ask, plan)
    yield from plan_lines(plan, seen.builds, seen.boots, seen.seconds)


def _price(lab: Lab, ask: Ask, words: Words) -> None:
    """The price list of every series, on each kconfig and guest. Raises the first LabError, after the others."""
    failed: LabError | None = None
    for one in _priced(plan_of(lab, replace(ask, upto="all"), words.name, words.shard), ask):
        try:
            price_verb(lab, one)
        except LabError as error:
            lab.emit(Note(f"{one.series}, kconfig {one.kconfig}: {error.message}"))
            failed = failed or error
    if failed:
        raise failed


def _priced(plan: Plan, ask: Ask) -> list[Ask]:
    """What bisect --profile would be asked, a line a series, kconfig and guest."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for cell in plan.cells:
        payloads = found.setdefault((cell.series, cell.kconfig, cell.guest), [])
        if not cell.suite and cell.payload not in payloads:
            payloads.append(cell.payload)
    return [
        replace(ask, series=series, upto="", kconfig=kconfig, guest=guest, payload=",".join(payloads))
        for (series, kconfig, guest), payloads in found.items()
        if payloads
    ]


def _emitted(lab: Lab, ask: Ask, words: Words) -> str:
    if words.emit not in EMITS:
        raise UsageError(f"--emit takes one of {', '.join(EMITS)}, got {words.emit!r}")
    plan = plan_of(lab, ask, words.name)
    count = len(plan.groups)
    try:
        return EMITS[words.emit](words.name or DEFAULT, [shard(plan, number, count) for number in range(1, count + 1)])
    except ValueError as error:
        raise UsageError(f"matrix {plan.name}: {error}", hint="fewer combinations, or two matrices") from error


def plan_of(lab: Lab, ask: Ask, name: str = "", part: str = "") -> Plan:
    """The plan of [matrix.NAME] with what the command line says instead; `part`: I/N, one shard of it. Raises UsageError."""
    name = name or DEFAULT
    table = _table(lab, ask, name)
    there = _catalogue(lab, table)
    plan = expand(name, table, there)
    pin = repr(lab.settings.source)
    guests = {cell.guest for cell in plan.cells}
    payloads = {cell.payload for cell in plan.cells if not cell.suite}
    facts = {f"payload {one}": digest_files(*_sources(lab, one)) for one in sorted(payloads)}
    facts |= {f"guest {one}": repr(there.guests[one]) for one in sorted(guests)}
    facts |= {f"selftest {one}": repr(words) for one, words in lab.settings.selftests.items() if table.suites}
    own = dict.fromkeys(cell.series for cell in plan.cells if cell.suite == ("kselftest", OWN))
    facts |= {f"own {one}": " ".join(there.stacks[one].last.selftests) for one in own}
    facts |= {"baseline_boots": str(table.baseline_boots), "cc": ask.cc, "accel": ask.accel, "source": pin}
    inputs = {kernel.id: inputs_of(lab.root, kernel, pin) for kernel in plan.kernels}
    whole = replace(plan, inputs=inputs, facts=facts)
    return shard(whole, *parse_shard(part)) if part else whole


def _table(lab: Lab, ask: Ask, name: str) -> MatrixTable:
    if name not in lab.settings.matrix:
        raise unknown("matrix", name, lab.settings.matrix, "lab.toml declares them under [matrix.NAME]")
    table = lab.settings.matrix[name]
    named = {
        key: tuple(text.replace(",", " ").split())
        for key, text in (("series", ask.series), ("kconfigs", ask.kconfig), ("guests", ask.guest), ("payloads", ask.payload))
        if text
    }
    upto = tuple(int(word) if word.isdecimal() else word for word in ask.upto.replace(",", " ").split())
    if wrong := [word for word in upto if isinstance(word, str) and word not in ("whole", "all")]:
        raise UsageError(f"--upto takes numbers of patches, `whole` or `all`, got {wrong[0]!r}")
    table = replace(table, **named)  # type: ignore[arg-type]  # the keys are those of four like fields
    if ask.payload:
        table = replace(table, suites=())
    return replace(table, upto=upto) if upto else table  # type: ignore[arg-type]  # the words were checked above


def _catalogue(lab: Lab, table: MatrixTable) -> Catalogue:
    patches, kconfigs = lab.root / "patches", lab.root / "kconfigs"
    wanted = table.series or (lab.settings.default.series,)
    known = {*list_series(patches)}
    order = lab.settings.order.series
    there = [one for one in wanted if known.issuperset(one.split("+")) or Path(one).exists()]
    stacks = {one: Stacked(*combine(patches, one, order)) for one in there}
    stacks |= dict.fromkeys(sorted(known - set(stacks)), Stacked((), ()))
    return Catalogue(
        stacks=stacks,
        kconfigs={one: frozenset(requested(find_kconfig(kconfigs, one)).wanted) for one in list_kconfigs(kconfigs)},
        guests={one: guest_spec(lab.settings, one) for one in lab.settings.guest},
        payloads={one: _suits(read_declaration(lab.root / "payloads", one)) for one in list_payloads(lab.root / "payloads")},
        default=lab.settings.default,
    )


def _suits(declared: Declaration) -> Suits:
    return Suits(declared.guests, bool(declared.peer))


def _sources(lab: Lab, payload: str) -> tuple[Path, Path]:
    return lab.root / "payloads" / payload, lab.root / "payloads" / "include"


# --- the run -----------------------------------------------------------------------------------------------------------


@contextmanager
def run_of(lab: Lab, plan: Plan, *, fresh: bool) -> Iterator[tuple[RunDir, tuple[int, ...]]]:
    """The newest run of this very plan that is not complete, else a new one; with the lock that says that somebody is at it."""
    run = None if fresh else next((one for one in runs(lab.reports) if _open(one, plan)), None)
    run, old = (run, True) if run else (new_run(lab.reports), False)
    name = f"run-{digest(str(run.path))}"
    try:
        with lab.cache.lock(name, deadline=Deadline.after(DYING_S)) as fd:
            if old:
                lab.emit(
                    Note(f"continuing run {run.id}, where {len(run.finished())} boots are finished (--fresh starts another)")
                )
            yield run, (fd,)
    except HostError as error:
        if name not in error.message:
            raise
        raise HostError(f"run {run.id} of this matrix is going on", hint="--fresh starts another one beside it") from error


def _open(run: RunDir, plan: Plan) -> bool:
    """Whether a run has this plan and cells of it that are not finished."""
    if not run.plan.is_file() or run.plan.read_text(encoding="utf-8") != to_json(plan):
        return False
    return not run.results.is_file() or len(read_json(run.results, Results).cells) < len(plan.cells)


def _keep(lab: Lab, plan: Plan, found: Found) -> None:
    lab.ledger.cells = found.done(plan)
    lab.ledger.comparisons = found.comparisons(plan)
    lab.ledger.tests = found.tests(plan)


# --- the forecast --------------------------------------------------------------------------------------------------------


def _forecast(lab: Lab, ask: Ask, plan: Plan) -> Forecast:
    kconfigs = {kernel.kconfig for kernel in plan.kernels}
    factor, past = lab.settings.budget.factor, lab.history.expected
    times = Times(
        cold={one: past(f"build.{one}.cold") or COLD_S * factor(one) for one in kconfigs},
        further={one: past(f"build.{one}") or FURTHER_S for one in kconfigs},
        boot={(cell.payload, cell.kconfig): _boot_s(lab, cell.payload, cell.kconfig) for cell in plan.cells},
    )
    boots = {cell.payload: _boots(lab, cell, int(plan.facts["baseline_boots"])) for cell in plan.cells}
    slots = {one for one in kconfigs for path in lab.cache.slots() if path.name.startswith(f"{one}-")}
    built = [kernel for kernel in plan.kernels if _is_built(lab, ask, kernel)]
    return forecast(plan, boots, times, built=built, slots=slots, width=width(lab.settings))


def _boot_s(lab: Lab, payload: str, kconfig: str) -> float:
    past = lab.history.expected
    return past(f"job.{payload}.{kconfig}") or past("bench.job") * lab.settings.budget.factor(kconfig)


def _boots(lab: Lab, cell: Cell, repeats: int) -> tuple[int, int]:
    if cell.suite:
        return repeats, 1
    declared = read_declaration(lab.root / "payloads", cell.payload)
    count = len(boots_of(PayloadSpec(cell.payload, "", Path(), "", (), tuple(metrics_of(declared))), 0))
    return count, count


def _is_built(lab: Lab, ask: Ask, kernel: Kernel) -> bool:
    """Whether the cache has the kernel; a series that does not apply has none, and a source is not fetched to ask."""
    if not any((lab.cache.root / "source").glob("[!.]*")):
        return False
    with suppress(LabError):
        series, kconfig = material(lab.root, kernel)
        tree = apply(lab.source(ask), series, kernel.upto if series else None, lab.cache, silent)
        return known_build(tree, kconfig, cache=lab.cache, cc=ask.cc or "gcc") is not None
    return False
