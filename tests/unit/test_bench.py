"""How often and in which order the sides are booted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from fakecampaign import fake_job

from lab.cache import Cache
from lab.campaign.bench import boots_of, in_blocks
from lab.campaign.rundir import RunDir
from lab.campaign.session import Lab
from lab.errors import UsageError
from lab.measure.blocks import block_of
from lab.model.judgement import Metric
from lab.model.outcome import RowKind
from lab.model.run import Job, PayloadSpec, Role


def payload(*kinds: RowKind, name: str = "waits") -> PayloadSpec:
    metrics = tuple(Metric(f"row{number}", "us", kind) for number, kind in enumerate(kinds))
    return PayloadSpec(name, "", Path("/built"), "hash", ("./waits",), metrics)


def lab(run: str) -> Lab:
    return cast("Lab", SimpleNamespace(ledger=SimpleNamespace(run=SimpleNamespace(id=run), env={})))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    place = tmp_path_factory.mktemp("job")
    return fake_job(RunDir(place), Cache(place / "cache"), "good")


def jobs(job: Job, spec: PayloadSpec | None, boots: int = 8) -> list[Job]:
    roles: tuple[Role, ...] = ("baseline", "patched")
    return [
        replace(job, id=f"{spec.name if spec else 'boot'}.{role}.{boot}", payload=spec, boot=boot, role=role)
        for boot in range(1, boots + 1)
        for role in roles
    ]


@pytest.mark.parametrize(
    ("kinds", "first", "more"),
    [
        (("exact",), (1, 2), (3, 4, 5)),
        (("exact", "info", "count"), (1, 2, 3), (4, 5)),
        (("exact", "count", "sample"), tuple(range(1, 9)), tuple(range(9, 17))),
        (("sample",) * 100, tuple(range(1, 13)), tuple(range(13, 25))),
    ],
)
def test_how_often_a_side_is_booted(kinds: tuple[RowKind, ...], first: tuple[int, ...], more: tuple[int, ...]) -> None:
    assert (boots_of(payload(*kinds), 0), boots_of(payload(*kinds), 1)) == (first, more)


def test_more_rows_than_boots_can_tell_apart_are_refused() -> None:
    kinds: list[RowKind] = ["sample"] * 300
    with pytest.raises(UsageError, match="300 sampled rows"):
        boots_of(payload(*kinds), 0)


def test_sampled_payloads_are_booted_in_mixed_order_and_the_seed_is_kept(job: Job) -> None:
    given, here = jobs(job, payload("sample"), 16), lab("20261124-001500")
    ordered = in_blocks(here, given)

    assert sorted(one.id for one in ordered) == sorted(one.id for one in given)
    assert [block_of(one.boot) for one in ordered] == sorted(block_of(one.boot) for one in given)
    assert ordered != given
    assert here.ledger.env == {"order": "randomised blocks, seed 20261124-001500"}
    assert in_blocks(lab("20261124-001500"), given[::-1]) == ordered
    assert in_blocks(lab("20261124-001501"), given) != ordered


def test_the_second_look_goes_on_where_the_first_ended(job: Job) -> None:
    given = jobs(job, payload("sample"), 16)

    assert in_blocks(lab("x"), given[:16]) + in_blocks(lab("x"), given[16:]) == in_blocks(lab("x"), given)


def test_other_jobs_stay_where_they_are(job: Job) -> None:
    boots, counts = jobs(job, None, 1), jobs(job, payload("count", name="counts"), 3)
    here = lab("x")

    assert in_blocks(here, boots + counts) == boots + counts
    assert here.ledger.env == {}
    mixed = in_blocks(here, boots + jobs(job, payload("sample")) + counts)
    assert (mixed[:2], mixed[-6:]) == (boots, counts)


def test_no_job_is_lost_where_two_have_the_same_boot_and_side(job: Job) -> None:
    given = jobs(job, payload("sample"))
    twice = given + [replace(one, id=f"{one.id}.other", kconfig="kasan") for one in given]

    assert sorted(one.id for one in in_blocks(lab("x"), twice)) == sorted(one.id for one in twice)
