from __future__ import annotations

from dataclasses import replace

from report_samples import COSTLY, EQUAL, FEWER, MORE, WOBBLE, build, failing, job, results

from lab.model.outcome import Finding, Status
from lab.report.markdown import cover_text

ALL = results(comparisons=(EQUAL, FEWER, WOBBLE, MORE, COSTLY))


def test_it_fits_a_mail() -> None:
    assert max(len(line) for line in cover_text(ALL).splitlines()) <= 75


def test_it_says_on_what() -> None:
    text = cover_text(ALL)

    for fact in (
        ALL.command,
        ALL.source,
        "6.12.117-virtme",
        "`4b825dc642cb`",
        "`CONFIG_AGENT_LOCAL=y`",
        "QEMU 7.2.22",
        "exact mode",
        ALL.run,
    ):
        assert fact in text


def test_costs_stand_first_in_the_table_and_in_a_sentence() -> None:
    lines = cover_text(ALL).splitlines()
    table = [line.split("|")[0].strip() for line in lines if " | " in line][2:]

    assert table[:2] == [MORE.metric, COSTLY.metric]
    assert set(table) == {row.metric for row in ALL.comparisons}
    assert "Costs: 2 of 5 rows; the largest is +1,964.5 instructions, pipe/64/median." in lines


def test_no_costs_is_said_of_a_number_of_rows() -> None:
    assert "Costs: none found in 1 rows." in cover_text(results(comparisons=(EQUAL,)))


def test_what_did_not_pass_is_not_hidden() -> None:
    flaky = replace(job(), attempts=2)

    assert "FAIL (2 of 3 boots)" in cover_text(failing())
    assert "flaky" in cover_text(results(jobs=(flaky,)))
    finding = Finding("build", "mm/slub.c:1: error: no", "f")
    broken = cover_text(results(builds=(build("patched", Status.FAIL, (finding,)),), status=Status.FAIL))
    assert "mm/slub.c:1: error: no" in broken


def test_text_of_a_guest_is_not_markup() -> None:
    nasty = replace(EQUAL, metric="a|b<script>\x1b[2J")

    text = cover_text(results(comparisons=(nasty,)))

    assert "a\\|b&lt;script>\\x1b[2J" in text


def test_nothing_ran() -> None:
    assert "nothing ran" in cover_text(results(builds=(), jobs=(), comparisons=(), status=Status.ERROR, exit=3))
