"""The series xdp-cgroup-id: what it brings is skipped on the base, tried on the patched kernel, and costs nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Line, inv

BY_CGROUP = "frame, by cgroup: "
NOT_CAPTURED = "mishap, by {}: a frame for another cgroup's port is not redirected"


@pytest.fixture(scope="module")
def line(default_run: Line) -> Line:
    """The series benched, once."""
    return inv("bench", "--series", "xdp-cgroup-id", "--payload", "xdp-steer")


def cases(line: Line, role: str) -> Iterator[dict[str, Any]]:
    """The cases of every boot of a side."""
    for job in line.results["jobs"]:
        if job["role"] == role:
            yield from job["cases"]


def test_no_case_fails_and_no_row_costs_more(line: Line) -> None:
    assert line.code == 0, line.text[-3000:]
    assert {job["status"] for job in line.results["jobs"]} == {"PASS"}
    assert not [row for row in line.results["comparisons"] if row["verdict"] == "MORE" and row["material"]]


def test_what_needs_the_helper_is_skipped_with_the_reason_on_the_base_and_tried_on_patched(line: Line) -> None:
    base = {(case["status"], case["detail"]) for case in cases(line, "baseline") if case["name"].startswith(BY_CGROUP)}
    patched = {case["status"] for case in cases(line, "patched") if case["name"].startswith(BY_CGROUP)}

    assert base == {("SKIP", "program of this type cannot use helper bpf_sk_cgroup_id#128")}
    assert patched == {"PASS"}


def test_a_frame_for_another_cgroup_is_not_redirected(line: Line) -> None:
    for way, role in (("registered", "baseline"), ("registered", "patched"), ("cgroup", "patched"), ("cast", "baseline")):
        assert {case["status"] for case in cases(line, role) if case["name"] == NOT_CAPTURED.format(way)} == {"PASS"}


def test_the_row_is_new_on_patched(line: Line) -> None:
    rows = {row["metric"]: row for row in line.results["comparisons"]}

    assert rows["afxdp.cgroup.64"]["note"].startswith("new on xdp-cgroup-id; skipped on base: ")
    assert rows["afxdp.cgroup.64"]["patched"]["median"] > rows["afxdp.registered.64"]["patched"]["median"]
    assert rows["afxdp.64"]["patched"]["median"] < rows["pass.64"]["patched"]["median"]
