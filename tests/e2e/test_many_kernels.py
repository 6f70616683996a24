"""A matrix of real kernels: the controls and the foundation hold, a busted one is its own cell's failure, Builds travel."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from conftest import ROOT, Line, inv

from lab.cache import Cache
from lab.kernel.carry import import_builds


def words(line: Line) -> dict[str, tuple[str, str]]:
    return {cell["series"]: (cell["status"], cell["verdict"]) for cell in line.results["cells"]}


def test_a_kernel_that_does_not_build_stops_no_other_cell(default_run: Line, tmp_path: Path) -> None:
    line = inv("matrix", "--series", "null,busted/does-not-build,reserve", "--fresh")

    assert line.code == 1, line.text[-3000:]
    assert words(line) == {"null": ("PASS", "EQUAL"), "busted/does-not-build": ("FAIL", ""), "reserve": ("PASS", "EQUAL")}
    assert "busted/does-not-build  X FAIL" in line.text

    archive = tmp_path / "builds.tar"
    assert inv("cache", "export", str(archive)).code == 0
    new, _ = import_builds(Cache(tmp_path / "elsewhere"), archive)
    assert set(new) == {build["key"] for build in line.results["builds"] if build["key"]}
    assert inv("cache", "import", str(archive)).code == 0


def test_all_series_build_and_boot_together_in_the_total_order(default_run: Line) -> None:
    order = tomllib.loads((ROOT / "lab.toml").read_text())["order"]["series"]

    line = inv("build", "boot", "--series", "+".join(reversed(order)))

    assert line.code == 0, line.text[-3000:]
    assert [tuple(build["series"]) for build in line.results["builds"]] == [tuple(order)]
    assert [job["status"] for job in line.results["jobs"]] == ["PASS"]


@pytest.mark.full
def test_the_kernels_own_tests_are_a_row_beside_payloads(default_run: Line) -> None:
    line = inv("matrix", "--name", "selftests", "--series", "reserve", "--fresh")

    (cell,) = line.results["cells"]
    assert cell["verdict"] in ("FAILS", "FLAKY", "PASS"), line.text[-3000:]
    assert line.code == 0
    assert all(len(row["base"]) == 3 for row in line.results["tests"] if row["whole"] and row["base"])
    assert (ROOT / "reports" / "latest" / "junit.xml").read_text().count(cell["id"]) > 10
