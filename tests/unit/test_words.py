from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import COSTLY, EQUAL, FEWER, MORE, WOBBLE, failing, job, results

from lab.model.judgement import Spread, Verdict, fails
from lab.model.outcome import Case, Status
from lab.report import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (-0.0001, "0"),
        (14833, "14,833"),
        (12000.5, "12,000.5"),
        (1 / 3, "0.333"),
        (100, "100"),
        (1e6, "1,000,000"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert words.number(value) == text


def test_signed_and_ratio() -> None:
    assert [words.signed(value) for value in (2, -2.5, 0)] == ["+2", "-2.5", "0"]
    assert words.ratio(1 + 1e-6) == "1.000001"
    assert words.ratio(None) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0.40 s"), (31.44, "31.4 s"), (537, "8 min 57 s"), (59.96, "60.0 s"), (3600, "60 min 00 s")]
)
def test_duration(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@given(st.text(st.characters(codec=None)))
def test_printable_text_has_no_controls(text: str) -> None:
    assert all(char.isprintable() or char == "\t" for char in words.printable(text))


def test_blocks_keep_sides_apart() -> None:
    other = replace(EQUAL, b="null:1")

    assert [block.b for block in words.blocks(results(comparisons=(EQUAL, other, MORE)))] == [
        "busted/one-instruction:1",
        "null:1",
    ]


def test_a_row_names_its_unit_where_units_differ() -> None:
    (block,) = words.blocks(results(comparisons=(EQUAL, replace(MORE, unit="syscalls"))))

    assert [block.label(row) for row in block.rows] == ["unix_dgram/64/median (instructions)", "unix_stream/64/median (syscalls)"]


def test_costs_come_first() -> None:
    assert [row.verdict for row in words.loud((EQUAL, FEWER, WOBBLE, COSTLY))] == ["MORE", "WOBBLE", "FEWER"]


def test_equal_rows_of_several_values_are_shown_by_boot() -> None:
    base, patched = Spread(24163.0, 2, (24163.0, 24190.0)), Spread(24190.0, 2, (24190.0, 24163.0))
    several = replace(EQUAL, base=base, patched=patched, delta=27.0, note="the same values on both sides, but several")

    assert words.loud((EQUAL, several, WOBBLE)) == [WOBBLE, several]


def test_what_jobs_disagree_on_is_not_said_of_the_block() -> None:
    mixed = (job(), replace(job(2), env={"mode": "counts"}))
    (block,) = words.blocks(results(jobs=mixed))

    assert "mode" not in words.environment(results(jobs=mixed), block.cell)


def test_sentence() -> None:
    assert words.sentence(results(comparisons=(EQUAL,))) == "PASS: all 1 row EQUAL to the instruction"
    assert words.sentence(results(comparisons=())) == "PASS: 4 boots good, nothing was compared"
    assert "1 boot skipped" in words.sentence(results(jobs=(job(), job(2, status=Status.SKIP))))
    assert (
        words.sentence(results(exit=130, status=Status.MISS))
        == "MISS: interrupted after 4 boots; what was finished is kept (exit 130)"
    )
    assert words.sentence(failing()).endswith("kernel panic 1.9 s after power-on (exit 1)")


@pytest.mark.parametrize(
    ("verdict", "material", "plain", "any_more", "strict"),
    [
        (Verdict.EQUAL, False, False, False, False),
        (Verdict.MORE, True, True, True, True),
        (Verdict.MORE, False, False, True, False),
        (Verdict.FEWER, True, False, False, False),
        (Verdict.WOBBLE, True, False, False, True),
        (Verdict.INCONCLUSIVE, False, False, False, True),
        (Verdict.REGRESSED, True, True, True, True),
        (Verdict.IMPROVED, True, False, False, False),
    ],
)
def test_what_fails_a_run(verdict: Verdict, *, material: bool, plain: bool, any_more: bool, strict: bool) -> None:
    row = replace(EQUAL, verdict=verdict, material=material)

    assert (fails(row), fails(row, any_more=True), fails(row, strict=True)) == (plain, any_more, strict)


def test_asked_and_found_are_told_apart_however_they_are_joined() -> None:
    cases = (
        Case("guest.cpus", Status.PASS, "asked 4, found 4"),
        Case("peer.guest.net.eth1", Status.PASS, "asked 8 queue pairs; found 8, each with traffic"),
        Case("guest.ktap", Status.FAIL, "no KTAP output"),
    )

    assert words.asked_and_found(replace(job(payload=""), cases=cases)) == [
        ("cpus", "4", "4"),
        ("peer.net.eth1", "8 queue pairs", "8, each with traffic"),
        ("ktap", "no KTAP output", ""),
    ]
