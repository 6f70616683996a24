"""One job: a Build and a Guest joined for one boot. Running leaves files; judging reads them, now or later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lab.cache import Cache
from lab.campaign.checks import check_guest, check_symbols
from lab.campaign.hardware import asked
from lab.campaign.rundir import JobDir
from lab.campaign.suites import judge_suite, run_in
from lab.deadline import Deadline
from lab.errors import GuestError, LabError, LostGuest
from lab.events import Emit
from lab.guest.boot import Guest, booted
from lab.guest.launch import BootPlan
from lab.guest.network import Network, private_network
from lab.kernel.symbols import functions_of, read_symbols
from lab.measure.collect import Collected, collect, outcome
from lab.measure.cost import PROFILE, cost_instrument
from lab.measure.payload import missing_options
from lab.measure.profiled import ask_symbols, identity, late_symbols
from lab.measure.suites import Logs
from lab.model.machine import GuestSpec, Instrument
from lab.model.outcome import Case, Finding, Outcome, Status
from lab.model.run import BootRecord, Job, JobResult
from lab.model.wire import read_json, write_json

QUIT_S = 60.0
EMULATORS = frozenset({"lost-interrupt"})
"""Findings that an emulator is to blame for until a fresh guest says the same: QEMU loses an interrupt now and then."""
COST = "cost.out"
PEER = "peer"
"""The second guest of a pair: its directory within the job's, and the prefix of its checks."""


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
    network: str = ""
    """What the private network lacks of what was asked for."""

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
            env=environment(job) | ({"network": self.network} if self.network else {}),
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
    plan = BootPlan(
        spec=job.guest,
        bzimage=job.kernel.bzimage,
        image=job.image,
        accel=job.accel,
        directory=job.directory,
        symbols=symbols,
        instrument=_instrument(job, cache, symbols),
        stall_budget_s=job.stall_budget_s,
        boot_budget_s=job.boot_budget_s,
    )
    with _network(job, progress) as network:
        granted = network.granted(job.guest) if network else job.guest
        with booted(replace(plan, network=network), emit) as guest:
            progress.guest = guest
            with _second(job, replace(plan, network=network), emit) as others:
                _work(job, place, progress, granted, (guest, *others))
            guest.quit(Deadline.after(QUIT_S))
            progress.complete = True


@contextmanager
def _network(job: Job, progress: _Progress) -> Iterator[Network | None]:
    """The private network of the job's guests, if they have NICs on one; what it lacks of what was asked for is told."""
    if not job.guest.nics:
        yield None
        return
    with private_network(job.guest) as network:
        progress.network = network.note
        if network.note:
            progress.checks = (Case("guest.network", Status.SKIP, f"asked taps, found {network.note}"),)
        yield network


@contextmanager
def _second(job: Job, plan: BootPlan, emit: Emit) -> Iterator[tuple[Guest, ...]]:
    """The second guest of a pair, if it is one, with files of its own; it quits cleanly, too."""
    if job.guest.hosts < 2:
        yield ()
        return
    with booted(replace(plan, host=2, directory=job.directory / PEER, instrument=None), emit) as peer:
        yield (peer,)
        peer.quit(Deadline.after(QUIT_S))


def _work(job: Job, place: JobDir, progress: _Progress, granted: GuestSpec, guests: tuple[Guest, ...]) -> None:
    """Check the guests, run the payload, read the kernels' logs."""
    for name, guest in zip(("", f"{PEER}."), guests, strict=False):
        progress.checks += tuple(replace(case, name=name + case.name) for case in check_guest(job, guest.shell, granted))
    if job.payload and job.payload.is_suite:
        progress.status = run_in(guests[0].shell, job.payload, place, job.slow)
    elif job.payload:
        shells = [guest.shell for guest in guests]
        if job.explain:
            ask_symbols(shells[0], Deadline.after(QUIT_S * job.slow))
        collected = collect(*shells, spec=job.payload, deadline=Deadline.after(job.payload.timeout_s * job.slow))
        place.payload_out.write_text(collected.stdout, encoding="utf-8")
        place.payload_err.write_text(collected.stderr, encoding="utf-8")
        progress.status = collected.status
        if job.explain:
            place.kallsyms.write_text(late_symbols(shells[0], Deadline.after(QUIT_S * job.slow)), encoding="utf-8")
    progress.checks += check_symbols(job, guests[0].shell)  # after the payload, whose counts it would move
    progress.findings = tuple(finding for guest in guests for finding in guest.findings())


def _unsuited(job: Job) -> str:
    """Why the payload cannot run on this kernel or guest, or nothing."""
    if job.payload is None:
        return ""
    if job.payload.guests and job.guest.name not in job.payload.guests:
        return f"it runs on guest {' or '.join(job.payload.guests)}, not on {job.guest.name}"
    if job.payload.peer and job.guest.hosts < 2:
        return f"it needs a pair of guests, and {job.guest.name} is one"
    lost = missing_options(job.payload, _text(job.kernel.config))
    return "the kernel lacks " + ", ".join(lost) if lost else ""


def _instrument(job: Job, cache: Cache, symbols: object) -> Instrument | None:
    if job.payload is None or not job.payload.instrument or job.guest.mode != "exact":
        return None
    program, kernel = job.payload.directory / job.payload.command[0], job.kernel
    functions = (*functions_of(program), *functions_of(kernel.vmlinux, kernel.system_map)) if job.explain else ()
    return cost_instrument(cache, symbols, job.directory, functions, job.profiling)  # type: ignore[arg-type]


def judge(job: Job) -> JobResult:
    """The result of a job from the files it left: pure in what it reads, so an old run can be judged by newer rules."""
    place = JobDir(job.directory)
    record = read_json(place.boot, BootRecord)
    if job.payload and job.payload.is_suite:
        return judge_suite(job, record, Logs(_text(place.console), _text(place.payload_out)))
    said = _outcome(job, place, record)
    cases = (*record.checks, *said.cases)
    return replace(
        JobResult.of(job, _status(job, record, said.cases), record.seconds, message=_message(record, cases)),
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
    said = outcome(Collected(status, _text(place.payload_out), _text(place.payload_err)), cost, job.payload)
    if job.explain and cost is not None:
        said = replace(said, cases=(*said.cases, identity(_text(job.directory / PROFILE), cost)))
    return said


def _status(job: Job, record: BootRecord, cases: tuple[Case, ...]) -> Status:
    """`cases`: the payload's. Some of them skipped is no less of a pass; all of them, and nothing was tested."""
    if record.end == "lab" or (record.findings and all(found.kind in EMULATORS for found in record.findings)):
        return Status.MISS
    if record.skipped:
        return Status.SKIP
    unfinished = not record.complete or (job.payload is not None and record.payload_status is None)
    bad = record.end == "kernel" or bool(record.findings) or unfinished
    seen = [case.status for case in (*record.checks, *cases)]
    if bad or not seen or any(status in (Status.FAIL, Status.ERROR) for status in seen):
        return Status.ERROR if job.role == "baseline" else Status.FAIL
    return Status.SKIP if cases and all(case.status is Status.SKIP for case in cases) else Status.PASS


def _message(record: BootRecord, cases: tuple[Case, ...]) -> str:
    if record.message or record.skipped:
        return record.message or record.skipped
    if record.findings:
        return record.findings[0].title
    bad = [case for case in cases if case.status in (Status.FAIL, Status.ERROR)]
    told = bad or [case for case in cases if case.status is Status.SKIP]
    return "; ".join(f"{case.name}: {case.detail}" for case in told[:3])


def environment(job: Job) -> dict[str, str]:
    """What a number of this job is worth nothing without."""
    payload = {"payload": job.payload.name, "payload_hash": job.payload.hash} if job.payload else {}
    guest = job.guest
    told = [f"{guest.cpus} cpus", f"{guest.memory_mib} MiB", " ".join(guest.cmdline), *asked(guest), *guest.qemu_args]
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
        "guest": f"{guest.name}: {', '.join(told)}" + (f", {guest.hosts} hosts" if guest.hosts > 1 else ""),
        **payload,
        **({"image_label": job.image.label} if job.image.label else {}),
        **({"share": str(job.guest.share)} if job.guest.share else {}),
    }


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="backslashreplace") if path.is_file() else ""
