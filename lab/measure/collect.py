"""Running a payload on a guest, and what it said: KTAP, samples and the plugin's sections become cases and rows."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low

from lab.deadline import Deadline
from lab.errors import GuestError
from lab.formats.ktap import parse_ktap
from lab.formats.samples import Samples, SectionLine, parse_samples
from lab.measure.cost import Lap, Section, parse_cost
from lab.measure.payload import TOTAL
from lab.model.judgement import Metric
from lab.model.outcome import Case, Outcome, Row, Status
from lab.model.ports import Shell
from lab.model.run import PayloadSpec

PLACE = "/tmp/payload"  # noqa: S108  # the guest's own tmpfs, where the lab is alone
EMPTY = "empty"
"""The section that prices the bracket around every operation (lab_calibrate() in payloads/include/lab.h)."""
BAIL = "Bail out!"
SHOWN = 5
"""How many missing rows are named."""
STRAY = 0.01
"""So many laps apart may meet an interrupt between a mark and the look at the clock; one may in any case."""
SKIPPED = 4
"""A kselftest's exit status for `not applicable here`."""


@dataclass(frozen=True)
class Collected:
    """What a payload left: exit status, KTAP text, standard error."""

    status: int
    stdout: str
    stderr: str


def collect(shell: Shell, *others: Shell, spec: PayloadSpec, deadline: Deadline) -> Collected:
    """Send the payload and run it, in one exec; nothing is sent while it measures. `others`: the second guest of a pair.

    Raises LostGuest; GuestError when the service on the second guest does not come up.
    """
    place = f"{PLACE}/{spec.name}"
    shell.push(spec.directory, place, deadline=deadline)
    for other in others if spec.peer else ():
        _serve(other, spec, place, deadline)
    words = " ".join(shlex.quote(word) for word in spec.command)
    quiet = f"cd {shlex.quote(place)} && {words} >../out 2>../err </dev/null; status=$?"
    done = shell.run(f"{quiet}; cat ../out; cat ../err >&2; exit $status", deadline=deadline)
    return Collected(done.status, done.stdout, done.stderr)


def _serve(peer: Shell, spec: PayloadSpec, place: str, deadline: Deadline) -> None:
    """Start the payload's service on the second guest; it is up when its command ends."""
    peer.push(spec.directory, place, deadline=deadline)
    words = " ".join(shlex.quote(word) for word in spec.peer)
    done = peer.run(f"cd {shlex.quote(place)} && {words} </dev/null", deadline=deadline)
    if done.status:
        raise GuestError(f"`{words}` on the second guest ended with status {done.status}: {done.stderr.strip()[-500:]}")


def outcome(raw: Collected, cost_text: str | None, spec: PayloadSpec) -> Outcome:
    """Cases and rows of one boot: pure. `cost_text` is the plugin's whole output, None when nothing counted on purpose.

    Unknown is failure: whatever is missing, malformed or contradictory is a case that is not PASS.
    """
    ktap = parse_ktap(raw.stdout)
    samples = parse_samples(ktap.diagnostics)
    cases = [*ktap.cases, *_bad("ktap", Status.FAIL, ktap.problems), *_bad("samples", Status.FAIL, samples.problems)]
    rows = [Row(series.metric, series.unit, "info", series.values) for series in samples.series if not _is_clock(series.metric)]
    notes = list(samples.notes)
    if cost_text is None:
        notes.append("instructions were not counted: the guest is not in exact mode, or the payload wants no instrument")
    else:
        counted = _counted(cost_text, samples, {metric.name: metric for metric in spec.metrics if metric.kind == "exact"})
        cases += counted.cases
        rows += counted.rows
        notes += counted.notes
    bailed = any(problem.startswith(BAIL) for problem in ktap.problems)  # which says enough
    counts = cost_text is not None
    due = [] if bailed else [metric for metric in spec.metrics if not _excused(metric, ktap.cases, counted=counts)]
    rows, complaints = _declared(rows, spec, due)
    cases += _bad("metrics", Status.FAIL, complaints)
    if not _explained(raw.status, cases):
        cases.append(Case("exit", Status.FAIL, _exit_text(raw)))
    return Outcome(tuple(cases), tuple(rows), tuple(notes))


def _bad(name: str, status: Status, problems: Sequence[str]) -> list[Case]:
    return [Case(name, status, "; ".join(problems))] if problems else []


def _explained(status: int, cases: Sequence[Case]) -> bool:
    """Whether the exit status fits what was said: 0 with no failure, 1 with one, 4 when everything was skipped."""
    failed = any(case.status not in (Status.PASS, Status.SKIP) for case in cases)
    if status == SKIPPED:
        return bool(cases) and all(case.status is Status.SKIP for case in cases)
    return status == 0 or (status == 1 and failed)


def _exit_text(raw: Collected) -> str:
    last = raw.stderr.strip().splitlines()[-1:] or ["nothing on standard error"]
    return f"the payload ended with status {raw.status}: {last[0]}"


def _is_clock(metric: str) -> bool:
    return metric.startswith("clock.")


def _excused(metric: Metric, cases: Sequence[Case], *, counted: bool) -> bool:
    """Whether a row need not come: nothing counted, everything was skipped, or the case of its name or of a part before a dot."""
    if not counted and _by_plugin(metric):
        return True
    skipped = [case.name for case in cases if case.status is Status.SKIP]
    named = any(metric.name == name or metric.name.startswith(f"{name}.") for name in skipped)
    return named or (bool(skipped) and len(skipped) == len(cases))


def _declared(rows: Sequence[Row], spec: PayloadSpec, due: Sequence[Metric]) -> tuple[list[Row], list[str]]:
    """The rows as payload.toml declares them, and what is missing of the `due` ones, undeclared, of another unit or no number."""
    known = {metric.name: metric for metric in spec.metrics}
    names = [row.metric for row in rows]
    missing = [metric.name for metric in due if metric.name not in names]
    more = f" (and {len(missing) - SHOWN} more)" if len(missing) > SHOWN else ""
    complaints = [f"declared and did not come: {', '.join(missing[:SHOWN])}{more}"] if missing else []
    complaints += [f"{name} is not declared" for name in names if name not in known]
    complaints += [f"{name} came twice" for name in sorted(set(names)) if names.count(name) > 1]
    kept = []
    for row in rows:
        metric = known.get(row.metric)
        if metric is None:
            continue
        if row.unit != metric.unit:
            complaints.append(f"{row.metric} came in {row.unit}, declared in {metric.unit}")
        if not row.values or not all(math.isfinite(value) for value in row.values):
            complaints.append(f"{row.metric} has no usable value")
        else:
            kept.append(Row(row.metric, row.unit, metric.kind, row.values))
    return kept, complaints


def _by_plugin(metric: Metric) -> bool:
    return metric.kind == "exact" or metric.name.endswith(TOTAL)


def _counted(text: str, samples: Samples, metrics: Mapping[str, Metric]) -> Outcome:
    """The plugin's sections under the names the payload gave them, net of what they are declared to be; checked by the clock."""
    cost = parse_cost(text)
    problems = [*cost.problems, *_mismatches(cost.sections, samples.sections)]
    if problems:
        return Outcome(cases=(Case("instrument", Status.ERROR, "; ".join(problems[:5])),))
    named = dict(zip((line.name for line in samples.sections), cost.sections, strict=True))
    empty = median_low([lap.work for lap in named[EMPTY].laps])
    rows: list[Row] = []
    cases: list[Case] = []
    prices = {metric.net_of for metric in metrics.values()}
    apart = {line.name for line in samples.sections if line.apart}
    for name, section in named.items():
        metric = metrics.get(name, Metric(name, "insn", "exact"))
        cases.append(_crosscheck(name, section, samples.of(f"clock.{name}"), waits=metric.waits, apart=name in apart))
        if metric.net_of in named:
            rows += _part_rows(metric, section, named[metric.net_of])
        elif name != EMPTY and name not in prices and not metric.net_of:
            rows += (_waiting_rows if metric.waits else _rows)(metric, section, empty)
    note = f"net of {empty} instructions of an empty section ({len(named[EMPTY].laps)} laps)"
    return Outcome(tuple(cases), tuple(rows), (note, *_beside(named)))


def _mismatches(sections: Sequence[Section], lines: Sequence[SectionLine]) -> Iterator[str]:
    if len(sections) != len(lines):
        yield f"the plugin saw {len(sections)} sections, the payload names {len(lines)}"
    for number, (section, line) in enumerate(zip(sections, lines, strict=False)):
        if line.ordinal != number or line.laps != len(section.laps):
            yield f"section {number} has {len(section.laps)} laps, the payload says {line.laps} in section {line.ordinal}"
    names = [line.name for line in lines]
    if names.count(EMPTY) != 1:
        yield f"the payload has {names.count(EMPTY)} sections named `{EMPTY}`, so the bracket has no one price"
    if len(set(names)) != len(names):
        yield "two sections share a name"


def _rows(metric: Metric, section: Section, empty: int) -> tuple[Row, Row]:
    """The operation, lap by lap, and everything executed between the marks divided by the number of laps; both net."""
    return _pair(metric, [lap.work - empty for lap in section.laps], [section.executed / len(section.laps) - empty])


def _part_rows(metric: Metric, section: Section, price: Section) -> tuple[Row, Row]:
    """The same, net of a section that does all but the operation itself; the bracket is in both."""
    begun, total = median_low([lap.work for lap in price.laps]), price.executed / len(price.laps)
    return _pair(metric, [lap.work - begun for lap in section.laps], [section.executed / len(section.laps) - total])


def _waiting_rows(metric: Metric, section: Section, empty: int) -> tuple[Row, Row]:
    """The laps that went idle, and with them what interrupts and other tasks executed, lap by lap; both net."""
    laps = [lap for lap in section.laps if lap.idle]
    return _pair(metric, [lap.work - empty for lap in laps], [lap.work + lap.beside - empty for lap in laps])


def _pair(metric: Metric, work: Sequence[float], everything: Sequence[float]) -> tuple[Row, Row]:
    """Both headlines, of one operation."""
    one, all_ = (tuple(value / metric.per for value in values) for values in (work, everything))
    return Row(metric.name, "insn", "exact", one), Row(metric.name + TOTAL, "insn", "info", all_)


def _crosscheck(name: str, section: Section, clock: Sequence[float], *, waits: bool, apart: bool) -> Case:
    """Lap by lap, what was executed is what the guest's clock saw: instructions + REP steps - restarts after a fault.

    The first lap also holds the start mark. In idle time the clock runs on without instructions: such a lap is not above the
    clock, which is all there is to check in an operation that always `waits`.
    """
    case = f"crosscheck {name}"
    if len(clock) != len(section.laps):
        return Case(case, Status.FAIL, f"{len(clock)} clock samples for {len(section.laps)} laps")
    laps = list(zip(section.laps, clock, strict=True))[1:]
    checked = sum(lap.idle == 0 for lap, _ in laps)
    if not checked and not waits:
        return Case(case, Status.FAIL, "no lap can be checked: every one holds idle time")
    wrong = _disagreeing(laps)
    if apart and len(strayed := _strayed(wrong, laps)) <= 1 + len(laps) * STRAY:
        wrong = [one for one in wrong if one not in strayed]
    if wrong:
        first = f"{wrong[0][0].clock + wrong[0][0].idle} executed, {wrong[0][1]:g} by the clock"
        return Case(case, Status.FAIL, f"{len(wrong)} of {len(laps)} laps differ, the first: {first}")
    idle = f", {len(laps) - checked} with idle time not above the clock" if checked < len(laps) else ""
    return Case(case, Status.PASS, f"{checked} laps equal to the instruction{idle}")


def _disagreeing(laps: Sequence[tuple[Lap, float]]) -> list[tuple[Lap, float]]:
    """The laps on which plugin and clock differ; one with idle time does when it executed more than the clock saw.

    The clock is read just after the mark, so an interrupt between the two is in this lap for the clock and in the next one for
    the plugin: a difference that the next lap takes back, and that its interrupts can hold, is none.
    """
    wrong, ahead, spare = [], 0.0, 0.0
    for number, (lap, seen) in enumerate(laps):
        excess = seen - lap.clock - lap.idle + ahead
        borrowed = min(spare, lap.beside)
        ahead, spare = 0.0, max(excess, 0.0) if lap.idle else 0.0
        if -borrowed <= excess <= (math.inf if lap.idle else 0):
            continue
        if excess > 0 and any(_takes_back(after, said, excess) for after, said in laps[number + 1 : number + 2]):
            ahead = excess
        else:
            wrong.append((lap, seen))
    return wrong


def _strayed(wrong: Sequence[tuple[Lap, float]], laps: Sequence[tuple[Lap, float]]) -> list[tuple[Lap, float]]:
    """Those of laps apart that differ by an interrupt between a mark and the look at the clock.

    Its other half is in what goes on between the laps, which nobody counted. Before a lap: no more than the lap's interrupts
    executed; behind it: no more than those of any lap.
    """
    most = max(lap.beside for lap, _ in laps)
    return [(lap, seen) for lap, seen in wrong if -lap.beside <= seen - lap.clock - lap.idle <= most]


def _takes_back(lap: Lap, seen: float, excess: float) -> bool:
    left = seen - lap.clock - lap.idle + excess
    return excess <= lap.beside and (left >= 0 if lap.idle else left == 0)


def _beside(named: dict[str, Section]) -> Iterator[str]:
    """One line a section about what the median does not show."""
    for name, section in named.items():
        totals = section.totals
        shown = ("hardirq", "tail", "other", "idle", "rep", "faults", "irqs", "switches")
        yield f"{name}: " + ", ".join(f"{key} {totals[key]}" for key in shown if totals[key])
