from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lab_job import job_of

from lab.campaign.checks import check_guest, check_symbols
from lab.campaign.job import environment
from lab.deadline import Deadline
from lab.model.machine import Nic
from lab.model.outcome import Status
from lab.model.ports import Completed
from lab.model.run import PayloadSpec

PROOF = PayloadSpec("hardware", "", Path("made"), "h", ("./hardware",), (), kind="test", instrument=False)
GNU_NOTE = " 04 00 00 00 04 00 00 00 03 00 00 00 47 4e 55 00\n c0 ff ee 00\n"
LOOKS = "4\n6.12.0-fake\ntsc\n\n"


class FakeShell:
    """Answers the look with what the test says, and the proof with KTAP."""

    def __init__(self, looks: str = LOOKS, ktap: str = "") -> None:
        self.looks, self.ktap = looks, ktap
        self.ran: list[str] = []

    def run(self, command: str, *, deadline: Deadline, stdin: bytes = b"") -> Completed:
        self.ran.append(command)
        return Completed(0, self.ktap if "./hardware" in command else self.looks, "")

    def push(self, directory: Path, target: str, *, deadline: Deadline) -> None:
        return None

    def pull(self, path: str, target: Path, *, deadline: Deadline) -> None:
        raise AssertionError


def statuses(shell: FakeShell, proof: PayloadSpec | None = None) -> dict[str, Status]:
    job = job_of(cpus=4, proof=proof)
    granted = replace(job.guest, nics=(Nic(8),))
    return {case.name: case.status for case in check_guest(job, shell, granted)}


def test_what_is_as_asked_passes_each_case_by_name() -> None:
    assert set(statuses(FakeShell()).values()) == {Status.PASS}


@pytest.mark.parametrize(
    ("looks", "case"),
    [
        ("2\n6.12.0-fake\ntsc\n\n", "guest.cpus"),
        ("4\n6.6.6\ntsc\n\n", "guest.release"),
        ('4\n6.12.0-fake\ntsc\n"nohz_ful=2-3", will be passed to user space.\n', "guest.unknown-arguments"),
    ],
)
def test_what_is_not_as_asked_fails_its_case(looks: str, case: str) -> None:
    found = statuses(FakeShell(looks))

    assert [name for name, status in found.items() if status is not Status.PASS] == [case]


def test_without_a_proof_nothing_is_run() -> None:
    shell = FakeShell()
    statuses(shell)

    assert len(shell.ran) == 1


def test_the_proofs_cases_stand_beside_the_others() -> None:
    shell = FakeShell(ktap="KTAP version 1\n1..2\nok 1 net.eth1\nnot ok 2 nvme.nvme0\n")

    found = statuses(shell, PROOF)

    assert (found["guest.net.eth1"], found["guest.nvme.nvme0"]) == (Status.PASS, Status.FAIL)
    assert "net=eth1:8:10.99.0.1" in shell.ran[-1]


@pytest.mark.parametrize(
    ("known", "notes", "status"),
    [
        ("c0ffee00", GNU_NOTE, Status.PASS),
        ("c0ffee01", GNU_NOTE, Status.ERROR),
        ("c0ffee00", "sh: od: not found", Status.ERROR),
        ("", GNU_NOTE, None),
    ],
)
def test_the_kernel_that_runs_is_the_one_that_was_built(
    monkeypatch: pytest.MonkeyPatch, known: str, notes: str, status: Status | None
) -> None:
    monkeypatch.setattr("lab.campaign.checks.build_id", lambda vmlinux: known)

    assert [case.status for case in check_symbols(job_of(cpus=4), FakeShell(notes))] == ([status] if status else [])


@pytest.mark.parametrize(
    "said", ["", "KTAP version 1\n1..2\nok 1 net.eth1\n", "KTAP version 1\n1..0\n", "KTAP version 1\n1..1\nok 1 net # SKIP no\n"]
)
def test_a_proof_that_says_nothing_or_half_is_no_proof(said: str) -> None:
    assert Status.FAIL in statuses(FakeShell(ktap=said), PROOF).values()


def test_the_environment_tells_guests_with_other_hardware_apart() -> None:
    job = job_of(cpus=4)
    others = [replace(job.guest, nics=(Nic(8),)), replace(job.guest, nics=(Nic(1),)), replace(job.guest, qemu_args=("-S",))]

    assert len({environment(replace(job, guest=guest))["guest"] for guest in (job.guest, *others)}) == 4
