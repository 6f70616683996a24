from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import PANIC, failing

from lab.report.reproduce import repro_text

DEAD = failing().jobs[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose `inv` and QEMU print their words, and the directory of a job."""
    for name in ("inv", "qemu"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name}\nfor word; do echo "<$word>"; done\n')
        program.chmod(0o755)
    job = tmp_path / "reports" / "r 1" / "jobs" / "j"
    job.mkdir(parents=True)
    return job


def play(job: Path, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    (job / "repro.sh").write_text(text)
    return subprocess.run(["sh", job / "repro.sh", *words], capture_output=True, text=True, check=False)


def test_without_a_word_the_lab_does_it_again_from_the_checkout(checkout: Path) -> None:
    text = repro_text(DEAD, "./inv bench --series 'a b'", ["qemu"])

    assert play(checkout, text).stdout.splitlines() == ["inv", "<bench>", "<--series>", "<a b>"]


def test_qemu_gets_its_words_unchanged(checkout: Path) -> None:
    argv = [
        str(checkout.parents[3] / "qemu"),
        "-append",
        "console=ttyS0 it's $HOME `x`",
        "-m",
        "1G",
        "-no-reboot",
        "two\nlines",
        "{command}",
    ]

    done = play(checkout, repro_text(DEAD, "./inv boot", argv), "qemu")

    assert done.stdout == "qemu\n" + "".join(f"<{word}>\n" for word in argv[1:])


def test_show_prints_what_to_paste(checkout: Path) -> None:
    done = play(checkout, repro_text(DEAD, "./inv boot", ["qemu", "-m", "1G"]), "show")

    assert "./inv boot" in done.stdout
    assert "-m 1G" in done.stdout


def test_it_says_what_failed_and_no_text_escapes_its_comment(checkout: Path) -> None:
    nasty = replace(DEAD, message="one\ntwo\recho three\x00", findings=(replace(PANIC, title="x\necho broken out"),))

    text = repro_text(nasty, "./inv boot", [])

    head = text[: text.index("set -eu")].splitlines()
    assert all(line.startswith("#") for line in head)
    assert "# one" in head
    assert "broken" not in play(checkout, text).stdout


def test_a_qemu_that_never_started_is_said(checkout: Path) -> None:
    done = play(checkout, repro_text(DEAD, "./inv boot", []), "qemu")

    assert done.returncode == 3
    assert "never started" in done.stderr


def test_another_word_is_a_usage_error(checkout: Path) -> None:
    assert play(checkout, repro_text(DEAD, "./inv boot", []), "what").returncode == 2
