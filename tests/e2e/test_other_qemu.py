"""The plugin's other interface: QEMU 10 beside the installed one, from LAB_OTHER_QEMU (a directory) or Debian's backports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, inv

from lab.measure.cost import plugin_api, qemu_version

PROMISED = "LAB_OTHER_QEMU"
UNPACK = ROOT / "tests" / "e2e" / "qemu-of-backports.sh"
PLUGIN_TESTS = ["tests/integration/test_cost_plugin.py", "tests/integration/test_cost_profile.py"]
ONE = "busted/one-instruction"


def unpacked(place: Path) -> Path:
    """The directory of a QEMU with another plugin interface; the test is skipped with the reason where none can be had."""
    done = subprocess.run([UNPACK, place], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        pytest.skip(
            f"THE PLUGIN'S OTHER INTERFACE IS NOT TESTED: {done.stderr.strip()[-300:]}; set {PROMISED} to a directory with a QEMU"
        )
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the other QEMU comes first. What LAB_OTHER_QEMU promises has to be there."""
    installed = plugin_api(qemu_version())
    promised = os.environ.get(PROMISED)
    directory = Path(promised) if promised else unpacked(tmp_path_factory.mktemp("qemu"))
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", environment["PATH"])
        if plugin_api(qemu_version()) != installed:
            return environment
    if promised:
        pytest.fail(f"{PROMISED}={promised} has no QEMU with another plugin interface than the installed one")
    pytest.skip(f"THE PLUGIN'S OTHER INTERFACE IS NOT TESTED: both QEMUs have interface {installed}")


def test_what_is_counted_by_hand_is_what_the_other_interface_counts(other: dict[str, str]) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--numprocesses=2", *PLUGIN_TESTS]

    done = subprocess.run(words, cwd=ROOT, env=other, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.full
def test_a_kernel_is_counted_and_explained_through_the_other_interface(other: dict[str, str]) -> None:
    named = ("--row", "read-zero.64,page-fault,pipe.64")
    line = inv("bench", "--series", ONE, "--payload", "syscall,pingpong", "--any", "--explain", *named, environment=other)

    rows = {row["metric"]: row for row in line.results["comparisons"] if row["kind"] == "exact"}
    explained = {one["metric"]: one for one in line.results["explanations"]}
    assert line.code == 1, line.text[-3000:]
    (version,) = {job["env"]["qemu"] for job in line.results["jobs"]}
    assert plugin_api((int(version.split(".")[0]), int(version.split(".")[1]))) != plugin_api(qemu_version())
    checked = [
        case for job in line.results["jobs"] for case in job["cases"] if case["name"] in ("crosscheck page-fault", "profile")
    ]
    assert len({case["name"] for case in checked}) == 2
    assert {case["status"] for case in checked} == {"PASS"}
    assert (rows["read-zero.64"]["delta"], rows["pipe.64"]["delta"], rows["page-fault"]["delta"]) == (1, 2, 0)
    for name, gain in (("read-zero.64", 1.0), ("pipe.64", 2.0)):
        assert {one["name"]: one["delta"] for one in explained[name]["functions"] if abs(one["delta"]) >= 0.5} == {
            "vfs_read": gain
        }
