"""The only module that knows the file names of a run: reports/<run-id>/ and what is in it."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UsageError
from lab.events import Event, as_line
from lab.model.run import Job, JobResult, Results
from lab.model.wire import read_json, write_json


@dataclass(frozen=True)
class JobDir:
    """One job's directory: everything that is needed to judge it again or to boot it again."""

    path: Path

    @property
    def job(self) -> Path:
        """The Job."""
        return self.path / "job.json"

    @property
    def result(self) -> Path:
        """The JobResult; its presence means that the worker finished."""
        return self.path / "result.json"

    @property
    def boot(self) -> Path:
        """The BootRecord: how the boot and the payload ended."""
        return self.path / "boot.json"

    @property
    def console(self) -> Path:
        """The console, written by QEMU itself."""
        return self.path / "console.log"

    @property
    def payload_out(self) -> Path:
        """The payload's KTAP."""
        return self.path / "payload.out"

    @property
    def payload_err(self) -> Path:
        """The payload's stderr."""
        return self.path / "payload.err"

    @property
    def kallsyms(self) -> Path:
        """Symbols of modules and BPF programs, read from the guest when the payload was done."""
        return self.path / "kallsyms"

    @property
    def explain(self) -> Path:
        """Directory of call graphs, stacks and flame graphs."""
        return self.path / "explain"

    @property
    def worker_err(self) -> Path:
        """The worker's stderr: a traceback if the lab has a bug."""
        return self.path / "worker.err"

    @property
    def repro(self) -> Path:
        """A script that shows the failure again."""
        return self.path / "repro.sh"

    @property
    def qemu_argv(self) -> Path:
        """QEMU's command line as one line of shell."""
        return self.path / "qemu.argv"


@dataclass(frozen=True)
class BuildDir:
    """One build of a matrix, which a process of its own makes."""

    path: Path

    @property
    def request(self) -> Path:
        """What is asked for."""
        return self.path / "request.json"

    @property
    def result(self) -> Path:
        """What came of it; its presence means that the process finished."""
        return self.path / "result.json"

    @property
    def errors(self) -> Path:
        """The process's stderr: a traceback if the lab has a bug."""
        return self.path / "builder.err"


@dataclass(frozen=True)
class RunDir:
    """reports/<run-id>/."""

    path: Path

    @property
    def id(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def results(self) -> Path:
        """The document other programs read."""
        return self.path / "results.json"

    @property
    def junit(self) -> Path:
        """JUnit XML for CI."""
        return self.path / "junit.xml"

    @property
    def plan(self) -> Path:
        """What a matrix comes to; a run that has one can be continued."""
        return self.path / "plan.json"

    def build(self, step: str) -> BuildDir:
        """The directory of one build of a matrix."""
        return BuildDir(self.path / "builds" / step)

    @property
    def summary(self) -> Path:
        """The Markdown summary."""
        return self.path / "summary.md"

    @property
    def bisection(self) -> Path:
        """The State of a bisection, from which it goes on when it was cut off."""
        return self.path / "bisect.json"

    @property
    def bisect_log(self) -> Path:
        """A bisection in the form of `git bisect log`."""
        return self.path / "bisect.log"

    def chart(self, series: str, payload: str, row: str) -> Path:
        """What each patch of a series adds to a row, drawn."""
        name = re.sub(r"[^\w.+-]", "-", f"{series}.{payload}.{row}")
        return self.path / "prices" / f"{name}.svg"

    def job(self, job_id: str) -> JobDir:
        """The directory of one job."""
        return JobDir(self.path / "jobs" / job_id)

    def new_job(self, job: Job) -> JobDir:
        """Make a job's directory and write what its worker reads."""
        place = self.job(job.directory.name)
        place.path.mkdir(parents=True)
        write_json(place.job, job)
        return place

    def finished(self) -> list[JobDir]:
        """Directories of jobs that have a result."""
        return [place for place in self.jobs() if place.result.is_file()]

    def jobs(self) -> list[JobDir]:
        """Every job's directory, in name order."""
        return [JobDir(path) for path in sorted((self.path / "jobs").glob("*")) if (path / "job.json").is_file()]

    def read_results(self) -> Results:
        """What the run found. Raises UsageError when it never finished."""
        if not self.results.is_file():
            raise UsageError(f"run {self.id} has no results.json: it did not finish", hint="./inv recheck judges what it left")
        return read_json(self.results, Results)

    def record(self, event: Event) -> None:
        """Append an event to events.jsonl: one write per line, so a killed run leaves whole lines."""
        line = as_line(event, at=round(time.time(), 3))
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


def new_run(reports: Path) -> RunDir:
    """A fresh run directory, named by UTC time and process; `reports/latest` is moved only when it has results."""
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}"
    taken = len(list(reports.glob(f"{name}*")))  # by this process, in this second
    path = reports / (f"{name}.{taken + 1}" if taken else name)
    (path / "jobs").mkdir(parents=True)
    return RunDir(path)


def publish(run: RunDir, results: Results) -> None:
    """Write results.json and point reports/latest at the run, each in one rename."""
    write_json(run.results, results)
    aside = run.path.parent / f".latest-{os.getpid()}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(run.id)
    aside.replace(run.path.parent / "latest")


def runs(reports: Path) -> list[RunDir]:
    """Every run there is, the newest first."""
    return [RunDir(path) for path in sorted(reports.glob("2*"), reverse=True) if (path / "jobs").is_dir()]


def find_run(reports: Path, name: str) -> RunDir:
    """The run with that id, path or `latest`. Raises UsageError listing the newest."""
    for path in (reports / name, Path(name)):
        if path.is_dir() and (path / "jobs").is_dir():
            return RunDir(path.resolve())
    newest = [run.id for run in runs(reports)[:5]]
    raise UsageError(f"no run named {name!r} (newest: {', '.join(newest) or 'none yet'})", hint="./inv bench makes one")


def read_job_result(place: JobDir) -> JobResult | None:
    """What the worker left, or None when it did not get that far."""
    return read_json(place.result, JobResult) if place.result.is_file() else None
