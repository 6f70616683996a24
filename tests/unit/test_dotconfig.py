from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.formats.dotconfig import (
    DotconfigError,
    Fragment,
    Lost,
    delta,
    line_of,
    lost,
    merge,
    parse_dotconfig,
    parse_fragment,
    parse_option,
)

FRAGMENT = """# The machine.
CONFIG_SMP=y
CONFIG_NR_CPUS=64
CONFIG_CMDLINE="quiet # not a comment"
# CONFIG_MODULES is not set

#INCLUDE# default
#BASE# x86_64_defconfig
#CHECK# CONFIG_NET=y
# CHECK # CONFIG_DEBUG=n
"""


def test_a_fragment_asks_and_checks() -> None:
    fragment = parse_fragment(FRAGMENT, "x.config")

    assert fragment.requests == {"SMP": "y", "NR_CPUS": "64", "CMDLINE": '"quiet # not a comment"', "MODULES": "n"}
    assert fragment.checks == {"NET": "y", "DEBUG": "n"}
    assert (fragment.includes, fragment.base) == (("default",), "x86_64_defconfig")
    assert parse_dotconfig(fragment.text()) == fragment.requests


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("CONFIG_SMP=yes", "x.config:2: `CONFIG_SMP=yes` is no option"),
        ("CONFIG_SMP = y", "is no option"),
        ("SMP=y", "is no option"),
        ("CONFIG_NET=y # why", "is no option"),
        ("#CHECK# SMP", "is no option"),
        ("#BASE# randconfig", "unknown base `randconfig`; allowed: allnoconfig"),
        ("CONFIG_NET=n", "contradicts"),
    ],
)
def test_bad_lines_are_named(line: str, words: str) -> None:
    with pytest.raises(DotconfigError, match=words):
        parse_fragment(f"CONFIG_NET=y\n{line}\n", "x.config")


def test_a_fragment_may_not_check_against_itself() -> None:
    with pytest.raises(DotconfigError, match="CONFIG_NET is set to one value and checked for another"):
        parse_fragment("CONFIG_NET=y\n#CHECK# CONFIG_NET=n\n", "x.config")


def test_later_fragments_win_over_requests_and_checks() -> None:
    first = Fragment({"A": "y", "B": "y"}, {"C": "y"}, base="alldefconfig")
    second = Fragment({"A": "n", "C": "m"}, {"B": "n"})

    merged = merge([first, second])

    assert merged.wanted == {"A": "n", "C": "m", "B": "n"}
    assert merged.base == "alldefconfig"
    assert merge([Fragment()]).base == "allnoconfig"


def test_every_lost_option_is_named_with_what_it_got() -> None:
    fragment = Fragment({"A": "y", "B": "64", "C": "n", "E": "y"}, {"D": "m"})

    assert lost(fragment, {"A": "m", "B": "0x40", "D": "y", "E": "y"}) == (Lost("A", "y", "m"), Lost("D", "m", "y"))
    assert lost(Fragment({"A": "y"}), {}) == (Lost("A", "y", "n"),)
    assert lost(Fragment({"C": "n"}), {"C": "y"}) == (Lost("C", "n", "y"),)


def test_delta_shows_both_directions() -> None:
    assert delta({"A": "y", "B": "1", "C": "y"}, {"B": "2", "C": "y", "D": "n"}) == ("# CONFIG_A is not set", "CONFIG_B=2")


@pytest.mark.parametrize("option", ["", "CONFIG_=y", "CONFIG_X", "CONFIG_X=", 'CONFIG_X="a" b', "CONFIG_X=y=y"])
def test_what_is_no_option(option: str) -> None:
    with pytest.raises(DotconfigError):
        parse_option(option)


@given(
    st.dictionaries(
        st.from_regex(r"\A[A-Z][A-Z0-9_]{0,8}\Z"), st.sampled_from(["y", "m", "n", "12", "-3", "0x1f", '""', '"a b"'])
    )
)
def test_what_is_written_is_read_back(values: dict[str, str]) -> None:
    text = "".join(f"{line_of(symbol, value)}\n" for symbol, value in values.items())

    assert parse_dotconfig(text) == values
    assert parse_fragment(text, "x").requests == values
