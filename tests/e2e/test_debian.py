"""The debian image on a real kernel: every tool is tried once, files go in and come back, a directory of the host is shared."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Line, inv

TOOLS = ROOT / "tests" / "e2e" / "tools.sh"
GUEST = ("--name", "reserve.debian")


@pytest.fixture(scope="module")
def guest(default_run: Line) -> Iterator[None]:
    """A kept debian guest with images/debian at /share."""
    assert inv("boot", "--keep", "--guest", "debian", "--share", str(ROOT / "images" / "debian")).code == 0
    yield
    assert inv("stop", *GUEST).code == 0


def test_every_tool_runs_on_this_kernel(guest: None, tmp_path: Path) -> None:
    names = set(re.findall(r"^try (\S+)", TOOLS.read_text(), re.MULTILINE))
    words = [str(ROOT / "inv"), "exec", *GUEST, "--push", str(TOOLS), "--pull", "trace.dat,r", "--", "./tools.sh"]

    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    said = done.stdout.splitlines()
    assert [line for line in said if not line.startswith("ok ")] == []
    assert {f"ok {name}" for name in names} <= {*said}
    assert {"ok share", "ok share is read-only", "ok the root can be written to", "ok no service runs"} <= {*said}
    assert done.returncode == 6, "the command's own status"
    assert (tmp_path / "trace.dat").read_bytes()[3:10] == b"tracing"
    assert (tmp_path / "r" / ".git" / "HEAD").is_file()


def test_payloads_run_on_it(default_run: Line) -> None:
    line = inv("bench", "--series", "null", "--payload", "syscall", "--image", "debian")

    assert line.code == 0, line.text[-3000:]
    assert {row["verdict"] for row in line.results["comparisons"] if row["kind"] == "exact"} <= {"EQUAL", "WOBBLE"}


@pytest.mark.full
def test_made_twice_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sums = []
    for name in ("one", "other"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        assert inv("image", "--name", "debian").code == 0
        (made,) = (tmp_path / name).glob("kernel-lab/rootfs/*/root.squashfs")
        sums.append(hashlib.sha256(made.read_bytes()).hexdigest())

    assert sums[0] == sums[1]
