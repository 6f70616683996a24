"""Asked beside found: what a job wants of its guest, verified inside it before any number is taken."""

from __future__ import annotations

from dataclasses import replace

from lab.campaign.hardware import asked
from lab.deadline import Deadline
from lab.formats.elfnotes import parse_build_id
from lab.kernel.debuginfo import build_id
from lab.measure.collect import collect, outcome
from lab.model.machine import GuestSpec
from lab.model.outcome import Case, Status
from lab.model.ports import Shell
from lab.model.run import Job

CHECK_S = 60.0
PREFIX = "guest."
SYMBOLS = "guest.symbols"
NOTES = "od -An -v -tx1 /sys/kernel/notes"


def check_guest(job: Job, shell: Shell, granted: GuestSpec) -> tuple[Case, ...]:
    """One case an ask: what the kernel's own files tell, then what only an effect proves (the job's proof).

    `granted`: the guest's specification with what this host could give of it. Raises what the shell raises.
    """
    return (*_by_looking(job, shell), *_by_effect(job, shell, granted))


def check_symbols(job: Job, shell: Shell) -> tuple[Case, ...]:
    """Whether the kernel that runs came out of the link that the Build's vmlinux did: else it is another patch's, or nobody's.

    No case where nothing can tell: a vmlinux without a build id, or none. Raises what the shell raises.
    """
    known = build_id(job.kernel.vmlinux)
    if not known:
        return ()
    said = shell.run(NOTES, deadline=Deadline.after(CHECK_S * job.slow)).stdout
    try:
        runs = parse_build_id(bytes.fromhex(said))
    except ValueError:
        runs = ""
    same = runs == known
    return (Case(SYMBOLS, Status.PASS if same else Status.ERROR, f"vmlinux has build id {known}, {runs or 'none'} runs"),)


def _by_looking(job: Job, shell: Shell) -> tuple[Case, ...]:
    """CPUs, kernel release, clock source, and arguments of the guest that its kernel does not know."""
    asks = {
        "cpus": ("nproc --all", str(job.guest.cpus)),
        "release": ("uname -r", job.kernel.release),
        "clocksource": ("cat /sys/devices/system/clocksource/*/current_clocksource", "tsc" if job.guest.mode == "exact" else ""),
        "unknown-arguments": ("dmesg | sed -n 's/.*Unknown kernel command line parameters//p'", ""),
    }
    script = "; ".join(f'echo "$({command})"' for command, _ in asks.values())
    answer = shell.run(script, deadline=Deadline.after(CHECK_S * job.slow)).stdout.splitlines()
    found = dict(zip(asks, [line.strip() for line in answer], strict=False))
    unknown = [word.strip('",') for word in found.pop("unknown-arguments", "").split()]
    strangers = [word for word in job.guest.cmdline if word in unknown]
    cases = [_check(name, asks[name][1], found.get(name, "nothing")) for name in ("cpus", "release", "clocksource")]
    return (*cases, _check("unknown-arguments", "none", ", ".join(strangers) or "none"))


def _check(name: str, asked: str, found: str) -> Case:
    good = not asked or asked == found
    return Case(PREFIX + name, Status.PASS if good else Status.FAIL, f"asked {asked or 'any'}, found {found}")


def _by_effect(job: Job, shell: Shell, granted: GuestSpec) -> tuple[Case, ...]:
    if job.proof is None:
        return ()
    proof = replace(job.proof, command=(*job.proof.command, *asked(granted)))
    said = outcome(collect(shell, spec=proof, deadline=Deadline.after(proof.timeout_s * job.slow)), None, proof)
    return tuple(_proven(case) for case in said.cases)


def _proven(case: Case) -> Case:
    """What could not be proven counts as not there."""
    status = Status.PASS if case.status is Status.PASS else Status.FAIL
    return Case(PREFIX + case.name, status, case.detail)
