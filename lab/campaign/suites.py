"""Jobs that run the kernel's own tests: how they are run, and how one boot of them is judged."""

from __future__ import annotations

from dataclasses import replace

from lab.campaign.rundir import JobDir
from lab.deadline import Deadline
from lab.measure.suites import Logs, Told, run_suite, told
from lab.model.outcome import Case, Status, worst
from lab.model.ports import Stream
from lab.model.run import BootRecord, Job, JobResult, PayloadSpec


def run_in(shell: Stream, payload: PayloadSpec, place: JobDir, slow: float) -> int:
    """Run the tests; payload.out and payload.err hold what was said so far, whatever happens."""
    with place.payload_out.open("wb", buffering=0) as out, place.payload_err.open("wb", buffering=0) as err:
        return run_suite(shell, payload, out.write, err.write, deadline=Deadline.after(payload.timeout_s * slow))


def judge_suite(job: Job, record: BootRecord, text: Logs) -> JobResult:
    """The result of one boot: a failed test is a result to compare, a boot that tells nothing is bad.

    That the baseline has none of the suites tells something: those of the patched kernel, without which it is bad, are new.
    """
    assert job.payload is not None
    said = told(job.payload, record, text) if not record.skipped else Told((), (), ())
    said = replace(said, absent=said.absent and job.role == "baseline")
    said = replace(said, problems=()) if said.absent else said
    cases = (*record.checks, *(Case("tests", Status.FAIL, problem) for problem in said.problems))
    return replace(
        JobResult.of(job, _status(job, record, said, cases), record.seconds, message=_message(record, said, cases)),
        cases=cases,
        findings=said.findings,
        milestones=record.milestones,
        env=record.env,
        tests=said.tests,
    )


def _status(job: Job, record: BootRecord, said: Told, cases: tuple[Case, ...]) -> Status:
    if record.end == "lab":
        return Status.MISS
    if record.skipped:
        return Status.SKIP
    unfinished = record.end == "finished" and not (record.complete and record.payload_status is not None)
    unexplained = record.end == "kernel" and not any(finding.during and finding.kind != "build" for finding in said.findings)
    seen = worst([Status.PASS, *(case.status for case in cases)])
    if said.loose or unfinished or unexplained or not (said.tests or said.absent) or seen in (Status.FAIL, Status.ERROR):
        return Status.ERROR if job.role == "baseline" else Status.FAIL
    return Status.PASS


def _message(record: BootRecord, said: Told, cases: tuple[Case, ...]) -> str:
    if record.skipped or record.end == "lab":
        return record.skipped or record.message
    if said.loose:
        return said.loose[0].title
    bad = [f"{case.name}: {case.detail}" for case in cases if case.status in (Status.FAIL, Status.ERROR)]
    return "; ".join(bad[:3]) or record.message
