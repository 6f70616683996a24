"""The words of sampled rows, what a payload's rows cost each other, and that nothing is claimed without the boots for it."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import UsageError
from lab.measure.blocks import planned
from lab.measure.sampled import Boots, Sampled, judge_sampled, plan_of
from lab.measure.verdict import compare, more_boots
from lab.model.judgement import Metric, Verdict, fails
from lab.model.outcome import Row, Status
from lab.model.run import JobResult, PayloadSpec, Role

WAIT = Metric("wait", "us", "sample", min_effect=0.01)
RATE = Metric("rate", "ops/s", "sample", better="more", min_effect=0.01)
COMPARISONS = 2000


def side(*values: float) -> dict[int, float]:
    return dict(enumerate(values, 1))


def noisy(level: float, sd: float, seed: str, boots: int = 8) -> dict[int, float]:
    generator = random.Random(seed)
    return side(*(level * math.exp(generator.gauss(0, sd)) for _ in range(boots)))


def only(base: Boots, patched: Boots, metric: Metric = WAIT, rows: int = 1) -> Sampled:
    (row,) = judge_sampled(planned(rows), [(metric, base, patched)])
    return row


# --- words ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patched", "sd", "better", "verdict"),
    [
        (103.0, 0.002, "less", Verdict.REGRESSED),
        (97.0, 0.002, "less", Verdict.IMPROVED),
        (103.0, 0.002, "more", Verdict.IMPROVED),
        (97.0, 0.002, "more", Verdict.REGRESSED),
        (103.0, 0.002, "none", Verdict.INCONCLUSIVE),
        (100.0, 0.002, "less", Verdict.UNCHANGED),
        (100.5, 0.0002, "less", Verdict.UNCHANGED),  # p says that it changed, the size that it does not matter
        (100.9, 0.002, "less", Verdict.INCONCLUSIVE),  # it changed, and it may matter or not
        (100.0, 0.05, "less", Verdict.INCONCLUSIVE),
        (103.0, 0.05, "less", Verdict.INCONCLUSIVE),
    ],
)
def test_the_words_need_p_and_size(patched: float, sd: float, better: str, verdict: Verdict) -> None:
    row = only(noisy(100.0, sd, "a"), noisy(patched, sd, "b"), replace(WAIT, better=better))  # type: ignore[arg-type]

    assert row.verdict is verdict, row
    assert row.ratio is not None
    assert row.interval is not None
    assert row.ratio == pytest.approx(patched / 100, abs=3 * sd)
    assert row.interval[0] <= row.ratio <= row.interval[1]
    assert "8 boots a side" in row.note


def test_what_is_not_settled_says_what_such_boots_can_show() -> None:
    row = only(noisy(100.0, 0.05, "a"), noisy(100.0, 0.05, "b"))

    assert row.verdict is Verdict.INCONCLUSIVE
    assert 0.03 < row.seen < 0.15
    assert f"such boots show changes from {100 * row.seen:.2f} % on with 80 % power" in row.note


def test_more_boots_show_smaller_changes() -> None:
    eight, sixteen = (only(noisy(100.0, 0.05, "a", boots), noisy(100.0, 0.05, "b", boots)) for boots in (8, 16))

    assert sixteen.seen < eight.seen


@pytest.mark.parametrize(
    ("base", "patched", "said"),
    [
        (side(*[100.0] * 3), side(*[200.0] * 3), "3 boots a side cannot show anything: no p below 0.2 exists"),
        (side(*[100.0] * 8), side(200.0), "4 and 1 boots"),
        (side(*[100.0] * 4), dict.fromkeys(range(5, 9), 200.0), "0 boots a side cannot show"),
        (side(), side(1.0), "no values on one side"),
        (side(), side(), "no values on either side"),
        (side(*[100.0] * 8), side(*[0.0] * 8), "a value is not a number above 0"),
        (side(*[100.0] * 8), side(*[math.nan] * 8), "a value is not a number above 0"),
        (side(*[-1.0] * 8), side(*[-2.0] * 8), "a value is not a number above 0"),
        (side(*[math.inf] * 8), side(*[2.0] * 8), "a value is not a number above 0"),
    ],
)
def test_without_the_values_for_it_nothing_is_said(base: Boots, patched: Boots, said: str) -> None:
    row = only(base, patched)

    assert (row.verdict, row.ratio, row.interval, row.p) == (Verdict.INCONCLUSIVE, None, None, None)
    assert said in row.note


def test_a_lost_boot_is_borne_where_enough_are_left() -> None:
    base, patched = noisy(100.0, 0.002, "a"), noisy(103.0, 0.002, "b")
    del base[2], patched[7]

    assert only(base, patched).verdict is Verdict.REGRESSED


def test_a_machine_that_drifts_between_blocks_is_no_change() -> None:
    def drift(values: dict[int, float]) -> dict[int, float]:
        return {boot: value * (1.0 if boot < 5 else 1.3) for boot, value in values.items()}

    base, patched = noisy(100.0, 0.002, "a"), noisy(100.0, 0.002, "b")

    assert only(drift(base), drift(patched)).verdict is Verdict.UNCHANGED
    assert only(base, drift(patched)).verdict is not Verdict.UNCHANGED


# --- looks and rows -------------------------------------------------------------------------------------------------------


def test_rows_of_a_payload_pay_for_each_other() -> None:
    base, patched = noisy(100.0, 0.02, "a"), noisy(103.5, 0.02, "e")
    alone, among = only(base, patched), only(base, patched, rows=61)

    assert alone.p is not None
    assert among.p == pytest.approx(min(1.0, 61 * alone.p))
    assert (alone.verdict, among.verdict) == (Verdict.REGRESSED, Verdict.INCONCLUSIVE)
    assert among.interval == alone.interval
    assert among.seen > alone.seen


def test_a_row_that_cannot_be_tested_leaves_the_others_their_words() -> None:
    good = (WAIT, noisy(100.0, 0.002, "a"), noisy(103.0, 0.002, "b"))
    rows = judge_sampled(planned(2), [good, (RATE, side(), side())])

    assert [row.verdict for row in rows] == [Verdict.REGRESSED, Verdict.INCONCLUSIVE]


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.floats(0.001, 0.1), st.floats(0.9, 1.1), st.sampled_from(["less", "more"]))
def test_swapped_sides_swap_the_words(seed: int, sd: float, factor: float, better: str) -> None:
    metric = replace(WAIT, better=better)  # type: ignore[arg-type]
    base, patched = noisy(100.0, sd, f"a{seed}"), noisy(100.0 * factor, sd, f"b{seed}")
    there, back = only(base, patched, metric), only(patched, base, metric)

    assert there.ratio is not None
    assert there.interval is not None
    assert there.p == back.p
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert back.interval == pytest.approx((1 / there.interval[1], 1 / there.interval[0]))
    if abs(there.ratio - 1) > 0.011:  # at the very edge of min_effect 1 + x and 1 / (1 + x) are not alike
        opposite = {Verdict.REGRESSED: Verdict.IMPROVED, Verdict.IMPROVED: Verdict.REGRESSED}
        assert back.verdict is opposite.get(there.verdict, there.verdict)


@settings(max_examples=25)
@given(st.lists(st.floats(0.5, 2.0), min_size=16, max_size=16))
def test_no_word_without_its_ground(values: list[float]) -> None:
    row = only(side(*values[:8]), side(*values[8:]))

    assert row.ratio is not None
    assert row.p is not None
    assert row.interval is not None
    if row.verdict in (Verdict.REGRESSED, Verdict.IMPROVED):
        assert row.p < 0.05
        assert abs(row.ratio - 1) > 0.01
        assert not row.interval[0] <= 1 <= row.interval[1]
    if row.verdict is Verdict.UNCHANGED:
        assert 0.99 <= row.interval[0] <= row.interval[1] <= 1.01


# --- payloads and their boots ---------------------------------------------------------------------------------------------


def spec(*metrics: Metric) -> PayloadSpec:
    return PayloadSpec("waits", "", Path("/built"), "hash", ("./waits",), metrics or (WAIT,))


def boots(role: Role, mode: str = "wall", **rows: Boots) -> list[JobResult]:
    numbers = sorted({boot for values in rows.values() for boot in values})
    common = {"series": ("null",), "upto": 1, "kconfig": "default", "guest": "single", "payload": "waits", "role": role}
    return [
        JobResult(
            id=f"{role}.r{boot:02}", boot=boot, status=Status.PASS, seconds=1.0, env={"mode": mode},
            samples=tuple(Row(name, "us", "sample", (values[boot],)) for name, values in rows.items() if boot in values),
            **common,  # type: ignore[arg-type]
        )
        for boot in numbers
    ]  # fmt: skip


SLOWER = boots("baseline", wait=noisy(100.0, 0.002, "a")), boots("patched", wait=noisy(103.0, 0.002, "b"))


def test_a_comparison_has_ratio_interval_and_p() -> None:
    (row,) = compare(spec(), *SLOWER, "base", "null")

    assert (row.verdict, row.material, fails(row)) == (Verdict.REGRESSED, True, True)
    assert row.ratio is not None
    assert row.interval is not None
    assert row.ratio == pytest.approx(1.03, abs=0.003)
    assert row.interval[0] < row.ratio < row.interval[1]
    assert row.p == pytest.approx(2 * 2 / 4900)
    assert row.delta == pytest.approx(3, abs=0.3)


@pytest.mark.parametrize(("mode", "judged"), [("wall", True), ("counts", True), ("exact", False), ("emulated", False)])
def test_sampled_rows_are_judged_where_they_say_something(mode: str, *, judged: bool) -> None:
    base, patched = ([replace(job, env={"mode": mode}) for job in jobs] for jobs in SLOWER)
    (row,) = compare(spec(), base, patched, "base", "null")

    assert (row.verdict is Verdict.REGRESSED) is judged
    assert judged or f"not {mode}" in row.note


def test_boots_of_unknown_mode_say_nothing() -> None:
    base, patched = ([replace(job, env={}) for job in jobs] for jobs in SLOWER)
    (row,) = compare(spec(), base, patched, "base", "null")

    assert (row.verdict, row.ratio, row.p) == (Verdict.INCONCLUSIVE, None, None)
    assert "not unknown" in row.note


def test_two_runs_are_not_one_in_mixed_order() -> None:
    base, patched = SLOWER
    (row,) = compare(spec(), [replace(job, role="patched") for job in base], patched, "run 1", "run 2")

    assert row.verdict is Verdict.INCONCLUSIVE
    assert "not booted in one run" in row.note


def test_a_value_that_is_no_number_reaches_no_report() -> None:
    base, _ = SLOWER
    (row,) = compare(spec(), base, boots("patched", wait=dict.fromkeys(range(1, 9), math.nan)), "base", "null")

    assert row.verdict is Verdict.INCONCLUSIVE
    assert math.isfinite(row.delta)


def test_a_boot_without_the_row_is_loud() -> None:
    base, patched = SLOWER
    (row,) = compare(spec(), base, [*patched[:-1], replace(patched[-1], samples=())], "base", "null")

    assert (row.verdict, row.note) == (Verdict.INCONCLUSIVE, "wait is missing in patched.r08")


@pytest.mark.parametrize(("sd", "count", "more"), [(0.002, 8, False), (0.05, 8, True), (0.05, 16, False)])
def test_boots_are_added_once_for_what_is_not_settled(sd: float, count: int, *, more: bool) -> None:
    base = boots("baseline", wait=noisy(100.0, sd, "a", count))
    patched = boots("patched", wait=noisy(100.0, sd, "b", count))

    assert more_boots(spec(), base, patched) is more


def test_boots_are_not_added_for_what_they_cannot_settle() -> None:
    base, patched = SLOWER

    assert not more_boots(spec(), base, [replace(job, env={"mode": "exact"}) for job in patched])
    assert not more_boots(spec(), base, [])


def test_a_payload_without_sampled_rows_has_no_plan_and_one_with_too_many_is_refused() -> None:
    assert plan_of(spec(Metric("rtt", "insn", "exact"))) is None
    with pytest.raises(UsageError, match="300 sampled rows"):
        plan_of(spec(*(replace(WAIT, name=f"wait.{row}") for row in range(300))))


@pytest.mark.full
def test_of_two_thousand_unchanged_payloads_few_are_called_changed() -> None:
    """The whole way: rows that have much in common, boots added where rows are not settled, every word that fails a run."""
    metrics = tuple(replace(WAIT, name=f"wait.{row}", min_effect=0.001) for row in range(3))
    payload, generator, wrong, stopped = spec(*metrics), random.Random(2026), 0, 0
    for _ in range(COMPARISONS):
        sides = [_rows(generator, metrics) for _ in range(2)]
        base, patched = (boots(role, **rows) for role, rows in zip(("baseline", "patched"), sides, strict=True))  # type: ignore[arg-type]
        first = base[:8], patched[:8]
        taken = (base, patched) if more_boots(payload, *first) else first
        words = {row.verdict for row in compare(payload, *taken, "base", "null")}
        wrong += bool(words & {Verdict.REGRESSED, Verdict.IMPROVED})
        stopped += taken is first

    print(f"{wrong} of {COMPARISONS} unchanged payloads called changed, {stopped} stopped at the first look")  # noqa: T201
    assert wrong <= COMPARISONS * 0.05 + 3 * math.sqrt(COMPARISONS * 0.05 * 0.95)


def _rows(generator: random.Random, metrics: tuple[Metric, ...]) -> dict[str, Boots]:
    """Sixteen boots in which the rows move together, on a machine that is slower in some blocks."""
    shared = [generator.gauss(0, 0.02) for _ in range(16)]
    return {metric.name: side(*(100 * math.exp(common + generator.gauss(0, 0.01)) for common in shared)) for metric in metrics}
