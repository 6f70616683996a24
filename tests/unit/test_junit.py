from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from report_samples import COSTLY, EQUAL, FEWER, MORE, PANIC, WOBBLE, build, failing, job, results

from lab.model.judgement import Verdict
from lab.model.outcome import Case, Finding, Status
from lab.model.run import Results
from lab.report.junit import NOT_XML, junit_text


def suites(run: Results) -> dict[str, TestSuite]:
    return {suite.name: suite for suite in JUnitXml.fromstring(junit_text(run).encode())}


def cases(run: Results) -> dict[str, TestCase]:
    return {case.name: case for suite in suites(run).values() for case in suite}


def entry(run: Results, name: str) -> tuple[type, str, str]:
    found = cases(run)[name].result
    assert len(found) == 1
    return type(found[0]), found[0].message, found[0].text or ""


def test_suites_are_one_per_cell_and_build_and_lab() -> None:
    run = results(jobs=(job(), replace(job(), id="boot.x.r01", payload="", cases=())))

    assert list(suites(run)) == ["build", "pingpong.default.single", "boot.default.single", "lab"]


def test_a_good_run_has_only_passes_and_its_properties() -> None:
    run = results(comparisons=(EQUAL,))

    assert all(not case.result for case in cases(run).values())
    properties = {one.name: one.value for one in suites(run)["lab"].properties()}  # type: ignore[no-untyped-call]  # junitparser's own
    assert properties["qemu"] == "7.2.22"
    assert properties["baseline.default.tree"] == build().tree
    assert properties["command"] == run.command


def test_class_names_are_stable() -> None:
    assert {case.classname for case in suites(results())["pingpong.default.single"]} == {"pingpong.default.single"}


def test_a_panic_is_a_failure_with_its_decoded_stack() -> None:
    kind, message, text = entry(failing(), "pingpong.one-instruction.k01.default.patched.r01")

    assert kind is Failure
    assert message == PANIC.title
    assert "busted_init+0x11/0x20 (lib/busted.c:12)" in text
    assert "last lines" in text


@pytest.mark.parametrize("status", [Status.ERROR, Status.MISS])
def test_a_fault_of_baseline_or_lab_is_an_error(status: Status) -> None:
    assert entry(failing(status, 3), "pingpong.one-instruction.k01.default.patched.r01")[0] is Error
    assert entry(failing(status, 3), "run")[0] is Error


def test_a_job_without_any_text_is_still_not_a_pass() -> None:
    silent = replace(job(status=Status.FAIL), message="", findings=())

    assert entry(results(jobs=(silent,)), silent.id) == (Failure, "FAIL", "")


def test_a_skip_carries_its_reason() -> None:
    skipped = replace(job(status=Status.SKIP), message="kernel lacks CONFIG_UNIX", cases=())

    assert entry(results(jobs=(skipped,)), skipped.id)[:2] == (Skipped, "kernel lacks CONFIG_UNIX")


def test_a_flaky_pass_is_not_a_plain_pass() -> None:
    flaky = replace(job(), attempts=2)

    kind, message, _ = entry(results(jobs=(flaky,)), flaky.id)

    assert kind is Skipped
    assert "FLAKY" in message


def test_ktap_cases_keep_their_status() -> None:
    mixed = replace(
        job(),
        cases=(
            Case("a", Status.PASS),
            Case("b", Status.FAIL, "expected 1"),
            Case("c", Status.SKIP, "no root"),
            Case("d", Status.ERROR),
        ),
    )
    run = results(jobs=(mixed,))

    assert cases(run)[f"{mixed.id}: a"].result == []
    assert entry(run, f"{mixed.id}: b")[:2] == (Failure, "expected 1")
    assert entry(run, f"{mixed.id}: c")[:2] == (Skipped, "no root")
    assert entry(run, f"{mixed.id}: d")[:2] == (Error, "not ok: d")


NAME = "busted/one-instruction:1 against source: "


def test_material_more_fails_and_small_more_only_with_any() -> None:
    assert entry(results(comparisons=(COSTLY,)), NAME + COSTLY.metric)[0] is Failure
    assert cases(results(comparisons=(MORE,)))[NAME + MORE.metric].result == []
    assert entry(results(comparisons=(MORE,), any_more=True), NAME + MORE.metric)[0] is Failure
    assert cases(results(comparisons=(FEWER,)))[NAME + FEWER.metric].result == []


def test_a_wobble_shows_its_values_and_fails_when_strict() -> None:
    kind, message, text = entry(results(comparisons=(WOBBLE,)), NAME + WOBBLE.metric)

    assert kind is Skipped
    assert message.startswith("WOBBLE")
    assert "33,769 33,770; patched 33,770 33,773; timer tick" in text
    assert entry(results(comparisons=(WOBBLE,), strict=True), NAME + WOBBLE.metric)[0] is Failure


def test_a_regression_fails() -> None:
    worse = replace(COSTLY, verdict=Verdict.REGRESSED, kind="count")

    assert entry(results(comparisons=(worse,)), NAME + worse.metric)[0] is Failure


def test_nothing_ran_is_not_green() -> None:
    empty = results(builds=(), jobs=(), comparisons=(), findings=())

    assert entry(empty, "run")[0] is Error


def test_an_exit_code_other_than_zero_is_not_green() -> None:
    assert entry(results(exit=1), "run")[0] is Failure
    assert entry(results(exit=3), "run")[0] is Error
    assert entry(results(exit=130), "run")[0] is Failure


def test_a_patch_that_does_not_apply_is_a_failure_of_the_build_suite() -> None:
    finding = Finding(
        "patch", "0002-x.patch does not apply to mm/slub.c, hunk 3", "patch:0002:mm/slub.c:3", ("-expected", "+found")
    )
    run = results(
        status=Status.FAIL, exit=1, builds=(build(), build("patched", Status.FAIL, (finding,))), jobs=(), comparisons=()
    )

    kind, message, text = entry(run, "patched busted/one-instruction:1 kconfig default")

    assert (kind, message) == (Failure, finding.title)
    assert "-expected" in text
    assert entry(results(findings=(finding,), status=Status.FAIL), "patch patch:0002:mm/slub.c:3")[0] is Failure


def test_equal_names_are_told_apart() -> None:
    twice = replace(job(), cases=(Case("same", Status.PASS), Case("same", Status.FAIL, "second")))

    assert f"{twice.id}: same #2" in cases(results(jobs=(twice,)))


def counted(run: Results) -> Iterator[tuple[int, int]]:
    for suite in suites(run).values():
        yield suite.failures, sum(isinstance(result, Failure) for case in suite for result in case.result)
        yield suite.errors, sum(isinstance(result, Error) for case in suite for result in case.result)
        yield suite.skipped, sum(isinstance(result, Skipped) for case in suite for result in case.result)


def test_the_counts_are_those_of_the_entries() -> None:
    run = results(comparisons=(EQUAL, MORE, COSTLY, WOBBLE), jobs=(*failing().jobs, replace(job(3), attempts=2)), exit=1)

    assert all(said == found for said, found in counted(run))


NASTY = st.text(st.characters(codec=None), max_size=30) | st.sampled_from(
    ["\ud800", "\ufffe", "]]>", "\x00\x1b[2J", "a\r\nb", "\U0001ffff", "", " "]
)


@given(NASTY, NASTY, NASTY, st.sampled_from(list(Status)))
def test_any_text_is_written_and_read_back(name: str, message: str, detail: str, status: Status) -> None:
    finding = Finding("bug", message, name, (detail,))
    bad = replace(
        job(status=status),
        id=f"j{name}",
        message=message,
        findings=(finding,),
        notes=(detail,),
        cases=(Case(name, status, detail),),
    )

    run = results(
        jobs=(bad,),
        findings=(finding,),
        command=detail,
        env={name: message},
        comparisons=(replace(WOBBLE, note=detail, metric=name),),
    )

    found = suites(run)
    assert sum(len(list(suite)) for suite in found.values()) == 7
    assert all(said == seen for said, seen in counted(run))
    whole = next(case for case in found["pingpong.default.single"])
    assert (whole.result == []) == (status is Status.PASS)


@given(st.text(st.characters(codec=None), max_size=40))
def test_escaping_leaves_only_what_xml_holds(text: str) -> None:
    clean = NOT_XML.sub(lambda match: match[0].encode("unicode_escape").decode(), text)

    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", clean)
