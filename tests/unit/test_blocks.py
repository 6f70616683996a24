"""Boots of sampled rows: how many, in which order, and the plans that are refused."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import UsageError
from lab.measure.blocks import ASSIGNMENTS, BLOCK, Plan, block_of, blocks, least_p, planned

SIDES = ("base", "patched")


@given(st.integers(1, 40), st.text())
def test_every_boot_of_every_side_comes_once_and_block_after_block(boots: int, seed: str) -> None:
    order = blocks(range(1, boots + 1), SIDES, seed)

    assert sorted(order) == sorted((boot, side) for boot in range(1, boots + 1) for side in SIDES)
    assert [block_of(boot) for boot, _ in order] == sorted(block_of(boot) for boot, _ in order)


@given(st.integers(1, 4), st.integers(1, 4), st.text())
def test_later_boots_go_on_where_the_first_ended(first: int, later: int, seed: str) -> None:
    middle, end = BLOCK * first, BLOCK * (first + later)

    parts = blocks(range(1, middle + 1), SIDES, seed) + blocks(range(middle + 1, end + 1), SIDES, seed)
    assert blocks(range(1, end + 1), SIDES, seed) == parts


def test_an_order_follows_from_its_seed_for_ever() -> None:
    order = "".join(side[0] for _, side in blocks(range(1, 9), SIDES, "20261124-001500:pingpong"))

    assert order == "pbpbbbpppbbpbbpp"
    assert len({blocks(range(1, 5), SIDES, str(seed)) for seed in range(20)}) > 15


def test_every_place_in_a_block_is_as_likely_for_either_side() -> None:
    drawn = 4000
    first = Counter(blocks(range(1, 5), SIDES, str(seed))[place][1] for seed in range(drawn) for place in (0,))
    last = Counter(blocks(range(1, 5), SIDES, str(seed))[place][1] for seed in range(drawn) for place in (7,))

    for count in (first["base"], last["base"]):
        assert abs(count - drawn / 2) < 4 * math.sqrt(drawn / 4)


@pytest.mark.parametrize(
    ("sizes", "p"),
    [
        ([(3, 3)], 2 / 20),
        ([(4, 4)], 2 / 70),
        ([(4, 4), (4, 4)], 2 / 4900),
        ([(4, 3)], 2 / 35),
        ([(4, 0)], 2),
        ([(1, 1)] * 6, 2 / 64),
        ([(4, 4)] * 3, 2 / ASSIGNMENTS),
    ],
)
def test_how_small_p_can_be(sizes: list[tuple[int, int]], p: float) -> None:
    assert least_p(sizes) == pytest.approx(p)


@pytest.mark.parametrize(("rows", "looks"), [(1, (8, 16)), (21, (8, 16)), (61, (8, 16)), (62, (12, 24)), (249, (12, 24))])
def test_a_plan_grows_with_the_rows(rows: int, looks: tuple[int, ...]) -> None:
    plan = planned(rows)

    assert plan.looks == looks
    assert plan.boots(0) + plan.boots(1) == tuple(range(1, looks[-1] + 1))
    assert plan.boots(2) == ()


@pytest.mark.parametrize(
    ("rows", "looks", "alpha", "said"),
    [
        (1, (3,), 0.05, "no p below 0.1 exists"),
        (1, (4, 8), 0.05, "less than 0.025 is needed"),
        (1, (8,), 2 / 4900, "cannot show anything"),
        (62, (8, 16), 0.05, "in 62 sampled rows"),
        (1, (), 0.05, "not a plan"),
        (1, (8, 8), 0.05, "not a plan"),
        (0, (8,), 0.05, "not a plan"),
    ],
)
def test_a_plan_that_cannot_reach_alpha_is_refused(rows: int, looks: tuple[int, ...], alpha: float, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Plan(rows, looks, alpha)


def test_so_many_rows_have_no_plan() -> None:
    with pytest.raises(UsageError, match="250 sampled rows"):
        planned(250)


def test_one_look_at_four_boots_is_just_enough_for_one_row() -> None:
    assert Plan(1, (4,)).shares == (1.0,)


@given(st.lists(st.integers(2, 6), min_size=1, max_size=5, unique=True))
def test_the_looks_share_alpha_by_their_boots(looks: list[int]) -> None:
    plan = Plan(1, tuple(BLOCK * look for look in sorted(looks)))

    assert sum(plan.shares) == pytest.approx(1)
    assert plan.shares[0] == plan.looks[0] / plan.looks[-1]


@pytest.mark.parametrize(("boots", "looks"), [(3, (8,)), (8, (8,)), (9, (8, 16)), (16, (8, 16)), (17, (8, 17))])
def test_which_looks_were_taken_follows_from_the_boots(boots: int, looks: tuple[int, ...]) -> None:
    assert Plan(1, (8, 16)).looks_at(boots) == looks
