"""One job: a Build and a Guest joined for one boot. Running leaves files; judging reads them, now or later."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from lab.cache import Cache
from lab.campaign.checks import check_guest
from lab.campaign.rundir import JobDir
from lab.deadline import Deadline
from lab.errors import GuestError, LabError, LostGuest
from lab.events import Emit
from lab.guest.boot import BootPlan, Guest, booted
from lab.kernel.symbols import read_symbols
from lab.measure.collect import Collected, collect, outcome
from lab.measure.cost import cost_instrument
from lab.measure.payload import missing_options
from lab.model.machine import Instrument
from lab.model.outcome import Case, Finding, Outcome, Status, worst
from lab.model.run import BootRecord, Job, JobResult
from lab.model.wire import read_json, write_json

QUIT_S = 60.0
COST = "cost.out"


@dataclass
class _Progress:
    """What is known so far; survives whatever ends the boot."""

    started: float
    guest: Guest | None = None
    findings: tuple[Finding, ...] = ()
    checks: tuple[Case, ...] = ()
    status: int | None = None
    skipped: str = ""
    complete: bool = False

    def record(self, job: Job, end: str, message: str = "", more: tuple[Finding, ...] = ()) -> BootRecord:
        """Freeze it."""
        return BootRecord(
            end="finished" if end == "finished" else "kernel" if end == "kernel" else "lab",
            seconds=round(time.monotonic() - self.started, 3),
            message=message,
            milestones=self.guest.milestones if self.guest else (),
            findings=(*self.findings, *more),
            checks=self.checks,
            payload_status=self.status,
            complete=self.complete,
            skipped=self.skipped,
            env=environment(job),
        )


def run_job(job: Job, cache: Cache, emit: Emit) -> JobResult:
    """Boot, run the payload, leave every file, judge. A bad kernel is a result; a fault of the lab is MISS."""
    place = JobDir(job.directory)
    progress = _Progress(time.monotonic())
    try:
        _boot(job, place, cache, emit, progress)
        record = progress.record(job, "finished")
    except (LostGuest, LabError) as error:
        kernels_fault = isinstance(error, GuestError) and not isinstance(error, LostGuest)
        more = (error.finding,) if error.finding else ()
        record = progress.record(job, "kernel" if kernels_fault else "lab", str(error), more)
    write_json(place.boot, record)
    result = judge(job)
    write_json(place.result, result)
    return result


def _boot(job: Job, place: JobDir, cache: Cache, emit: Emit, progress: _Progress) -> None:
    symbols = read_symbols(job.kernel.system_map, job.kernel.vmlinux)
    progress.skipped = _unsuited(job)
    if progress.skipped:
        return
    instrument = _instrument(job, cache, symbols)
    plan = BootPlan(
        spec=job.guest,
        bzimage=job.kernel.bzimage,
        image=job.image,
        accel=job.accel,
        directory=job.directory,
        symbols=symbols,
        instrument=instrument,
        stall_budget_s=job.stall_budget_s,
        boot_budget_s=job.boot_budget_s,
    )
    with booted(plan, emit) as guest:
        progress.guest = guest
        progress.checks = check_guest(job, guest.shell)
        if job.payload:
            collected = collect(guest.shell, job.payload, deadline=Deadline.after(job.payload.timeout_s * job.slow))
            place.payload_out.write_text(collected.stdout, encoding="utf-8")
            place.payload_err.write_text(collected.stderr, encoding="utf-8")
            progress.status = collected.status
        progress.findings = guest.findings()
        guest.quit(Deadline.after(QUIT_S))
        progress.complete = True


def _unsuited(job: Job) -> str:
    """Why the payload cannot run on this kernel or guest, or nothing."""
    if job.payload is None:
        return ""
    if job.payload.guests and job.guest.name not in job.payload.guests:
        return f"it runs on guest {' or '.join(job.payload.guests)}, not on {job.guest.name}"
    lost = missing_options(job.payload, _text(job.kernel.config))
    return "the kernel lacks " + ", ".join(lost) if lost else ""


def _instrument(job: Job, cache: Cache, symbols: object) -> Instrument | None:
    if job.payload is None or not job.payload.instrument or job.guest.mode != "exact":
        return None
    return cost_instrument(cache, symbols, job.directory)  # type: ignore[arg-type]


def judge(job: Job) -> JobResult:
    """The result of a job from the files it left: pure in what it reads, so an old run can be judged by newer rules."""
    place = JobDir(job.directory)
    record = read_json(place.boot, BootRecord)
    said = _outcome(job, place, record)
    cases = (*record.checks, *said.cases)
    return replace(
        JobResult.of(job, _status(job, record, cases), record.seconds, message=_message(record, cases)),
        cases=cases,
        samples=said.rows,
        findings=record.findings,
        milestones=record.milestones,
        notes=said.notes,
        env=record.env,
    )


def _outcome(job: Job, place: JobDir, record: BootRecord) -> Outcome:
    if job.payload is None or record.skipped or not place.payload_out.is_file():
        return Outcome()
    counted = job.directory / COST
    cost = _text(counted) if job.payload.instrument and job.guest.mode == "exact" else None
    status = -1 if record.payload_status is None else record.payload_status
    return outcome(Collected(status, _text(place.payload_out), _text(place.payload_err)), cost, job.payload)


def _status(job: Job, record: BootRecord, cases: tuple[Case, ...]) -> Status:
    if record.end == "lab":
        return Status.MISS
    if record.skipped:
        return Status.SKIP
    unfinished = not record.complete or (job.payload is not None and record.payload_status is None)
    bad = record.end == "kernel" or bool(record.findings) or unfinished
    seen = worst([case.status for case in cases])
    if bad or seen in (Status.FAIL, Status.ERROR):
        return Status.ERROR if job.role == "baseline" else Status.FAIL
    return seen


def _message(record: BootRecord, cases: tuple[Case, ...]) -> str:
    if record.message or record.skipped:
        return record.message or record.skipped
    if record.findings:
        return record.findings[0].title
    bad = [f"{case.name}: {case.detail}" for case in cases if case.status in (Status.FAIL, Status.ERROR)]
    return "; ".join(bad[:3])


def environment(job: Job) -> dict[str, str]:
    """What a number of this job is worth nothing without."""
    payload = {"payload": job.payload.name, "payload_hash": job.payload.hash} if job.payload else {}
    return {
        "mode": job.guest.mode,
        "qemu": job.accel.qemu_version,
        "accel": job.accel.name,
        "kernel_key": job.kernel.key,
        "tree": job.kernel.tree,
        "release": job.kernel.release,
        "kconfig": job.kconfig,
        "kconfig_hash": job.kernel.kconfig_hash,
        "toolchain": "; ".join(job.kernel.toolchain),
        "labels": "; ".join(job.kernel.labels),
        "image": job.image.hash,
        "guest": f"{job.guest.name}: {job.guest.cpus} cpus, {job.guest.memory_mib} MiB, {' '.join(job.guest.cmdline)}",
        **payload,
    }


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="backslashreplace") if path.is_file() else ""
