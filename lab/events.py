"""What happens while the lab works, as typed events; printers and events.jsonl only subscribe."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Note:
    """Something the user should read once, such as which accelerator is in use and why."""

    text: str


@dataclass(frozen=True)
class StageStarted:
    """A stage (fetch, apply, build, image, boot, payload ...) began; `expected_s` comes from history, 0 = unknown."""

    stage: str
    what: str
    expected_s: float = 0.0


@dataclass(frozen=True)
class StageLine:
    """One line of a running stage's own output."""

    stage: str
    text: str


@dataclass(frozen=True)
class StageFinished:
    """A stage ended; `detail` is a one-line reason or summary, e.g. why nothing had to be done."""

    stage: str
    what: str
    seconds: float
    detail: str = ""
    ok: bool = True


@dataclass(frozen=True)
class JobStarted:
    """A worker began a job."""

    job: str


@dataclass(frozen=True)
class JobFinished:
    """A worker left a result."""

    job: str
    status: str
    seconds: float
    detail: str = ""


Event = Note | StageStarted | StageLine | StageFinished | JobStarted | JobFinished
Emit = Callable[[Event], None]


def as_line(event: Event, **more: object) -> str:
    """The event as one line of JSON, for a file or for another process to pass on; `more` stands in front."""
    return json.dumps({**more, "event": type(event).__name__, **asdict(event)})


def from_line(line: str) -> Event:
    """What `as_line` wrote; anything else (a traceback, a warning of a library) as a Note."""
    kinds = {kind.__name__: kind for kind in (Note, StageStarted, StageLine, StageFinished, JobStarted, JobFinished)}
    try:
        table = json.loads(line)
        return kinds[table.pop("event")](**table)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Note(line)


def silent(event: Event) -> None:
    """The subscriber that does nothing."""
