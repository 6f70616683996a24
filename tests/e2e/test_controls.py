"""The negative controls, built and booted for real: each must be called what it is. And two that change nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Line, inv

VERB = {"apply": "build", "build": "build", "boot": "boot", "payload": "bench", "metric": "bench", "pass": "bench"}
ONE = "busted/one-instruction"
CHECKED = ("profile", "guest.symbols")
MOVES = "busted/moves-work"
WOBBLES = "busted/wobbles"
"""What `determinism` finds: test_determinism.py."""


def declared(name: str) -> dict[str, Any]:
    return tomllib.loads((Path(ROOT) / "patches" / name / "series.toml").read_text())


def comes_up(name: str) -> bool:
    return bool(declared(name)["expect"]["stage"] != "boot")


CONTROLS = sorted(
    (
        str(path.parent.relative_to(ROOT / "patches"))
        for path in (ROOT / "patches").rglob("series.toml")
        if path.parent.parent.name == "busted" or path.parent.name.startswith("null")
    ),
    key=comes_up,
    reverse=True,
)
"""Those that do not come up are looked at last."""


def test_the_controls_are_all_there() -> None:
    assert len(CONTROLS) >= 13


def words(name: str) -> list[str]:
    """The line that shows what a control is."""
    stage = declared(name)["expect"]["stage"]
    if stage in ("payload", "metric"):
        return [VERB[stage], "--series", name, "--payload", "pingpong", "--any"]
    if stage == "pass":
        return [VERB[stage], "--series", name, "--payload", "syscall,pingpong"]
    return [VERB[stage], "--series", name]


@pytest.fixture(scope="module")
def boots(default_run: Line) -> Iterator[dict[str, Future[Line]]]:
    """The controls that do not come up, beside each other and all else: a hang is mostly waited for."""
    names = [name for name in CONTROLS if not comes_up(name)]
    for name in names:
        assert inv("build", "--series", name).code == 0
    with ThreadPoolExecutor() as pool:
        yield {name: pool.submit(inv, *words(name)) for name in names}


@pytest.mark.parametrize("name", [name for name in CONTROLS if name not in (ONE, MOVES, WOBBLES)])
def test_a_control_is_called_what_it_is(name: str, boots: dict[str, Future[Line]]) -> None:
    expect = declared(name)["expect"]
    line = boots[name].result() if name in boots else inv(*words(name))

    assert line.code == (0 if expect["stage"] == "pass" else 1), line.text[-3000:]
    assert expect["text"] in line.text
    if expect["stage"] == "pass":
        verdicts = {row["verdict"] for row in line.results["comparisons"] if row["kind"] == "exact"}
        trees = {build["tree"] for build in line.results["builds"]}
        assert verdicts <= {"EQUAL", "WOBBLE"}
        assert len(trees) == 2
    else:
        assert line.results["status"] == "FAIL"


def test_one_instruction_is_seen_as_exactly_that_and_in_the_function_that_has_it(default_run: Line) -> None:
    line = inv("bench", "--series", ONE, "--payload", "pingpong", "--any", "--explain")

    rows = {row["metric"]: row for row in line.results["comparisons"]}
    assert line.code == 1
    assert rows["pipe.64"]["verdict"] == "MORE"
    assert rows["pipe.64"]["delta"] == 2  # two reads a round trip
    explained = {one["metric"]: one for one in line.results["explanations"]}
    gained = {one["name"]: one["delta"] for one in explained["pipe.64"]["functions"] if abs(one["delta"]) >= 0.5}
    assert gained == {"vfs_read": 2.0}
    assert explained["pipe.64"]["patched"] == rows["pipe.64"]["patched"]["median"] + explained["pipe.64"]["bracket"]
    spaces = {one["name"]: one["patched"] for one in explained["pipe.64"]["spaces"]}
    assert min(spaces["own-space"], spaces["other-spaces"]) > 0.4 * explained["pipe.64"]["patched"]  # two processes, alike
    assert spaces["space-loads"] == pytest.approx(1, abs=0.1)


def test_work_that_moved_into_a_worker_is_no_gain(default_run: Line) -> None:
    line = inv("bench", "--series", MOVES, "--payload", "pingpong")

    rows = {row["metric"]: row for row in line.results["comparisons"]}
    moved, total = rows["pipe.16384"], rows["pipe.16384.total"]
    assert line.code == 1
    assert moved["delta"] < -0.02 * moved["base"]["median"]
    assert (moved["verdict"], moved["note"].partition(":")[0]) == ("WOBBLE", "work moved")
    assert (total["verdict"], total["material"]) == ("MORE", True)
    assert {row["verdict"] for row in rows.values() if row["metric"].startswith(("futex", "unix", "udp"))} <= {
        "EQUAL",
        "WOBBLE",
        "UNCHANGED",
    }


@pytest.mark.full
def test_inlined_functions_and_estimates_add_to_what_was_counted(default_run: Line) -> None:
    row = "read-zero.64"
    line = inv("bench", "--series", ONE, "--payload", "syscall", "--row", row, "--explain", "--caches", "--inlines")

    (one,) = line.results["explanations"]
    inlined = {(each["name"], each["inside"]): each["delta"] for each in one["inlines"] if abs(each["delta"]) >= 0.5}
    assert inlined == {("vfs_read", "vfs_read"): pytest.approx(1.0, abs=0.05)}
    assert sum(each["base"] for each in one["inlines"]) == pytest.approx(one["mean"]["base"])
    assert any(each["name"] != each["inside"] for each in one["inlines"])
    assert "est.: cycles, not measured" in line.text
    checked = [
        case["status"] for job in line.results["jobs"] if job["explain"] for case in job["cases"] if case["name"] in CHECKED
    ]
    assert checked == ["PASS"] * 2 * len(CHECKED)
