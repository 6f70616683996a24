"""What a terminal shows while a run goes on, drawn with rich for report/terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lab.report.progress import JobState, Stage
from lab.report.words import duration, printable

LIVE_LINES = 6
LIVE_JOBS = 12
STATUS_STYLES = {"PASS": "green", "SKIP": "yellow", "FAIL": "bold red", "ERROR": "bold red", "MISS": "bold magenta", "": "cyan"}


def picture(stages: Sequence[Stage], jobs: Sequence[JobState], now: float) -> RenderableType:
    """The jobs, a bar a stage, the last lines of the newest one; `now`: seconds of time.monotonic()."""
    parts: list[RenderableType] = [_jobs(jobs, now)] if jobs else []
    if stages:
        parts.append(_bars(stages, now))
        parts += [Text(f"  {printable(line)}", style="dim", no_wrap=True) for line in list(stages[-1].lines)[-LIVE_LINES:]]
    return Group(*parts)


def _jobs(jobs: Sequence[JobState], now: float) -> Table:
    table = Table.grid(padding=(0, 2))
    shown = sorted(jobs, key=lambda job: bool(job.status))[:LIVE_JOBS]
    for job in shown:
        spent = job.seconds if job.status else now - job.started
        status = Text(job.status or "running", style=STATUS_STYLES.get(job.status, ""))
        table.add_row("", Text(job.job), status, duration(spent), Text(printable(job.detail), no_wrap=True))
    if len(jobs) > len(shown):
        table.add_row("", f"and {len(jobs) - len(shown)} more that are done", "", "", "")
    return table


def _bars(stages: Sequence[Stage], now: float) -> Table:
    table = Table.grid(padding=(0, 2))
    for stage in stages:
        spent = now - stage.started
        known = f" of about {duration(stage.expected_s)}" if stage.expected_s else ""
        bar = ProgressBar(
            total=stage.expected_s or None, completed=min(spent, stage.expected_s), width=24, pulse=not stage.expected_s
        )
        table.add_row(
            Text(stage.stage, style="bold"), Text(printable(stage.what), no_wrap=True), bar, f"{duration(spent)}{known}"
        )
    return table
