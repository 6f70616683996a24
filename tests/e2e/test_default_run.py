"""The main job on real input: the default series from source to verdict."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
from conftest import ROOT, Line, inv
from junitparser import JUnitXml


def test_it_is_good_and_ends_with_the_table(default_run: Line) -> None:
    assert default_run.code == 0
    assert "EQUAL" in default_run.text


def test_results_json_is_what_the_schema_says(default_run: Line) -> None:
    schema = json.loads((ROOT / "lab" / "report" / "results.schema.json").read_text())

    jsonschema.validate(default_run.results, schema)


def test_every_exact_row_has_its_values_by_boot(default_run: Line) -> None:
    rows = [row for row in default_run.results["comparisons"] if row["kind"] == "exact"]

    assert len(rows) >= 8
    assert all(len(row[side]["values_by_boot"]) >= 2 for row in rows for side in ("base", "patched"))
    assert not [row for row in rows if row["verdict"] not in ("EQUAL", "WOBBLE")]


def test_every_lap_of_a_faulting_operation_is_what_the_clock_saw(default_run: Line) -> None:
    jobs = [job for job in default_run.results["jobs"] if job["payload"] == "syscall"]
    checks = [case for job in jobs for case in job["cases"] if case["name"] == "crosscheck page-fault"]

    assert len(checks) == len(jobs) >= 4
    assert {(case["status"], "laps equal to the instruction" in case["detail"]) for case in checks} == {("PASS", True)}


def test_numbers_have_their_environment(default_run: Line) -> None:
    for job in default_run.results["jobs"]:
        assert {"mode", "qemu", "tree", "release", "kconfig_hash", "image"} <= job["env"].keys()


def test_junit_reads_back(default_run: Line) -> None:
    xml = JUnitXml.fromfile(str(ROOT / "reports" / default_run.results["run"] / "junit.xml"))

    assert xml.tests > 0
    assert xml.failures == xml.errors == 0


def test_again_builds_nothing(default_run: Line) -> None:
    line = inv("build")

    assert line.code == 0
    assert all(build["reused"] for build in line.results["builds"])


def test_a_run_can_be_judged_and_shown_again(default_run: Line) -> None:
    run = str(default_run.results["run"])
    before = default_run.results["comparisons"]

    assert inv("recheck", "--run", run).code == 0
    after = json.loads((ROOT / "reports" / run / "results.json").read_text())["comparisons"]
    assert after == before
    assert "EQUAL" in inv("report", "--run", run).text
    assert "| " in inv("report", "--run", run, "--cover").text


def test_a_foreign_kernel_is_booted_as_it_is(default_run: Line, tmp_path: Path) -> None:
    job = next((ROOT / "reports" / default_run.results["run"] / "jobs").glob("boot.*/job.json"))
    bzimage = json.loads(job.read_text())["kernel"]["bzimage"]

    line = inv("boot", "--kernel", bzimage)

    assert line.code == 0
    assert "release" in line.text


def test_a_kept_guest_takes_words_and_hands_back_status(default_run: Line) -> None:
    try:
        assert inv("boot", "--keep").code == 0
        assert "reserve" in inv("ps").text
        line = inv("exec", "--", "sh", "-c", 'echo "a  b" $0; exit 9', "it's")
        assert (line.code, "a  b it's" in line.text) == (9, True)
    finally:
        assert inv("stop", "--all").code == 0
    assert inv("exec", "--", "true").code == 2
