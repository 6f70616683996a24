"""What a cell is called from its boots and rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import COSTLY, EQUAL, FEWER, MORE, WOBBLE

from lab.campaign.cellwork import Rows, cell_status, judged_again, word
from lab.model.judgement import Comparison
from lab.model.matrix import CellResult
from lab.model.outcome import Case, Status
from lab.model.run import JobResult, PayloadSpec, Role
from lab.model.suite import CaseRow, CaseVerdict


def test_a_regressed_test_fails_the_cell() -> None:
    rows = Rows(tests=(case_row(CaseVerdict.PASS), case_row(CaseVerdict.REGRESSED)))

    assert word(rows) == "REGRESSED"
    assert cell_status([Status.PASS], rows, any_more=False, strict=False) is Status.FAIL


def test_a_cell_judged_again_loses_what_was_held_against_it() -> None:
    sides: tuple[Role, Role] = ("baseline", "patched")
    plain = [JobResult(f"k.{role}", (), 0, "default", "plain", "kunit", role, 1, Status.PASS, 1.0) for role in sides]
    boots = [replace(boot, tests=(Case("list", Status.PASS),)) for boot in plain]
    suite = PayloadSpec("kunit", "KUnit suites", Path(), "hash", ("sh", "./run"), (), kind="kunit")
    ids = tuple(boot.id for boot in boots)
    cell = CellResult("c", "x", 1, 1, "default", "plain", "kunit", "base", "x", Status.FAIL, "BROKEN", "list: BROKEN", ids)

    again, rows = judged_again(cell, boots, suite, any_more=False, strict=False)

    assert (again.status, again.verdict, again.message) == (Status.PASS, "PASS", "")
    assert [row.verdict for row in rows.tests] == [CaseVerdict.PASS]


def case_row(verdict: CaseVerdict) -> CaseRow:
    return CaseRow("base", "x", "kunit", "default", "plain", "list", True, (Status.PASS,), (Status.PASS,), verdict)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((EQUAL,), "EQUAL"),
        ((EQUAL, FEWER), "FEWER"),
        ((EQUAL, FEWER, WOBBLE), "WOBBLE"),
        ((WOBBLE, MORE, EQUAL), "MORE"),
        ((), ""),
    ],
)
def test_the_word_of_a_cell_is_the_worst_of_its_rows(rows: tuple[Comparison, ...], said: str) -> None:
    assert word(Rows(rows)) == said


@pytest.mark.parametrize(
    ("jobs", "rows", "status"),
    [
        ((Status.PASS, Status.PASS), (EQUAL,), Status.PASS),
        ((Status.PASS, Status.PASS), (MORE,), Status.PASS),
        ((Status.PASS, Status.PASS), (COSTLY,), Status.FAIL),
        ((Status.PASS, Status.SKIP), (EQUAL,), Status.SKIP),
        ((Status.PASS, Status.MISS), (EQUAL,), Status.MISS),
        ((Status.MISS, Status.FAIL), (), Status.FAIL),
        ((Status.ERROR, Status.FAIL), (), Status.ERROR),
        ((), (EQUAL,), Status.ERROR),
    ],
)
def test_the_status_of_a_cell(jobs: tuple[Status, ...], rows: tuple[Comparison, ...], status: Status) -> None:
    assert cell_status(jobs, Rows(rows), any_more=False, strict=False) is status


def test_any_and_strict_are_held_against_it() -> None:
    assert cell_status([Status.PASS], Rows((MORE,)), any_more=True, strict=False) is Status.FAIL
    assert cell_status([Status.PASS], Rows((WOBBLE,)), any_more=False, strict=True) is Status.FAIL
    flaky = Rows(tests=(case_row(CaseVerdict.FLAKY), case_row(CaseVerdict.PASS)))
    assert cell_status([Status.PASS], flaky, any_more=False, strict=False) is Status.PASS
    assert cell_status([Status.PASS], flaky, any_more=False, strict=True) is Status.FAIL
