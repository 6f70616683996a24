"""Real workers on a fake QEMU: what each way to fail is called, and that nothing is left behind, whoever is killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakecampaign import fake_job, run_cases
from fakeguest import FAKES, use_fake_qemu
from processes import named, wait_until_gone

from lab.cache import Cache
from lab.campaign.job import judge
from lab.campaign.rundir import RunDir, read_job_result
from lab.campaign.schedule import Pool
from lab.events import silent
from lab.measure.blocks import blocks
from lab.measure.steady import steadiness
from lab.measure.verdict import compare
from lab.model.judgement import Comparison, Metric, Verdict
from lab.model.outcome import Status
from lab.model.run import Job, JobResult
from lab.model.wire import from_json, read_json, to_json


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    use_fake_qemu(monkeypatch, tmp_path)
    yield
    assert named(tmp_path) == {}, "processes were left behind"


def one(tmp_path: Path, case: str) -> JobResult:
    (result,) = run_cases(tmp_path / "run", [case])
    return result


@pytest.mark.parametrize(
    ("case", "status", "said"),
    [
        ("good", Status.PASS, ""),
        ("panic", Status.FAIL, "Kernel panic - not syncing: fake panic"),
        ("warn", Status.FAIL, "WARNING: CPU: 0 PID: 1 at kernel/fake.c:12"),
        ("loses-interrupt", Status.MISS, "QID 1 timeout, completion polled"),
        ("loses-interrupt-and-warns", Status.FAIL, ""),
        ("spin", Status.FAIL, "with interrupts off"),
        ("oops-hangs", Status.FAIL, "BUG: kernel NULL pointer dereference"),
        ("late-panic", Status.FAIL, "Kernel panic"),
        ("fails", Status.FAIL, "reads"),
        ("skips-one", Status.PASS, ""),
        ("skips-all", Status.SKIP, "no device"),
        ("silent", Status.FAIL, ""),
        ("truncated", Status.FAIL, ""),
        ("nan", Status.FAIL, ""),
        ("endless", Status.FAIL, "did not end in time"),
        ("wrong-release", Status.FAIL, "asked 6.12.0-fake, found 6.6.6"),
        ("qemu-dies", Status.MISS, ""),
        ("cut", Status.MISS, "SSH connection broke"),
    ],
)
def test_what_each_way_to_fail_is_called(tmp_path: Path, case: str, status: Status, said: str) -> None:
    result = one(tmp_path, case)

    assert (result.status, said in result.message) == (status, True), result.message
    assert result.attempts == (2 if status is Status.MISS else 1)


def test_the_same_on_the_baseline_is_an_error(tmp_path: Path) -> None:
    (result,) = run_cases(tmp_path / "run", ["panic"], "baseline")

    assert result.status is Status.ERROR


def test_old_logs_can_be_judged_again_and_say_the_same(tmp_path: Path) -> None:
    result = one(tmp_path, "warn")
    run = RunDir(tmp_path / "run")

    (place,) = run.jobs()
    assert judge(read_json(place.job, Job)) == result == read_job_result(place)


@pytest.mark.parametrize("cut", [0, 1, 5, 20, 40, 60])
def test_no_truncation_of_the_payloads_output_is_a_pass(tmp_path: Path, cut: int) -> None:
    one(tmp_path, "good")
    (place,) = RunDir(tmp_path / "run").jobs()
    whole = place.payload_out.read_bytes()
    place.payload_out.write_bytes(whole[: min(cut, len(whole) - 2)])

    assert judge(read_json(place.job, Job)).status is Status.FAIL


@pytest.mark.parametrize(
    ("cases", "verdict", "said"),
    [
        (["good", "good", "good"], Verdict.EQUAL, ""),
        (["wobbles", "wobbles"], Verdict.WOBBLE, "the leak is not known"),
        (["good", "qemu-dies"], Verdict.INCONCLUSIVE, "boot 2 is MISS"),
        (["good", "nan"], Verdict.INCONCLUSIVE, "boot 2 is FAIL"),
        (["good", "panic"], Verdict.INCONCLUSIVE, "boot 2 is FAIL"),
    ],
)
def test_how_steady_many_boots_are(tmp_path: Path, cases: list[str], verdict: Verdict, said: str) -> None:
    results = run_cases(tmp_path / "run", cases)
    spec = read_json(RunDir(tmp_path / "run").jobs()[0].job, Job).payload
    assert spec is not None

    (row,) = steadiness(spec, spec.metrics, results, len(cases), "fake")
    assert (row.verdict, row.note) == (verdict, said)


def start(tmp_path: Path, *cases: str) -> subprocess.Popen[str]:
    """A lab of its own, to be killed."""
    words = [sys.executable, str(FAKES / "fakecampaign.py"), str(tmp_path / "run"), *cases]
    environment = {**os.environ, "PYTHONPATH": str(FAKES)}
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment)


def test_kill_9_takes_workers_and_guests_along(tmp_path: Path) -> None:
    lab = start(tmp_path, "slow", "slow")
    wait_for_machines(lab, tmp_path, 2)
    os.kill(lab.pid, signal.SIGKILL)
    lab.wait()

    wait_until_gone(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_was_finished(tmp_path: Path, number: int) -> None:
    lab = start(tmp_path, "good", "slow", "slow")
    assert lab.stdout is not None
    assert lab.stdout.readline() == "good.r01 PASS 1\n"
    os.kill(lab.pid, number)
    lab.wait()

    wait_until_gone(tmp_path)
    done = read_job_result(RunDir(tmp_path / "run").job("good.r01"))
    assert done is not None
    assert done.status is Status.PASS


@pytest.mark.parametrize("victim", ["lab.campaign.worker", "fakeqemu.py"])
def test_what_is_killed_is_a_miss_after_a_second_try(tmp_path: Path, victim: str) -> None:
    lab = start(tmp_path, "slow")
    for attempt in ("jobs/slow.r01/", "jobs/slow.r01.again/"):
        wait_for_machines(lab, tmp_path, 1, attempt)
        for pid, line in named(tmp_path).items():
            if victim in line and attempt in line:
                os.kill(pid, signal.SIGKILL)
    assert lab.stdout is not None

    assert lab.stdout.readline() == "slow.r01 MISS 2\n"
    assert lab.wait() == 0


def wait_for_machines(lab: subprocess.Popen[str], tmp_path: Path, count: int, job: str = "") -> None:
    """Until that many guests (of the job) run under their workers; the lab must live."""
    while lab.poll() is None:
        lines = [line for line in named(tmp_path).values() if job in line]
        if all(sum(word in line for line in lines) >= count for word in ("lab.campaign.worker", "fakeqemu.py")):
            return
        select.select([], [], [], 0.05)
    raise AssertionError(f"the lab under test ended with {lab.returncode}")


@pytest.mark.full
def test_boots_in_mixed_order_become_a_verdict(tmp_path: Path) -> None:
    run, cache = RunDir(tmp_path / "run"), Cache(tmp_path / "cache")
    (run.path / "jobs").mkdir(parents=True)
    jobs = []
    for boot, role in blocks(range(1, 9), ("baseline", "patched"), "seed"):
        job = fake_job(run, cache, "good", 2 * boot + (role == "patched"), "baseline" if role == "baseline" else "patched")
        assert job.payload is not None
        script = job.payload.directory / "run"
        script.write_text(script.read_text().replace("reads 4", f"reads {400 + boot % 4 + 20 * (role == 'patched')}"))
        jobs.append(replace(job, boot=boot, payload=replace(job.payload, metrics=(Metric("reads", "calls", "sample"),))))

    results = Pool(run, cache, silent, lambda _: None, width=2).run_all(jobs)

    base, patched = ([result for result in results if result.role == role] for role in ("baseline", "patched"))
    assert jobs[0].payload is not None
    (row,) = compare(jobs[0].payload, base, patched, "base", "fake")
    assert (row.verdict, row.base.n, row.patched.n) == (Verdict.REGRESSED, 8, 8), row.note
    assert from_json(to_json(row), Comparison) == row
