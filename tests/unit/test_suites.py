"""What one boot says of the kernel's own tests: results, and whose a complaint of the kernel is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lab_job import job_of

from lab.campaign.suites import judge_suite
from lab.measure.suites import Logs, Told, told
from lab.model.outcome import Case, Finding, Status
from lab.model.run import BootRecord, PayloadSpec, Role

PASS, FAIL, SKIP, MISS = Status.PASS, Status.FAIL, Status.SKIP, Status.MISS
WARNING = "WARNING: CPU: 0 PID: 77 at net/core/dev.c:12 netif_rx+0x1/0x2"
SPLAT = f"""[    2.1] ------------[ cut here ]------------
[    2.1] {WARNING}
[    2.1] Call Trace:
[    2.1]  netif_rx+0x1/0x2
[    2.1] ---[ end trace 0000000000000000 ]---
"""
PANIC = """[    3.0] Kernel panic - not syncing: Fatal exception
[    3.0] Call Trace:
[    3.0]  tls_sw_sendmsg+0x1/0x2
[    3.0] ---[ end Kernel panic - not syncing: Fatal exception ]---
"""
BOOT = "[    0.0] Linux version 6.12\n"
SELFTESTS = PayloadSpec(
    name="kselftest",
    summary="",
    directory=Path(),
    hash="h",
    command=("sh", "./kselftest.sh", "/dev/kmsg", "4", "0", "t:a", "t:b"),
    metrics=(),
    kind="kselftest",
)
KUNIT = replace(SELFTESTS, name="kunit", kind="kunit", command=("sh", "./run"))
FINISHED = BootRecord("finished", 1.0, payload_status=0, complete=True)
DIED = BootRecord("kernel", 1.0, message="panic while a command ran")


def marked(*tests: str, inside: str = "") -> str:
    """The console of a run of `tests`; `inside` is said during the last one, which does not end when it panics."""
    text = BOOT
    for test in tests:
        text += f"[    2.0] lab: begin {test}\n"
        if test == tests[-1]:
            text += inside
        if test != tests[-1] or "panic" not in inside:
            text += f"[    4.0] lab: end {test}\n"
    return text


def ran(*ends: tuple[str, int, int], done: bool = True, taint: int = 0) -> str:
    """The runner's output: (test, status, taint) of each."""
    text = f"TAP version 13\n1..2\n## taint {taint}\n"
    for test, status, after in ends:
        text += f"## begin {test} limit=45\n## end {test} status={status} seconds=1 taint={after}\n"
    return text + ("## done\n" if done else "")


def results(said: Told) -> dict[str, Status]:
    return {case.name: case.status for case in said.tests}


def test_a_good_run() -> None:
    said = told(SELFTESTS, FINISHED, Logs(marked("t:a", "t:b"), ran(("t:a", 0, 0), ("t:b", 4, 0))))

    assert (results(said), said.findings, said.problems) == ({"t:a": PASS, "t:b": SKIP}, (), ())


def test_a_complaint_during_a_test_is_that_tests_failure_and_no_others() -> None:
    record = replace(FINISHED, findings=(Finding("warn", WARNING, "warn:netif_rx", ("decoded (dev.c:12)",), fatal=False),))
    said = told(SELFTESTS, record, Logs(marked("t:a", "t:b", inside=SPLAT), ran(("t:a", 0, 0), ("t:b", 0, 0))))

    assert said.tests == (Case("t:a", PASS), Case("t:b", FAIL, f"kernel log: {WARNING}"))
    assert [(found.during, found.detail) for found in said.findings] == [("t:b", ("decoded (dev.c:12)",))]
    assert said.loose == ()


def test_a_complaint_between_tests_is_the_boots() -> None:
    console = BOOT + SPLAT + marked("t:a", "t:b")
    said = told(SELFTESTS, FINISHED, Logs(console, ran(("t:a", 0, 0), ("t:b", 0, 0))))

    assert [found.title for found in said.loose] == [WARNING]


def test_a_complaint_that_only_kmsg_has_is_the_boots() -> None:
    record = replace(
        FINISHED, findings=(Finding("log-gap", "kernel log: records 3 to 9 are missing", "log-gap:kmsg", fatal=False),)
    )
    said = told(SELFTESTS, record, Logs(marked("t:a", "t:b"), ran(("t:a", 0, 0), ("t:b", 0, 0))))

    assert [found.kind for found in said.loose] == ["log-gap"]


def test_a_panic_names_the_test_and_what_it_kept_from_running() -> None:
    record = replace(DIED, findings=(Finding("panic", "Kernel panic - not syncing: Fatal exception", "panic:tls_sw_sendmsg"),))
    said = told(SELFTESTS, record, Logs(marked("t:a", inside=PANIC), "## taint 0\n## begin t:a limit=45\n"))

    assert said.tests == (
        Case("t:a", FAIL, "kernel log: Kernel panic - not syncing: Fatal exception"),
        Case("t:b", MISS, "not run: the guest died in t:a"),
    )
    assert (said.loose, [found.during for found in said.findings]) == ((), ["t:a"])


def test_a_panic_whose_test_never_reached_the_host_still_names_it() -> None:
    said = told(SELFTESTS, DIED, Logs(marked("t:a", inside=PANIC), ""))

    assert results(said) == {"t:a": FAIL, "t:b": MISS}


@pytest.mark.parametrize("kind", ["stall", "timeout", "reset"])
def test_what_stands_in_no_log_is_the_running_tests(kind: str) -> None:
    record = replace(DIED, findings=(Finding(kind, "it stands still", f"{kind}:"),))
    console = BOOT + "[    2.0] lab: begin t:a\n"

    assert [found.during for found in told(SELFTESTS, record, Logs(console, "")).findings] == ["t:a"]
    assert told(SELFTESTS, record, Logs(BOOT, "")).loose == record.findings


def tainted(mask: int) -> BootRecord:
    return replace(FINISHED, findings=(Finding("taint", "the kernel is tainted", f"taint:{mask}", fatal=False),))


def test_taint_is_the_tests_in_which_it_rose() -> None:
    said = told(SELFTESTS, tainted(512), Logs(marked("t:a", "t:b"), ran(("t:a", 0, 512), ("t:b", 0, 512))))

    assert said.tests == (Case("t:a", FAIL, "kernel log: the kernel is tainted: W: a warning"), Case("t:b", PASS))
    assert said.loose == ()


@pytest.mark.parametrize("output", [ran(("t:a", 0, 512), ("t:b", 0, 512), taint=512), ran(("t:a", 0, 0), ("t:b", 0, 0))])
def test_taint_from_before_or_after_the_tests_is_the_boots(output: str) -> None:
    said = told(SELFTESTS, tainted(512), Logs(marked("t:a", "t:b"), output))

    assert [found.kind for found in said.loose] == ["taint"]


def test_what_does_not_build_failed_with_the_compilers_words() -> None:
    spec = replace(SELFTESTS, unbuilt={"t:c": "c.c:1:2: error: no such thing\n 1 | x"})
    said = told(spec, FINISHED, Logs(marked("t:a", "t:b"), ran(("t:a", 0, 0), ("t:b", 0, 0))))

    assert said.tests[-1] == Case("t:c", FAIL, "does not build: c.c:1:2: error: no such thing")
    assert [(found.kind, found.during, found.detail) for found in said.findings] == [("build", "t:c", (" 1 | x",))]


@pytest.mark.parametrize(
    ("output", "said"),
    [("", "no self-test ran"), (ran(("t:a", 0, 0), done=False), "ended with status 0 before its end")],
)
def test_a_runner_that_did_not_get_to_its_end_is_a_problem(output: str, said: str) -> None:
    problems = told(SELFTESTS, FINISHED, Logs(marked("t:a", "t:b"), output)).problems

    assert any(said in problem for problem in problems)


# --- KUnit ------------------------------------------------------------------------------------------------------------------

LIST = """    KTAP version 1
    # Subtest: list
    # module: list_test
    1..2
    ok 1 list_add
        KTAP version 1
        # Subtest: list_sizes
        ok 1 4
        ok 2 8
    # list_sizes: pass:2 fail:0 skip:0 total:2
    ok 2 list_sizes
# list: pass:2 fail:0 skip:0 total:2
ok 1 list
"""
TIME = """    KTAP version 1
    # Subtest: time
    1..1
    # time64: EXPECTATION FAILED at kernel/time/time_test.c:85
    not ok 1 time64
not ok 2 time
"""
DEBUGFS = (
    "".join(f"## suite {name}\nKTAP version 1\n1..1\n{body}" for name, body in (("list", LIST), ("time", TIME))) + "## done\n"
)


def stamped(text: str) -> str:
    return BOOT + "".join(f"[    0.5] {line}\n" for line in ("KTAP version 1", "1..2", *text.splitlines()))


def test_suites_and_their_cases() -> None:
    said = told(KUNIT, FINISHED, Logs(stamped(LIST + TIME), DEBUGFS))

    assert said.problems == ()
    assert results(said) == {
        "list": PASS,
        "list: list_add": PASS,
        "list: list_sizes/4": PASS,
        "list: list_sizes/8": PASS,
        "list: list_sizes": PASS,
        "time": FAIL,
        "time: time64": FAIL,
    }


def test_kunits_taint_is_no_finding_of_the_log_and_a_warning_in_a_suite_is() -> None:
    console = stamped(LIST.replace("    ok 1 list_add\n", f"    ok 1 list_add\n{SPLAT}") + TIME)
    said = told(KUNIT, FINISHED, Logs(console, DEBUGFS))

    assert said.tests[0] == Case("list", FAIL, f"kernel log: {WARNING}")
    assert results(said)["list: list_add"] is PASS


def test_a_panic_in_a_suite_names_it_and_tells_how_many_did_not_run() -> None:
    console = stamped(LIST[: LIST.index("        KTAP")] + PANIC)
    said = told(KUNIT, DIED, Logs(console, ""))

    assert results(said) == {"list": FAIL, "list: list_add": PASS, "(not run)": MISS}
    assert said.tests[-1].detail == "1 of 2 suites: the guest died in list"
    assert [found.during for found in said.findings] == ["list"]


@pytest.mark.parametrize(
    ("console", "output", "problem"),
    [
        (BOOT, "## done\n", "is CONFIG_KUNIT on?"),
        (BOOT + "[    0.5] KTAP version 1\n[    0.5] 1..0\n", "## done\n", "the filter leaves none"),
        (stamped(LIST + TIME), DEBUGFS.removesuffix("## done\n"), "debugfs could not be read to its end"),
        (stamped(LIST + TIME), DEBUGFS[DEBUGFS.index("## suite time") :], "list is not in debugfs"),
        (stamped(LIST), DEBUGFS, "time is in debugfs and not in the kernel's log"),
        (stamped(LIST.replace("    ok 1 list_add\n", "") + TIME), DEBUGFS, "differ in the cases of list: list_add"),
        (stamped(LIST + TIME.replace("not ", "")), DEBUGFS, "time64 is PASS in the kernel's log and FAIL in debugfs"),
    ],
)
def test_what_the_two_witnesses_do_not_tell_alike_is_a_problem(console: str, output: str, problem: str) -> None:
    problems = told(KUNIT, FINISHED, Logs(console, output)).problems

    assert any(problem in each for each in problems), problems


@pytest.mark.parametrize(
    ("role", "console", "status"),
    [
        ("baseline", "[    0.5] KTAP version 1\n[    0.5] 1..0\n", PASS),
        ("patched", "[    0.5] KTAP version 1\n[    0.5] 1..0\n", FAIL),
        ("baseline", "", Status.ERROR),
    ],
)
def test_suites_that_only_the_patched_kernel_has_are_no_fault_of_the_baseline(role: Role, console: str, status: Status) -> None:
    job = replace(job_of(payload=KUNIT), role=role)

    assert judge_suite(job, FINISHED, Logs(BOOT + console, "## done\n")).status is status


@pytest.mark.parametrize("cut", range(0, len(stamped(LIST + TIME)), 11))
def test_no_cut_of_the_log_is_a_good_boot(cut: int) -> None:
    said = told(KUNIT, FINISHED, Logs(stamped(LIST + TIME)[:cut], DEBUGFS))

    assert said.problems


# --- real logs --------------------------------------------------------------------------------------------------------------

DATA = Path(__file__).parents[1] / "data" / "kunit"


def golden(name: str) -> Logs:
    return Logs((DATA / f"{name}.log").read_text(), (DATA / f"{name}.debugfs").read_text())


def test_a_real_good_suite() -> None:
    said = told(KUNIT, FINISHED, golden("good"))

    assert (set(results(said).values()), said.findings, said.problems) == ({PASS}, (), ())
    assert len(said.tests) == 5


def test_a_real_oops_in_a_suite_is_its_own_taint_included() -> None:
    said = told(KUNIT, tainted(1 << 18 | 1 << 7), golden("oops"))

    assert results(said)["linear-ranges-test"] is FAIL
    assert said.tests[0].detail == "kernel log: kernel BUG at lib/linear_ranges.c:93!"
    assert [case.name for case in said.tests if case.status is PASS] == [
        "linear-ranges-test: range_test_get_value_amount",
        "linear-ranges-test: range_test_get_selector_high",
        "linear-ranges-test: range_test_get_selector_low",
    ]
    assert (said.loose, said.problems) == ((), ())


@pytest.mark.parametrize("mask", [1 << 9, 1 << 7 | 1 << 9])
def test_taint_that_no_suite_brought_is_the_boots(mask: int) -> None:
    assert [found.kind for found in told(KUNIT, tainted(mask), golden("good")).loose] == ["taint"]
    assert [found.kind for found in told(KUNIT, tainted(mask), golden("oops")).loose] == ["taint"]
