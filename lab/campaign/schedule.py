"""One loop over workers: starts jobs, relays their progress, notices their end, retries a MISS once, stops cleanly."""

from __future__ import annotations

import os
import selectors
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import IO

from lab.cache import Cache
from lab.campaign.rundir import JobDir, RunDir, read_job_result
from lab.deadline import Deadline
from lab.events import Emit, JobFinished, JobStarted, StageLine
from lab.model.outcome import Status
from lab.model.run import Job, JobResult
from lab.proc import PIPE, Argv, Process, clean_environment, decode, ended, spawn

GRACE_S = 20.0
"""What a worker gets to quit its guest after a cancel."""
WORKER_SPARE_S = 240.0
"""A worker has deadlines of its own; this is how much later the parent loses patience."""


@dataclass
class _Worker:
    """A running worker: its process, what to wait for, and the job."""

    job: Job
    attempt: int
    place: JobDir
    process: Process
    pidfd: int
    deadline: Deadline
    late: bool = False
    pending: bytes = field(default=b"")


class Pool:
    """Runs jobs, `width` at a time; every finished result goes to `done` at once, so an interrupt loses nothing finished."""

    def __init__(self, run: RunDir, cache: Cache, emit: Emit, done: Callable[[JobResult], None], width: int) -> None:
        self.run = run
        self.cache = cache
        self.emit = emit
        self.done = done
        self.width = max(1, width)
        self.selector = selectors.DefaultSelector()
        self.workers: list[_Worker] = []

    def run_all(self, jobs: Sequence[Job]) -> list[JobResult]:
        """Run every job to a result, in the order given where slots allow. KeyboardInterrupt: guests quit, then it goes on."""
        queue = [(job, 1) for job in jobs]
        results: list[JobResult] = []
        try:
            while queue or self.workers:
                while queue and len(self.workers) < self.width:
                    self._start(*queue.pop(0))
                for worker in self._wait():
                    result = self._reap(worker)
                    if result.status is Status.MISS and worker.attempt == 1:
                        queue.insert(0, (worker.job, 2))
                        continue
                    results.append(result)
                    self.done(result)
        except BaseException:
            self._cancel()
            raise
        return sorted(results, key=lambda result: [job.id for job in jobs].index(result.id))

    def _start(self, job: Job, attempt: int) -> None:
        if attempt > 1:
            job = replace(job, directory=job.directory.with_name(f"{job.id}.again"))
        place = self.run.new_job(job)
        self.emit(JobStarted(job.id))
        words: Argv = [sys.executable, "-P", "-m", "lab.campaign.worker", place.job, self.cache.root]
        with place.worker_err.open("wb") as errors:
            process = spawn(words, stdout=PIPE, stderr=errors, env=clean_environment())
        limit = job.boot_budget_s + job.slow * (job.payload.timeout_s if job.payload else 0.0) + WORKER_SPARE_S
        worker = _Worker(job, attempt, place, process, os.pidfd_open(process.pid), Deadline.after(limit))
        self.selector.register(worker.pidfd, selectors.EVENT_READ, worker)
        self.selector.register(_stdout(worker), selectors.EVENT_READ, worker)
        self.workers.append(worker)

    def _wait(self) -> list[_Worker]:
        """Sleep until a worker says something, ends, or is over its deadline; the ones that ended."""
        nearest = min(worker.deadline.remaining for worker in self.workers)
        over = []
        for key, _ in self.selector.select(nearest):
            worker: _Worker = key.data
            if key.fd == worker.pidfd:
                over.append(worker)
            else:
                self._relay(worker, os.read(key.fd, 65536))
        for worker in self.workers:
            if worker.deadline.expired and worker not in over:
                worker.late = True
                worker.process.kill()
                over.append(worker)
        return over

    def _relay(self, worker: _Worker, raw: bytes) -> None:
        if not raw:
            self.selector.unregister(_stdout(worker))
            return
        *lines, worker.pending = (worker.pending + raw).split(b"\n")
        for line in lines:
            self.emit(StageLine(worker.job.id, decode(line)))

    def _reap(self, worker: _Worker) -> JobResult:
        worker.process.wait()
        self.selector.unregister(worker.pidfd)
        with suppress(KeyError):
            self.selector.unregister(_stdout(worker))
        os.close(worker.pidfd)
        _stdout(worker).close()
        self.workers.remove(worker)
        result = read_job_result(worker.place) or _died(worker)
        result = replace(result, attempts=worker.attempt)
        self.emit(JobFinished(result.id, _shown(result, worker.attempt), result.seconds, result.message))
        return result

    def _cancel(self) -> None:
        """Ask every worker to quit its guest; a second interrupt, or a worker that does not obey, is killed."""
        deadline = Deadline.after(GRACE_S)
        for worker in self.workers:
            worker.process.terminate()
        try:
            for worker in self.workers:
                ended(worker.process, deadline)
        finally:
            for worker in self.workers:
                worker.process.kill()
                worker.process.wait()
                os.close(worker.pidfd)
                _stdout(worker).close()
                result = read_job_result(worker.place)
                if result is not None:
                    self.done(result)
            self.workers.clear()


def _stdout(worker: _Worker) -> IO[bytes]:
    stream = worker.process.stdout
    assert stream is not None
    return stream


def _shown(result: JobResult, attempt: int) -> str:
    if result.status is Status.MISS and attempt == 1:
        return "MISS, tried again on a fresh guest"
    return f"{result.status}{' (flaky: second attempt)' if attempt > 1 else ''}"


def _died(worker: _Worker) -> JobResult:
    """The result of a worker that left none: the lab's fault, never a pass."""
    job = worker.job
    tail = worker.place.worker_err.read_text(encoding="utf-8", errors="backslashreplace").strip().splitlines()[-3:]
    why = "was still running at its deadline" if worker.late else f"ended with status {worker.process.returncode} and no result"
    message = "\n".join([f"the worker {why}", *tail, f"log: {worker.place.worker_err}"])
    return JobResult.of(job, Status.MISS, 0.0, message=message)
