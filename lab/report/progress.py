"""What is going on, as plain values: events in, lines to keep and a picture of the moment out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from lab.events import Event, JobFinished, JobStarted, Note, StageFinished, StageLine, StageStarted
from lab.report.words import duration

KEPT_LINES = 20
"""Lines of a stage's own output that are shown when it fails."""


@dataclass
class Stage:
    """A running stage; `started` is the caller's clock, in seconds."""

    stage: str
    what: str
    started: float
    expected_s: float
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))


@dataclass
class JobState:
    """A job that was started; `status` is empty while it runs."""

    job: str
    started: float
    status: str = ""
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class Line:
    """One line for the log; `start` lines are not needed where a live view shows what runs; `tone` is good, bad or empty."""

    text: str
    tone: str = ""
    start: bool = False


class Progress:
    """Follows the events of a run. Stages of one name that run side by side are told apart by `what`."""

    def __init__(self) -> None:
        self.stages: dict[tuple[str, str], Stage] = {}
        self.jobs: dict[str, JobState] = {}

    @property
    def running(self) -> bool:
        """Whether anything has started and not finished."""
        return bool(self.stages) or any(not job.status for job in self.jobs.values())

    def update(self, event: Event, now: float) -> list[Line]:
        """Take in one event; returns the lines it is worth."""
        match event:
            case Note(text):
                return [Line(text)]
            case StageStarted(stage, what, expected_s):
                self.stages[stage, what] = Stage(stage, what, now, expected_s)
                about = f" (about {duration(expected_s)})" if expected_s else ""
                return [Line(f"{stage:8} {what} ...{about}", start=True)]
            case StageLine(stage, text):
                for running in (one for one in self.stages.values() if one.stage == stage):
                    running.lines.append(text)
                return []
            case StageFinished():
                return self._stage_finished(event)
            case JobStarted(job):
                self.jobs[job] = JobState(job, now)
                return [Line(f"{'job':8} {job} ...", start=True)]
            case JobFinished():
                return self._job_finished(event, now)

    def _stage_finished(self, event: StageFinished) -> list[Line]:
        stage = self.stages.pop((event.stage, event.what), None)
        result = duration(event.seconds) if event.ok else f"FAILED after {duration(event.seconds)}"
        text = f"{event.stage:8} {event.what}: {result}" + (f", {event.detail}" if event.detail else "")
        if event.ok:
            return [Line(text, "good")]
        return [*(Line(f"    | {line}") for line in (stage.lines if stage else ())), Line(text, "bad")]

    def _job_finished(self, event: JobFinished, now: float) -> list[Line]:
        started = self.jobs[event.job].started if event.job in self.jobs else now
        self.jobs[event.job] = JobState(event.job, started, event.status, event.seconds, event.detail)
        detail = f": {event.detail}" if event.detail else ""
        tone = {"PASS": "good", "SKIP": ""}.get(event.status, "bad")
        return [Line(f"{'job':8} {event.job} {event.status} in {duration(event.seconds)}{detail}", tone)]
