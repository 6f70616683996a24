"""The kernel's own tests by real workers and the real runner, in a fake guest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakecampaign import fake_job
from fakeguest import use_fake_qemu

from lab.cache import Cache
from lab.campaign.job import judge
from lab.campaign.rundir import RunDir
from lab.campaign.schedule import Pool
from lab.events import silent
from lab.kernel.selftests import RUNNER, arguments_variable
from lab.measure.regress import rows
from lab.model.outcome import Status
from lab.model.run import Job, JobResult, PayloadSpec, Role
from lab.model.suite import CaseVerdict
from lab.model.wire import read_json
from lab.proc import quote

PASS, FAIL, SKIP = Status.PASS, Status.FAIL, Status.SKIP
TESTS = {
    "good": "echo 'TAP version 13'; echo 1..2; echo 'ok 1 a'; echo 'ok 2 b # SKIP no device'",
    "bad": "echo 1..2; echo 'ok 1 a'; printf 'not ok 2 b'; exit 1",
    "skips": "echo 'SKIP: no such tool'; exit 4",
    "endless": "sleep 60",
    "killed": "kill -SEGV $$",
    "takes-words.sh": 'echo 1..1; test "$#-$2" = "2-a b" && echo ok 1 two words',
}
EXPECTED = {
    "t:good": PASS,
    "t:good: a": PASS,
    "t:good: b": SKIP,
    "t:bad": FAIL,
    "t:bad: a": PASS,
    "t:bad: b": FAIL,
    "t:skips": SKIP,
    "t:endless": FAIL,
    "t:killed": FAIL,
    "t:takes-words.sh": FAIL,
}


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    use_fake_qemu(monkeypatch, tmp_path)
    yield


def suite(run: RunDir, *tests: str, role: Role = "patched", case: str = "good", factor: int = 1) -> Job:
    """A job that runs self-tests of target `t`, one second each."""
    job = fake_job(run, Cache(run.path / "cache"), case, 1, role)
    place = run.path / "made" / "selftests"
    (place / "t").mkdir(parents=True)
    shutil.copy(RUNNER, place)
    (place / "t" / "settings").write_text("timeout=1\n")
    for name, text in TESTS.items():
        (place / "t" / name).write_text(f"#!/bin/sh\n{text}\n")
        (place / "t" / name).chmod(0o755 if name != "skips" else 0o644)
    payload = PayloadSpec(
        name="kselftest",
        summary="",
        directory=place,
        hash="s",
        command=("sh", f"./{RUNNER.name}", "/dev/null", str(factor), "0", *tests),
        metrics=(),
        kind="kselftest",
        instrument=False,
    )
    return replace(job, payload=payload)


def ran(tmp_path: Path, *tests: str, role: Role = "patched", case: str = "good", factor: int = 1) -> tuple[Job, JobResult]:
    run = RunDir(tmp_path / "run")
    job = suite(run, *tests, role=role, case=case, factor=factor)
    (result,) = Pool(run, Cache(run.path / "cache"), silent, lambda _: None, width=1).run_all([job])
    return job, result


def test_every_kind_of_end_is_a_result_and_the_boot_is_good(tmp_path: Path) -> None:
    _, result = ran(tmp_path, *(f"t:{name}" for name in TESTS))

    assert (result.status, result.message) == (PASS, "")
    assert {case.name: case.status for case in result.tests} == EXPECTED
    details = {case.name: case.detail for case in result.tests}
    assert details["t:endless"] == "TIMEOUT 1 seconds"
    assert details["t:skips"] == "no such tool"
    assert details["t:killed"].startswith("exit=139")


def test_a_test_gets_the_words_that_are_meant_for_it(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    job = suite(run, "t:takes-words.sh", "t:good")
    assert job.payload
    given = f"{arguments_variable('t:takes-words.sh')}={quote(('-t', 'a b'))}"
    job = replace(job, payload=replace(job.payload, command=("env", given, *job.payload.command)))
    (result,) = Pool(run, Cache(run.path / "cache"), silent, lambda _: None, width=1).run_all([job])

    assert {case.name: case.status for case in result.tests if ": " not in case.name} == {
        "t:takes-words.sh": PASS,
        "t:good": PASS,
    }


def test_the_same_logs_judged_again_say_the_same(tmp_path: Path) -> None:
    job, result = ran(tmp_path, "t:good", "t:bad")
    (place,) = RunDir(tmp_path / "run").jobs()

    assert judge(read_json(place.job, Job)) == result
    whole = place.payload_out.read_bytes()
    place.payload_out.write_bytes(whole[: whole.index(b"## done")])
    assert judge(job).status is FAIL


def test_a_test_that_is_not_there_fails(tmp_path: Path) -> None:
    _, result = ran(tmp_path, "t:nowhere", "t:good")

    assert {case.name: case.status for case in result.tests if ": " not in case.name} == {"t:nowhere": FAIL, "t:good": PASS}


@pytest.mark.parametrize(("role", "status"), [("patched", FAIL), ("baseline", Status.ERROR)])
def test_a_complaint_outside_every_test_is_the_boots(tmp_path: Path, role: Role, status: Status) -> None:
    _, result = ran(tmp_path, "t:good", role=role, case="warn")

    assert (result.status, "WARNING: CPU" in result.message) == (status, True)


@pytest.mark.parametrize("case", ["panic", "spin"])
def test_a_guest_that_dies_before_any_test_is_bad(tmp_path: Path, case: str) -> None:
    _, result = ran(tmp_path, "t:good", case=case)

    assert result.status is FAIL


def test_a_lost_connection_is_the_labs_fault(tmp_path: Path) -> None:
    _, result = ran(tmp_path, "t:endless", case="cut", factor=30)

    assert (result.status, result.attempts) == (Status.MISS, 2)


def test_what_passed_must_pass(tmp_path: Path) -> None:
    _, base = ran(tmp_path / "base", "t:good", "t:bad", role="baseline")
    job, patched = ran(tmp_path / "patched", "t:good", "t:bad")
    before = {row.test: row.verdict for row in rows([base], [patched], "base", "series")}
    assert job.payload is not None
    broken = replace(patched, tests=tuple(replace(test, status=FAIL) for test in patched.tests))
    after = {row.test: row.verdict for row in rows([base], [broken], "base", "series")}

    assert (before["t:good"], before["t:bad"]) == (CaseVerdict.PASS, CaseVerdict.FAILS)
    assert (after["t:good"], after["t:bad"]) == (CaseVerdict.REGRESSED, CaseVerdict.FAILS)
