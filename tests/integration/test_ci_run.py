from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[2] / ".ci" / "run"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a space in its path, whose ./inv prints its words and ends as FAKE_EXIT says."""
    place = tmp_path / "check out"
    for directory in (".ci", "kconfigs", "patches/with space"):
        (place / directory).mkdir(parents=True)
    shutil.copy(RUN, place / ".ci" / "run")
    for name in ("lab.toml", "requirements.lock", "kconfigs/default.config", "patches/with space/series.toml"):
        (place / name).write_text("x\n")
    (place / "inv").write_text('#!/bin/sh\nread -r line && echo "stdin: $line"\necho "inv $*"\nexit "$FAKE_EXIT"\n')
    (place / "inv").chmod(0o755)
    return place


def ci(checkout: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "FAKE_EXIT": str(code)}
    return subprocess.run(
        ["bash", checkout / ".ci/run"], env=env, cwd="/", input="surprise\n", capture_output=True, text=True, check=False
    )


def test_it_runs_the_tests_without_stdin_and_keeps_their_exit_code(checkout: Path) -> None:
    done = ci(checkout, 3)

    assert done.returncode == 3
    assert done.stdout.splitlines()[-1] == "inv test"
    assert "stdin" not in done.stdout
    assert done.stderr == ""


def test_keys_follow_what_a_kernel_is_made_of(checkout: Path) -> None:
    before = ci(checkout).stdout
    (checkout / "patches/with space/0001-x.patch").write_text("y\n")
    after = ci(checkout).stdout

    kernel, venv = before.splitlines()[:2]
    assert kernel.startswith("cache: path=/nowhere/.cache/kernel-lab key=kernel-lab-")
    assert kernel not in after
    assert venv in after
