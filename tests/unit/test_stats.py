"""The permutation test against scipy, tables worked out by hand, what must hold for any values, and simulated truth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator
from scipy import stats as scipy_stats

from lab.measure import stats
from lab.measure.blocks import ALPHA, ASSIGNMENTS, blocks, planned
from lab.measure.stats import Array, Design, Shift, deviation, holm, power, sequential, shift_of, smallest

COMPARISONS = 2000
CHUNK = 200
EVERY = 10**9
"""Resamples: more than there are, so that scipy takes all of them."""
DRAWN = 5000
"""Assignments in simulations with more than 70 x 70: enough for what they ask, and they are many."""


def design(*sizes: tuple[int, int]) -> Design:
    """Boots of base and patched, block by block; base first within each."""
    block = [number for number, (base, patched) in enumerate(sizes) for _ in range(base + patched)]
    return Design(tuple(block), tuple(boot >= base for base, patched in sizes for boot in range(base + patched)))


FOUR = design((4, 4))
EIGHT = design((4, 4), (4, 4))
SIXTEEN = design(*[(4, 4)] * 4)
whole = st.integers(-20, 20).map(float)


@st.composite
def small(draw: st.DrawFn) -> tuple[Design, list[float]]:
    sizes = draw(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=3))
    made = design(*sizes)
    return made, draw(st.lists(whole, min_size=len(made.block), max_size=len(made.block)))


# --- the test -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "patched", "p"),
    [
        ((1, 2, 3), (4, 5, 6), 2 / 20),  # the most extreme of C(6, 3)
        ((1, 2, 4), (3, 5, 6), 4 / 20),  # 14; 15 and 14 are reached by {4,5,6} and {3,5,6} alone
        ((1, 3, 5), (2, 4, 6), 14 / 20),  # 12 or more: 456 356 256 156 346 246 345
        ((7, 7, 7), (7, 7, 7), 1.0),
        ((1, 2), (3, 4), 2 / 6),
    ],
)
def test_p_as_counted_by_hand(base: tuple[float, ...], patched: tuple[float, ...], p: float) -> None:
    result = shift_of(design((len(base), len(patched))), [*base, *patched], 0.05)

    assert float(result.p) == pytest.approx(p)
    assert float(result.estimate) == pytest.approx(sum(patched) / len(patched) - sum(base) / len(base))


def test_an_interval_as_worked_out_by_hand() -> None:
    # naming other boots patched ties at these shifts: {1,4} 1, {0,4} 2, {0,1} 2.5, {1,2} 3, {0,2} 4; at level 0.5, p < 0.5 is
    # the actual assignment alone (2/6), so that the ends are the least and the greatest of them
    result = shift_of(design((2, 2)), [0, 1, 2, 4], 0.5)

    assert (float(result.low), float(result.estimate), float(result.high)) == pytest.approx((1, 2.5, 4))


def test_no_interval_where_nothing_can_be_rejected() -> None:
    result = shift_of(design((3, 3)), [1, 2, 3, 4, 5, 6], 0.05)

    assert (float(result.low), float(result.high)) == (-math.inf, math.inf)


def darwin() -> tuple[Design, list[float]]:
    """Heights of crossed and self-fertilised maize, differences by pair in eighths of an inch (Fisher 1935, section 17)."""
    differences = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)
    return design(*[(1, 1)] * 15), [value for one in differences for value in (0.0, float(one))]


def test_fishers_own_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "ASSIGNMENTS", 1 << 15)

    assert float(shift_of(*darwin(), 0.05).p) == pytest.approx(2 * 863 / 32768)  # section 21: 863 of 32768 in one tail


def test_a_draw_says_about_the_same_and_always_the_same() -> None:
    first = float(shift_of(*darwin(), 0.05).p)
    stats.assignments.cache_clear()
    tail = 863 / 32768

    assert first == float(shift_of(*darwin(), 0.05).p) != 2 * tail
    assert abs(first / 2 - tail) < 4 * math.sqrt(tail * (1 - tail) / ASSIGNMENTS)


@pytest.mark.parametrize("sizes", [(4, 4), (3, 5), (2, 6), (5, 4)])
def test_one_block_is_scipys_test_of_independent_samples(sizes: tuple[int, int]) -> None:
    generator = np.random.default_rng(sum(sizes))
    for values in generator.exponential(size=(10, sum(sizes))).round(1):
        theirs = scipy_stats.permutation_test(
            (values[sizes[0] :], values[: sizes[0]]), lambda a, b: np.mean(a) - np.mean(b), n_resamples=EVERY
        )

        assert float(shift_of(design(sizes), values, 0.05).p) == pytest.approx(theirs.pvalue)


def test_pairs_are_scipys_test_of_paired_samples() -> None:
    values = np.random.default_rng(1).normal(size=(10, 14)).round(1)
    for row in values:
        theirs = scipy_stats.permutation_test(
            (row[1::2], row[::2]), lambda a, b: np.mean(a) - np.mean(b), permutation_type="samples", n_resamples=EVERY
        )

        assert float(shift_of(design(*[(1, 1)] * 7), row, 0.05).p) == pytest.approx(theirs.pvalue)


def counted(made: Design, values: list[float]) -> float:
    """p by looping over every assignment, with nothing but sums."""
    sides = itertools.product(
        *(itertools.combinations([boot for boot, at in enumerate(made.block) if at == block], patched)
          for block, (_, patched) in enumerate(made.sizes))
    )  # fmt: skip
    sums = [sum(values[boot] for chosen in one for boot in chosen) for one in sides]
    actual = sum(value for value, patched in zip(values, made.patched, strict=True) if patched)
    return min(1.0, 2 * min(sum(one >= actual for one in sums), sum(one <= actual for one in sums)) / len(sums))


@given(small())
def test_p_is_the_share_of_assignments_in_the_smaller_tail_twice(case: tuple[Design, list[float]]) -> None:
    made, values = case

    assert float(shift_of(made, values, 0.05).p) == pytest.approx(counted(made, values))
    assert len(stats.assignments(made, 10000)) == math.prod(math.comb(base + patched, patched) for base, patched in made.sizes)


@given(small())
def test_the_estimate_is_that_of_least_squares_with_a_mean_for_each_block(case: tuple[Design, list[float]]) -> None:
    made, values = case
    columns = [[float(at == block) for at in made.block] for block in sorted(set(made.block))]
    model = np.array([*columns, made.patched], dtype=float).T
    (*_, slope), *_ = np.linalg.lstsq(model, np.array(values))
    rest = np.array(values) - model @ np.linalg.lstsq(model, np.array(values))[0]

    assert float(shift_of(made, values, 0.05).estimate) == pytest.approx(slope, abs=1e-6)
    if made.freedom:
        assert float(deviation(made, values)) == pytest.approx(math.sqrt((rest**2).sum() / made.freedom), abs=1e-6)


@given(small(), st.sampled_from([0.02, 0.05, 0.2, 0.5]), st.sampled_from([0.001, 0.3, 5.0]))
def test_the_interval_holds_the_shifts_that_are_not_rejected(case: tuple[Design, list[float]], level: float, by: float) -> None:
    made, values = case
    result, side = shift_of(made, values, level), np.array(made.patched, dtype=float)

    assert result.low <= result.estimate <= result.high
    for end, outward in ((float(result.low), -by), (float(result.high), by)):
        if math.isfinite(end):
            assert float(shift_of(made, np.array(values) - (end + outward) * side, level).p) < level
            if result.low < result.estimate < result.high:
                inward = end - math.copysign(min(by, abs(end - float(result.estimate))), outward)
                assert float(shift_of(made, np.array(values) - inward * side, level).p) >= level


@given(small(), whole, st.floats(0.1, 10))
def test_place_and_unit_change_nothing(case: tuple[Design, list[float]], place: float, unit: float) -> None:
    made, values = case
    one, other = shift_of(made, values, 0.2), shift_of(made, place + unit * np.array(values), 0.2)

    assert float(other.p) == pytest.approx(float(one.p))
    for mine, theirs in ((one.estimate, other.estimate), (one.low, other.low), (one.high, other.high)):
        assert float(theirs) == pytest.approx(unit * float(mine), abs=1e-6)


@given(small())
def test_swapped_sides_give_the_same_p_and_the_opposite_interval(case: tuple[Design, list[float]]) -> None:
    made, values = case
    there, back = shift_of(made, values, 0.2), shift_of(Design(made.block, tuple(not one for one in made.patched)), values, 0.2)

    assert float(back.p) == pytest.approx(float(there.p))
    assert (float(back.low), float(back.high)) == pytest.approx((-float(there.high), -float(there.low)), abs=1e-6)


def test_what_every_boot_of_a_block_has_in_common_is_no_difference() -> None:
    values = np.random.default_rng(2).normal(size=16)
    drifted = values + np.repeat([0.0, 1000.0], 8)

    assert float(shift_of(EIGHT, drifted, 0.05).p) == float(shift_of(EIGHT, values, 0.05).p)
    assert float(deviation(EIGHT, drifted)) == pytest.approx(float(deviation(EIGHT, values)))


def test_rows_judged_together_are_judged_alike() -> None:
    rows = np.random.default_rng(3).normal(size=(5, 32))
    together = shift_of(SIXTEEN, rows, 0.05)

    for number, row in enumerate(rows):
        alone = shift_of(SIXTEEN, row, 0.05)
        assert float(alone.p) == float(together.p[number])
        assert float(alone.low) == pytest.approx(float(together.low[number]))


# --- several looks, several rows ------------------------------------------------------------------------------------------


def test_an_early_finding_keeps_its_price() -> None:
    early, late = [*range(8)], [*range(8), 3, 1, 4, 2, 2, 4, 1, 3]
    first = sequential([(FOUR, early, 0.5)], ALPHA)
    both = sequential([(FOUR, early, 0.5), (EIGHT, late, 0.5)], ALPHA)
    last = shift_of(EIGHT, late, ALPHA / 2)

    assert float(first.p) == pytest.approx(2 * 2 / 70)
    assert float(both.p) == min(float(first.p), 2 * float(last.p))
    assert (float(both.low), float(both.high)) == (float(last.low), float(last.high))


@pytest.mark.parametrize(
    ("ps", "adjusted"),
    [
        ((0.01, 0.04, 0.03, 0.005), (0.03, 0.06, 0.06, 0.02)),  # 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04 is below that
        ((0.5, 0.6), (1.0, 1.0)),
        ((0.03,), (0.03,)),
        ((0.02, 0.02, 0.02), (0.06, 0.06, 0.06)),
        ((), ()),
    ],
)
def test_holm_by_hand(ps: tuple[float, ...], adjusted: tuple[float, ...]) -> None:
    assert holm(ps) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_p_and_bonferroni_and_keeps_the_order(ps: list[float]) -> None:
    adjusted = holm(ps)

    assert all(p <= more <= min(1.0, len(ps) * p) for p, more in zip(ps, adjusted, strict=True))
    assert min(adjusted) == min(1.0, len(ps) * min(ps))
    assert [more for _, more in sorted(zip(ps, adjusted, strict=True))] == sorted(adjusted)


# --- power ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", [0.0, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("made", [EIGHT, SIXTEEN, design((4, 4), (3, 4), (4, 4))])
def test_power_is_the_tail_of_the_noncentral_t(made: Design, effect: float) -> None:
    ways = min(ASSIGNMENTS, math.prod(math.comb(base + patched, patched) for base, patched in made.sizes))
    attained = 2 * (math.ceil(0.025 * ways / 2) - 1) / ways
    bound, centre = scipy_stats.t.isf(attained / 2, made.freedom), effect * math.sqrt(made.information)

    assert power(made, effect, 1.0, 0.025) == pytest.approx(scipy_stats.nct.sf(bound, made.freedom, centre), abs=0.001)


def test_a_floor_takes_power_away() -> None:
    assert power(EIGHT, 2.0, 1.0, 0.05) > 0.95
    assert power(EIGHT, 2.0, 1.0, 0.05, floor=2.0) == pytest.approx(0.5, abs=0.01)
    assert power(EIGHT, 2.0, 0.0, 0.05, floor=2.0) == 0.0
    assert power(EIGHT, 2.0, 0.0, 0.05, floor=1.9) == 1.0


def test_no_power_where_p_cannot_be_small_enough() -> None:
    assert power(design((3, 3)), 100.0, 1.0, 0.05) == 0.0
    assert smallest(design((3, 3)), 1.0, 0.05) == math.inf


@settings(max_examples=20)
@given(st.floats(0.01, 10), st.floats(0, 3))
def test_the_smallest_effect_has_eighty_percent(sd: float, floor: float) -> None:
    effect = smallest(EIGHT, sd, 0.025, floor)

    assert power(EIGHT, effect, sd, 0.025, floor) == pytest.approx(0.8, abs=1e-6)
    assert effect > floor
    assert smallest(EIGHT, 0.0, 0.025, floor) == floor


# --- simulated truth ------------------------------------------------------------------------------------------------------


def normal(generator: Generator, boots: int) -> Array:
    return generator.normal(size=(COMPARISONS, boots))


def drifting(generator: Generator, boots: int) -> Array:
    """Rare slow boots on a machine that drifts by more from block to block than boots differ."""
    steps = generator.normal(scale=3.0, size=(COMPARISONS, boots // 8)).cumsum(axis=1)
    values: Array = generator.lognormal(size=(COMPARISONS, boots)) + steps.repeat(8, axis=1)
    return values


def in_chunks(values: Array, judged: Callable[[Array], Shift]) -> Shift:
    """All comparisons, so many at a time that they fit into memory."""
    parts = [judged(values[first : first + CHUNK]) for first in range(0, len(values), CHUNK)]
    return Shift(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("estimate", "p", "low", "high")))


def at_most(chance: float, count: int = COMPARISONS) -> float:
    """`count` times `chance`, and three binomial sigma."""
    return count * chance + 3 * math.sqrt(count * chance * (1 - chance))


@pytest.fixture(scope="module", params=[normal, drifting], ids=["normal", "drifting"])
def null(request: pytest.FixtureRequest) -> tuple[Shift, Shift, Shift]:
    """2,000 comparisons of a side with itself: the first look, the second by itself, and both as a plan has them."""
    values, plan = request.param(np.random.default_rng(2026), 32), planned(1)
    first_share, last_share = plan.shares
    first = in_chunks(values[:, :16], lambda rows: sequential([(EIGHT, rows, first_share)], ALPHA))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stats, "ASSIGNMENTS", DRAWN)
        alone = in_chunks(values, lambda rows: shift_of(SIXTEEN, rows, ALPHA * last_share))
    return first, alone, Shift(alone.estimate, np.minimum(first.p, alone.p / last_share), alone.low, alone.high)


def test_false_positives_are_at_most_alpha_wherever_one_stops(null: tuple[Shift, Shift, Shift]) -> None:
    first, _, both = null

    assert (first.p < ALPHA).sum() <= at_most(ALPHA / 2)
    assert COMPARISONS * ALPHA / 2 < (both.p < ALPHA).sum() <= at_most(ALPHA)


def test_two_looks_for_the_price_of_one_are_too_many(null: tuple[Shift, Shift, Shift]) -> None:
    first, alone, _ = null

    assert ((first.p / 2 < ALPHA) | (alone.p < ALPHA)).sum() > at_most(ALPHA)


def test_the_interval_holds_the_truth_wherever_one_stops(null: tuple[Shift, Shift, Shift]) -> None:
    first, alone, _ = null
    early, late = (((one.low > 0) | (one.high < 0)) for one in (first, alone))
    sure = first.p < ALPHA

    assert COMPARISONS * ALPHA / 4 < early.sum() <= at_most(ALPHA / 2)
    assert np.where(sure, early, late).sum() <= (early | late).sum() <= at_most(ALPHA)


def test_p_and_interval_agree(null: tuple[Shift, Shift, Shift]) -> None:
    first, alone, _ = null

    assert (((first.low > 0) | (first.high < 0)) == (first.p < ALPHA)).all()
    assert (((alone.low > 0) | (alone.high < 0)) == (alone.p < ALPHA / 2)).all()


@pytest.mark.parametrize("mixed", [True, False])
def test_boots_in_mixed_order_bear_a_machine_that_gets_slower(*, mixed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "ASSIGNMENTS", DRAWN // 4)
    cells = [(boot, side) for first in (1, 5) for side in ("base", "patched") for boot in range(first, first + 4)]
    orders = [list(blocks(range(1, 9), ("base", "patched"), str(seed))) if mixed else cells for seed in range(COMPARISONS)]
    slower = 0.2 * np.array([[order.index(cell) for cell in cells] for order in orders])
    values = normal(np.random.default_rng(4), 16) + slower

    assert mixed == ((shift_of(EIGHT, values, ALPHA).p < ALPHA).sum() <= at_most(ALPHA))


def test_of_many_rows_of_unchanged_payloads_few_payloads_have_any_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "ASSIGNMENTS", DRAWN // 4)
    rows, generator = 5, np.random.default_rng(5)
    plan, common = planned(rows), generator.normal(size=(COMPARISONS, 1, 16))
    values = generator.normal(size=(COMPARISONS, rows, 16)) + common  # rows of one boot have much in common
    p = np.concatenate([shift_of(EIGHT, values[at : at + CHUNK], ALPHA).p for at in range(0, COMPARISONS, CHUNK)])
    least = np.array([min(holm(one)) for one in np.minimum(1.0, p / plan.shares[0]).tolist()])

    assert COMPARISONS * ALPHA / 8 < (least < ALPHA).sum() <= at_most(ALPHA / 2)
    assert (p.min(axis=1) < ALPHA).sum() > at_most(ALPHA), "without Holm's adjustment it would be too many"


@pytest.mark.parametrize(("effect", "floor"), [(1.0, 0.0), (1.5, 0.0), (2.0, 1.0), (2.0, 1.8)])
def test_power_is_as_computed(effect: float, floor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "ASSIGNMENTS", DRAWN // 4)
    values = normal(np.random.default_rng(6), 16) + effect * np.array(EIGHT.patched)
    result = in_chunks(values, lambda rows: shift_of(EIGHT, rows, ALPHA / 2))
    found = ((result.p < ALPHA / 2) & (result.estimate > floor)).mean()
    chance = power(EIGHT, effect, 1.0, ALPHA / 2, floor)

    assert abs(found - chance) < 0.01 + 3 * math.sqrt(chance * (1 - chance) / COMPARISONS)


def test_the_smallest_effect_is_found_four_times_in_five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "ASSIGNMENTS", DRAWN)
    effect = smallest(SIXTEEN, 1.0, ALPHA / 2, 0.5)
    values = normal(np.random.default_rng(7), 32) + effect * np.array(SIXTEEN.patched)
    result = in_chunks(values, lambda rows: shift_of(SIXTEEN, rows, ALPHA / 2))
    found = ((result.p < ALPHA / 2) & (result.estimate > 0.5)).mean()

    assert abs(found - 0.8) < 0.01 + 3 * math.sqrt(0.8 * 0.2 / COMPARISONS)
