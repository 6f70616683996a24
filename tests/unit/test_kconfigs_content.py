"""The kconfigs that this repository carries."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.formats.dotconfig import parse_fragment
from lab.kernel.kconfig import find_kconfig, list_kconfigs, requested

ROOT = Path(__file__).parents[2]
KCONFIGS = ROOT / "kconfigs"
NAMES = list_kconfigs(KCONFIGS)


def lines_of(name: str) -> list[str]:
    return (KCONFIGS / f"{name}.config").read_text(encoding="ascii").splitlines()


def option(line: str) -> str:
    """The symbol that a line asks for or checks."""
    return line.removeprefix("#CHECK# ").removeprefix("CONFIG_").partition("=")[0]


def test_the_four_kconfigs_are_there() -> None:
    assert {"default", "debug", "distro", "full"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_and_includes_what_is_there(name: str) -> None:
    assert requested(find_kconfig(KCONFIGS, name)).requests


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_asked_for_twice(name: str) -> None:
    symbols = [option(line) for line in lines_of(name) if line.startswith(("CONFIG_", "#CHECK# "))]
    assert sorted(symbol for symbol in set(symbols) if symbols.count(symbol) > 1) == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "default"])
def test_it_does_not_take_back_what_it_includes(name: str) -> None:
    default = requested(find_kconfig(KCONFIGS, "default")).requests
    here = parse_fragment("\n".join(lines_of(name)), name)
    assert [symbol for symbol in here.checks if symbol in default] == []
    assert [symbol for symbol, value in here.requests.items() if default.get(symbol) == value] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_group_says_why_it_is_there(name: str) -> None:
    groups = [group.splitlines() for group in "\n".join(lines_of(name)).split("\n\n")]
    bare = [group[0] for group in groups if group and not (group[0].startswith("# ") or group[0].startswith("#INCLUDE#"))]
    assert bare == []
    assert all(group[1].startswith("# ") for group in groups if group[0].startswith("#INCLUDE#"))


def test_static_keys_are_patched_and_nothing_random_is_built_in() -> None:
    wanted = requested(find_kconfig(KCONFIGS, "default")).wanted
    assert (wanted["JUMP_LABEL"], wanted["MODULE_SIG"], wanted["RANDOMIZE_BASE"]) == ("y", "n", "n")
