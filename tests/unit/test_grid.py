"""A matrix at a glance, in words or symbols, and what stands below it."""

from __future__ import annotations

from dataclasses import replace

import report_samples
from junitparser import JUnitXml

from lab.model.matrix import CellResult, LeftOut
from lab.model.outcome import Status
from lab.model.run import Results
from lab.report.grid import grid_lines, mark, told_lines
from lab.report.junit import junit_text
from lab.report.markdown import cover_text
from lab.report.words import SYMBOLS, sentence

LEFT = (LeftOut("wide on guest one, kconfig default", "it runs on guest many, not on one"),)


def cell(
    series: str = "null",
    kconfig: str = "default",
    status: Status = Status.PASS,
    verdict: str = "EQUAL",
    upto: int = 1,
    **more: object,
) -> CellResult:
    made = CellResult(
        id=f"pingpong.{series}.k{upto:02}.{kconfig}.single", series=series, upto=upto, patches=3 if series == "long" else 1,
        kconfig=kconfig, guest="single", payload="pingpong", a="base", b=series, status=status, verdict=verdict,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]  # names of CellResult's fields


CELLS = (
    cell(),
    cell(kconfig="debug"),
    cell("long", upto=2, verdict="MORE", message="futex.64: 100 -> 103 insn"),
    cell("long", upto=3, status=Status.FAIL, verdict="MORE", message="futex.64: 100 -> 200 insn"),
    cell("long", "debug", Status.FAIL, "", 3, message="the kernel does not build"),
)


def test_rows_are_series_and_columns_are_places() -> None:
    assert grid_lines(CELLS, 80) == [
        "          default      debug",
        "          single       single",
        "          pingpong     pingpong",
        "null      = EQUAL      = EQUAL",
        "long[:2]  + MORE",
        "long      X FAIL MORE  X FAIL",
    ]


def test_a_narrow_page_has_symbols_and_says_what_they_mean() -> None:
    lines = grid_lines(CELLS, 30)

    assert lines[3:6] == ["null      =         =", "long[:2]  +", "long      X         X"]
    assert lines[-1] == "= EQUAL, + MORE, X FAIL"
    assert max(map(len, lines)) <= 30


def test_a_page_that_is_narrower_still_has_one_grid_below_the_other() -> None:
    lines = grid_lines(CELLS, 20)

    assert [line for line in lines if line.startswith("null")] == ["null      =", "null      ="]
    assert sum("pingpong" in line for line in lines) == 2


def test_a_suite_of_many_tests_has_a_short_head() -> None:
    many = [cell(payload="kselftest net:tls,net:tun,net:tap,net:reuseport_bpf"), cell(payload="kselftest futex")]

    assert grid_lines(many, 80)[2] == "      kselftest net:tls and 3 more  kselftest futex"


def test_no_cells_are_no_grid() -> None:
    assert grid_lines((), 80) == []


def test_every_word_of_a_cell_has_a_symbol() -> None:
    assert {mark(one).split()[0] for one in CELLS} <= set(SYMBOLS)
    assert {str(status) for status in Status} <= set(SYMBOLS)


def test_what_is_no_plain_pass_and_what_was_left_out_has_a_line() -> None:
    assert list(told_lines(CELLS, LEFT)) == [
        "MORE pingpong.long.k02.default.single: futex.64: 100 -> 103 insn",
        "FAIL MORE pingpong.long.k03.default.single: futex.64: 100 -> 200 insn",
        "FAIL pingpong.long.k03.debug.single: the kernel does not build",
        "left out: wide on guest one, kconfig default: it runs on guest many, not on one",
    ]


def results(*cells: CellResult) -> Results:
    return report_samples.results(cells=cells, left_out=LEFT, status=Status.FAIL, exit=1)


def test_the_sentence_counts_cells() -> None:
    assert sentence(results(*CELLS)) == (
        "FAIL: of 5 cells 3 PASS, 2 FAIL; the first: pingpong.long.k03.default.single: futex.64: 100 -> 200 insn; "
        "1 combination left out (exit 1)"
    )


def test_the_summary_holds_the_grid() -> None:
    text = cover_text(results(*CELLS))

    assert "    long      X FAIL MORE  X FAIL\n" in text
    assert "left out: wide on guest one" in text.replace("\n  ", " ")


def test_junit_has_a_suite_per_cell_that_is_never_greener_than_the_cell() -> None:
    jobs = tuple(job.id for job in report_samples.results().jobs)
    mine = cell("busted/one-instruction", a="source", b="busted/one-instruction:1", jobs=jobs)
    suites = {suite.name: suite for suite in JUnitXml.fromstring(junit_text(results(mine, *CELLS[2:])).encode())}

    assert next(case.name for case in suites[mine.id]) == "cell"
    assert suites[mine.id].tests == 1 + 4 + 4 + 2  # the cell, its boots with a case each, its rows
    assert (suites[mine.id].failures, suites[mine.id].errors) == (0, 0)
    assert {case.classname for case in suites[mine.id]} == {mine.id}
    assert suites[CELLS[3].id].failures == 1
    assert "pingpong.default.single" not in suites


def test_a_skipped_cell_and_a_lost_one_are_not_green() -> None:
    cells = (
        cell("a", status=Status.SKIP, message="the kernel lacks X"),
        cell("b", status=Status.MISS),
        cell("c", status=Status.ERROR),
    )
    suites = {suite.name: suite for suite in JUnitXml.fromstring(junit_text(results(*cells)).encode())}

    assert [(suites[one.id].skipped, suites[one.id].errors) for one in cells] == [(1, 0), (0, 1), (0, 1)]
