"""The rule of the kernel's own tests, every way it says no included."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.measure.regress import rows, unsettled
from lab.model.outcome import Case, Finding, Status
from lab.model.run import JobResult, Role
from lab.model.suite import CaseRow, CaseVerdict, suite_status

PASS, FAIL, SKIP, MISS = Status.PASS, Status.FAIL, Status.SKIP, Status.MISS
Told = dict[str, Status]


def boot(role: Role, told: Told, number: int = 1, findings: tuple[Finding, ...] = ()) -> JobResult:
    cases = tuple(Case(name, status, f"says {status}") for name, status in told.items())
    job = JobResult(f"k.{role}.{number}", (), 0, "default", "debian", "kselftest", role, number, PASS, 1.0)
    return replace(job, tests=cases, findings=findings)


def compared(base: list[Told], patched: list[Told]) -> dict[str, CaseRow]:
    left = [boot("baseline", told, number) for number, told in enumerate(base, 1)]
    right = [boot("patched", told, number) for number, told in enumerate(patched, 1)]
    return {row.test: row for row in rows(left, right, "base", "series")}


def verdict(base: Status | None, patched: Status | None) -> CaseVerdict:
    told = [{"t:x": status} if status else {"t:other": PASS} for status in (base, patched)]
    return compared([told[0]], [told[1]])["t:x"].verdict


@pytest.mark.parametrize(
    ("base", "patched", "expected"),
    [
        (PASS, PASS, CaseVerdict.PASS),
        (PASS, FAIL, CaseVerdict.REGRESSED),
        (PASS, SKIP, CaseVerdict.REGRESSED),
        (PASS, None, CaseVerdict.REGRESSED),
        (PASS, MISS, CaseVerdict.REGRESSED),
        (FAIL, PASS, CaseVerdict.FIXED),
        (FAIL, FAIL, CaseVerdict.FAILS),
        (FAIL, SKIP, CaseVerdict.FAILS),
        (FAIL, None, CaseVerdict.FAILS),
        (FAIL, MISS, CaseVerdict.UNKNOWN),
        (SKIP, PASS, CaseVerdict.NEW),
        (SKIP, FAIL, CaseVerdict.BROKEN),
        (SKIP, SKIP, CaseVerdict.SKIPPED),
        (SKIP, None, CaseVerdict.SKIPPED),
        (SKIP, MISS, CaseVerdict.UNKNOWN),
        (None, PASS, CaseVerdict.NEW),
        (None, FAIL, CaseVerdict.BROKEN),
        (None, SKIP, CaseVerdict.BROKEN),
        (None, MISS, CaseVerdict.UNKNOWN),
        (MISS, PASS, CaseVerdict.NEW),
        (MISS, FAIL, CaseVerdict.UNKNOWN),
        (MISS, SKIP, CaseVerdict.UNKNOWN),
        (MISS, MISS, CaseVerdict.UNKNOWN),
        (MISS, None, CaseVerdict.SKIPPED),
    ],
)
def test_one_boot_a_side(base: Status | None, patched: Status | None, expected: CaseVerdict) -> None:
    assert verdict(base, patched) is expected


@pytest.mark.parametrize(
    ("base", "patched", "expected"),
    [
        ([PASS, PASS], [FAIL, FAIL], CaseVerdict.REGRESSED),
        ([PASS, PASS], [FAIL, PASS], CaseVerdict.FLAKY),
        ([PASS, FAIL], [FAIL, FAIL], CaseVerdict.FLAKY),
        ([PASS, FAIL], [MISS, MISS], CaseVerdict.UNKNOWN),
        ([PASS, MISS], [PASS, PASS], CaseVerdict.PASS),
        ([PASS], [MISS, FAIL], CaseVerdict.REGRESSED),
        ([PASS], [MISS, PASS], CaseVerdict.PASS),
        ([], [PASS, PASS], CaseVerdict.NEW),
        ([], [FAIL, PASS], CaseVerdict.BROKEN),
    ],
)
def test_two_boots_a_side(base: list[Status], patched: list[Status], expected: CaseVerdict) -> None:
    found = compared([{"t:x": status} for status in base], [{"t:x": status} for status in patched])

    assert found["t:x"].verdict is expected


def test_a_result_that_a_passing_program_gives_no_more_has_regressed() -> None:
    found = compared([{"t:x": PASS, "t:x: a": PASS, "t:x: b": PASS}], [{"t:x": PASS, "t:x: a": PASS}])

    assert found["t:x: b"].verdict is CaseVerdict.REGRESSED
    assert found["t:x: b"].note == "the patched side does not give it"


@pytest.mark.parametrize(
    ("whole", "expected"), [(PASS, CaseVerdict.BROKEN), (FAIL, CaseVerdict.FAILS), (SKIP, CaseVerdict.BROKEN)]
)
def test_a_failing_result_is_new_only_where_the_baselines_program_passed(whole: Status, expected: CaseVerdict) -> None:
    found = compared([{"t:x": whole}], [{"t:x": FAIL, "t:x: a": FAIL}])

    assert found["t:x: a"].verdict is expected


def test_more_failures_in_a_failing_program_are_seen() -> None:
    found = compared([{"t:x": FAIL, "t:x: a": PASS, "t:x: b": FAIL}], [{"t:x": FAIL, "t:x: a": FAIL, "t:x: b": FAIL}])

    assert [row.verdict for row in found.values()] == [CaseVerdict.FAILS, CaseVerdict.REGRESSED, CaseVerdict.FAILS]


def test_names_that_change_from_boot_to_boot_are_flaky_and_not_held() -> None:
    base = [{"t:x": PASS, "t:x: took 1 s": PASS}, {"t:x": PASS, "t:x: took 2 s": PASS}]
    patched = [{"t:x": PASS, "t:x: took 3 s": PASS}, {"t:x": PASS, "t:x: took 4 s": PASS}]

    assert {row.verdict for row in compared(base, patched).values()} == {CaseVerdict.PASS, CaseVerdict.FLAKY}


def test_a_program_that_was_not_run_again_is_as_it_was() -> None:
    found = compared([{"t:x": PASS, "t:y": PASS}, {"t:y": PASS}], [{"t:x": PASS, "t:y": FAIL}, {"t:y": FAIL}])

    assert (found["t:x"].verdict, found["t:y"].verdict) == (CaseVerdict.PASS, CaseVerdict.REGRESSED)


SPLAT = Finding("warn", "WARNING: CPU: 0 PID: 7 at net/core/dev.c:1", "warn:netif_rx", fatal=False, during="t:x")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [((), (SPLAT,), CaseVerdict.REGRESSED), ((SPLAT,), (SPLAT,), CaseVerdict.FAILS), ((SPLAT,), (), CaseVerdict.FIXED)],
)
def test_a_complaint_that_the_baseline_does_not_have_is_never_excused(
    before: tuple[Finding, ...], now: tuple[Finding, ...], expected: CaseVerdict
) -> None:
    left = boot("baseline", {"t:x": FAIL if before else PASS}, findings=before)
    right = [boot("patched", {"t:x": FAIL if now else PASS}, 1, now), boot("patched", {"t:x": FAIL if now else PASS}, 2)]

    (row,) = rows([left], right, "base", "series")
    assert row.verdict is expected


def test_a_new_complaint_counts_even_where_the_test_failed_before_and_passes_in_the_second_boot() -> None:
    left = [boot("baseline", {"t:x": FAIL})]
    right = [boot("patched", {"t:x": FAIL}, 1, (SPLAT,)), boot("patched", {"t:x": PASS}, 2)]

    (row,) = rows(left, right, "base", "series")
    assert (row.verdict, row.note) == (CaseVerdict.REGRESSED, f"kernel log: {SPLAT.title}")


@pytest.mark.parametrize(
    ("without", "note"),
    [
        (SKIP, "on the baseline's kernel: SKIP: says SKIP"),
        (FAIL, "on the baseline's kernel: FAIL: says FAIL"),
        (PASS, "it passes on the baseline's kernel too"),
        (None, ""),
    ],
)
def test_a_new_test_says_what_it_does_without_the_series(without: Status | None, note: str) -> None:
    borrowed = [boot("baseline", {"t:new": without})] if without else []
    (row,) = rows([], [boot("patched", {"t:new": PASS})], "base", "series", borrowed)

    assert (row.verdict, row.base, row.note) == (CaseVerdict.NEW, (), note)


def test_a_compiler_error_is_no_complaint_of_the_kernel() -> None:
    error = Finding("build", "x.c:1: error: no", "build:t:x:x.c:1: error: no", fatal=False, during="t:x")
    (row,) = rows([boot("baseline", {"t:x": FAIL})], [boot("patched", {"t:x": FAIL}, findings=(error,))], "base", "series")

    assert row.verdict is CaseVerdict.FAILS


def test_what_differs_is_run_again_unless_it_does_not_build() -> None:
    found = compared(
        [{"t:same": PASS, "t:worse": PASS, "t:worse: a": PASS, "t:better": FAIL, "t:unbuilt": PASS, "t:bad": FAIL}],
        [
            {
                "t:same": PASS,
                "t:worse": PASS,
                "t:worse: a": FAIL,
                "t:better": PASS,
                "t:unbuilt": FAIL,
                "t:bad": FAIL,
                "t:new": FAIL,
            }
        ],
    )

    assert unsettled(list(found.values()), ["t:unbuilt"]) == ("t:worse", "t:better", "t:new")


@pytest.mark.parametrize(
    ("base", "patched", "strict", "status"),
    [
        ([PASS], [PASS], True, PASS),
        ([FAIL], [PASS], True, PASS),
        ([PASS], [FAIL], False, FAIL),
        ([], [FAIL], False, FAIL),
        ([MISS], [FAIL], False, FAIL),
        ([PASS, FAIL], [PASS, PASS], False, PASS),
        ([PASS, FAIL], [PASS, PASS], True, FAIL),
        ([FAIL], [FAIL], False, Status.ERROR),
        ([SKIP], [SKIP], False, Status.ERROR),
    ],
)
def test_what_the_rows_make_of_a_run(base: list[Status], patched: list[Status], *, strict: bool, status: Status) -> None:
    found = compared([{"t:x": each} for each in base], [{"t:x": each} for each in patched])

    assert suite_status(list(found.values()), strict=strict) is status


def test_no_rows_are_no_tests() -> None:
    assert suite_status([]) is PASS
    assert rows([], [], "base", "series") == ()


def test_what_repeats_itself_as_long_as_it_has_time_is_one_result() -> None:
    def told(times: int) -> Told:
        numbers = ["", *(f" #{number}" for number in range(2, times + 1))]
        repeats = {f"t: x{number}": PASS for number in numbers} | {f"t: y{number}": SKIP for number in numbers[:-1]}
        return {"t": PASS} | repeats

    slow, fast = told(2), told(7)
    bad = fast | {"t: x #5": FAIL}

    assert {name: row.verdict for name, row in compared([slow], [fast]).items()} == {
        "t": CaseVerdict.PASS,
        "t: x": CaseVerdict.PASS,
        "t: y": CaseVerdict.SKIPPED,
    }
    assert compared([slow], [bad])["t: x"].verdict is CaseVerdict.REGRESSED
    assert compared([bad], [slow])["t: x"].verdict is CaseVerdict.FIXED
    assert compared([slow], [fast | {"t: x #5": SKIP}])["t: x"].verdict is CaseVerdict.REGRESSED


def test_a_result_that_comes_as_often_in_each_boot_stands_for_itself() -> None:
    twice = {"t": PASS, "t: x": PASS, "t: x #2": PASS}

    assert compared([twice], [twice | {"t: x #2": FAIL}])["t: x #2"].verdict is CaseVerdict.REGRESSED
    cut = compared([twice], [{"t": FAIL, "t: x": PASS}])  # it ended early and did not pass: no loop
    assert (cut["t"].verdict, cut["t: x #2"].verdict) == (CaseVerdict.REGRESSED, CaseVerdict.REGRESSED)


def test_a_result_that_is_lost_from_among_others_is_no_loop() -> None:
    base = {"t": PASS, "t: x": PASS, "t: x #2": PASS, "t: x #3": PASS, "t: y": PASS}

    assert (
        compared([base], [{"t": PASS, "t: x": PASS, "t: x #2": PASS, "t: y": PASS}])["t: x #3"].verdict is CaseVerdict.REGRESSED
    )
