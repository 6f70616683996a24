"""The tree's self-tests and unit tests on real kernels: good on a good series, held against a bad one."""

from __future__ import annotations

import pytest
from conftest import Line, inv

SEQPACKET = "pidfd:pidfd_getfd_test"
"""It sends records over SOCK_SEQPACKET, which busted/warns-under-payload complains of."""


def verdicts(line: Line) -> dict[str, str]:
    """Verdict of every program or suite."""
    return {row["test"]: row["verdict"] for row in line.results["tests"] if row["whole"]}


def test_self_tests_pass_on_a_series_that_changes_nothing() -> None:
    line = inv("kselftest", SEQPACKET, "--series", "null")

    assert line.code == 0, line.text[-3000:]
    assert verdicts(line) == {SEQPACKET: "PASS"}
    assert {row["verdict"] for row in line.results["tests"]} == {"PASS"}


def test_a_warning_of_the_kernel_in_a_test_that_passes_is_held_against_the_series() -> None:
    line = inv("kselftest", SEQPACKET, "--series", "busted/warns-under-payload")

    assert line.code == 1, line.text[-3000:]
    assert verdicts(line) == {SEQPACKET: "REGRESSED"}
    (row,) = (row for row in line.results["tests"] if row["whole"])
    assert (row["base"], row["patched"]) == (["PASS", "PASS"], ["FAIL", "FAIL"])
    assert "kernel log: WARNING: CPU" in row["note"]


def test_what_the_trees_do_not_have_is_a_usage_error() -> None:
    line = inv("kselftest", "pidfd:moon", "--series", "null")

    assert (line.code, "there is no self-test pidfd:moon in either tree" in line.text) == (2, True)


@pytest.mark.full
def test_unit_tests_pass_on_a_series_that_changes_nothing() -> None:
    line = inv("kunit", "--suite", "list*", "--series", "null")

    assert line.code == 0, line.text[-3000:]
    assert verdicts(line) == {"list_sort": "PASS", "list-kunit-test": "PASS"}
