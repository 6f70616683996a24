"""Jobs on workers: so many at a time, a MISS once more on a fresh guest, every result at once to whoever wants it."""

from __future__ import annotations

import shutil
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from lab.cache import Cache
from lab.campaign.children import Child, Children
from lab.campaign.rundir import JobDir, RunDir, read_job_result
from lab.deadline import Deadline
from lab.events import Emit, JobFinished, JobStarted, StageLine
from lab.model.outcome import Status
from lab.model.run import Job, JobResult
from lab.model.wire import read_json, write_json
from lab.proc import Argv

WORKER_SPARE_S = 240.0
"""A worker has deadlines of its own; this is how much later the parent loses patience."""


class Pool:
    """Runs jobs, `width` at a time (one more, when all are of exact mode); every result goes to `done` at once.

    They run beside whatever else its `children` are.
    A job whose result is on disk is not run again: a run that was killed goes on where it was.
    """

    def __init__(
        self, run: RunDir, cache: Cache, emit: Emit, done: Callable[[JobResult], None], *, width: int, held: Sequence[int] = ()
    ) -> None:
        self.run = run
        self.cache = cache
        self.emit = emit
        self.done = done
        self.width = max(1, width)
        self.children = Children(held)
        self._queue: deque[Job] = deque()
        self._workers: dict[Child, Job] = {}
        self._cancelled = False

    @property
    def busy(self) -> bool:
        """Whether a guest runs or is to be started, or nothing may be started any more."""
        return bool(self._queue or self._workers or self._cancelled)

    def run_all(self, jobs: Sequence[Job]) -> list[JobResult]:
        """Run every job to a result, in the order given where slots allow. KeyboardInterrupt: guests quit, then it goes on."""
        results: dict[str, JobResult] = {}
        done = self.done

        def keep(result: JobResult) -> None:
            results[result.id] = result
            done(result)

        self.done = keep
        self.add(jobs)
        self.work()
        return [results[job.id] for job in jobs]

    def add(self, jobs: Sequence[Job]) -> None:
        """Queue jobs behind the others."""
        self._queue.extend(jobs)

    def work(self) -> None:
        """Until nothing is queued and no child runs. KeyboardInterrupt: guests quit, what they leave is kept, then it goes on."""
        try:
            self._fill()
            while self.children.running:
                self.children.wait()
                self._fill()
        except BaseException:
            self._cancel()
            raise

    def _fill(self) -> None:
        while self._queue and len(self._workers) < self.width + (self.width > 1 and self._exact()):
            job = self._queue.popleft()
            known = self._left(job)
            if known and (known.status is not Status.MISS or known.attempts > 1):
                self.done(known)
            else:
                self._start(job, 2 if known else 1)

    def _exact(self) -> bool:
        """Whether all that run, and the next, count instructions: no busy host changes that, and a part of each boot is slept."""
        return all(job.guest.mode == "exact" for job in (*self._workers.values(), self._queue[0]))

    def _left(self, job: Job) -> JobResult | None:
        """What workers left of the job, in this life of the run or an earlier one."""
        for attempt in (2, 1):
            if result := read_job_result(self.run.job(_place(job, attempt))):
                return replace(result, attempts=attempt)
        return None

    def _start(self, job: Job, attempt: int) -> None:
        name = _place(job, attempt)
        shutil.rmtree(self.run.job(name).path, ignore_errors=True)  # of a worker that was killed
        place = self.run.new_job(replace(job, directory=job.directory.with_name(name)))
        self.emit(JobStarted(job.id))
        words: Argv = [sys.executable, "-P", "-m", "lab.campaign.worker", place.job, self.cache.root]
        limit = job.boot_budget_s + job.slow * (job.payload.timeout_s if job.payload else 0.0) + WORKER_SPARE_S

        def over(child: Child) -> None:
            del self._workers[child]
            if not place.result.is_file():
                write_json(place.result, _died(job, place, child))
            result = replace(read_json(place.result, JobResult), attempts=attempt)
            self.emit(JobFinished(result.id, _shown(result), result.seconds, result.message))
            if result.status is Status.MISS and attempt == 1:
                self._queue.appendleft(job)
            else:
                self.done(result)

        child = self.children.start(
            words,
            errors=place.worker_err,
            deadline=Deadline.after(limit),
            say=lambda line: self.emit(StageLine(job.id, line)),
            over=over,
        )
        self._workers[child] = job

    def _cancel(self) -> None:
        self._cancelled = True
        self._queue.clear()
        workers, self._workers = self._workers, {}
        for child in self.children.cancel():
            if child in workers and (result := self._left(workers[child])):
                self.done(result)


def _place(job: Job, attempt: int) -> str:
    """The name of a job's directory."""
    return job.id if attempt == 1 else f"{job.id}.again"


def _shown(result: JobResult) -> str:
    if result.status is Status.MISS and result.attempts == 1:
        return "MISS, tried again on a fresh guest"
    return f"{result.status}{' (flaky: second attempt)' if result.attempts > 1 else ''}"


def _died(job: Job, place: JobDir, child: Child) -> JobResult:
    """The result of a worker that left none: the lab's fault, never a pass."""
    tail = place.worker_err.read_text(encoding="utf-8", errors="backslashreplace").strip().splitlines()[-3:]
    why = "was still running at its deadline" if child.late else f"ended with status {child.process.returncode} and no result"
    message = "\n".join([f"the worker {why}", *tail, f"log: {place.worker_err}"])
    return JobResult.of(job, Status.MISS, 0.0, message=message)
