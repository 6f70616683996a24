"""The runner's output as it really is, and cut anywhere."""

from __future__ import annotations

import pytest

from lab.formats.kselftest import Program, cases_of, parse_run
from lab.model.outcome import Case, Status

RUN = """TAP version 13
1..3
## taint 0
## plan net:tun
## plan net:tls
## plan futex:run.sh
# selftests: net: tun
## begin net:tun limit=180
# TAP version 13
# 1..2
# # Starting 2 tests from 1 test cases.
# #  RUN           tun.delete ...
# ok 1 tun.delete
# ok 2 tun.read # SKIP no device
## end net:tun status=0 seconds=2 taint=0
ok 1 selftests: net: tun
# selftests: net: tls
## begin net:tls limit=180
## skip net:tls the guest has no /bin/bash
## end net:tls status=4 seconds=0 taint=0
ok 2 selftests: net: tls # SKIP
# selftests: futex: run.sh
## begin futex:run.sh limit=45
# ok 1 a
# not ok 2 b
# ok 2 a
## end futex:run.sh status=1 seconds=3 taint=512
not ok 3 selftests: futex: run.sh # exit=1
## done
"""


def program(status: int | None, *lines: str, limit: int = 45, seconds: int = 1) -> Case:
    """The whole's case of a program that ended so."""
    return cases_of(Program("t:x", limit=limit, status=status, seconds=seconds, lines=list(lines)))[0]


def test_a_whole_run() -> None:
    run = parse_run(RUN)

    assert run.planned == ("net:tun", "net:tls", "futex:run.sh")
    assert (run.done, run.taint) == (True, 0)
    assert [(test.name, test.status, test.seconds, test.limit, test.taint) for test in run.tests] == [
        ("net:tun", 0, 2, 180, 0),
        ("net:tls", 4, 0, 180, 0),
        ("futex:run.sh", 1, 3, 45, 512),
    ]
    assert [case for test in run.tests for case in cases_of(test)] == [
        Case("net:tun", Status.PASS),
        Case("net:tun: tun.delete", Status.PASS),
        Case("net:tun: tun.read", Status.SKIP, "no device"),
        Case("net:tls", Status.SKIP, "the guest has no /bin/bash"),
        Case("futex:run.sh", Status.FAIL, "exit=1, not ok: b"),
        Case("futex:run.sh: a", Status.PASS),
        Case("futex:run.sh: b", Status.FAIL),
        Case("futex:run.sh: a #2", Status.PASS),
    ]


@pytest.mark.parametrize("cut", range(0, len(RUN) - 1, 7))
def test_no_cut_makes_a_test_pass_that_did_not(cut: int) -> None:
    whole = {case.name: case.status for test in parse_run(RUN).tests for case in cases_of(test)}
    run = parse_run(RUN[:cut])

    assert not run.done
    for test in run.tests:
        case = cases_of(test)[0]
        assert case.status is whole[case.name] or (case.status, case.detail) == (Status.FAIL, "it began and did not end")


def test_a_tests_own_words_do_not_end_it() -> None:
    run = parse_run("## begin a:b limit=1\n# ## end a:b status=0 seconds=0 taint=0\n# ok 1 x\n")

    assert [test.status for test in run.tests] == [None]


@pytest.mark.parametrize(
    ("case", "status", "detail"),
    [
        (program(0), Status.PASS, ""),
        (program(0, "1..2", "ok 1 a", "ok 2 b"), Status.PASS, ""),
        (program(0, "1..2", "ok 1 a"), Status.FAIL, "exit=0, but it planned 2 results and gave 1"),
        (program(0, "1..1", "ok 1 a", "1..1"), Status.FAIL, "exit=0, but it planned 2 results and gave 1"),
        (
            program(0, "1..2", "ok 1 a # SKIP no such helper", "ok 2 b # SKIP"),
            Status.SKIP,
            "each of its 2 results: no such helper",
        ),
        (program(0, "1..2", "ok 1 a # SKIP no such helper", "ok 2 b"), Status.PASS, ""),
        (program(1, "boom"), Status.FAIL, "exit=1, boom"),
        (program(2), Status.FAIL, "exit=2"),
        (program(139, "Segmentation fault"), Status.FAIL, "exit=139, Segmentation fault"),
        (program(4, "1..0 # SKIP no IPv6"), Status.SKIP, "no IPv6"),
        (program(4, "SKIP: Could not run without ip tool"), Status.SKIP, "Could not run without ip tool"),
        (program(4), Status.SKIP, "it gives no reason"),
        (program(124), Status.FAIL, "TIMEOUT 45 seconds"),
        (program(143, "Terminated", seconds=45), Status.FAIL, "TIMEOUT 45 seconds"),
        (program(143, "Terminated"), Status.FAIL, "exit=143, Terminated"),
        (program(None, "ok 1 a"), Status.FAIL, "it began and did not end"),
        (
            program(127, "./x: error while loading shared libraries: libcap.so.2: cannot open shared object file: No such file"),
            Status.SKIP,
            "the guest lacks libcap.so.2",
        ),
        (
            program(127, "timeout: failed to run command './x': No such file or directory"),
            Status.SKIP,
            "the guest lacks what starts it",
        ),
        (program(127, "line 1", "line 2", "line 3: ip: not found"), Status.FAIL, "exit=127"),
    ],
)
def test_every_end_has_its_name(case: Case, status: Status, detail: str) -> None:
    assert (case.status, case.detail[: len(detail)]) == (status, detail)
