"""What a matrix expands to, what is left out, and that shards take it apart without loss."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.campaign.cells import Catalogue, Stacked, Suits, expand, parse_shard, shard
from lab.campaign.matrix import Words, matrix_lines, plan_of
from lab.campaign.plan import Ask
from lab.campaign.session import Lab
from lab.campaign.settings import Default, MatrixTable, Settings, read_settings
from lab.errors import UsageError
from lab.events import silent
from lab.model.change import Patch, Series
from lab.model.machine import GuestSpec
from lab.model.matrix import Cell, Plan
from lab.model.wire import from_json, to_json
from lab.toml import parse_toml

ROOT = Path(__file__).parents[2]


def series(name: str, patches: int, requires: tuple[str, ...] = (), **more: tuple[str, ...]) -> Series:
    files = tuple(Patch(f"{n:04}-{name}.patch", name, "", ()) for n in range(1, patches + 1))
    return Series(name, Path(name), files, requires=requires, **more)  # type: ignore[arg-type]  # names of Series' fields


FOUNDATION = series("foundation", 2)
SHORT = series("short", 1, options=("CONFIG_SHORT=y",), kunit=("CONFIG_SHORT_KUNIT=y",))
LONG = series("long", 6, ("foundation",), payloads=("pair",), selftests=("net/long",))
THERE = Catalogue(
    stacks={
        "foundation": Stacked((), (FOUNDATION,)),
        "short": Stacked((), (SHORT,)),
        "long": Stacked((FOUNDATION,), (LONG,)),
        "short+long": Stacked((FOUNDATION,), (SHORT, LONG)),
    },
    kconfigs={"default": frozenset(("SMP",)), "kunit": frozenset(("KUNIT", "KUNIT_DEBUGFS")), "debug": frozenset(("KUNIT",))},
    guests={name: GuestSpec(name, hosts=2 if name == "two" else 1) for name in ("one", "many", "two", "debian", "plain")},
    payloads={"any": Suits(), "wide": Suits(("many",)), "pair": Suits((), pair=True)},
    default=Default("short", "default", "one", ("any",)),
)


def plan(**table: object) -> Plan:
    return expand("x", MatrixTable(**table), THERE)  # type: ignore[arg-type]  # names of MatrixTable's fields


def test_an_empty_table_is_what_a_bench_takes() -> None:
    (cell,) = plan().cells

    assert (cell.series, cell.upto, cell.kconfig, cell.guest, cell.payload) == ("short", 1, "default", "one", "any")
    assert cell.id == "any.short.k01.default.one"


def test_every_combination_is_a_cell() -> None:
    made = plan(series=("short", "long"), kconfigs=("default", "debug"), guests=("one", "many"), payloads=("any",))

    assert len(made.cells) == len({cell.id for cell in made.cells}) == 8
    assert made.left_out == ()


def test_kconfigs_come_one_after_the_other_and_so_do_the_kernels_of_a_series() -> None:
    made = plan(series=("short", "long"), upto="all", kconfigs=("default", "debug"), payloads=("any",))

    names = [kernel.id for kernel in made.kernels]
    assert names[:4] == [
        "base.k00.default",
        "short.k01.default.a77e8f2f",
        "foundation.k02.default",
        "foundation+long.k01.default",
    ]
    assert [kernel.kconfig for kernel in made.kernels] == ["default"] * 9 + ["debug"] * 9


def test_all_is_every_prefix_on_one_baseline() -> None:
    made = plan(series=("long",), upto="all", payloads=("any",))

    assert [cell.upto for cell in made.cells] == [1, 2, 3, 4, 5, 6]
    assert {cell.base.id for cell in made.cells} == {"foundation.k02.default"}
    assert [cell.patched.upto for cell in made.cells] == [1, 2, 3, 4, 5, 6]


def test_series_that_are_combined_are_one_on_what_any_of_them_requires() -> None:
    made = plan(series=("short+long",), upto="all", payloads=("any",))

    assert {cell.base.id for cell in made.cells} == {"foundation.k02.default"}
    assert {cell.patched.stack for cell in made.cells} == {("foundation", "short", "long")}
    assert {cell.patched.sets for cell in made.cells} == {("CONFIG_SHORT=y",)}
    assert [cell.upto for cell in made.cells] == [1, 2, 3, 4, 5, 6]


def test_a_prefix_that_a_series_does_not_have_is_named() -> None:
    made = plan(series=("short", "long"), upto=(3, "whole"), payloads=("any",))

    assert [(cell.series, cell.upto) for cell in made.cells] == [("short", 1), ("long", 3), ("long", 6)]
    assert [(one.what, one.why) for one in made.left_out] == [("short upto 3", "it has 1 patches")]


def test_a_payload_that_does_not_suit_a_guest_is_named() -> None:
    made = plan(series=("short",), guests=("one", "many", "two"), payloads=("wide", "pair"))

    assert [(cell.payload, cell.guest) for cell in made.cells] == [("wide", "many"), ("pair", "two")]
    assert [one.why for one in made.left_out] == [
        "it runs on guest many, not on one",
        "it runs on guest many, not on two",
        "it needs a pair of guests, and one is one",
        "it needs a pair of guests, and many is one",
    ]


def test_without_guests_each_payload_has_the_one_it_suits() -> None:
    assert [(cell.payload, cell.guest) for cell in plan(payloads=("any", "wide")).cells] == [("any", "one"), ("wide", "many")]


def test_suites_stand_beside_payloads_on_guests_of_their_own() -> None:
    made = plan(kconfigs=("default", "kunit"), payloads=("any",), suites=("kselftest net/af_unix,futex", "kunit list*"))

    places = [(cell.payload, cell.kconfig, cell.guest) for cell in made.cells if cell.suite]
    assert places == [
        ("kselftest net/af_unix,futex", "default", "debian"),
        ("kselftest net/af_unix,futex", "kunit", "debian"),
        ("kunit list*", "kunit", "plain"),
    ]
    assert [(one.what, one.why) for one in made.left_out] == [
        ("kunit list* of short on guest plain, kconfig default", "kconfig default does not ask for CONFIG_KUNIT")
    ]
    assert made.cells[-1].patched.sets == ("CONFIG_SHORT=y", "CONFIG_SHORT_KUNIT=y")
    assert made.cells[-1].suite == ("kunit", "list*")
    assert all(re.fullmatch(r"[\w.+-]+", cell.id) for cell in made.cells)


def test_suites_that_a_series_or_a_kernel_does_not_have_are_named() -> None:
    made = plan(series=("short", "long"), kconfigs=("debug",), suites=("kselftest own", "kunit"))

    assert [(cell.payload, cell.series) for cell in made.cells] == [("kselftest own", "long")]
    assert [(one.what.partition(" on ")[0], one.why) for one in made.left_out] == [
        ("kselftest own of short", "it declares no self-tests"),
        ("kunit of short", "kconfig debug does not ask for CONFIG_KUNIT_DEBUGFS"),
        ("kunit of long", "kconfig debug does not ask for CONFIG_KUNIT_DEBUGFS"),
    ]


def test_a_suite_of_many_tests_still_gives_file_names() -> None:
    many = [f"kselftest {','.join(f'net:test_{n:03}' for n in range(count))}" for count in (50, 51)]
    made = plan(suites=tuple(many))

    assert len({cell.id for cell in made.cells}) == 2
    assert all(len(f"{cell.id}.baseline.r01") < 200 for cell in made.cells)


def test_suites_alone_bring_no_payloads() -> None:
    assert [cell.payload for cell in plan(kconfigs=("kunit",), suites=("kunit",)).cells] == ["kunit"]


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"series": ("shirt",)}, r"no series named 'shirt' \(there are: .*did you mean short\?"),
        ({"kconfigs": ("defualt",)}, "no kconfig named 'defualt'.*did you mean default"),
        ({"guests": ("three",)}, "no guest named 'three'"),
        ({"payloads": ("nay",)}, "no payload named 'nay'.*did you mean any"),
        ({"suites": ("kselftest",)}, "`kselftest` is no suite"),
        ({"suites": ("ltp all",)}, "`ltp all` is no suite"),
        ({"suites": ("kunit",), "baseline_boots": 0}, "baseline_boots: 0"),
        ({"guests": ("one",), "payloads": ("wide",)}, "no combination can run\n.*it runs on guest many, not on one"),
    ],
)
def test_what_is_wrong_is_said(table: dict[str, object], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        plan(**table)

    assert "[matrix.x]" in f"{caught.value}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sereis = []", r"matrix\.x\.sereis: unknown key"),
        ('upto = "most"', r"matrix\.x\.upto"),
        ("upto = [1.5]", r"matrix\.x\.upto"),
        ('kconfigs = "default"', r"matrix\.x\.kconfigs: .*got 'default'"),
    ],
)
def test_a_typo_in_the_file_names_the_key(text: str, complaint: str) -> None:
    whole = (ROOT / "lab.toml").read_text() + f"\n[matrix.x]\n{text}\n"

    with pytest.raises(UsageError, match=complaint) as caught:
        parse_toml(whole, Settings, "lab.toml")
    assert "edit lab.toml" in str(caught.value)


@pytest.mark.parametrize("name", read_settings(ROOT / "lab.toml").matrix)
def test_every_committed_matrix_has_cells_and_a_forecast_and_leaves_nothing_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lab = Lab(ROOT, silent, [])
    made = plan_of(lab, Ask(), name)

    assert made.cells
    assert made.left_out == ()
    assert list(matrix_lines(lab, Ask(), Words(name)))[-1].startswith("# about ")


def test_kernels_that_differ_have_different_ids() -> None:
    kernels = plan(
        series=("short", "long"), upto="all", kconfigs=("default", "kunit"), suites=("kunit", "kselftest futex")
    ).kernels

    assert len({kernel.id for kernel in kernels}) == len(set(kernels)) == len(kernels)


def test_a_plan_can_be_saved_and_read_back() -> None:
    made = replace(plan(series=("long",), upto="all", payloads=("any", "wide")), inputs={"a": "b"}, facts={"c": "d"})

    assert from_json(to_json(made), Plan) == made


NAMES = st.lists(st.sampled_from(["short", "long", "foundation"]), min_size=1, unique=True)
TABLES = st.builds(
    MatrixTable,
    series=NAMES.map(tuple),
    upto=st.sampled_from(["all", "whole", ("whole", 1)]),
    kconfigs=st.lists(st.sampled_from(["default", "debug", "kunit"]), min_size=1, unique=True).map(tuple),
    guests=st.sampled_from([(), ("many",), ("many", "two")]),
    payloads=st.sampled_from([("any",), ("any", "wide"), ("wide",)]),
)


@given(table=TABLES, data=st.data())
def test_shards_partition_the_plan_and_cells_of_one_kernel_stay_together(table: MatrixTable, data: st.DataObject) -> None:
    whole = expand("x", table, THERE)
    whole = replace(whole, inputs={kernel.id: kernel.id for kernel in whole.kernels})
    count = data.draw(st.integers(1, len(whole.groups)))
    parts = [shard(whole, number, count) for number in range(1, count + 1)]

    assert tuple(cell for part in parts for cell in part.cells) == whole.cells
    assert all(part.cells for part in parts)
    homes: dict[str, set[int]] = {}
    for number, part in enumerate(parts):
        for cell in part.cells:
            homes.setdefault(cell.patched.id, set()).add(number)
        assert set(part.inputs) == {kernel.id for kernel in part.kernels}
    assert all(len(numbers) == 1 for numbers in homes.values())
    assert max(len(part.groups) for part in parts) - min(len(part.groups) for part in parts) <= 1


def test_a_shard_that_would_be_empty_is_refused() -> None:
    with pytest.raises(UsageError, match="2 kernels to test, so many shards at most"):
        shard(plan(series=("short", "long"), payloads=("any",)), 1, 3)
    with pytest.raises(UsageError, match="numbered from 1 to 2"):
        shard(plan(series=("short", "long"), payloads=("any",)), 3, 2)


@pytest.mark.parametrize("text", ["", "1", "1/", "/2", "1/0", "a/b", "1/2/3", "-1/2"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--shard takes I/N"):
        parse_shard(text)
    assert parse_shard("2/3") == (2, 3)


def test_a_cell_of_a_payload_is_no_suite() -> None:
    (cell,) = plan().cells

    assert cell.suite is None
    assert isinstance(cell, Cell)
