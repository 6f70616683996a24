from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.campaign.history import History
from lab.campaign.ledger import Ledger
from lab.campaign.plan import Side
from lab.campaign.rundir import find_run, new_run
from lab.errors import BuildError, HostError, LabError, UsageError
from lab.model.change import Kconfig
from lab.model.judgement import Comparison, Spread, Verdict
from lab.model.outcome import Finding, Status
from lab.model.run import JobResult


def job(status: Status = Status.PASS, number: int = 1) -> JobResult:
    return JobResult(
        f"p.s.k01.default.patched.r{number:02d}", ("s",), 1, "default", "single", "p", "patched", number, status, 1.0
    )


def row(verdict: Verdict, *, material: bool = False) -> Comparison:
    spread = Spread(1.0, 1, (1.0,))
    return Comparison(
        "a", "b", "p", "default", "single", "m", "insn", "exact", spread, spread, 1.0, 1.0, 0.005, verdict, material
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(new_run(tmp_path / "reports"), "./inv bench", History(tmp_path / "history.json"))


@pytest.mark.parametrize(
    ("statuses", "status", "code"),
    [
        ([Status.PASS, Status.PASS], Status.PASS, 0),
        ([Status.PASS, Status.SKIP], Status.PASS, 0),
        ([Status.SKIP], Status.ERROR, 3),
        ([Status.PASS, Status.FAIL], Status.FAIL, 1),
        ([Status.FAIL, Status.ERROR], Status.ERROR, 3),
        ([Status.PASS, Status.MISS], Status.MISS, 3),
        ([Status.FAIL, Status.MISS], Status.FAIL, 1),
    ],
)
def test_status_and_exit_from_jobs(ledger: Ledger, statuses: list[Status], status: Status, code: int) -> None:
    for number, each in enumerate(statuses, 1):
        ledger.ran(job(each, number), "./inv bench")

    results = ledger.close()

    assert (results.status, results.exit) == (status, code)


@pytest.mark.parametrize(
    ("verdict", "material", "any_more", "strict", "code"),
    [
        (Verdict.EQUAL, False, True, True, 0),
        (Verdict.FEWER, True, True, True, 0),
        (Verdict.MORE, False, False, False, 0),
        (Verdict.MORE, True, False, False, 1),
        (Verdict.MORE, False, True, False, 1),
        (Verdict.WOBBLE, False, True, False, 0),
        (Verdict.WOBBLE, False, False, True, 1),
        (Verdict.INCONCLUSIVE, False, False, True, 1),
        (Verdict.REGRESSED, False, False, False, 1),
    ],
)
def test_exit_from_verdicts(  # noqa: PLR0917  # one argument a column of the table
    ledger: Ledger, verdict: Verdict, material: bool, any_more: bool, strict: bool, code: int
) -> None:
    ledger.ran(job(), "./inv bench")
    ledger.comparisons.append(row(verdict, material=material))
    ledger.any, ledger.strict = any_more, strict

    assert ledger.close().exit == code


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BuildError("does not compile", finding=Finding("build", "x", "build")), Status.FAIL, 1),
        (HostError("no disk"), Status.MISS, 3),
        (UsageError("no such payload"), Status.MISS, 2),
        (KeyboardInterrupt(), Status.MISS, 130),
        (ValueError("a bug"), Status.MISS, 3),
    ],
)
def test_exit_from_errors(ledger: Ledger, error: BaseException, status: Status, code: int) -> None:
    ledger.ran(job(), "./inv bench")

    results = ledger.close(error)

    assert (results.status, results.exit) == (status, code)


@pytest.mark.parametrize(("role", "status"), [("patched", Status.FAIL), ("baseline", Status.ERROR)])
def test_a_kernel_that_does_not_build(ledger: Ledger, role: str, status: Status) -> None:
    side = Side(role, (), None, Kconfig("default", ()))  # type: ignore[arg-type]

    ledger.not_built(side, BuildError("no", finding=Finding("build", "t", "f")))

    assert ledger.failed
    assert ledger.close().status is status


def test_a_lab_fault_while_building_is_a_miss(ledger: Ledger) -> None:
    error: LabError = HostError("no disk")
    ledger.not_built(Side("patched", (), None, Kconfig("default", ())), error)

    assert ledger.close(error).exit == 3


def test_everything_is_written_and_latest_points_at_it(ledger: Ledger, tmp_path: Path) -> None:
    ledger.ran(replace(job(Status.FAIL), message="it broke"), "./inv bench --series x")
    ledger.close()

    run = find_run(tmp_path / "reports", "latest")
    assert run.id == ledger.run.id
    assert run.read_results().jobs[0].message == "it broke"
    assert run.junit.exists()
    assert run.summary.exists()
    assert "./inv bench --series x" in run.job(job().id).repro.read_text()


def test_an_unknown_run_lists_the_newest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run named 'x' \\(newest: none yet\\)"):
        find_run(tmp_path, "x")


def test_history_survives_rubbish(tmp_path: Path) -> None:
    history = History(tmp_path / "h.json")
    (tmp_path / "h.json").write_text("{rubbish")

    assert history.expected("build") > 0
    history.learn("build", 1.5)
    assert history.expected("build") == 1.5
    assert history.expected("nothing") == 0.0


def test_two_runs_of_one_process_in_one_second_have_two_directories(tmp_path: Path) -> None:
    runs = [new_run(tmp_path) for _ in range(3)]

    assert len({run.id for run in runs}) == 3
