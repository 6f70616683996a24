"""Matrices of the toy kernel on the fake QEMU, with real make, builders and workers: bad cells, shared builds, resuming."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakeguest import FAKES
from junitparser import JUnitXml
from kerneltree import VNG
from processes import named, wait_until_gone
from toylab import MATRIX, PAYLOAD, run_matrix, toy_lab, use_toys
from toyseries import TESTED, declared
from toyseries import toy_lab as lab_of_series

from lab.campaign.again import rejudged
from lab.campaign.matrix import plan_of, run_of
from lab.campaign.plan import Ask
from lab.campaign.rundir import find_run
from lab.campaign.session import Lab
from lab.errors import HostError, PatchError
from lab.events import Event, JobFinished, JobStarted, Note, StageFinished, StageLine, StageStarted, silent
from lab.model.judgement import Verdict
from lab.model.matrix import CellResult
from lab.model.outcome import Status
from lab.model.run import Results
from lab.report.grid import grid_lines

ONE_KCONFIG = MATRIX.replace(', "net"]', "]")
ONE_CELL = ONE_KCONFIG.replace('["good", "broken", "panics"]', '["good"]')


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where toy labs may be made; nothing of them runs on afterwards."""
    use_toys(monkeypatch, tmp_path / "lab")
    yield tmp_path
    assert named(tmp_path) == {}, "processes were left behind"


def cells(results: Results) -> dict[str, CellResult]:
    return {cell.id: cell for cell in results.cells}


def test_a_bad_cell_does_not_stop_the_others(toys: Path) -> None:
    text = ONE_KCONFIG.replace('"panics"]', '"panics", "warns", "conflicts"]')
    results = run_matrix(toy_lab(toys / "lab", text))

    found = {cell.series: (cell.status, cell.verdict) for cell in results.cells}
    assert found == {
        "good": (Status.PASS, "EQUAL"),
        "broken": (Status.FAIL, ""),
        "panics": (Status.FAIL, ""),
        "warns": (Status.FAIL, ""),
        "conflicts": (Status.FAIL, ""),
    }
    messages = {cell.series: cell.message for cell in results.cells}
    assert "does not build" in messages["broken"]
    assert "panic" in messages["panics"]
    assert "conflicts" in messages["conflicts"]
    assert (results.status, results.exit) == (Status.FAIL, 1)


def test_what_is_the_same_is_built_and_booted_once(toys: Path) -> None:
    events: list[Event] = []
    matrix = '[matrix.default]\nseries = ["good"]\nupto = ["all"]\nguests = ["fake", "other"]\npayloads = ["reads"]\n'
    results = run_matrix(toy_lab(toys / "lab", matrix), listen=events)

    assert [cell.upto for cell in results.cells] == [1, 1, 2, 2]
    assert results.exit == 0
    assert len((toys / "vng.calls").read_text().splitlines()) == 3
    boots = [event.job for event in events if isinstance(event, JobStarted)]
    assert len(boots) == len(set(boots)) == 2 * 3 * 2  # guests x kernels x boots
    assert [job.id for job in results.jobs] == sorted(boots)


def test_every_cell_is_a_suite_and_the_grid_is_in_the_summary(toys: Path) -> None:
    root = toy_lab(toys / "lab")
    results = run_matrix(root)
    run = find_run(root / "reports", "latest")

    suites = {suite.name: suite for suite in JUnitXml.fromfile(str(run.junit))}
    assert set(cells(results)) < set(suites)
    broken = suites["reads.broken.k02.default.fake"]
    assert (broken.tests, broken.failures) == (1, 1)
    assert suites["reads.good.k02.default.fake"].failures == 0
    assert suites["reads.good.k02.default.fake"].tests > 5
    for line in grid_lines(results.cells, 100):
        assert f"    {line}".rstrip() in run.summary.read_text().splitlines()


def test_a_run_judged_again_says_the_same(toys: Path) -> None:
    root = toy_lab(toys / "lab", ONE_KCONFIG)
    results = run_matrix(root)

    again = rejudged(find_run(root / "reports", "latest"))

    assert (again.cells, again.comparisons) == (results.cells, results.comparisons)
    assert (again.status, again.exit) == (results.status, results.exit) == (Status.FAIL, 1)


def test_a_kernel_that_nobody_can_use_is_not_built(toys: Path) -> None:
    matrix = '[matrix.default]\nseries = ["above"]\nupto = "all"\npayloads = ["reads"]\n'
    root = toy_lab(toys / "lab", matrix)
    shutil.copytree(root / "patches" / "good", root / "patches" / "above")
    (root / "patches" / "above" / "series.toml").write_text('requires = ["broken"]\n')

    results = run_matrix(root)

    assert [(cell.upto, cell.status) for cell in results.cells] == [(1, Status.ERROR), (2, Status.ERROR)]
    assert len((toys / "vng.calls").read_text().splitlines()) == 1
    assert results.exit == 3


def test_own_stands_for_the_self_tests_that_a_series_declares(toys: Path) -> None:
    root = declared(lab_of_series(toys / "lab", [{"init/number": ("100\n", "107\n")}, TESTED]))
    with (root / "lab.toml").open("a") as settings:
        settings.write('[matrix.default]\nseries = ["mine"]\nguests = ["fake"]\nsuites = ["kselftest own"]\n')

    results = run_matrix(root)

    assert [(cell.payload, cell.status, cell.verdict) for cell in results.cells] == [("kselftest own", Status.PASS, "NEW")]
    assert {row.test for row in results.tests} >= {"own:reads.sh: reads", "own:reads.sh: more"}
    assert results.exit == 0


def test_a_payload_that_does_not_build_is_no_verdict_on_the_series(toys: Path) -> None:
    root = toy_lab(toys / "lab", ONE_CELL)
    (root / "payloads" / "reads" / "Makefile").write_text("$(OUT)/reads:\n\tfalse\n")

    results = run_matrix(root)

    assert {cell.status for cell in results.cells} == {Status.MISS}
    assert results.exit == 3


def test_a_run_that_is_complete_is_not_continued(toys: Path) -> None:
    root = toy_lab(toys / "lab", ONE_CELL)
    first, second = run_matrix(root), run_matrix(root)

    assert first.run != second.run
    assert len((toys / "vng.calls").read_text().splitlines()) == 2  # Builds are shared by runs


def test_a_changed_patch_starts_another_run(toys: Path) -> None:
    root = toy_lab(toys / "lab", ONE_CELL)
    first = run_matrix(root)
    find_run(root / "reports", first.run).results.unlink()
    patch = min((root / "patches" / "good").iterdir())
    patch.write_text(patch.read_text().replace("Because.", "Because of that."))

    assert run_matrix(root).run != first.run


def test_two_at_once_is_refused(toys: Path) -> None:
    root = toy_lab(toys / "lab", ONE_CELL)
    first = run_matrix(root)
    run = find_run(root / "reports", first.run)
    run.results.unlink()
    lab = Lab(root, silent, [])

    with run_of(lab, plan_of(lab, Ask(accel="tcg")), fresh=False) as (mine, _):
        assert mine == run
        with pytest.raises(HostError, match="is going on"):
            run_matrix(root)


MEET = """
mktemp "$VNG_CALLS.XXXXXX"
for _ in $(seq 600); do
	[ $(ls "$VNG_CALLS".* | wc -l) -ge 2 ] && break
	sleep 0.1
done
[ $(ls "$VNG_CALLS".* | wc -l) -ge 2 ] || exit 1
exec make"""


def test_kernels_of_two_kconfigs_are_built_beside_each_other(toys: Path) -> None:
    root = toy_lab(toys / "lab", MATRIX.replace('["good", "broken", "panics"]', '["good"]'))
    (toys / "bin" / "vng").write_text(VNG.replace("exec make", MEET).replace("$VNG_CALLS", str(toys / "vng.calls")))

    results = run_matrix(root)  # the first build waits for the second to begin, and fails if it does not

    assert {cell.status for cell in results.cells} == {Status.PASS}


def test_with_no_builders_beside_guests_one_thing_comes_after_another(toys: Path) -> None:
    matrix = MATRIX.replace(', "broken"', "")
    root = toy_lab(toys / "lab", matrix)
    settings = (root / "lab.toml").read_text()
    (root / "lab.toml").write_text(settings.replace("[budget]\n", "[budget]\nworkers = 1\nbuilders = 0\n"))
    events: list[Event] = []

    results = run_matrix(root, listen=events)

    steps = [event for event in events if isinstance(event, JobStarted | JobFinished) or getattr(event, "stage", "") == "build"]
    kinds = [isinstance(event, JobStarted | StageStarted) for event in steps if not isinstance(event, StageLine)]
    assert kinds == [True, False] * (len(kinds) // 2)
    assert len(kinds) > 2 * len(results.cells)
    assert told(results) == told(run_matrix(toy_lab(toys / "beside", matrix)))


def test_sampled_rows_wait_until_nothing_is_built(toys: Path) -> None:
    payload = PAYLOAD.replace('kind = "exact"', 'kind = "sample"')
    events: list[Event] = []
    root = toy_lab(toys / "lab", ONE_CELL, payload)
    run_matrix(root, listen=events)

    last_build = max(n for n, event in enumerate(events) if isinstance(event, StageFinished) and event.stage == "build")
    assert min(n for n, event in enumerate(events) if isinstance(event, JobStarted)) > last_build


def test_shards_together_are_the_whole(toys: Path) -> None:
    root = toy_lab(toys / "lab", ONE_KCONFIG)
    whole = run_matrix(root)
    parts = [run_matrix(root, f"shard={number}/2") for number in (1, 2)]

    together = {name: (cell.status, cell.verdict) for part in parts for name, cell in cells(part).items()}
    assert together == {name: (cell.status, cell.verdict) for name, cell in cells(whole).items()}


def test_every_patch_is_priced_and_a_series_that_cannot_be_stops_no_other(toys: Path) -> None:
    matrix = '[matrix.default]\nseries = ["conflicts", "good"]\npayloads = ["reads"]\n'
    root = toy_lab(toys / "lab", matrix)

    with pytest.raises(PatchError, match="conflicts"):
        run_matrix(root, "per-patch")

    results = find_run(root / "reports", "latest").read_results()
    (prices,) = results.prices
    assert (prices.series, len(prices.patches)) == ("good", 2)
    assert [{row.verdict for row in patch.rows} for patch in prices.patches] == [{Verdict.EQUAL}] * 2
    assert results.exit == 1


def test_an_interrupt_keeps_what_was_finished_and_the_next_goes_on(toys: Path) -> None:
    root = toy_lab(toys / "lab", ONE_KCONFIG)
    process = start(root)
    read_until(process, "JobFinished")
    process.send_signal(signal.SIGINT)
    process.communicate()
    wait_until_gone(toys)
    run = find_run(root / "reports", "latest")
    assert run.read_results().exit == 130

    events: list[Event] = []
    results = run_matrix(root, listen=events)

    assert results.run == run.id
    assert len(results.cells) == 3
    assert any(isinstance(event, Note) and "continuing run" in event.text for event in events)


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.full)])
def test_killed_again_and_again_it_ends_as_if_undisturbed(toys: Path, kills: int) -> None:
    root = toy_lab(toys / "lab", ONE_KCONFIG)
    points = random.Random(kills)
    finished: dict[Path, tuple[int, int]] = {}
    lives = 0
    for _ in range(kills):
        process = start(root)
        lives += read_lines(process, points.randrange(1, 18))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        wait_until_gone(toys)
        finished |= results_on_disk(root)
    assert finished
    assert lives == kills, "it was over before it was killed for the last time"

    results = run_matrix(root)

    there = results_on_disk(root)
    assert {path: there[path] for path in finished} == finished, "something that was finished was done again"
    assert len(list((root / "reports").glob("2*"))) == 1
    assert results.run == find_run(root / "reports", "latest").id
    assert told(results) == told(run_matrix(root, "fresh"))


def told(results: Results) -> dict[str, Any]:
    """What a run says, without when, where and how long."""
    jobs = {job.id: (job.status, job.samples, job.attempts, [case.status for case in job.cases]) for job in results.jobs}
    builds = {(one.role, one.series, one.upto, one.kconfig): (one.status, one.key, one.tree) for one in results.builds}
    found = [(cell.id, cell.status, cell.verdict, cell.message, cell.jobs) for cell in results.cells]
    return {"jobs": jobs, "builds": builds, "cells": found, "rows": results.comparisons, "exit": results.exit}


def results_on_disk(root: Path) -> dict[Path, tuple[int, int]]:
    """Every result that is finished, with what changes when it is written again."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in (root / "reports").glob("2*/*/*/result.json")}


def start(root: Path) -> subprocess.Popen[str]:
    """A matrix of its own, to be killed."""
    environment = {**os.environ, "PYTHONPATH": f"{FAKES}{os.pathsep}{FAKES.parents[1]}"}
    words = [sys.executable, str(FAKES / "toylab.py"), str(root)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True, env=environment
    )


def read_lines(process: subprocess.Popen[str], count: int) -> bool:
    """Read so many lines; whether there were that many."""
    assert process.stdout is not None
    return all(process.stdout.readline() for _ in range(count))


def read_until(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(word):
            return
    raise AssertionError(f"it ended without a {word}")
