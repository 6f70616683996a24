"""KTAP: what programs print, and what must not pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.formats.ktap import parse_ktap
from lab.model.outcome import Case, Status

GOOD = "KTAP version 1\n1..2\n# warm-up: 3 discarded\nok 1 first\nok 2 second\n"

NESTED = """KTAP version 1
1..2
  KTAP version 1
  # Subtest: lists
  1..2
  ok 1 add
  not ok 2 remove
not ok 1 lists
  KTAP version 1
  1..1
  ok 1 fast # SKIP too slow here
ok 2 timing
"""

KSELFTEST = """TAP version 13
1..3
# selftests: net: bind
ok 1 selftests: net: bind
ok 2 selftests: net: tls # SKIP
not ok 3 selftests: net: mptcp # TIMEOUT 45 seconds
"""

CRASHED = "KTAP version 1\n1..3\nok 1 first\n# starting second\n"


def statuses(text: str) -> list[Status]:
    return [case.status for case in parse_ktap(text).cases]


def passes(text: str) -> bool:
    """Whether anything that reads this would call it a pass."""
    said = parse_ktap(text)
    return not said.problems and bool(said.cases) and all(case.status is Status.PASS for case in said.cases)


def test_a_whole_output_passes() -> None:
    said = parse_ktap(GOOD)

    assert said.cases == (Case("first", Status.PASS), Case("second", Status.PASS))
    assert said.diagnostics == ("warm-up: 3 discarded",)
    assert said.problems == ()


def test_subtests_are_named_by_their_parent() -> None:
    said = parse_ktap(NESTED)

    assert [(case.name, case.status) for case in said.cases] == [
        ("lists/add", Status.PASS),
        ("lists/remove", Status.FAIL),
        ("lists", Status.FAIL),
        ("timing/fast", Status.SKIP),
    ]
    assert said.problems == ()


def test_kselftest_directives() -> None:
    assert statuses(KSELFTEST) == [Status.PASS, Status.SKIP, Status.FAIL]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("ok 1 a # SKIP no such device", Status.SKIP),
        ("not ok 1 a # SKIP no such device", Status.SKIP),
        ("not ok 1 a # XFAIL known", Status.SKIP),
        ("ok 1 a # ERROR could not start", Status.FAIL),
        ("ok 1 a # TIMEOUT", Status.FAIL),
        ("ok 1 a # the rest is its detail", Status.PASS),
        ("not ok 1 - a", Status.FAIL),
    ],
)
def test_directives(line: str, status: Status) -> None:
    assert statuses(f"KTAP version 1\n1..1\n{line}\n") == [status]


@pytest.mark.parametrize(
    ("line", "name", "detail"),
    [
        ("not ok 1 net.eth1 # asked 8 queue pairs, found 4", "net.eth1", "asked 8 queue pairs, found 4"),
        ("ok 1 selftests: net: tls # exit=0", "selftests: net: tls", "exit=0"),
        ("ok 1 - a # asked # found", "a", "asked # found"),
        ("ok 1 issue #3", "issue #3", ""),
        ("ok 1 # 3", "# 3", ""),
        ("ok 1 a #", "a #", ""),
    ],
)
def test_what_stands_behind_a_result_is_its_detail(line: str, name: str, detail: str) -> None:
    (case,) = parse_ktap(f"KTAP version 1\n1..1\n{line}\n").cases

    assert (case.name, case.detail) == (name, detail)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no KTAP output"),
        ("Segmentation fault\n", "no KTAP output"),
        ("KTAP version 1\n", "no plan"),
        ("KTAP version 1\n1..0\n", ""),
        ("KTAP version 1\nok 1 a\n", "no plan"),
        (CRASHED, "planned 3 results and gave 1"),
        ("KTAP version 1\n1..1\nok 1 a\nok 2 b\n", "planned 1 results and gave 2"),
        ("KTAP version 1\n1..2\nok 1 a\nok 3 b\n", "is number 2"),
        ("KTAP version 1\n1..1\nok 1 a", "cut off"),
        ("KTAP version 1\n1..1\n1..1\nok 1 a\n", "a second plan"),
        ("1..1\nok 1 a\n", "no KTAP header"),
        ("KTAP version 1\n1..1\nok 1 a\nBail out! no memory\n", "Bail out! no memory"),
        (GOOD + GOOD, "a second KTAP header"),
        ("KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n  ok 1 a\nok 1 b\n", "a subtest planned 2 results and gave 1"),
        ("KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  ok 1 a\n", "ends inside a subtest"),
    ],
)
def test_what_must_not_pass(text: str, problem: str) -> None:
    said = parse_ktap(text)

    assert not passes(text)
    assert problem in "; ".join(said.problems)


def test_no_tests_on_purpose_is_a_skip() -> None:
    assert parse_ktap("TAP version 13\n1..0 # SKIP needs root\n").cases == (Case("plan", Status.SKIP, "needs root"),)


@pytest.mark.parametrize("text", [GOOD, NESTED.replace("not ok", "ok").replace(" # SKIP too slow here", "")])
def test_truncation_at_any_byte_never_passes(text: str) -> None:
    assert passes(text)
    assert not [cut for cut in range(len(text)) if passes(text[:cut])]


@given(st.text())
def test_any_text_is_parsed_and_only_a_plan_that_was_kept_passes(text: str) -> None:
    assert not passes(text) or "ok" in text


@pytest.mark.parametrize("dropped", range(len(GOOD.splitlines())))
def test_a_dropped_line_never_passes(dropped: int) -> None:
    lines = GOOD.splitlines(keepends=True)
    rest = "".join(line for number, line in enumerate(lines) if number != dropped)

    assert lines[dropped].startswith("#") or not passes(rest)


PARAMETERS = "KTAP version 1\n1..1\n    KTAP version 1\n    ok 1 four\n    ok 2 eight\nok 1 sizes\n"


def test_the_kernels_own_tests_may_have_parameters_without_a_plan() -> None:
    ours, kernels = parse_ktap(PARAMETERS), parse_ktap(PARAMETERS, kernels_own=True)

    assert ours.problems == ("a subtest has no plan",)
    assert kernels.problems == ()
    assert [case.name for case in kernels.cases] == ["sizes/four", "sizes/eight", "sizes"]
    assert parse_ktap("KTAP version 1\nok 1 a\n", kernels_own=True).problems == ("the program has no plan",)
