"""Rows that need hardware: what interrupts isolated CPUs, and reads that wait for a device."""

from __future__ import annotations

from statistics import median_low
from typing import Any

import pytest
from conftest import Line, inv

DEVICE = ("raw.", "direct.")
READ = "direct.pread.512"


def values(job: dict[str, Any]) -> dict[str, float]:
    """Metric -> the boot's value."""
    return {row["metric"]: median_low(row["values"]) for row in job["samples"]}


def test_isolated_cpus_have_no_tick_and_are_interrupted_when_code_is_patched(default_run: Line) -> None:
    jobs = [values(job) for job in default_run.results["jobs"] if job["payload"] == "quiet"]

    assert len(jobs) >= 6
    for found in jobs:
        assert found["cmdline.idle.timer.cpu2"] < 10
        assert found["cmdline.idle.timer.cpu3"] < 10
        assert found["cmdline.toggle.call"] == 3
        assert found["cmdline.munmap.tlb"] == 1


@pytest.mark.full
def test_a_cpuset_keeps_the_tick_and_reads_count_the_same_on_two_equal_kernels(default_run: Line) -> None:
    line = inv("bench", "--series", "null", "--payload", "quiet-plain,readpath", "--row", READ, "--explain")

    assert line.code == 0, line.text[-3000:]
    plain = [values(job) for job in line.results["jobs"] if job["payload"] == "quiet-plain"]
    assert min(found[f"{state}.idle.timer.cpu2"] for found in plain for state in ("plain", "cpuset")) > 20
    rows = {row["metric"]: row for row in line.results["comparisons"] if row["payload"] == "readpath"}
    assert {row["verdict"] for row in rows.values() if row["kind"] == "exact"} <= {"EQUAL", "WOBBLE"}
    assert not [row for row in rows.values() if "the leak is not known" in row["note"]]
    bios = {name: set(row["base"]["values_by_boot"]) for name, row in rows.items() if name.startswith("bios.")}
    assert bios.pop("bios.cached") == {0}
    assert set(map(frozenset, bios.values())) == {frozenset({1})}
    assert len(bios) == sum(row["kind"] == "exact" and name.startswith(DEVICE) for name, row in rows.items())
    (one,) = line.results["explanations"]
    assert one["published"]["row"] == one["metric"] == READ
    assert {"VFS", "filesystem", "block", "driver"} <= {layer["name"] for layer in one["layers"]}
    assert {"driver", "block"} <= {layer["name"] for layer in one["interrupts"]}
