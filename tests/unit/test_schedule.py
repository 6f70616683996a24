from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lab_job import job_of

from lab.cache import Cache
from lab.campaign.rundir import RunDir
from lab.campaign.schedule import Pool
from lab.events import silent
from lab.model.machine import Mode
from lab.model.run import Job


@pytest.mark.parametrize(
    ("modes", "started"),
    [
        (["exact"] * 5, 3),
        (["counts"] * 5, 2),
        (["exact", "exact", "counts", "exact"], 2),
        (["exact", "counts", "exact", "exact"], 2),
        (["exact"], 1),
    ],
)
def test_one_more_guest_only_where_all_count_instructions(
    modes: list[Mode], started: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Job] = []

    def start(pool: Pool, job: Job, attempt: int) -> None:
        ran.append(job)
        pool._workers[object()] = job  # type: ignore[index]  # a child that never ends

    monkeypatch.setattr(Pool, "_start", start)
    pool = Pool(RunDir(tmp_path), Cache(tmp_path), silent, lambda result: None, width=2)
    job = job_of()
    pool.add([replace(job, id=f"r{n}", guest=replace(job.guest, mode=mode)) for n, mode in enumerate(modes)])

    pool._fill()

    assert [one.id for one in ran] == [f"r{n}" for n in range(started)]
    assert pool.busy


def test_of_one_at_a_time_there_are_never_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(RunDir(tmp_path), Cache(tmp_path), silent, lambda result: None, width=1)
    monkeypatch.setattr(Pool, "_start", lambda pool, job, attempt: pool._workers.update({object(): job}))
    job = job_of()
    assert not pool.busy
    pool.add([replace(job, id=f"r{n}", guest=replace(job.guest, mode="exact")) for n in range(3)])

    pool._fill()

    assert len(pool._workers) == 1
