"""Searches in simulated series of 12 patches: every culprit, every kind of failure, noise, lost boots, two culprits, none."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product

import pytest

from lab.campaign.known import Answer, Point, Search
from lab.campaign.search import advance, word
from lab.campaign.subject import of_row, with_subject
from lab.model.bisection import Look, Reached, Subject
from lab.model.judgement import Metric

N = 12
PLACES = range(1, N + 1)
ROW = Metric("pipe.64", "insn", "exact")
ENTRIES = Metric("entries", "1", "count")
TIME = Metric("round-trip", "us", "sample", min_effect=0.01)
OOPS = Subject("finding", "oops:vfs_read")
OTHER = Subject("finding", "warn:elsewhere")
CASE = Subject("case", "reads")
ERROR = Subject("build", "build:fs/read_write.c:no member")

Show = Callable[["World", tuple[int, ...]], Look]


@dataclass
class World:
    """Kernels that are lists of patches: what one shows is decided by `show` from the patches that are in."""

    show: Show
    random: random.Random = field(default_factory=lambda: random.Random(1))
    missing: float = 0.0
    """Share of boots that the lab loses."""
    place: int = 0
    """The culprit, where `show` asks for it."""
    built: set[tuple[int, ...]] = field(default_factory=set)
    boots: int = 0

    def look(self, point: Point, probe: int) -> Look:
        patches = tuple(k for k in range(1, point.k + 1) if k not in point.without)
        self.built.add(patches)
        self.boots += 1
        found = replace(self.show(self, patches), k=point.k, without=point.without, probe=probe)
        lost = found.reached != "unbuilt" and self.random.random() < self.missing
        return Look(point.k, "missed", probe, point.without, why="QEMU went away") if lost else found


def solve(world: World, search: Search, *metrics: Metric) -> tuple[Answer, Search]:
    """The answer, and the search as it was then."""
    for probe in range(1, 400):
        search = with_subject(search, metrics)
        step = advance(search)
        if isinstance(step, Answer):
            return step, search
        points = [point for point in step.points for _ in range(step.boots)]
        search = replace(search, looks=(*search.looks, *(world.look(point, probe) for point in points)))
        assert word(search, search.looks[-1]) in ("", "good", "bad", "skip", "miss")  # the log has it after each probe
    raise AssertionError("it never ends")


def named(answer: Answer) -> tuple[str, list[int]]:
    return answer.word, [one.k for one in answer.culprits]


def breaks(symptom: Subject, *culprits: int, reached: Reached = "died") -> Show:
    def show(world: World, patches: tuple[int, ...]) -> Look:
        if {*culprits} & {*patches}:
            return Look(0, reached, symptoms=(symptom,))
        return Look(0, "done", passed=("reads",))

    return show


def costs(prices: dict[int, float], metric: Metric = ROW, noise: float = 0.0) -> Show:
    def show(world: World, patches: tuple[int, ...]) -> Look:
        value = 10000.0 + sum(price for k, price in prices.items() if k in patches)
        return Look(0, "done", rows={metric.name: value * (1 + world.random.gauss(0, noise) if noise else 1)})

    return show


KINDS: dict[str, tuple[Subject, Reached]] = {
    "build": (ERROR, "unbuilt"),
    "boot": (OOPS, "died"),
    "case": (CASE, "done"),
    "warning": (OTHER, "done"),
    "message": (Subject("message", "the worker did N things"), "died"),
}


@pytest.mark.parametrize(("kind", "place"), list(product(KINDS, PLACES)))
def test_every_kind_of_failure_is_found_at_every_place(kind: str, place: int) -> None:
    symptom, reached = KINDS[kind]
    world = World(breaks(symptom, place, reached=reached))

    answer, search = solve(world, Search(0, N))

    assert named(answer) == ("found", [place])
    assert search.subject == symptom
    assert answer.culprits[0].reverted == "gone"
    assert answer.culprits[0].confidence > 0.99
    assert len(world.built) <= 2 + 4 + 1  # the ends, the binary search, the series without the patch


@pytest.mark.parametrize("place", PLACES)
def test_one_instruction_is_found_at_every_place_with_its_delta(place: int) -> None:
    world = World(costs({place: 2.0}))

    answer, search = solve(world, Search(0, N), ROW)

    (culprit,) = answer.culprits
    assert (answer.word, culprit.k, search.subject) == ("found", place, Subject("exact", "pipe.64"))
    assert ({*culprit.before}, {*culprit.after}, culprit.reverted) == ({10000.0}, {10002.0}, "gone")
    assert len(world.built) <= 7


def test_a_row_that_is_named_counts_for_no_end_before_both_have_a_value() -> None:
    named_row = Search(0, N, subject=Subject("exact", "pipe.64"), metric=ROW)
    world = World(costs({7: 2.0}))
    bad, good = world.look(Point(N), 1), world.look(Point(0), 2)

    assert word(replace(named_row, looks=(bad,)), bad) == ""
    assert [word(replace(named_row, looks=(bad, good)), look) for look in (bad, good)] == ["bad", "good"]
    assert named(solve(world, named_row, ROW)[0]) == ("found", [7])


def test_a_search_among_six_takes_three_kernels_between_the_ends() -> None:
    for place in range(1, 7):
        world = World(costs({place: 1.0}))
        solve(world, Search(0, 6), ROW)

        prefixes = {len(patches) for patches in world.built if patches == tuple(range(1, len(patches) + 1))}
        assert len(prefixes - {0, 6}) <= 3


@pytest.mark.parametrize("place", PLACES)
def test_a_row_that_was_counted_needs_the_ends_to_be_apart(place: int) -> None:
    def show(world: World, patches: tuple[int, ...]) -> Look:
        return Look(0, "done", rows={"entries": world.random.randint(5, 8) + 20 * (place in patches)})

    answer, _ = solve(World(show), Search(0, N, ends=3), ENTRIES)

    assert named(answer) == ("found", [place])


@pytest.mark.parametrize("place", PLACES)
def test_a_change_of_three_percent_is_found_in_boots_that_vary_by_one(place: int) -> None:
    world = World(costs({place: 300.0}, TIME, noise=0.01), random.Random(place))

    answer, _ = solve(world, Search(0, N, of_row(TIME), TIME, ends=8, boots=4))

    assert named(answer) == ("found", [place])
    assert answer.culprits[0].confidence >= 0.99


def test_drift_of_the_machine_moves_no_sampled_search() -> None:
    def show(world: World, patches: tuple[int, ...]) -> Look:
        drift = 1 + 0.001 * world.boots
        return Look(0, "done", rows={TIME.name: (10000 + 400 * (7 in patches)) * drift * (1 + world.random.gauss(0, 0.01))})

    answers = []
    for seed in range(20):
        search = Search(0, N, of_row(TIME), TIME, ends=8, boots=4)
        answers.append(named(solve(Mixed(show, random.Random(seed)), search)[0]))

    assert Counter(map(str, answers)).most_common(1)[0] == (str(("found", [7])), 20)


class Mixed(World):
    """A world whose drift is per boot; boots of a probe take turns, as in_blocks mixes them."""

    def look(self, point: Point, probe: int) -> Look:
        saved = self.boots
        self.boots = 10 * probe
        found = super().look(point, probe)
        self.boots = saved + 1
        return found


def test_stated_confidence_holds_for_sampled_rows() -> None:
    right = wrong = 0
    for seed in range(120):
        place = 1 + seed % N
        world = World(costs({place: 150.0}, TIME, noise=0.01), random.Random(seed))
        answer, _ = solve(world, Search(0, N, of_row(TIME), TIME, ends=8, boots=4, confidence=0.95))
        if answer.word == "found":
            right += answer.culprits[0].k == place
            wrong += answer.culprits[0].k != place

    assert right > 60
    assert wrong / (right + wrong) < 0.1


@pytest.mark.parametrize("share", [0.9, 0.6, 0.4])
def test_a_failure_that_does_not_come_in_every_boot_is_found_as_often_as_stated(share: float) -> None:
    def show(world: World, patches: tuple[int, ...]) -> Look:
        bad = world.place in patches and world.random.random() < share
        return Look(0, "died", symptoms=(OOPS,)) if bad else Look(0, "done", passed=("reads",))

    words, wrong = Counter[str](), 0
    for seed in range(120):
        world = World(show, random.Random(seed), place=1 + seed % N)
        answer, _ = solve(world, Search(0, N, OOPS, ends=4))
        words[answer.word] += 1
        wrong += answer.word == "found" and answer.culprits[0].k != world.place

    assert words["found"] > 80
    assert wrong <= 4


@pytest.mark.parametrize("seed", range(40))
def test_five_percent_of_lost_boots_name_nobody_else(seed: int) -> None:
    place = 1 + seed % N
    world = World(breaks(OOPS, place), random.Random(seed), missing=0.05)

    answer, _ = solve(world, Search(0, N))

    assert named(answer) == ("found", [place])


def test_a_lab_that_loses_every_boot_says_that_it_knows_nothing() -> None:
    answer, search = solve(World(breaks(OOPS, 4), missing=1.1), Search(0, N, OOPS))

    assert (answer.word, answer.culprits) == ("unknown", ())
    assert "QEMU went away" in answer.why
    assert len(search.looks) <= 8


def test_boots_that_are_always_lost_at_one_kernel_are_left_out() -> None:
    def show(world: World, patches: tuple[int, ...]) -> Look:
        if len(patches) == 6:
            return Look(0, "missed", why="lost")
        return breaks(OOPS, 3)(world, patches)

    answer, search = solve(World(show), Search(0, N))

    assert named(answer) == ("found", [3])
    assert sum(look.reached == "missed" for look in search.looks) == 2


@pytest.mark.parametrize(("first", "second"), [(2, 9), (5, 6), (1, 12), (11, 12)])
def test_two_culprits_are_both_named(first: int, second: int) -> None:
    answer, _ = solve(World(breaks(OOPS, first, second)), Search(0, N))

    assert named(answer) == ("several", [first, second])
    assert [one.reverted for one in answer.culprits] == ["remains", "gone"]


def test_two_patches_that_cost_are_both_named_with_their_shares() -> None:
    answer, _ = solve(World(costs({3: 10.0, 8: 4.0})), Search(0, N), ROW)

    assert answer.word == "several"
    deltas = {one.k: one.after[0] - one.before[0] for one in answer.culprits}
    assert deltas == {3: 10.0, 8: 4.0}


def test_a_patch_that_many_cost_something_of_is_not_hunted_for_ever() -> None:
    answer, _ = solve(World(costs(dict.fromkeys(PLACES, 3.0))), Search(0, N), ROW)

    assert (answer.word, len(answer.culprits), answer.culprits[-1].reverted) == ("several", 3, "remains")


def test_a_series_in_which_nothing_differs_is_said_to_be_that() -> None:
    assert solve(World(costs({})), Search(0, N), ROW)[0].word == "nothing"
    assert solve(World(breaks(OOPS)), Search(0, N, OOPS))[0].word == "nothing"
    assert solve(World(costs({}, TIME, 0.01)), Search(0, N, of_row(TIME), TIME, ends=8, boots=4))[0].word == "nothing"


def test_a_good_end_that_is_bad_is_said() -> None:
    def show(world: World, patches: tuple[int, ...]) -> Look:
        return Look(0, "died", symptoms=(OOPS,))

    assert solve(World(show), Search(0, N))[0].word == "already"


def test_ends_that_do_not_build_tell_nothing_of_a_boot() -> None:
    broken = World(breaks(ERROR, 1, reached="unbuilt"))

    assert solve(broken, Search(0, N, OOPS))[0].word == "unknown"


@pytest.mark.parametrize("place", PLACES)
def test_kernels_that_do_not_build_are_left_out_and_their_patches_suspected(place: int) -> None:
    def show(world: World, patches: tuple[int, ...]) -> Look:
        if 5 <= len(patches) <= 7:
            return Look(0, "unbuilt", symptoms=(ERROR,), why="no member")
        return breaks(OOPS, place)(world, patches)

    answer, _ = solve(World(show), Search(0, N, OOPS))

    if 5 <= place <= 8:
        assert (answer.word, answer.suspects) == ("suspects", (5, 6, 7, 8))
        assert "no member" in answer.why
    else:
        assert named(answer) == ("found", [place])


def test_another_failure_on_the_way_moves_nothing() -> None:
    def show(world: World, patches: tuple[int, ...]) -> Look:
        if 4 <= len(patches) <= 8:
            return Look(0, "died", symptoms=(OTHER,), why="another bug")
        return breaks(OOPS, 11)(world, patches)

    assert named(solve(World(show), Search(0, N))[0]) == ("found", [11])


def test_a_patch_that_cannot_be_taken_out_is_named_with_the_reason() -> None:
    def show(world: World, patches: tuple[int, ...]) -> Look:
        if 3 not in patches and len(patches) > 3:
            return Look(0, "unapplied", why="0007 needs it")
        return breaks(OOPS, 3)(world, patches)

    answer, _ = solve(World(show), Search(0, N))

    assert (named(answer), answer.culprits[0].reverted) == (("found", [3]), "untold")
    assert answer.culprits[0].reason == "0007 needs it"


def test_a_patch_that_changes_nothing_that_runs_is_never_named() -> None:
    """The row jumps at patch 6, before and after which the same bytes run: the lab, not the patch."""

    def show(world: World, patches: tuple[int, ...]) -> Look:
        return replace(costs({6: 5.0})(world, patches), runs=str([k for k in patches if k != 6]))

    answer, _ = solve(World(show), Search(0, N), ROW)

    assert (answer.word, answer.culprits) == ("unknown", ())
    assert "patch 6, which changes nothing that runs" in answer.why


def test_patches_that_change_nothing_that_is_built_are_not_built() -> None:
    world = World(breaks(OOPS, 7))
    answer, _ = solve(world, Search(0, N, inert=frozenset({1, 2, 3, 8, 9, 10, 11, 12})))

    assert named(answer) == ("found", [7])
    assert len(world.built) <= 5


def test_one_boot_that_lies_names_nobody() -> None:
    """The first boot of the first six patches shows the subject by chance, which the model thinks next to impossible."""
    told: Counter[tuple[int, ...]] = Counter()

    def show(world: World, patches: tuple[int, ...]) -> Look:
        told[patches] += 1
        lie = len(patches) == 6 and told[patches] == 1
        return Look(0, "died", symptoms=(OOPS,)) if 9 in patches or lie else Look(0, "done")

    answer, _ = solve(World(show), Search(0, N))

    assert answer.culprits == ()
    assert 9 in answer.suspects


def test_the_posterior_holds_every_patch_and_none() -> None:
    answer, _ = solve(World(breaks(OOPS, 4)), Search(0, N))

    assert answer.posterior is not None
    assert sorted(answer.posterior) == list(range(N + 1))
    assert sum(answer.posterior.values()) == pytest.approx(1, abs=1e-4)


def test_looks_that_are_read_back_lead_on_where_they_ended() -> None:
    """Whatever is cut off at the end of the looks, the search comes to the same answer."""
    world = World(breaks(OOPS, 8))
    whole, search = solve(world, Search(0, N))

    for kept in range(len(search.looks)):
        again, _ = solve(World(breaks(OOPS, 8)), Search(0, N, looks=search.looks[:kept]))
        assert named(again) == named(whole)
