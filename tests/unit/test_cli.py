from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from invoke import Collection, Program

from lab.campaign.plan import Ask
from lab.cli import ROOT, Chain, LabProgram, Session, verb
from lab.errors import PatchError, UsageError
from lab.options import BENCH, KERNEL, OPTIONS

SEEN: list[tuple[str, object]] = []


@verb(*KERNEL)
def build(session: Session, ask: Ask, keep: bool = False) -> None:
    """Build."""
    SEEN.append(("build", (ask.series, ask.upto, keep)))


@verb(*BENCH)
def bench(session: Session, ask: Ask) -> None:
    """Bench."""
    SEEN.append(("bench", (ask.series, ask.payload)))


@verb(default=True)
def overview(session: Session, ask: Ask) -> None:
    """Look."""
    SEEN.append(("overview", None))


@verb()
def exec(session: Session, ask: Ask) -> int:  # noqa: A001
    """Exec."""
    SEEN.append(("exec", session.rest))
    return 7


@verb()
def broken(session: Session, ask: Ask) -> None:
    """Bug."""
    raise ZeroDivisionError("oh")


@verb()
def full(session: Session, ask: Ask) -> None:
    """Disk full."""
    raise OSError(28, "No space left on device", "/reports/x")


@verb()
def refused(session: Session, ask: Ask) -> None:
    """Refuse."""
    raise PatchError("0001 does not apply", hint="rebase it")


@verb()
def misused(session: Session, ask: Ask, what: str) -> None:
    """Misuse."""
    raise UsageError(f"no {what}")


@verb()
def interrupted(session: Session, ask: Ask) -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


@verb()
def step(session: Session, ask: Ask, how: str) -> int:
    """One look."""
    session.decided = True
    if how in ("0", "1", "125"):
        return int(how)
    raise {
        "refused": PatchError("no"),
        "misused": UsageError("no"),
        "interrupted": KeyboardInterrupt(),
        "bug": ZeroDivisionError(),
    }[how]


def line(monkeypatch: pytest.MonkeyPatch, text: str) -> int:
    SEEN.clear()
    argv = ["inv", *text.split()]
    monkeypatch.setattr(sys, "argv", argv)
    tasks: list[Any] = [build, bench, overview, exec, full, broken, refused, misused, interrupted, step]
    namespace = Collection(*tasks)
    program: Program = LabProgram(name="lab", binary="inv", executor_class=Chain, namespace=namespace)
    try:
        program.run(argv)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_an_option_given_once_reaches_every_verb_that_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert line(monkeypatch, "build bench --series x --payload p") == 0
    assert SEEN == [("build", ("x", "", False)), ("bench", ("x", "p"))]


def test_each_verb_may_have_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert line(monkeypatch, "build --series x bench --series y") == 0
    assert SEEN == [("build", ("x", "", False)), ("bench", ("y", ""))]


def test_two_values_and_a_third_verb_undecided_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert line(monkeypatch, "build --series x build --series y bench") == 2
    assert SEEN == []


def test_own_options_stay_with_their_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    assert line(monkeypatch, "build --keep --upto 3 bench") == 0
    assert SEEN[0] == ("build", ("", "3", True))


def test_no_words_means_the_overview(monkeypatch: pytest.MonkeyPatch) -> None:
    assert line(monkeypatch, "") == 0
    assert SEEN == [("overview", None)]


def test_words_after_two_dashes_pass_through_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    assert line(monkeypatch, "exec -- ls -l --series") == 7
    assert SEEN == [("exec", ["ls", "-l", "--series"])]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("nosuch", 2, "No idea what 'nosuch' is"),
        ("build --nosuch", 2, "No idea what '--nosuch' is"),
        ("build -s x", 2, "No idea what '-s' is"),
        ("misused", 2, "what"),
        ("misused thing", 2, "no thing"),
        ("misused --thing", 2, "misused wants a word before --thing"),
        ("refused", 1, "hint: rebase it"),
        ("broken", 3, "this is a bug of the lab: ZeroDivisionError: oh"),
        ("full", 3, "No space left on device (/reports/x)"),
        ("interrupted", 130, "interrupted"),
    ],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, code: int, said: str) -> None:
    assert line(monkeypatch, text) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("step 0", 0), ("step 1", 1), ("step 125", 125), ("step refused", 129), ("step misused", 130), ("step bug", 131),
        ("step interrupted", 130), ("step 0 --nosuch", 130), ("step", 130),
    ],
)  # fmt: skip
def test_what_is_no_verdict_of_a_step_ends_git_bisect_run(monkeypatch: pytest.MonkeyPatch, text: str, code: int) -> None:
    assert line(monkeypatch, text) == code


def test_help_of_a_verb_that_waits_for_a_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert line(monkeypatch, "misused --help") == 0
    assert "Misuse." in capsys.readouterr().out


def test_a_failed_verb_stops_the_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert line(monkeypatch, "exec build") == 7
    assert [name for name, _ in SEEN] == ["exec"]
    assert "build: not run" in capsys.readouterr().err


def test_every_shared_option_is_a_field_of_ask() -> None:
    assert set(OPTIONS) == set(Ask.__dataclass_fields__)


def test_a_reader_that_goes_away_gets_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lab", "--list"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
