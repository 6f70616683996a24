"""The words of exact rows and counts, and when two boots are not enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.measure.verdict import compare, judge, more_boots, needs_more_boots
from lab.model.judgement import Comparison, Metric, Verdict, fails
from lab.model.outcome import Case, Row, RowKind, Status
from lab.model.run import JobResult, PayloadSpec, Role

EXACT = Metric("rtt", "insn", "exact")
COUNT = Metric("faults", "faults", "count")
SAMPLE = Metric("wait", "us", "sample", min_effect=0.01)
TOTAL = Metric("rtt.total", "insn", "info")

values = st.lists(st.integers(1, 40).map(float), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("base", "patched", "verdict", "delta", "material"),
    [
        ((14833, 14833), (14833, 14833), Verdict.EQUAL, 0, False),
        ((14833, 14833), (14835, 14835), Verdict.MORE, 2, False),
        ((14835, 14835), (14833, 14833), Verdict.FEWER, -2, False),
        ((1000, 1000), (1006, 1006), Verdict.MORE, 6, True),
        ((1000, 1000), (1005, 1005), Verdict.MORE, 5, False),
        ((1000, 1000), (900, 900), Verdict.FEWER, -100, True),
        ((1, 2), (2, 1), Verdict.EQUAL, 0, False),
        ((1, 2), (2, 2), Verdict.WOBBLE, 1, False),
        ((1, 3), (2, 2), Verdict.WOBBLE, 1, False),
        ((10, 12), (13, 13), Verdict.WOBBLE, 3, False),
        ((10, 12), (15, 15), Verdict.MORE, 5, True),
        ((15, 15), (10, 12), Verdict.FEWER, -5, True),
        ((0, 0), (1, 1), Verdict.MORE, 1, True),
        ((0, 0), (0, 0), Verdict.EQUAL, 0, False),
        ((), (1, 1), Verdict.INCONCLUSIVE, 0, False),
        ((1, 1), (), Verdict.INCONCLUSIVE, 0, False),
        ((1, math.nan), (1, 1), Verdict.INCONCLUSIVE, 0, False),
        ((1, 1), (math.inf, 1), Verdict.INCONCLUSIVE, 0, False),
    ],
)
def test_exact_rows(base: tuple[float, ...], patched: tuple[float, ...], verdict: Verdict, delta: float, material: bool) -> None:
    got = judge(EXACT, base, patched)

    assert got[:3] == (verdict, delta, material)
    assert verdict is not Verdict.WOBBLE or got[3]
    assert verdict is not Verdict.INCONCLUSIVE or got[3]


@given(values)
def test_a_side_equals_itself(side: list[float]) -> None:
    assert judge(EXACT, side, side)[0] is Verdict.EQUAL


@given(values, values)
def test_swapping_the_sides_swaps_the_word(base: list[float], patched: list[float]) -> None:
    opposite = {Verdict.MORE: Verdict.FEWER, Verdict.FEWER: Verdict.MORE}
    there, back = judge(EXACT, base, patched), judge(EXACT, patched, base)

    assert back[0] is opposite.get(there[0], there[0])
    assert back[1] == -there[1]


@given(values, values)
def test_more_means_every_value_is_above_every_other(base: list[float], patched: list[float]) -> None:
    verdict, delta, _, _ = judge(EXACT, base, patched)

    if verdict is Verdict.MORE:
        assert min(patched) > max(base)
        assert delta > 0
    if set(base) & set(patched) and set(base) != set(patched):
        assert verdict is Verdict.WOBBLE


@given(values, values)
def test_only_told_differences_are_material(base: list[float], patched: list[float]) -> None:
    verdict, _, material, _ = judge(EXACT, base, patched)

    assert not material or verdict in (Verdict.MORE, Verdict.FEWER)


@given(values, values)
def test_rows_that_agree_need_no_more_boots(base: list[float], patched: list[float]) -> None:
    settled = not needs_more_boots(EXACT, base, patched)

    assert not settled or (len(set(base)) == len(set(patched)) == 1)


@pytest.mark.parametrize(
    ("base", "patched", "more"),
    [
        ((5000, 5000), (5000, 5000), False),
        ((5000, 5001), (5000, 5000), True),
        ((5000, 5000), (5001, 5000), True),
        ((5000, 5000), (5004, 5004), True),
        ((5000, 5000), (5005, 5005), False),
        ((5000, 5000), (), False),
    ],
)
def test_when_two_boots_are_not_enough(base: tuple[float, ...], patched: tuple[float, ...], more: bool) -> None:
    assert needs_more_boots(EXACT, base, patched) is more


@pytest.mark.parametrize(
    ("base", "patched", "better", "verdict"),
    [
        ((5, 5), (5, 5), "less", Verdict.INCONCLUSIVE),
        ((5, 5, 5), (5, 5, 5), "less", Verdict.UNCHANGED),
        ((5, 6, 7), (8, 9, 9), "less", Verdict.REGRESSED),
        ((5, 6, 7), (8, 9, 9), "more", Verdict.IMPROVED),
        ((8, 9, 9), (5, 6, 7), "less", Verdict.IMPROVED),
        ((5, 6, 7), (7, 8, 9), "less", Verdict.INCONCLUSIVE),
        ((5, 6, 7), (8, 9, 9), "none", Verdict.INCONCLUSIVE),
        ((5000, 5000, 5000), (5001, 5001, 5001), "less", Verdict.UNCHANGED),
        ((5000, 5000, 5000), (5001, 5001, 5001), "none", Verdict.UNCHANGED),
        ((5000, 5001, 5003), (5001, 5002, 5004), "less", Verdict.UNCHANGED),
        ((5000, 5001, 5100), (5001, 5002, 5004), "less", Verdict.INCONCLUSIVE),
    ],
)
def test_counts(base: tuple[float, ...], patched: tuple[float, ...], better: str, verdict: Verdict) -> None:
    assert judge(replace(COUNT, better=better), base, patched)[0] is verdict  # type: ignore[arg-type]


def test_counts_want_three_boots() -> None:
    assert needs_more_boots(COUNT, (1, 1), (1, 1))
    assert needs_more_boots(TOTAL, (218.0, 218.0), (227.1, 227.1))
    assert not needs_more_boots(TOTAL, (218.0, 218.0), (219.0, 219.1))
    assert not needs_more_boots(COUNT, (1, 1, 1), (1, 1, 1))


@pytest.mark.parametrize(
    ("base", "patched", "verdict"),
    [
        ((1000.0, 1001.5), (1003.0, 1004.0), Verdict.UNCHANGED),
        ((1000.0, 1006.0), (1019.0, 1020.0), Verdict.UNCHANGED),
        ((1000.0, 1001.5), (1030.0, 1031.0), Verdict.MORE),
        ((1000.0, 1001.5), (970.0, 969.0), Verdict.FEWER),
        ((1000.0, 1040.0), (1030.0, 1070.0), Verdict.UNCHANGED),
    ],
)
def test_totals_speak_when_they_move_by_more_than_they_wobble(
    base: tuple[float, ...], patched: tuple[float, ...], verdict: Verdict
) -> None:
    assert judge(TOTAL, base, patched)[0] is verdict


@pytest.mark.parametrize(
    ("base", "patched", "verdict", "material"),
    [
        ((1, 1), (2, 2), Verdict.INCONCLUSIVE, False),
        (range(100, 108), range(200, 208), Verdict.REGRESSED, True),
        (range(200, 208), range(100, 108), Verdict.IMPROVED, True),
        ([100] * 8, [100] * 8, Verdict.UNCHANGED, False),
        (range(100, 108), range(107, 99, -1), Verdict.INCONCLUSIVE, False),
    ],
)
def test_a_sampled_row_by_itself(base: Sequence[float], patched: Sequence[float], verdict: Verdict, *, material: bool) -> None:
    got = judge(SAMPLE, base, patched)

    assert (got[0], got[2]) == (verdict, material)
    assert got[3]


def spec(*metrics: Metric) -> PayloadSpec:
    return PayloadSpec("pingpong", "", Path("/built"), "hash", ("./pingpong",), metrics or (EXACT, TOTAL))


def job(role: Role, boot: int, **rows: tuple[float, ...]) -> JobResult:
    kinds: dict[str, RowKind] = {"rtt": "exact", "rtt.total": "info"}
    samples = tuple(Row(name, "insn", kinds[name], numbers) for name, numbers in rows.items())
    common = {"series": ("null",), "upto": 1, "kconfig": "default", "guest": "single", "payload": "pingpong"}
    return JobResult(id=f"{role}.r{boot:02}", role=role, boot=boot, status=Status.PASS, seconds=1.0, samples=samples, **common)  # type: ignore[arg-type]


def sides(base: float, patched: float, base_total: float, patched_total: float) -> tuple[Comparison, ...]:
    return compare(
        spec(),
        [job("baseline", boot, rtt=(base, base, base + 7), **{"rtt.total": (base_total,)}) for boot in (1, 2)],
        [job("patched", boot, rtt=(patched, patched, patched + 9), **{"rtt.total": (patched_total,)}) for boot in (1, 2)],
        "base",
        "null",
    )


def test_a_comparison_holds_the_median_of_every_boot() -> None:
    row, total = sides(14833, 14835, 15000, 15001)

    assert (row.verdict, row.delta, row.material, row.base.values_by_boot) == (Verdict.MORE, 2, False, (14833, 14833))
    assert (row.a, row.b, row.kconfig, row.guest, row.payload) == ("base", "null", "default", "single", "pingpong")
    assert row.ratio == pytest.approx(14835 / 14833)
    assert total.verdict is Verdict.UNCHANGED


def test_boots_stand_in_order_and_the_median_is_a_value_that_occurred() -> None:
    rows = compare(
        spec(EXACT),
        [job("baseline", 2, rtt=(3, 4)), job("baseline", 1, rtt=(1, 2))],
        [job("patched", 1, rtt=(1, 2)), job("patched", 2, rtt=(3, 4))],
        "a",
        "b",
    )

    assert rows[0].base.values_by_boot == (1, 3)


def test_fewer_needs_the_total_to_agree() -> None:
    agreed, _ = sides(10000, 9000, 10100, 9100)
    moved, total = sides(10000, 9000, 10100, 10100)

    assert agreed.verdict is Verdict.FEWER
    assert (moved.verdict, moved.material) == (Verdict.WOBBLE, False)
    assert "work moved" in moved.note
    assert total.verdict is Verdict.UNCHANGED


@pytest.mark.parametrize(
    ("patched", "total", "verdict", "said"),
    [
        (9700, 9800, Verdict.FEWER, ""),
        (9700, 9950, Verdict.WOBBLE, "work moved: the median fell by 300, all that was executed went from 10100.0 to 9950.0"),
        (9990, 10095, Verdict.FEWER, "cannot confirm so little"),
        (9990, 10195, Verdict.WOBBLE, "work moved"),
    ],
)
def test_a_total_that_stays_behind_by_a_percent_contradicts(patched: float, total: float, verdict: Verdict, said: str) -> None:
    row, _ = sides(10000, patched, 10100, total)

    assert row.verdict is verdict
    assert said in row.note
    assert row.material == (verdict is Verdict.FEWER and patched < 9950)


def test_work_that_moved_and_grew_is_more_on_the_total() -> None:
    row, total = sides(20887, 19921, 21215, 23547)

    assert (row.verdict, total.verdict, total.material) == (Verdict.WOBBLE, Verdict.MORE, True)
    assert (fails(row), fails(total)) == (False, True)


def test_more_needs_nobody() -> None:
    assert sides(9000, 10000, 10100, 10100)[0].verdict is Verdict.MORE


def test_a_row_on_one_side_only_is_loud() -> None:
    rows = compare(spec(EXACT), [job("baseline", 1, rtt=(1,))], [job("patched", 1)], "a", "b")

    assert rows[0].verdict is Verdict.INCONCLUSIVE
    assert "rtt is missing in patched.r01" in rows[0].note


def test_a_row_missing_in_one_boot_is_loud() -> None:
    rows = compare(
        spec(EXACT),
        [job("baseline", 1, rtt=(1,)), job("baseline", 2)],
        [job("patched", boot, rtt=(1,)) for boot in (1, 2)],
        "a",
        "b",
    )

    assert rows[0].verdict is Verdict.INCONCLUSIVE
    assert "missing in baseline.r02" in rows[0].note


def skipping(role: Role) -> JobResult:
    return replace(job(role, 1), cases=(Case("rtt", Status.SKIP, "the kernel has no helper"),))


def test_a_row_that_one_side_skipped_says_why() -> None:
    (row,) = compare(spec(EXACT), [skipping("baseline")], [job("patched", 1, rtt=(7,))], "a", "b")

    assert (row.verdict, row.note) == (Verdict.INCONCLUSIVE, "new on b; skipped on a: the kernel has no helper")
    assert row.patched.values_by_boot == (7,)


def test_a_row_that_the_patched_side_skipped_is_not_new() -> None:
    (row,) = compare(spec(EXACT), [job("baseline", 1, rtt=(7,))], [skipping("patched")], "a", "b")

    assert (row.verdict, row.note) == (Verdict.INCONCLUSIVE, "skipped on b: the kernel has no helper")


def test_a_row_that_both_sides_skipped_is_left_out() -> None:
    assert compare(spec(EXACT), [skipping("baseline")], [skipping("patched")], "a", "b") == ()


def test_a_side_without_boots_is_loud() -> None:
    rows = compare(spec(), [], [], "a", "b")

    assert [row.verdict for row in rows] == [Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE]
    assert "no boot of a passed; no boot of b passed" in rows[0].note


def test_more_boots_of_a_payload() -> None:
    agreeing = [job("baseline", boot, rtt=(10000,), **{"rtt.total": (boot * 1.0,)}) for boot in (1, 2)]
    wobbling = [job("patched", boot, rtt=(10000 + boot,), **{"rtt.total": (1.0,)}) for boot in (1, 2)]

    assert not more_boots(spec(), agreeing, agreeing)
    assert more_boots(spec(), agreeing, wobbling)
