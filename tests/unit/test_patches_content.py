"""The patches and series.toml files that this repository carries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from unidiff.patch import PatchSet

from lab.campaign.settings import read_settings
from lab.kernel.kconfig import list_kconfigs
from lab.kernel.series import combine, find_series, list_series, read_notes, stack

ROOT = Path(__file__).parents[2]
PATCHES = ROOT / "patches"
NAMES = list_series(PATCHES)
FILES = sorted(PATCHES.rglob("*.patch"))
CONTROLS = ("null", "null-layout")


def named(path: Path) -> str:
    return str(path.relative_to(PATCHES))


def test_every_directory_of_patches_is_a_series() -> None:
    assert {str(path.parent.relative_to(PATCHES)) for path in FILES} == set(NAMES)
    assert {"reserve", *CONTROLS} < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_notes_have_known_keys_and_say_what_to_expect(name: str) -> None:
    series = find_series(PATCHES, name)
    assert (series.directory / "series.toml").is_file()
    notes = read_notes(series.directory)
    assert notes.summary
    assert notes.summary[-1] != "."
    assert set(notes.kconfigs) <= set(list_kconfigs(ROOT / "kconfigs"))
    assert all((ROOT / "payloads" / payload / "payload.toml").is_file() for payload in notes.payloads)
    assert notes.expect is not None
    assert notes.expect.text
    assert all(reason.strip() for reason in notes.checkpatch_exceptions.values())


@pytest.mark.parametrize("name", NAMES)
def test_requirements_exist_and_end(name: str) -> None:
    assert stack(PATCHES, find_series(PATCHES, name))[-1].name == name


def test_the_total_order_has_every_series_but_the_controls() -> None:
    order = read_settings(ROOT / "lab.toml").order.series
    assert set(order) == {name for name in NAMES if name not in CONTROLS and "/" not in name}
    assert tuple(series.name for series in combine(PATCHES, "+".join(order), order)[1]) == order


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("busted/")])
def test_a_busted_series_is_small_and_never_passes(name: str) -> None:
    series = find_series(PATCHES, name)
    expect = read_notes(series.directory).expect
    assert expect is not None
    assert expect.stage != "pass"
    assert [file.endswith(".c") for patch in series.patches for file in patch.files] == [True]
    assert series.requires == ()


@pytest.mark.parametrize("name", CONTROLS)
def test_a_null_series_is_one_patch_that_passes(name: str) -> None:
    series = find_series(PATCHES, name)
    expect = read_notes(series.directory).expect
    assert expect is not None
    assert (expect.stage, expect.text, len(series.patches)) == ("pass", "EQUAL", 1)


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_patch_file_is_as_format_patch_writes_it_and_signed_by_nobody(path: Path) -> None:
    text = path.read_text(encoding="ascii")
    assert re.match(
        r"From 0{40} Mon Sep 17 00:00:00 2001\nFrom: Kernel Lab <lab@localhost>\nDate: [^\n]+ 2025 .*\nSubject: \[PATCH", text
    )
    assert not re.search(r"^[A-Za-z]+-by:", text, re.MULTILINE)
    assert "\n-- \n" not in text
    assert max(map(len, text.partition("\ndiff --git")[0].splitlines())) <= 80
    if not path.name.startswith("0000-"):
        assert len(PatchSet(text)) > 0


@pytest.mark.parametrize("name", NAMES)
def test_numbers_have_no_gaps_and_subjects_count_them(name: str) -> None:
    directory = find_series(PATCHES, name).directory
    numbers = [int(path.name[:4]) for path in sorted(directory.glob("*.patch")) if not path.name.startswith("0000-")]
    assert numbers == list(range(1, len(numbers) + 1))
    subjects = [
        re.search(r"^Subject: \[PATCH(?: (\d+)/(\d+))?\]", path.read_text(), re.MULTILINE) for path in directory.glob("*.patch")
    ]
    assert {subject[2] for subject in subjects if subject} in ({None}, {str(len(numbers))})


def test_the_readme_names_every_series() -> None:
    text = (PATCHES / "README.md").read_text()
    assert [name for name in NAMES if f"`{name.removeprefix('busted/')}`" not in text] == []


def test_the_list_of_private_numbers_has_no_number_twice() -> None:
    (path,) = (PATCHES / "reserve").glob("0001-*.patch")
    lines = [line[4:] for line in path.read_text().splitlines() if line.startswith("+ * ")]
    taken = [line.split("  ")[1].strip() for line in lines if line.startswith("  ") and not line.startswith("   ")]
    numbers = [number for number in taken if number[:1].isdigit()]
    assert len(numbers) == len(set(numbers)) > 10
