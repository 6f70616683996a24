"""The verb step: one probe for `git bisect run`. The exit codes are git's: 0 good, 1 bad, 125 skip; from 128 on it stops."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab.campaign.dryrun import bench_lines, boot_lines, build_lines
from lab.campaign.evidence import Call, call
from lab.campaign.known import Point, Probe
from lab.campaign.plan import Ask, refuse
from lab.campaign.probe import Prober, Stack
from lab.campaign.session import Lab
from lab.campaign.settings import whole_number
from lab.errors import UsageError
from lab.events import Note
from lab.model.bisection import Look, Subject
from lab.model.change import Series

CODES: dict[Call, int] = {"good": 0, "bad": 1, "skip": 125, "miss": 125}
"""A fault of the lab, which was tried twice by then, tells nothing of the commit."""
BUILD, CASE = "build:", "case:"
Span = tuple[float, float]


def step_verb(lab: Lab, ask: Ask, values: str) -> int:
    """Build and boot one kernel: HEAD of --git, or the series up to --upto; git's exit code. Raises UsageError, HostError."""
    span = read_span(ask, values)
    refuse(ask, "kernel", "a step builds what it looks at; `./inv bench --kernel` takes one that is there")
    payload = lab.payload(ask.payload) if ask.payload else None
    head = bool(ask.git and not ask.range)
    below, series = ((), Series("HEAD", Path(ask.git), ())) if head else lab.stack(ask)
    upto = whole_number("--upto", ask.upto, 0) if ask.upto else len(series.patches)
    lab.announce(ask)
    prober = Prober(lab, ask, Stack(below, series), payload, record=True)
    (look,) = prober.look(Probe((Point(upto),), 1), 1, boot=not ask.symptom.startswith(BUILD))
    said = judged(look, ask, span)
    shown = f"{ask.row} = {look.rows[ask.row]:,.6g}" if ask.row in look.rows else look.why or look.reached
    lab.emit(Note(f"step: {said}: {shown}"))
    return CODES[said]


def step_lines(lab: Lab, ask: Ask) -> Iterator[str]:
    """What a step of the series does, ready to paste. Raises UsageError for --git without --range, which has no series."""
    yield from bench_lines(lab, ask) if ask.payload else (*build_lines(lab, ask), *boot_lines(lab, ask))


def read_span(ask: Ask, values: str) -> Span | None:
    """The values of --values GOOD..BAD. Raises UsageError."""
    if bool(ask.row) != bool(values):
        raise UsageError("--row and --values go together", hint="for example --row pipe.64 --values 10503..10505")
    if not values:
        return None
    if not ask.payload:
        raise UsageError(f"--row {ask.row} needs the --payload that has it")
    good, _, bad = values.partition("..")
    try:
        span = float(good), float(bad)
    except ValueError:
        raise UsageError(f"--values {values}: write GOOD..BAD, two numbers") from None
    if span[0] == span[1]:
        raise UsageError(f"--values {values}: the same number twice tells nothing apart")
    return span


def judged(look: Look, ask: Ask, span: Span | None) -> Call:
    """What the look says: of the row, of the symptom that was named, else of anything that fails.

    A kernel that does not build is only bad when that was asked for by name; else it tells nothing.
    """
    if span is not None:
        if ask.row not in look.rows:
            return "miss" if look.reached == "missed" else "skip"
        value, (good, bad) = look.rows[ask.row], span
        return "good" if abs(value - good) < abs(value - bad) else "bad"
    if ask.symptom:
        return call(next((one for one in look.symptoms if ask.symptom in str(one)), _subject(ask.symptom, look)), look)
    if look.reached in ("missed", "unapplied", "unbuilt"):
        return "miss" if look.reached == "missed" else "skip"
    return "bad" if look.symptoms else "good" if look.reached == "done" else "skip"


def _subject(symptom: str, look: Look) -> Subject:
    """What was named, in a look that does not show it."""
    if symptom.startswith(BUILD):
        return Subject("build", symptom)
    if symptom.startswith(CASE):
        return Subject("case", next((name for name in look.passed if symptom in CASE + name), symptom))
    return Subject("finding", symptom)
