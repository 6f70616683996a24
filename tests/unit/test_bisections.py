"""What a bisection and a price list say, and the parts of them that need no kernel."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import EQUAL, MORE, PANIC, job, results

from lab.campaign.bisectlog import log_text
from lab.campaign.known import Point
from lab.campaign.ledger import BISECTED
from lab.campaign.plan import Ask
from lab.campaign.probe import part, seen
from lab.campaign.step import judged, read_span
from lab.errors import UsageError
from lab.model.bisection import Bisection, Culprit, Look, Subject
from lab.model.change import Patch, Series
from lab.model.outcome import Case, Finding, Row, Status
from lab.model.price import PatchPrice, PriceList
from lab.model.run import Results
from lab.model.wire import from_json, to_json
from lab.report import bisections, prices
from lab.report.junit import junit_text
from lab.report.markdown import cover_text
from lab.report.terminal import Terminal
from lab.report.waterfall import waterfall_svg
from lab.report.words import sentence

ROW = Subject("exact", "pipe.64")
CULPRIT = Culprit(2, "0002-b.patch", "b", 0.999999, (10503.0,), (10505.0,), "10,503 before it, 10,505 with it", "gone")
LOOKS = (
    Look(3, "done", 1, rows={"pipe.64": 10505.0}, commit="c3", word="bad"),
    Look(0, "done", 2, rows={"pipe.64": 10503.0}, commit="c0", word="good"),
    Look(1, "unbuilt", 3, why="no member", commit="c1", word="skip"),
    Look(2, "done", 4, rows={"pipe.64": 10505.0}, commit="c2", word="bad"),
    Look(3, "done", 5, without=(2,), rows={"pipe.64": 10503.0}, commit="x", word="good"),
)
FOUND = Bisection(
    "mine", "pingpong", "default", "single", 0, 3, ("0001-a.patch", "0002-b.patch", "0003-c.patch"), ROW, "found", (CULPRIT,),
    posterior={"none": 0.0, "0002-b.patch": 0.999999}, inert=("0001-a.patch",), looks=LOOKS,
)  # fmt: skip


def shown(value: Results) -> str:
    stream = io.StringIO()
    Terminal(stdout=stream, stderr=io.StringIO(), plain=True).print_results(value, "here")
    return stream.getvalue()


def test_the_sentence_names_patch_delta_and_what_became_of_it() -> None:
    said = bisections.sentence(FOUND)

    assert "patch 2 of 3 (0002-b.patch) does it, 10,503 to 10,505 (+2)" in said
    assert "gone from the whole series without it" in said
    assert "confidence 1.0000" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"culprits": (replace(CULPRIT, reverted="untold", reason="0003 needs it"),)}, "cannot be told: 0003 needs it"),
        ({"culprits": (replace(CULPRIT, reverted="remains"),), "word": "several"}, "not gone without it"),
        (
            {"culprits": (), "word": "suspects", "suspects": ("0001-a.patch", "0002-b.patch"), "why": "x"},
            "comes with one of 0001",
        ),
        ({"culprits": (), "word": "nothing", "why": "equal"}, "no patch is named: equal"),
    ],
)
def test_what_is_not_sure_is_said(change: dict[str, object], words: str) -> None:
    assert words in bisections.sentence(replace(FOUND, **change))  # type: ignore[arg-type]  # the test names fields


def test_the_tables_show_every_kernel_and_every_patch() -> None:
    text = shown(results(builds=(), jobs=(), comparisons=(), bisection=FOUND))

    assert "the whole series without 2" in text
    assert "no member" in text
    assert "changes nothing that runs" in text
    assert "culprit: 10,503 before it, 10,505 with it" in text
    assert "patch 2 of 3" in text.splitlines()[-1]


def test_results_with_a_bisection_and_prices_can_be_read_back() -> None:
    whole = results(bisection=FOUND, prices=(PRICES,))

    assert from_json(to_json(whole), Results) == whole


def test_only_an_answer_with_names_passes() -> None:
    assert {word for word, status in BISECTED.items() if status is Status.PASS} == {"found", "several"}
    assert BISECTED["unknown"] is Status.MISS


def test_the_log_has_a_line_a_kernel_and_comments_for_what_is_no_prefix() -> None:
    assert log_text(FOUND).splitlines() == [
        "git bisect start",
        "# bad: [c3] 0003-c.patch",
        "git bisect bad c3",
        "# good: [c0] what the series stands on",
        "git bisect good c0",
        "# skip: [c1] 0001-a.patch",
        "git bisect skip c1",
        "# bad: [c2] 0002-b.patch",
        "git bisect bad c2",
        "# good: the first 3 patches without 0002-b.patch",
        "# first bad commit: [c2] b",
    ]


def test_what_was_not_judged_is_no_verdict_in_the_log() -> None:
    log = log_text(replace(FOUND, culprits=(), looks=(replace(LOOKS[0], word=""),)))

    assert "git bisect bad" not in log
    assert "# not judged yet: 0003-c.patch" in log


# --- one look --------------------------------------------------------------------------------------------------------------


def test_a_lost_boot_is_the_labs_fault() -> None:
    assert seen(Look(1, "done"), replace(job(status=Status.MISS), message="QEMU died\nmore"), None).reached == "missed"


def test_a_dead_guest_shows_its_fingerprint_and_no_values() -> None:
    dead = replace(job(status=Status.FAIL), findings=(PANIC,), samples=(Row("pipe.64", "insn", "exact", (1.0,)),))

    look = seen(Look(1, "done"), dead, None)

    assert (look.reached, look.symptoms, look.rows) == ("died", (Subject("finding", PANIC.fingerprint),), {})


def test_a_failed_case_is_a_symptom_and_the_others_have_passed() -> None:
    cases = (Case("reads", Status.FAIL), Case("writes", Status.PASS))
    look = seen(Look(1, "done"), replace(job(status=Status.FAIL), cases=cases), None)

    assert (look.reached, look.symptoms, look.passed) == ("done", (Subject("case", "reads"),), ("writes",))


def test_another_failure_is_known_by_its_message_without_numbers() -> None:
    look = seen(Look(1, "done"), replace(job(status=Status.FAIL), cases=(), message="ended after 12.5 s at 0xff"), None)

    assert look.symptoms == (Subject("message", "ended after N s at N"),)
    assert look.reached == "died"


def test_a_payload_that_could_not_run_has_shown_nothing() -> None:
    assert seen(Look(1, "done"), job(status=Status.SKIP), None).reached == "died"


# --- step ------------------------------------------------------------------------------------------------------------------

WARN = Look(1, "done", symptoms=(Subject("finding", "warn:x"),), passed=("reads",))


@pytest.mark.parametrize(
    ("look", "ask", "said"),
    [
        (Look(1, "done"), Ask(), "good"),
        (WARN, Ask(), "bad"),
        (Look(1, "unbuilt", symptoms=(Subject("build", "build:a.c:no"),)), Ask(), "skip"),
        (Look(1, "missed"), Ask(), "miss"),
        (Look(1, "died"), Ask(), "skip"),
        (WARN, Ask(symptom="warn:x"), "bad"),
        (WARN, Ask(symptom="oops:y"), "good"),
        (WARN, Ask(symptom="case:reads"), "good"),
        (WARN, Ask(symptom="case:writes"), "skip"),
        (Look(1, "missed"), Ask(symptom="warn:x"), "miss"),
    ],
)
def test_a_step_judges_what_was_named_or_anything(look: Look, ask: Ask, said: str) -> None:
    assert judged(look, ask, None) == said


def test_a_step_without_the_row_tells_nothing() -> None:
    ask = Ask(row="pipe.64", payload="pingpong")

    assert judged(Look(1, "done"), ask, (1.0, 2.0)) == "skip"
    assert judged(Look(1, "missed"), ask, (1.0, 2.0)) == "miss"
    assert judged(Look(1, "done", rows={"pipe.64": 1.4}), ask, (1.0, 2.0)) == "good"
    assert judged(Look(1, "done", rows={"pipe.64": 1.5}), ask, (1.0, 2.0)) == "bad"


@pytest.mark.parametrize("values", ["1", "a..b", "2..2", "..", ""])
def test_values_have_to_be_two(values: str) -> None:
    with pytest.raises(UsageError):
        read_span(Ask(row="pipe.64", payload="pingpong"), values)


# --- the patches of a point ------------------------------------------------------------------------------------------------


def series() -> Series:
    texts = ("+nothing\n", "+config AGENT\n+\tbool\n", "+more\n")
    patches = tuple(Patch(f"000{k}.patch", f"p{k}", text, ("a.c",)) for k, text in enumerate(texts, 1))
    return Series("mine", Path("mine"), patches, options=("CONFIG_AGENT=y", "CONFIG_NET=y"))


@pytest.mark.parametrize(
    ("point", "names", "options"),
    [
        (Point(0), [], ("CONFIG_NET=y",)),
        (Point(2), ["0001.patch", "0002.patch"], ("CONFIG_AGENT=y", "CONFIG_NET=y")),
        (Point(3, (2,)), ["0001.patch", "0003.patch"], ("CONFIG_NET=y",)),
    ],
)
def test_a_point_has_its_patches_and_the_options_they_know(point: Point, names: list[str], options: tuple[str, ...]) -> None:
    chosen = part(series(), point)

    assert ([patch.name for patch in chosen.patches], chosen.options) == (names, options)


# --- prices ----------------------------------------------------------------------------------------------------------------

SAME = replace(MORE, verdict=EQUAL.verdict, patched=MORE.base, delta=0.0)
ONE = PatchPrice(1, "0001-a.patch", "a", Status.PASS, objects=1, inert=True, boots=(2, 2), cases=(3, 3), rows=(SAME,))
GROWN = (("vfs_read", 1),)
TWO = replace(ONE, k=2, patch="0002-b.patch", inert=False, warnings=("x.c:1: warning: w",), text=1, functions=GROWN, rows=(MORE,))
THREE = PatchPrice(3, "0003-c.patch", "c", Status.FAIL, "does not build")
PRICES = PriceList("mine", "default", "single", ("pingpong",), 0, (ONE, TWO, THREE), (MORE,))


def test_prices_are_a_line_a_patch_and_a_waterfall() -> None:
    text = shown(results(builds=(), jobs=(), comparisons=(), prices=(PRICES,)))

    assert "nothing that runs differs" in text
    assert "1 MORE: unix_stream/64/median +2" in " ".join(text.split())
    assert "vfs_read +1" in text
    assert "x.c:1: warning: w" in text
    assert "+" * 16 in text
    assert "0002-b.patch costs something that is counted; 0003-c.patch failed" in text.splitlines()[-1]


def test_the_sentence_of_a_list_in_which_nothing_costs_says_so() -> None:
    assert "none costs something" in prices.sentence([replace(PRICES, patches=PRICES.patches[:1])])


def test_the_chart_is_svg_with_every_step_and_hostile_names_escaped() -> None:
    svg = waterfall_svg(replace(PRICES, series="<&>"), MORE)

    assert svg.startswith("<svg ")
    assert "&lt;&amp;&gt;" in svg
    assert ">+2<" in svg
    assert sentence(results(prices=(PRICES,)))


def test_findings_keep_their_order_before_cases() -> None:
    both = replace(
        job(status=Status.FAIL), findings=(Finding("warn", "w", "warn:w", fatal=False),), cases=(Case("reads", Status.FAIL),)
    )

    assert [symptom.kind for symptom in seen(Look(1, "done"), both, None).symptoms] == ["finding", "case"]


def test_the_ci_sees_an_answer_as_a_pass_and_none_as_none() -> None:
    answered = results(builds=(), jobs=(), comparisons=(), bisection=FOUND)
    silent = results(builds=(), jobs=(), comparisons=())

    assert '<testsuites disabled="0" errors="0" failures="0"' in junit_text(answered)
    assert 'errors="1"' in junit_text(silent)


def test_the_summary_holds_the_tables() -> None:
    text = cover_text(results(builds=(), jobs=(), comparisons=(), bisection=FOUND, prices=(PRICES,)))

    assert "the whole series without 2" in text
    assert "prices of mine" in text
