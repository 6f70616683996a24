"""Which boots the kernel's own tests take: several of the baseline, one more of what differs, none that is there already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab_job import job_of

from lab.campaign.plan import Bench, Side
from lab.campaign.rounds import Rounds, Sided
from lab.campaign.rundir import RunDir
from lab.campaign.settings import Budget
from lab.model.change import Build, Kconfig, Series
from lab.model.matrix import Kernel
from lab.model.outcome import Case, Status
from lab.model.run import Job, JobResult, PayloadSpec, Role
from lab.model.suite import CaseRow, CaseVerdict, suite_status

BUILD = Build("k", Path("/made"), "6.12.0", "t", "default", "h", ())
KERNELS = (Kernel((), 0, "default"), Kernel(("fake",), 2, "default"), Kernel((), 0, "default"))


def sided(role: Role, *tests: str, name: str = "kselftest futex", unbuilt: tuple[str, ...] = ()) -> Sided:
    series = () if role == "baseline" else (Series("fake", Path(), ()),)
    payload = PayloadSpec(
        name, "", Path("/p"), "h", ("sh", *tests), (), kind="kselftest", unbuilt=dict.fromkeys(unbuilt, "error: no")
    )
    return Sided(Side(role, series, 2 if series else None, Kconfig("default", ())), BUILD, payload, tests)


def rounds(*sides: Sided, repeats: int = 3) -> Rounds:
    job = job_of()
    bench = Bench(RunDir(Path("/run")), job.guest, job.image, job.accel, Budget())
    return Rounds(bench, sides or (sided("baseline", "a", "b"), sided("patched", "a", "b")), repeats, KERNELS)


def ran(job: Job, **cases: Status) -> JobResult:
    result = JobResult.of(job, Status.PASS, 1.0)
    return replace(
        result, tests=tuple(Case(name, status, "why" if status is Status.FAIL else "") for name, status in cases.items())
    )


def all_ran(made: Rounds, **cases: Status) -> dict[str, JobResult]:
    return {job.id: ran(job, **cases) for job in made.jobs({})}


def row(made: Rounds, results: dict[str, JobResult], name: str) -> CaseRow:
    return next(one for one in made.rows([*results.values()]) if one.test == name)


def test_the_baseline_is_booted_several_times_the_patched_side_once() -> None:
    ids = [job.id for job in rounds().jobs({})]

    assert ids == [
        *(f"kselftest-futex.base.k00.default.mq.baseline.r0{boot}" for boot in (1, 2, 3)),
        "kselftest-futex.fake.k02.default.mq.patched.r01",
    ]


def test_nothing_more_is_booted_when_the_sides_agree() -> None:
    made = rounds()
    results = all_ran(made, a=Status.PASS, b=Status.FAIL)

    assert {job.id for job in made.jobs(results)} == set(results)
    assert row(made, results, "b").verdict is CaseVerdict.FAILS


def test_what_differs_is_booted_once_more_on_the_patched_side_and_alone() -> None:
    made = rounds()
    results = all_ran(made, a=Status.PASS, b=Status.PASS)
    patched = next(name for name in results if "patched" in name)
    results[patched] = replace(results[patched], tests=(Case("a", Status.PASS), Case("b", Status.FAIL)))

    (more,) = [job for job in made.jobs(results) if job.id not in results]

    assert more.id == "kselftest-futex.fake.k02.default.mq.patched.r02"
    assert more.payload is not None
    assert more.payload.command == ("sh", "b")
    results[more.id] = ran(more, b=Status.FAIL)
    assert {job.id for job in made.jobs(results)} == set(results)  # the second round is the last
    assert row(made, results, "b").verdict is CaseVerdict.REGRESSED


def test_with_one_boot_of_the_baseline_it_is_booted_once_more_too() -> None:
    made = rounds(repeats=1)
    results = all_ran(made, a=Status.PASS)
    patched = next(name for name in results if "patched" in name)
    results[patched] = replace(results[patched], tests=(Case("a", Status.FAIL),))

    more = [job.id.rpartition(".mq.")[2] for job in made.jobs(results) if job.id not in results]
    assert more == ["baseline.r02", "patched.r02"]


def test_a_test_whose_boots_of_the_baseline_disagree_is_flaky_with_its_rate() -> None:
    made = rounds()
    results = all_ran(made, a=Status.PASS, b=Status.PASS)
    second = next(name for name in results if name.endswith("baseline.r02"))
    results[second] = replace(results[second], tests=(Case("a", Status.PASS), Case("b", Status.FAIL, "why")))
    patched = next(name for name in results if "patched" in name)
    results[patched] = replace(results[patched], tests=(Case("a", Status.PASS), Case("b", Status.FAIL, "why")))

    flaky = row(made, results, "b")

    assert (flaky.verdict, flaky.base) == (CaseVerdict.FLAKY, (Status.PASS, Status.FAIL, Status.PASS))
    assert flaky.note == "passed in 2 of 3 boots of the baseline; why"
    assert suite_status((flaky, row(made, results, "a"))) is Status.PASS


def test_a_bad_boot_is_not_asked_again() -> None:
    made = rounds()
    results = all_ran(made, a=Status.PASS)
    patched = next(name for name in results if "patched" in name)
    results[patched] = replace(results[patched], status=Status.FAIL, tests=())

    assert {job.id for job in made.jobs(results)} == set(results)


def test_a_side_on_which_nothing_builds_is_not_booted_but_told() -> None:
    made = rounds(sided("baseline", "a"), sided("patched", unbuilt=("a",)))
    results = all_ran(made, a=Status.PASS)

    assert [job.role for job in made.jobs(results)] == ["baseline"] * 3
    assert row(made, results, "a").verdict is CaseVerdict.REGRESSED


def test_new_tests_are_booted_on_the_baselines_kernel_too() -> None:
    borrowed = sided("baseline", "new", name="kselftest futex-new")
    made = rounds(sided("baseline", "a"), sided("patched", "a", "new"), borrowed)

    assert [job.id for job in made.jobs({})][-1] == "kselftest-futex-new.base.k00.default.mq.baseline.r01"
