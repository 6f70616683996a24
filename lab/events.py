"""What happens while the lab works, as typed events; printers and events.jsonl only subscribe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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


def silent(event: Event) -> None:
    """The subscriber that does nothing."""
