"""The kernel's own tests in every report: what is shown, what is left out, and what is red."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from junitparser import Failure, JUnitXml, Skipped
from report_samples import job, results

from lab.campaign.history import History
from lab.campaign.ledger import Ledger
from lab.campaign.rundir import new_run
from lab.model.outcome import Finding, Status
from lab.model.run import Results
from lab.model.suite import CaseRow, CaseVerdict
from lab.report.junit import junit_text
from lab.report.markdown import cover_text
from lab.report.suites import MOST_CASES, MOST_FAILS
from lab.report.terminal import Terminal
from lab.report.words import sentence

PASS, FAIL, SKIP = Status.PASS, Status.FAIL, Status.SKIP


def row(
    test: str,
    verdict: CaseVerdict,
    base: tuple[Status, ...] = (PASS,),
    patched: tuple[Status, ...] = (PASS,),
    note: str = "",
) -> CaseRow:
    return CaseRow("base", "series", "kselftest", "default", "debian", test, ": " not in test, base, patched, verdict, note)


GOOD = (row("net:tun", CaseVerdict.PASS), row("net:tun: attach", CaseVerdict.PASS), row("net:tun: read", CaseVerdict.PASS))
BAD = row("net:tls", CaseVerdict.REGRESSED, (PASS,), (FAIL, FAIL), "exit=1, not ok: send")
UNHELD = (
    row("net:gro", CaseVerdict.FAILS, (FAIL,), (FAIL,), "exit=1"),
    row("net:tap", CaseVerdict.FLAKY, (PASS,), (FAIL, PASS)),
    row("net:new", CaseVerdict.NEW, ()),
)


def of(*tests: CaseRow, **changes: object) -> Results:
    return replace(results(comparisons=(), **changes), tests=tests)


def shown(what: Results) -> str:
    out = io.StringIO()
    Terminal(stdout=out, stderr=io.StringIO(), plain=True).print_results(what, "reports/x")
    return out.getvalue()


def lines(text: str, word: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.split()[:1] == [word]]


def test_a_table_has_a_line_a_program_and_counts_its_results() -> None:
    text = shown(of(*GOOD, BAD, *UNHELD))

    assert "kselftest: baseline = base, patched = series, kconfig default, guest debian" in text
    assert lines(text, "net:tun") == ["net:tun PASS 2/2 PASS 2/2 PASS"]
    assert lines(text, "net:tls") == ["net:tls PASS FAIL REGRESSED"]
    assert lines(text, "net:tap") == ["net:tap PASS FAIL/PASS FLAKY"]
    assert lines(text, "net:new") == ["net:new - PASS NEW"]
    assert "net:tls: REGRESSED: exit=1, not ok: send" in text
    assert "attach" not in text


def test_results_that_differ_are_shown_below_their_program_and_no_flood() -> None:
    cases = [row(f"net:tls: case {n}", CaseVerdict.REGRESSED, (PASS,), (FAIL,)) for n in range(MOST_CASES + 7)]
    text = shown(of(BAD, *cases))

    assert text.count("  case ") == MOST_CASES
    assert "net:tls: 7 more results that are no plain pass; see results.json" in text


def test_results_that_say_the_same_have_one_note() -> None:
    cases = [row(f"net:tls: case {n}", CaseVerdict.REGRESSED, (PASS,), (), "gone") for n in range(3)]
    other = row("net:tls: other", CaseVerdict.REGRESSED, (PASS,), (FAIL,), "boom")
    text = shown(of(BAD, *cases, other))

    assert "net:tls: 3 results: REGRESSED: gone" in text
    assert "net:tls: other: REGRESSED: boom" in text


def test_a_few_results_that_fail_on_both_sides_are_enough() -> None:
    cases = [row(f"net:gro: case {n}", CaseVerdict.FAILS, (FAIL,), (FAIL,)) for n in range(MOST_FAILS + 2)]

    assert shown(of(*UNHELD, *cases)).count("  case ") == MOST_FAILS


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        (GOOD, "of 1 test (2 cases) 1 PASS; none held against it"),
        ((*GOOD, BAD), "1 held against the series, the first: net:tls: passed on the baseline; exit=1, not ok: send"),
        (UNHELD[:1], "none of 1 test passed on either side, so nothing was tested"),
    ],
)
def test_the_sentence(tests: tuple[CaseRow, ...], said: str) -> None:
    assert said in sentence(of(*tests))


def test_a_bench_in_the_same_line_is_told_too() -> None:
    said = sentence(replace(results(), tests=GOOD))

    assert "EQUAL" in said
    assert "of 1 test (2 cases) 1 PASS" in said


def test_the_stack_of_a_new_complaint_is_shown_and_an_old_ones_is_not() -> None:
    def found(title: str) -> Finding:
        return Finding("warn", title, title, (f" in {title}+0x1/0x2 (net/dev.c:1)",), fatal=False, during="net:tls")

    known = replace(job(1, "baseline", payload="kselftest"), findings=(found("old_one"),))
    fresh = replace(job(1, "patched", payload="kselftest"), findings=(found("old_one"), found("new_one")))
    what = of(*GOOD, BAD, jobs=(known, fresh))

    for text in (shown(what), junit_text(what)):
        assert "net:tls: warn: new_one" in text
        assert "in new_one+0x1/0x2 (net/dev.c:1)" in text
        assert "old_one" not in text


def test_a_cover_letter_holds_the_table() -> None:
    text = cover_text(of(*GOOD, BAD))

    assert "### kselftest" in text
    assert [line.split() for line in text.splitlines() if line.startswith("net:tls ")] == [
        ["net:tls", "|", "PASS", "|", "FAIL", "|", "REGRESSED"]
    ]
    assert all(len(line) <= 75 for line in text.splitlines())


@pytest.mark.parametrize(("strict", "flaky"), [(False, Skipped), (True, Failure)])
def test_junit_fails_what_is_held_and_skips_what_is_neither(strict: bool, flaky: type) -> None:
    read = JUnitXml.fromstring(junit_text(of(*GOOD, BAD, *UNHELD, strict=strict)).encode())
    cases = {case.name: case.result for suite in read for case in suite if case.name.startswith("series against base: ")}
    kinds = {name.removeprefix("series against base: "): [type(one) for one in result] for name, result in cases.items()}

    assert kinds == {
        "net:tun": [],
        "net:tun: attach": [],
        "net:tun: read": [],
        "net:tls": [Failure],
        "net:gro": [Skipped],
        "net:tap": [flaky],
        "net:new": [],
    }


@pytest.mark.parametrize(
    ("tests", "strict", "status", "code"),
    [
        (GOOD, False, PASS, 0),
        ((*GOOD, *UNHELD), False, PASS, 0),
        ((*GOOD, *UNHELD), True, FAIL, 1),
        ((*GOOD, BAD), False, FAIL, 1),
        ((row("net:x", CaseVerdict.BROKEN, (), (FAIL,)),), False, FAIL, 1),
        ((row("net:x", CaseVerdict.UNKNOWN, (FAIL,), (Status.MISS,)), *GOOD), False, FAIL, 1),
        (UNHELD[:1], False, Status.ERROR, 3),
        ((row("net:x", CaseVerdict.SKIPPED, (SKIP,), (SKIP,)),), False, Status.ERROR, 3),
    ],
)
def test_what_a_run_makes_of_them(tmp_path: Path, tests: tuple[CaseRow, ...], *, strict: bool, status: Status, code: int) -> None:
    ledger = Ledger(new_run(tmp_path / "reports"), "./inv kselftest net", History(tmp_path / "history.json"))
    ledger.tests += tests
    ledger.strict = strict
    closed = ledger.close()

    assert (closed.status, closed.exit, closed.tests) == (status, code, tests)
