"""One kernel over many cold boots: what is called EQUAL, what WOBBLE, what is red, and how a cause is looked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab_job import job_of

from lab.campaign import determinism
from lab.campaign.again import resteadied
from lab.campaign.plan import Ask
from lab.campaign.session import Lab
from lab.errors import LabError, UsageError
from lab.measure.steady import counted, digest, furthest_apart, steadiness
from lab.model.judgement import Comparison, Metric, Verdict
from lab.model.machine import GuestSpec, Mode
from lab.model.outcome import Case, Row, Status
from lab.model.run import Job, JobResult, PayloadSpec
from lab.model.steady import Steadiness, steady_status

RTT, TOTAL = Metric("rtt", "insn", "exact"), Metric("rtt.total", "insn", "info")
SPEC = PayloadSpec(
    "pingpong", "", Path("/built"), "h", ("./pingpong",), (RTT, TOTAL, Metric("bios", "bios", "count")), leaks={"rtt": "a timer"}
)


def boot(number: int, *laps: float, status: Status = Status.PASS, total: float = 100.0) -> JobResult:
    samples = (Row("rtt", "insn", "exact", laps), Row("rtt.total", "insn", "info", (total,))) if laps else ()
    words = (f"pingpong.r{number:02}", ("null",), 1, "default", "single", "pingpong", "patched", number, status, 1.0)
    return JobResult(*words, samples=samples)  # type: ignore[arg-type]  # one word a field


def row(*jobs: JobResult, boots: int = 0, spec: PayloadSpec = SPEC) -> Steadiness:
    (found,) = steadiness(spec, counted(spec), jobs, boots or len(jobs), "null")
    return found


# --- the judgement --------------------------------------------------------------------------------------------------------


def test_one_value_in_every_boot_is_equal_however_the_laps_differ() -> None:
    alike, apart = row(boot(1, 7, 7, 9), boot(2, 7, 7, 9)), row(boot(1, 7, 7, 9), boot(2, 7, 7, 8))

    assert (alike.verdict, alike.values, alike.alike) == (Verdict.EQUAL, (7, 7), True)
    assert (apart.verdict, apart.values, apart.alike) == (Verdict.EQUAL, (7, 7), False)
    assert "a timer" in alike.note


def test_another_value_in_one_boot_is_a_wobble_that_names_the_leak() -> None:
    found = row(*(boot(number, 7) for number in range(1, 10)), boot(10, 8))
    unnamed = row(boot(1, 7), boot(2, 8), spec=replace(SPEC, leaks={}))

    assert (found.verdict, found.note, found.boots) == (Verdict.WOBBLE, "a timer", 10)
    assert unnamed.note == "the leak is not known"


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ([boot(1, 7)], "boot 2 did not run"),
        ([boot(1, 7), boot(2, 7, status=Status.MISS)], "boot 2 is MISS"),
        ([boot(1, 7), boot(2, status=Status.SKIP)], "boot 2 is SKIP"),
        ([boot(1, 7), boot(2)], "rtt is missing in boot 2"),
        ([boot(1, 7), boot(2, math.nan)], "the value of boot 2 is not a number"),
        ([boot(1, 7), boot(2, math.inf)], "the value of boot 2 is not a number"),
        ([], "boot 1 did not run; boot 2 did not run"),
    ],
)
def test_a_boot_without_a_value_is_never_equal(jobs: list[JobResult], said: str) -> None:
    found = row(*jobs, boots=2)

    assert (found.verdict, found.note, found.alike) == (Verdict.INCONCLUSIVE, said, False)
    assert all(map(math.isfinite, found.values))
    assert steady_status([found]) is Status.ERROR


def test_what_every_boot_skipped_is_left_out() -> None:
    skipping = [replace(boot(number), cases=(Case("rtt", Status.SKIP, "no device"),)) for number in (1, 2)]

    assert steadiness(SPEC, counted(SPEC), skipping, 2, "null") == ()
    assert row(boot(1, 7), skipping[1]).verdict is Verdict.INCONCLUSIVE


def test_explaining_boots_and_other_payloads_are_no_boots() -> None:
    others = (replace(boot(2, 8), explain=True), replace(boot(2, 8), payload="syscall"))

    assert row(boot(1, 7), boot(2, 7), *others, boots=2).values == (7, 7)


def test_only_counted_rows_are_looked_at_and_only_those_named() -> None:
    assert [metric.name for metric in counted(SPEC)] == ["rtt"]
    assert counted(SPEC, ["bios"]) == ()


@given(st.lists(st.lists(st.integers(0, 3).map(float), min_size=3, max_size=3), min_size=2, max_size=5))
def test_equal_means_one_value_and_alike_means_every_lap(laps: list[list[float]]) -> None:
    found = row(*(boot(number, *one) for number, one in enumerate(laps, 1)))

    assert (found.verdict is Verdict.EQUAL) == (len({sorted(one)[1] for one in laps}) == 1)
    assert found.alike == (len({tuple(one) for one in laps}) == 1)
    assert not found.alike or found.verdict is Verdict.EQUAL


def test_the_digest_is_of_each_value_in_order() -> None:
    assert len({digest(values) for values in ((1.0, 2.0), (2.0, 1.0), (1.0,), (1.0, 2.0, 2.0), (12.0,), ())}) == 6
    assert digest((1.5,)) == "03c76d47c407b24353b3121bd96490373bd6c5de05f6b3d32bd420c4810f1160"


def test_a_wobble_fails_with_strict_only_and_no_row_at_all_says_nothing() -> None:
    wobble = row(boot(1, 7), boot(2, 8))

    assert (steady_status([wobble]), steady_status([wobble], strict=True)) == (Status.PASS, Status.FAIL)
    assert steady_status([row(boot(1, 7), boot(2, 7))], strict=True) is Status.PASS


# --- the cause ------------------------------------------------------------------------------------------------------------


def test_the_pair_to_explain_is_the_one_furthest_apart() -> None:
    found = furthest_apart("rtt", [boot(1, 8), boot(2, 7), boot(3, 12), boot(4, 99, status=Status.FAIL), boot(5)])

    assert found is not None
    assert [job.boot for job in found] == [2, 3]
    assert furthest_apart("rtt", [boot(1, 7), boot(2, 7)]) is None
    assert furthest_apart("rtt", []) is None


class Booting:
    """Stands in for boots with a profile: which were made, and the values they gave."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
        self.values = values
        self.made: list[int] = []
        monkeypatch.setattr(determinism, "boot_profiled", self.boot)
        self.read: list[tuple[int, int]] = []
        monkeypatch.setattr(determinism, "explain_pair", self.explain)
        settings = SimpleNamespace(budget=SimpleNamespace(workers=2))
        self.lab = cast("Lab", SimpleNamespace(settings=settings, ledger=SimpleNamespace(failed=False), emit=lambda event: None))

    def boot(self, lab: Lab, ask: Ask, jobs: Sequence[Job], verb: str) -> list[JobResult]:
        self.made += [job.boot for job in jobs]
        return [replace(boot(job.boot, self.values[job.boot - 1]), explain=True) for job in jobs]

    def explain(
        self, lab: Lab, pair: tuple[Job, Job], results: Sequence[JobResult], rows: Sequence[Comparison], named: Sequence[str]
    ) -> list[SimpleNamespace]:
        self.read.append((pair[0].boot, pair[1].boot))
        return [SimpleNamespace(metric=one.metric, delta=one.delta) for one in rows]

    def cause_of(self, *values: float) -> Steadiness:
        jobs = [replace(job_of(payload=SPEC), boot=number) for number in range(1, len(values) + 1)]
        wobbling = row(*(boot(number, value) for number, value in enumerate(values, 1)))
        (found,) = determinism.explained(self.lab, Ask(), jobs, [wobbling])
        return found


def test_boots_with_a_profile_go_on_until_two_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    booting = Booting(monkeypatch, 7, 7, 7, 9, 7, 7)
    found = booting.cause_of(7, 8, 7, 7, 7, 7)

    assert booting.made == [1, 2, 3, 4]
    assert found.explained == 4
    assert found.cause is not None
    assert found.cause.delta == 2  # type: ignore[attr-defined]  # a stand-in
    assert booting.read == [(1, 4)]


def test_two_boots_are_read_once_for_all_rows_that_differ_most_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    booting = Booting(monkeypatch, 7, 8)
    jobs = [replace(job_of(payload=SPEC), boot=number) for number in (1, 2)]
    wobbling = row(boot(1, 7), boot(2, 8))

    found = determinism.explained(booting.lab, Ask(), jobs, [wobbling, wobbling])

    assert booting.read == [(1, 2)]
    assert all(one.cause is not None for one in found)


def test_when_none_differ_the_search_ends_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    booting = Booting(monkeypatch, 7, 7, 7)
    found = booting.cause_of(7, 7, 8)

    assert booting.made == [1, 2, 3]
    assert (found.explained, found.cause) == (3, None)


def test_what_is_equal_is_not_booted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    booting = Booting(monkeypatch, 7, 8)

    assert booting.cause_of(7, 7).explained == 0
    assert booting.made == []


def test_a_bad_boot_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    booting = Booting(monkeypatch, 7, 7, 9)
    booting.lab.ledger.failed = True  # type: ignore[misc]  # a stand-in

    assert booting.cause_of(7, 8, 7).explained == 0


# --- the verb -------------------------------------------------------------------------------------------------------------


class FakeLab:
    """A lab whose boots are `results`: what the verb makes of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *results: JobResult, mode: Mode = "exact", failed: bool = False) -> None:
        self.root = Path(__file__).parents[2]
        self.ledger = SimpleNamespace(steadiness=[], strict=False, failed=failed)
        self.mode: Mode = mode
        self.numbers: list[int] = []
        monkeypatch.setattr(determinism, "run_stage", lambda *_: list(results))

    def payload(self, name: str) -> PayloadSpec:
        return SPEC if name == SPEC.name else replace(SPEC, name=name, metrics=(Metric("waits", "us", "sample"),))

    def guest(self, ask: Ask, payload: PayloadSpec | None = None) -> GuestSpec:
        return GuestSpec("single", mode=self.mode)

    def bench(self, ask: Ask, payload: PayloadSpec) -> SimpleNamespace:
        return SimpleNamespace(job=self.job)

    def job(self, side: object, kernel: object, payload: PayloadSpec, boot: int) -> Job:
        self.numbers.append(boot)
        return replace(job_of(payload=payload), boot=boot)

    def sides(self, ask: Ask) -> tuple[None, SimpleNamespace]:
        return None, SimpleNamespace(label="null")

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None

    def look(self, boots: str = "", **words: str) -> tuple[Steadiness, ...]:
        return determinism.determinism_verb(cast("Lab", self), Ask(**words), boots)  # type: ignore[arg-type]  # words only


def test_ten_cold_boots_of_every_payload_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = FakeLab(monkeypatch, *(boot(number, 7) for number in range(1, 11)))

    (found,) = lab.look()
    assert lab.numbers == list(range(1, 11))
    assert (found.metric, found.verdict, found.kernel) == ("rtt", Verdict.EQUAL, "null")
    assert lab.ledger.steadiness == [found]


def test_no_row_at_all_is_red_unless_the_boots_are(monkeypatch: pytest.MonkeyPatch) -> None:
    skipping = [replace(boot(number), cases=(Case("rtt", Status.SKIP, "no device"),)) for number in (1, 2)]

    with pytest.raises(LabError, match="nothing is known"):
        FakeLab(monkeypatch, *skipping).look("2")
    assert FakeLab(monkeypatch, *skipping, failed=True).look("2") == ()


@pytest.mark.parametrize(
    ("words", "boots", "said"),
    [
        ({"payload": "quiet"}, "", "quiet: no row is counted"),
        ({"payload": "pingpong,quiet"}, "", "quiet: no row is counted"),
        ({"row": "rtt,rtd"}, "", "no counted row is called rtd"),
        ({"row": "bios"}, "", "no counted row is called bios"),
        ({}, "1", "whole number from 2"),
        ({}, "ten", "whole number from 2"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(
    monkeypatch: pytest.MonkeyPatch, words: dict[str, str], boots: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        FakeLab(monkeypatch).look(boots, **words)


def test_a_guest_that_counts_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="pingpong: no row is counted"):
        FakeLab(monkeypatch, mode="counts").look(payload="pingpong")


# --- judged again ---------------------------------------------------------------------------------------------------------


def test_old_boots_judged_again_keep_the_cause_while_it_is_a_wobble() -> None:
    old = replace(row(boot(1, 7), boot(2, 8)), explained=4)

    (same,) = resteadied([boot(1, 7), boot(2, 8)], [SPEC], [old])
    (steady,) = resteadied([boot(1, 7), boot(2, 7)], [SPEC], [old])
    (lost,) = resteadied([boot(1, 7)], [SPEC], [old])
    assert (same, steady.verdict, steady.explained, lost.verdict) == (old, Verdict.EQUAL, 0, Verdict.INCONCLUSIVE)
    assert resteadied([], [], [old]) == (old,)
