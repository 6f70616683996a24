"""One kernel over many boots, as every face shows it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from report_samples import job, results

from lab.campaign.history import History
from lab.campaign.ledger import Ledger
from lab.campaign.rundir import new_run
from lab.model.judgement import Verdict
from lab.model.outcome import Status
from lab.model.profile import Explanation, FunctionCost, Happened
from lab.model.run import Results
from lab.model.steady import Steadiness
from lab.model.wire import from_json, to_json
from lab.report import steady, words
from lab.report.junit import junit_text
from lab.report.markdown import cover_text
from lab.report.schema import schema_text
from lab.report.terminal import Terminal

CAUSE = Explanation(
    a="pingpong.null.x01", b="pingpong.null.x02", payload="pingpong", kconfig="default", guest="single", metric="tcp.4096",
    operations=(200, 200), typical=True, base=23579.0, patched=23581.0, mean=Happened("mean", 1.0, 1.0), bracket=2,
    functions=(FunctionCost("tcp_ack_update_rtt", "TCP", 40.0, 42.0, 2.0),), others=9, largest=0.0, layers=(), beside=(),
    interrupts=(), events=(),
)  # fmt: skip
SAME = Steadiness(
    kernel="null", payload="pingpong", kconfig="default", guest="single", metric="pipe.64", unit="insn", boots=3,
    values=(10503.0,) * 3, digests=("aa", "aa", "aa"), alike=True, totals=(10510.0, 10520.0, 10515.0), verdict=Verdict.EQUAL,
)  # fmt: skip
WOBBLE = replace(
    SAME, metric="tcp.4096", values=(23577.0, 23579.0, 23577.0), digests=("aa", "bb", "cc"), alike=False,
    verdict=Verdict.WOBBLE, note="a time rounded to microseconds", explained=4, cause=CAUSE,
)  # fmt: skip
UNKNOWN = replace(WOBBLE, metric="tcp.64", digests=("aa", "bb", "bb"), note="the leak is not known", cause=None)
LOST = replace(
    SAME, metric="udp.64", values=(), digests=(), totals=(), alike=False, verdict=Verdict.INCONCLUSIVE, note="boot 2 is MISS"
)


def run(*rows: Steadiness, strict: bool = False) -> Results:
    return results(comparisons=(), steadiness=rows, strict=strict)


def printed(found: Results) -> str:
    out = io.StringIO()
    Terminal(stdout=out, stderr=io.StringIO(), plain=True).print_results(found, "reports/x")
    return out.getvalue()


def test_the_table_holds_values_groups_totals_and_words() -> None:
    (table,) = steady.tables(run(SAME, WOBBLE, UNKNOWN, LOST))

    assert table.head.startswith("pingpong: exact mode, QEMU 7.2.22 tcg, Linux 6.12.117-virtme, kconfig default, guest single")
    assert table.head.endswith("insn; 3 cold boots of null")
    assert table.lines == [
        ("pipe.64", "10,503 (3)", "alike", "0.10%", "EQUAL"),
        ("tcp.4096", "23,577 (2), 23,579 (1)", "all differ", "0.10%", "WOBBLE"),
        ("tcp.64", "23,577 (2), 23,579 (1)", "2, 1", "0.10%", "WOBBLE"),
        ("udp.64", "none", "none", "-", "INCONCLUSIVE"),
    ]


def test_kernels_payloads_and_guests_have_tables_of_their_own() -> None:
    assert len(steady.tables(run(SAME, replace(SAME, kernel="base"), replace(SAME, payload="syscall")))) == 3


def test_a_wobble_names_its_functions_or_that_none_was_found() -> None:
    (table,) = steady.tables(run(SAME, WOBBLE, UNKNOWN, replace(SAME, note="a leak that did not show: x")))

    assert table.notes == [
        (
            "tcp.4096 WOBBLE: pingpong.null.x01 and pingpong.null.x02 differ, tcp.4096 +2.000 instructions per operation: "
            "tcp_ack_update_rtt +2.000 (TCP); no other function by 0.5 or more; a time rounded to microseconds"
        ),
        "tcp.64 WOBBLE: no two of 4 boots with a profile differ; the leak is not known",
        "pipe.64 EQUAL: a leak that did not show: x",
    ]


def test_many_values_are_cut_short() -> None:
    many = replace(WOBBLE, values=tuple(map(float, range(10))), digests=tuple(map(str, range(10))))

    assert steady.value_set(many) == "0 (1), 1 (1), 2 (1), 3 (1), 6 more up to 9"
    assert steady.samples(replace(many, digests=("a", "a", *"bcdefgh"))) == "2, 1, 1, 1, ..."


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((SAME, SAME), "all 2 rows EQUAL in 3 cold boots"),
        ((SAME, replace(WOBBLE, payload="syscall")), "of 2 rows in 3 cold boots 1 EQUAL, 1 WOBBLE (syscall tcp.4096)"),
        ((SAME, WOBBLE, LOST), "of 3 rows in 3 cold boots 1 EQUAL, 1 WOBBLE (tcp.4096), 1 INCONCLUSIVE (udp.64)"),
    ],
)
def test_the_sentence(rows: tuple[Steadiness, ...], said: str) -> None:
    assert words.sentence(run(*rows)) == f"PASS: {said}"


def test_every_face_shows_the_wobble_and_its_function() -> None:
    for text in (printed(run(SAME, WOBBLE)), cover_text(run(SAME, WOBBLE)), junit_text(run(SAME, WOBBLE))):
        joined = " ".join(text.split())
        assert "23,577 (2), 23,579 (1)" in joined
        assert "tcp_ack_update_rtt +2.000 (TCP)" in joined


def test_junit_skips_a_wobble_fails_it_with_strict_and_calls_a_lost_boot_an_error() -> None:
    kinds: dict[tuple[bool, str], list[type]] = {}
    for strict in (False, True):
        for suite in JUnitXml.fromstring(junit_text(run(SAME, WOBBLE, LOST, strict=strict)).encode()):
            kinds |= {(strict, case.name): [type(one) for one in case.result] for case in suite}

    assert kinds[False, "null, 3 boots: pipe.64"] == []
    assert kinds[False, "null, 3 boots: tcp.4096"] == [Skipped]
    assert kinds[True, "null, 3 boots: tcp.4096"] == [Failure]
    assert kinds[False, "null, 3 boots: udp.64"] == [Error]


def test_results_json_holds_it() -> None:
    text = to_json(run(SAME, WOBBLE, LOST))

    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(json.loads(text))
    assert from_json(text, Results).steadiness == (SAME, WOBBLE, LOST)


@pytest.mark.parametrize(
    ("rows", "strict", "status", "code"),
    [
        ((SAME,), True, Status.PASS, 0),
        ((SAME, WOBBLE), False, Status.PASS, 0),
        ((SAME, WOBBLE), True, Status.FAIL, 1),
        ((SAME, LOST), False, Status.ERROR, 3),
    ],
)
def test_what_a_run_comes_to(tmp_path: Path, rows: tuple[Steadiness, ...], *, strict: bool, status: Status, code: int) -> None:
    ledger = Ledger(new_run(tmp_path / "reports"), "./inv determinism", History(tmp_path / "history.json"))
    ledger.ran(job(), "./inv determinism")
    ledger.strict = strict
    ledger.steadiness += rows

    found = ledger.close()
    assert (found.status, found.exit) == (status, code)
