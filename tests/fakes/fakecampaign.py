"""A run of real workers on the fake QEMU: jobs whose kernels are words and whose payloads are scripts of the host's sh.

As a program: `python fakecampaign.py DIRECTORY CASE...` runs the cases through a Pool, prints a line per finished job.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from fakeguest import fake_image

from lab.cache import Cache
from lab.campaign.rundir import RunDir
from lab.campaign.schedule import Pool
from lab.events import silent
from lab.model.judgement import Metric
from lab.model.machine import Accel, GuestSpec
from lab.model.run import Job, JobResult, KernelFiles, PayloadSpec, Role

GOOD = "KTAP version 1\\n1..1\\n# sample reads 4 calls\\nok 1 reads\\n"


@dataclass(frozen=True)
class Script:
    """What the fake kernel does, what the payload's shell script does, how long it may take, its argument (else: which boot)."""

    fake: str = "ready"
    payload: str = f"printf '{GOOD}'"
    timeout_s: float = 60.0
    word: str = ""


CASES = {
    "good": Script(),
    "panic": Script(fake="panic"),
    "warn": Script(fake="warn"),
    "loses-interrupt": Script(fake="lost"),
    "loses-interrupt-and-warns": Script(fake="lost,warn"),
    "spin": Script(fake="spin"),
    "oops-hangs": Script(fake="oops", payload="sleep 60"),
    "late-panic": Script(fake="panic-later", word="panic"),
    "fails": Script(payload="printf 'KTAP version 1\\n1..1\\nnot ok 1 reads\\n'; exit 1"),
    "skips-all": Script(payload="printf 'KTAP version 1\\n1..1\\nok 1 reads # SKIP no device\\n'; exit 4"),
    "skips-one": Script(
        payload="printf 'KTAP version 1\\n1..2\\n# sample reads 4 calls\\nok 1 reads\\nok 2 polls # SKIP no polls\\n'"
    ),
    "silent": Script(payload="true"),
    "truncated": Script(payload="printf 'KTAP version 1\\n1..2\\n# sample reads 4 calls\\nok 1 reads\\n'"),
    "wobbles": Script(payload="printf 'KTAP version 1\\n1..1\\n# sample reads %d calls\\nok 1 reads\\n' $1"),
    "nan": Script(payload="printf 'KTAP version 1\\n1..1\\n# sample reads nan calls\\nok 1 reads\\n'"),
    "cut": Script(fake="cut=2", payload="sleep 60"),
    "qemu-dies": Script(fake="die"),
    "slow": Script(payload=f"sleep 60; printf '{GOOD}'", timeout_s=120.0),
    "endless": Script(payload="sleep 600", timeout_s=2.0),
    "wrong-release": Script(fake="ready,release=6.6.6"),
}


def fake_job(run: RunDir, cache: Cache, case: str, number: int = 1, role: Role = "patched") -> Job:
    """The job of a case, its kernel and payload written under the run's directory."""
    script = CASES[case]
    place = run.path / "made" / f"{case}{number}"
    payload = place / "payload"
    payload.mkdir(parents=True)
    (payload / "run").write_text(f"#!/bin/sh\n{script.payload}\n")
    (payload / "run").chmod(0o755)
    (place / "bzImage").write_text(f"fake={script.fake}\n")
    for name in ("config", "System.map"):
        (place / name).touch()
    job_id = f"{case}.r{number:02d}"
    return Job(
        id=job_id,
        role=role,
        series=("fake",),
        upto=1,
        kconfig="default",
        kernel=KernelFiles(
            "k", "6.12.0-fake", place / "bzImage", place / "vmlinux", place / "System.map", place / "config", "t", "h"
        ),
        guest=GuestSpec("fake", cpus=1, mode="counts"),
        image=fake_image(cache.root),
        accel=Accel("tcg", proven=True, evidence="fake", qemu_version="7.2.22"),
        payload=PayloadSpec(
            name="reads",
            summary="",
            directory=payload,
            hash="p",
            command=("./run", script.word or str(number)),
            metrics=(Metric("reads", "calls", "count"),),
            timeout_s=script.timeout_s,
            instrument=False,
        ),
        boot=number,
        directory=run.job(job_id).path,
        stall_budget_s=1.0,
        boot_budget_s=60.0,
    )


def run_cases(directory: Path, cases: list[str], role: Role = "patched") -> list[JobResult]:
    """Run the cases, two at a time; every finished job is printed at once."""
    run = RunDir(directory)
    (run.path / "jobs").mkdir(parents=True, exist_ok=True)
    cache = Cache(directory / "cache")

    def done(result: JobResult) -> None:
        sys.stdout.write(f"{result.id} {result.status} {result.attempts}\n")
        sys.stdout.flush()

    jobs = [fake_job(run, cache, case, number, role) for number, case in enumerate(cases, 1)]
    return Pool(run, cache, silent, done, width=2).run_all(jobs)


if __name__ == "__main__":
    run_cases(Path(sys.argv[1]), sys.argv[2:])
