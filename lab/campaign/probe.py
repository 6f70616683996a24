"""One look at a kernel of some of the patches: built, booted as often as was asked for, and what it showed."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median_low

from lab.campaign.bench import again_line
from lab.campaign.known import Point, Probe
from lab.campaign.plan import Ask, Bench, Side
from lab.campaign.schedule import Pool
from lab.campaign.session import Lab, width
from lab.errors import BuildError, KconfigError, LabError, PatchError
from lab.events import StageFinished, StageStarted
from lab.kernel.loadable import runs
from lab.model.bisection import Look, Subject
from lab.model.change import Build, Series
from lab.model.outcome import Status
from lab.model.run import Job, JobResult, PayloadSpec

BUILD, BOOT = "bisect.build", "bisect.job"
"""Names under which the history keeps how long they took."""
NEW_OPTION = re.compile(r"^\+\s*(?:menu)?config (\w+)$", re.MULTILINE)
NUMBER = re.compile(r"\.r(\d+)(?:\.again)?$")
REDUCED = "REDUCED CONTEXT"


@dataclass(frozen=True)
class Stack:
    """The patches under suspicion, and the series they stand on."""

    below: tuple[Series, ...]
    series: Series

    def side(self, lab: Lab, ask: Ask, point: Point) -> Side:
        """The kernel of a point."""
        return Side("patched", (*self.below, part(self.series, point)), None, lab.kconfig(ask, part(self.series, point).options))


def part(series: Series, point: Point) -> Series:
    """The patches of a point, with the series' options as far as these patches know them."""
    chosen = [patch for k, patch in enumerate(series.patches, 1) if k <= point.k and k not in point.without]
    brought, there = ({name for patch in some for name in NEW_OPTION.findall(patch.text)} for some in (series.patches, chosen))
    known = [option for option in series.options if _symbol(option) not in brought or _symbol(option) in there]
    return replace(series, patches=tuple(chosen), options=tuple(known))


def _symbol(option: str) -> str:
    return option.partition("=")[0].removeprefix("CONFIG_")


@dataclass(frozen=True)
class Prober:
    """Makes looks. Without a payload a kernel is booted and that is all."""

    lab: Lab
    ask: Ask
    stack: Stack
    payload: PayloadSpec | None
    record: bool = False
    """Whether builds and boots go into the run's results one by one."""

    def look(self, probe: Probe, number: int, *, boot: bool = True) -> list[Look]:
        """The looks of a probe; `boot`: whether a kernel that builds is booted. Raises what is not the kernels' fault."""
        looks: list[Look] = []
        jobs: list[tuple[Look, Job]] = []
        for point in probe.points:
            side = self.stack.side(self.lab, self.ask, point)
            look, build = self._built(side, Look(point.k, "done", number, point.without))
            if build is None or not boot:
                looks.append(look)
                continue
            bench = self.lab.bench(self.ask, self.payload)
            jobs += [(look, self._job(bench, side, build, len(jobs) + n)) for n in range(1, probe.boots + 1)]
        random.Random(f"{self.lab.ledger.run.id}:{number}").shuffle(jobs)  # noqa: S311  (fair, not secret)
        results = self._run([job for _, job in jobs]) if jobs else []
        by_job = {job.id: look for look, job in jobs}
        return [*looks, *(seen(by_job[result.id], result, self.payload) for result in results)]

    def _built(self, side: Side, look: Look) -> tuple[Look, Build | None]:
        clock = self.lab.clock()
        try:
            tree = self.lab.tree(self.ask, side)
            if look.without and any(REDUCED in label for label in tree.labels):
                return replace(look, reached="unapplied", why="the patches after it need it (reduced context)"), None
            build = (self.lab.build if self.record else self.lab.make)(self.ask, side)
        except PatchError as error:
            if not look.without:
                raise
            return replace(look, reached="unapplied", why=error.message.splitlines()[0]), None
        except (BuildError, KconfigError) as error:
            return replace(
                look, reached="unbuilt", symptoms=(_failed(error),), why=_title(error), seconds=clock(), made=True
            ), None
        if not build.reused:
            self.lab.history.learn(BUILD, build.seconds)
        return replace(look, commit=tree.commit, runs=runs(build), made=not build.reused, seconds=clock()), build

    def _job(self, bench: Bench, side: Side, build: Build, place: int) -> Job:
        """A job with a number that no job of the run has, one that was cut off included."""
        taken = [int(match[1]) for path in (bench.run.path / "jobs").iterdir() if (match := NUMBER.search(path.name))]
        return bench.job(side, build, self.payload, max(taken, default=0) + place)

    def _run(self, jobs: Sequence[Job]) -> list[JobResult]:
        lab, stage = self.lab, "boot" if self.payload is None else "bench"
        pool = Pool(lab.ledger.run, lab.cache, lab.emit, self._done, width=width(lab.settings))
        lab.emit(StageStarted(stage, f"{len(jobs)} boots", lab.history.expected(BOOT) * len(jobs)))
        clock = lab.clock()
        results = pool.run_all(lab.equip_jobs(self.ask, jobs))
        lab.history.learn(BOOT, clock() / len(jobs))
        lab.emit(StageFinished(stage, f"{len(jobs)} boots", clock(), "; ".join(_told(result) for result in results)))
        return results

    def _done(self, result: JobResult) -> None:
        if self.record:
            self.lab.ledger.ran(result, again_line(self.ask, "step"))


def _told(result: JobResult) -> str:
    return f"k{result.upto:02d} {result.status}"


def _failed(error: LabError) -> Subject:
    return Subject("build", error.finding.fingerprint if error.finding else _plain(error.message))


def _title(error: LabError) -> str:
    return error.finding.title if error.finding else error.message.splitlines()[0]


def _plain(message: str) -> str:
    """The first line of a message without its numbers, so that it reads the same in every boot."""
    return re.sub(r"0x[0-9a-f]+|\d+(?:\.\d+)?", "N", (message.splitlines() or [""])[0])


def seen(look: Look, result: JobResult, payload: PayloadSpec | None) -> Look:
    """What one boot showed."""
    if result.status is Status.MISS:
        return replace(look, reached="missed", job=result.id, why=(result.message.splitlines() or ["lost"])[0])
    own = [case for case in result.cases if payload is None or not case.name.startswith("guest.")]
    ended = bool(own) and not any(finding.fatal for finding in result.findings)
    bad = [case for case in result.cases if case.status in (Status.FAIL, Status.ERROR)]
    symptoms = [Subject("finding", finding.fingerprint) for finding in result.findings]
    symptoms += [Subject("case", case.name) for case in bad]
    if not symptoms and result.status not in (Status.PASS, Status.SKIP):
        symptoms = [Subject("message", _plain(result.message))]
    rows = result.samples if result.status is Status.PASS else ()
    return replace(
        look,
        reached="done" if ended and result.status is not Status.SKIP else "died",
        symptoms=tuple(dict.fromkeys(symptoms)),
        passed=tuple(case.name for case in result.cases if case.status is Status.PASS),
        rows={row.metric: median_low(row.values) for row in rows if row.values},
        job=result.id,
        seconds=look.seconds + result.seconds,
        why=(result.message.splitlines() or [""])[0],
    )
