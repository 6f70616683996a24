"""What a run has found so far: builds, jobs, comparisons, findings, stage times; at the end, results.json and its faces."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab.campaign.history import History
from lab.campaign.plan import Side
from lab.campaign.rundir import RunDir, publish
from lab.errors import LabError
from lab.events import Event, StageFinished, StageLine, StageStarted
from lab.model.bisection import Bisection, Word
from lab.model.change import Build
from lab.model.judgement import Comparison, fails
from lab.model.machine import Accel
from lab.model.matrix import CellResult, LeftOut
from lab.model.outcome import Finding, Milestone, Status, worst
from lab.model.price import PriceList
from lab.model.profile import Explanation
from lab.model.run import BuildRecord, JobResult, Results
from lab.model.steady import Steadiness, steady_status
from lab.model.suite import CaseRow, suite_status
from lab.report.junit import junit_text
from lab.report.markdown import cover_text
from lab.report.reproduce import repro_text

BISECTED: dict[Word, Status] = {
    "found": Status.PASS,
    "several": Status.PASS,
    "suspects": Status.FAIL,
    "nothing": Status.FAIL,
    "already": Status.FAIL,
    "unknown": Status.MISS,
}
"""A bisection passes when it names patches."""


class Ledger:
    """Collects while verbs work; `close` decides status and exit code and writes every report."""

    def __init__(self, run: RunDir, command: str, history: History) -> None:
        self.run = run
        self.command = command
        self.history = history
        self.started = time.time()
        self.source = ""
        self.accel: Accel | None = None
        self.env: dict[str, str] = {}
        self.builds: list[BuildRecord] = []
        self.jobs: list[JobResult] = []
        self.comparisons: list[Comparison] = []
        self.tests: list[CaseRow] = []
        self.explanations: list[Explanation] = []
        self.bisection: Bisection | None = None
        self.prices: list[PriceList] = []
        self.steadiness: list[Steadiness] = []
        self.findings: list[Finding] = []
        self.cells: list[CellResult] = []
        self.left_out: tuple[LeftOut, ...] = ()
        self.stages: dict[str, float] = {}
        self.any = False
        self.strict = False

    def note(self, event: Event) -> None:
        """The event subscriber: keeps events.jsonl and the seconds of each stage."""
        if not isinstance(event, StageLine):
            self.run.record(event)
        if isinstance(event, StageFinished):
            self.stages[event.stage] = self.stages.get(event.stage, 0.0) + event.seconds
            if event.ok:
                self.history.learn(event.stage, event.seconds)

    def expect(self, event: Event) -> Event:
        """A stage's start with the time it took last."""
        if isinstance(event, StageStarted) and not event.expected_s:
            return replace(event, expected_s=self.history.expected(event.stage))
        return event

    def built(self, side: Side, build: Build, baseline: Build | None) -> None:
        """A kernel was built or found."""
        self.builds.append(
            BuildRecord(
                role=side.role,
                series=side.names,
                upto=side.depth,
                kconfig=build.kconfig,
                key=build.key,
                tree=build.tree,
                release=build.release,
                status=Status.PASS,
                seconds=build.seconds,
                reused=build.reused,
                objects=build.objects,
                warnings=build.warnings,
                options_delta=options_delta(baseline, build) if baseline else (),
            )
        )

    def not_built(self, side: Side, error: LabError) -> None:
        """A kernel could not be made: the series' fault on the patched side, an ERROR on the baseline."""
        series_fault = error.code == 1
        status = Status.MISS if not series_fault else Status.FAIL if side.role == "patched" else Status.ERROR
        finding = error.finding or Finding("lab", error.message.splitlines()[0], "lab", tuple(error.message.splitlines()[1:]))
        self.builds.append(
            BuildRecord(side.role, side.names, side.depth, side.kconfig.name, "", "", "", status, 0.0, False, 0, (finding,))
        )

    def ran(self, result: JobResult, again: str) -> None:
        """A job finished; a failed one leaves repro.sh. `again` is the ./inv line that runs it again."""
        self.jobs.append(result)
        if result.status in (Status.PASS, Status.SKIP):
            return
        place = self.run.job(result.id)
        argv = shlex.split(place.qemu_argv.read_text(encoding="utf-8")) if place.qemu_argv.is_file() else []
        place.path.mkdir(parents=True, exist_ok=True)
        place.repro.write_text(repro_text(result, again, argv), encoding="utf-8")
        place.repro.chmod(0o755)

    @property
    def failed(self) -> bool:
        """Whether something that was built or booted is bad, so that the next verb has nothing to stand on."""
        return any(status not in (Status.PASS, Status.SKIP) for status in self._seen())

    def _seen(self) -> list[Status]:
        if self.cells:
            return [cell.status for cell in self.cells]
        return [*(build.status for build in self.builds), *(job.status for job in self.jobs)]

    def close(self, error: BaseException | None = None) -> Results:
        """Decide, write results.json, junit.xml, summary.md, and point reports/latest here."""
        status = self._status(error)
        results = Results(
            run=self.run.id,
            command=self.command,
            status=status,
            exit=self._exit(status, error),
            started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            seconds=round(time.time() - self.started, 1),
            source=self.source,
            accel=self.accel,
            env=self.env,
            builds=tuple(self.builds),
            jobs=tuple(sorted(self.jobs, key=lambda job: job.id)),
            comparisons=tuple(self.comparisons),
            findings=tuple(self.findings),
            any_more=self.any,
            strict=self.strict,
            tests=tuple(self.tests),
            explanations=tuple(self.explanations),
            cells=tuple(self.cells),
            left_out=self.left_out,
            bisection=self.bisection,
            prices=tuple(self.prices),
            steadiness=tuple(self.steadiness),
            stages=tuple(Milestone(name, round(seconds, 1)) for name, seconds in self.stages.items()),
        )
        write_faces(self.run, results)
        return results

    def _status(self, error: BaseException | None) -> Status:
        seen = self._seen()
        if isinstance(error, LabError) and error.code == 1 and Status.FAIL not in seen:
            self.findings.append(error.finding or Finding("lab", error.message, "lab"))
            return Status.FAIL
        if Status.ERROR in seen:
            return Status.ERROR
        if Status.FAIL in seen:
            return Status.FAIL
        if Status.MISS in seen or error is not None:
            return Status.MISS
        if self.jobs and all(job.status is Status.SKIP for job in self.jobs):
            return Status.ERROR  # nothing was tested
        return self._judged()

    def _judged(self) -> Status:
        """What was found, once everything that was built and booted is well."""
        if self.bisection is not None:
            return BISECTED[self.bisection.word]
        rows = rows_status(self.comparisons, self.tests, self.steadiness, any_more=self.any, strict=self.strict)
        return worst([rows, *(patch.status for prices in self.prices for patch in prices.patches)])

    def _exit(self, status: Status, error: BaseException | None) -> int:
        if isinstance(error, KeyboardInterrupt):
            return 130
        if isinstance(error, LabError) and status is not Status.FAIL:
            return error.code
        if error is not None and not isinstance(error, LabError):
            return 3
        return {Status.PASS: 0, Status.SKIP: 3, Status.FAIL: 1}.get(status, 3)


def rows_status(
    rows: Sequence[Comparison], tests: Sequence[CaseRow], steady: Sequence[Steadiness], *, any_more: bool, strict: bool
) -> Status:
    """What was measured makes of a run whose boots are all good."""
    bad = any(fails(row, any_more=any_more, strict=strict) for row in rows)
    return worst([Status.FAIL if bad else Status.PASS, suite_status(tests, strict=strict), steady_status(steady, strict=strict)])


def write_faces(run: RunDir, results: Results) -> None:
    """results.json last, since it says that the run is complete."""
    _write(run.junit, junit_text(results))
    _write(run.summary, cover_text(results))
    publish(run, results)


def options_delta(baseline: Build, build: Build) -> tuple[str, ...]:
    """Lines of the resolved .config that the baseline's does not have, and those it has and this one lost (with `-`)."""
    if baseline.kconfig_hash == build.kconfig_hash:
        return ()
    old, new = (_options(path) for path in (baseline.config, build.config))
    return (*(f"-{line}" for line in sorted(old - new)), *(f"+{line}" for line in sorted(new - old)))


def _options(path: Path) -> set[str]:
    lines: Sequence[str] = path.read_text(encoding="utf-8").splitlines() if path.is_file() else ()
    return {line for line in lines if line.startswith("CONFIG_")}


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.aside")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
