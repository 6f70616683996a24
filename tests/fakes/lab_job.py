"""A Job as tests want it: nothing in it exists."""

from __future__ import annotations

from pathlib import Path

from lab.model.machine import Accel, GuestSpec, Image
from lab.model.run import Job, KernelFiles, PayloadSpec

NOWHERE = Path("/nonexistent")


def job_of(*, cpus: int = 1, payload: PayloadSpec | None = None, proof: PayloadSpec | None = None, guest: str = "mq") -> Job:
    """A job on a guest of so many CPUs whose command line asks for nohz_ful (sic)."""
    return Job(
        id="boot.fake.r01",
        role="patched",
        series=("fake",),
        upto=1,
        kconfig="default",
        kernel=KernelFiles("k", "6.12.0-fake", NOWHERE, NOWHERE, NOWHERE, NOWHERE, "t", "h"),
        guest=GuestSpec(guest, cpus=cpus, mode="counts", cmdline=("nohz_ful=2-3",)),
        image=Image("tiny", "i", NOWHERE, NOWHERE, NOWHERE),
        accel=Accel("tcg", proven=True, evidence="fake", qemu_version="7.2.22"),
        payload=payload,
        boot=1,
        directory=NOWHERE,
        proof=proof,
    )
