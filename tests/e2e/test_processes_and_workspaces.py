"""Payloads of processes, messages, workspaces and agents: the same on equal kernels, in the order that the mechanisms give."""

from __future__ import annotations

from statistics import median_low
from typing import Any

import pytest
from conftest import Line, inv


def rows(line: Line, payload: str) -> dict[str, dict[str, Any]]:
    """Metric -> its comparison."""
    return {row["metric"]: row for row in line.results["comparisons"] if row["payload"] == payload}


def base(line: Line, payload: str) -> dict[str, float]:
    """Metric -> the base side's median."""
    return {name: median_low(row["base"]["values_by_boot"]) for name, row in rows(line, payload).items()}


@pytest.fixture(scope="module")
def both(default_run: Line) -> Line:
    """The payloads on two equal kernels."""
    return inv("bench", "--series", "null", "--payload", "spawn,same-host,branchpath,agent-loop")


@pytest.mark.full
def test_equal_kernels_count_the_same(both: Line) -> None:
    exact = [row for row in both.results["comparisons"] if row["kind"] == "exact"]

    assert both.code == 0, both.text[-3000:]
    assert {row["verdict"] for row in exact} <= {"EQUAL", "WOBBLE"}
    assert [row["metric"] for row in exact if row["verdict"] == "WOBBLE" and "the leak is not known" in row["note"]] == []


@pytest.mark.full
def test_fork_copies_the_page_tables_that_vfork_shares(both: Line) -> None:
    found = base(both, "spawn")

    assert found["vfork.entries"] == found["posix-spawn.entries"] == 0
    assert found["fork.64.entries"] - found["fork.0.entries"] == 64 * 256
    assert found["fork.256.entries"] - found["fork.0.entries"] == 256 * 256
    assert found["fork-thp.256.entries"] - found["fork.0.entries"] == 256 / 2
    assert found["vfork"] < found["fork.0"] < found["fork.64"] < found["fork.256"]
    assert {value for name, value in found.items() if name.endswith(".ipis")} == {0}


@pytest.mark.full
def test_what_the_kernel_cannot_do_is_skipped_with_the_reason(both: Line) -> None:
    skipped = {case["name"]: case["detail"] for job in both.results["jobs"] for case in job["cases"] if case["status"] == "SKIP"}

    assert skipped["smc.64"] == "the kernel has no CONFIG_SMC_LO"
    assert skipped["reflink"] == "the kernel has no btrfs, no null_blk or no configfs: kconfig full has"
    assert skipped["worktree"] == skipped["stash"] == "this image has no git; --image debian has"


@pytest.mark.full
def test_what_needs_another_kernel_and_image_is_measured_there() -> None:
    line = inv("determinism", "--payload", "branchpath", "--kconfig", "full", "--image", "debian", "--boots", "2")

    found = {row["metric"]: row for row in line.results["steadiness"]}
    ways = {name.partition(".")[0] for name in found}
    assert line.code == 0, line.text[-3000:]
    assert ways == {"copy", "overlay", "reflink", "worktree", "stash"}
    assert all(len(row["values"]) == 2 for row in found.values())
    assert median_low(found["reflink.create.1000"]["values"]) < median_low(found["worktree.create.1000"]["values"])


@pytest.mark.full
def test_smc_carries_messages_where_the_kernel_has_it() -> None:
    line = inv("determinism", "--payload", "same-host", "--kconfig", "full", "--row", "smc.64,tcp.64", "--boots", "2")

    assert line.code == 0, line.text[-3000:]
    assert {row["metric"] for row in line.results["steadiness"]} == {"smc.64", "tcp.64"}


@pytest.mark.full
def test_a_view_by_overlayfs_costs_the_same_for_any_workspace_and_a_copy_does_not(both: Line) -> None:
    found = base(both, "branchpath")

    assert found["overlay.create.10000"] < 1.1 * found["overlay.create.10"]
    assert found["copy.create.10000"] > 100 * found["copy.create.10"]


@pytest.mark.full
def test_the_phases_of_a_turn_add_up(both: Line) -> None:
    found = base(both, "agent-loop")
    phases = sum(found[name] for name in ("plan", "spawn", "read", "message", "explore"))

    assert found["turn"] == pytest.approx(phases, rel=0.02)
