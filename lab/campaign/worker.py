"""A job as a process: `python -m lab.campaign.worker job.json` leaves result.json; the same unit locally and for rerun."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

from lab.cache import Cache
from lab.campaign.job import run_job
from lab.events import Event, Note, StageLine, StageStarted
from lab.model.run import Job
from lab.model.wire import read_json


def main(argv: list[str]) -> int:
    """Run the job that `argv[0]` holds. 0: result.json is there, whatever it says; 130: cancelled; else a bug of ours."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _cancel)
    job = read_json(Path(argv[0]), Job)
    try:
        run_job(job, Cache(Path(argv[1])), _say)
    except KeyboardInterrupt:
        return 130
    return 0


def _cancel(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say(event: Event) -> None:
    """Progress for the parent, one line an event."""
    match event:
        case StageLine(text=text) | Note(text=text):
            line = text
        case StageStarted(stage=stage, what=what):
            line = f"{stage}: {what}"
        case _:
            return
    sys.stdout.write(line.replace("\n", " ") + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
