from __future__ import annotations

import io
import os
import pty
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from report_samples import COSTLY, EQUAL, FEWER, MORE, WOBBLE, build, failing, job, results

from lab.events import Event, JobFinished, JobStarted, Note, StageFinished, StageLine, StageStarted
from lab.model.outcome import Finding, Milestone, Status
from lab.model.run import Results
from lab.report.terminal import Terminal


class Piped:
    """A Terminal whose two streams are files."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.terminal = Terminal(stdout=self.out, stderr=self.err, plain=False)

    def results(self, run: Results) -> str:
        self.terminal.print_results(run, "reports/r1")
        return self.out.getvalue()


@contextmanager
def on_a_terminal(*, plain: bool = False) -> Iterator[tuple[Terminal, int]]:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        yield Terminal(stdout=stream, stderr=stream, plain=plain), ours
    os.close(ours)


def screen(fd: int, until: str) -> str:
    """What the terminal was sent, up to and with the text `until`."""
    seen = ""
    while until not in seen:
        seen += os.read(fd, 65536).decode()
    return seen


def test_a_run_in_plain_text_is_readable_in_100_columns() -> None:
    text = Piped().results(results(comparisons=(EQUAL, MORE, COSTLY, FEWER, WOBBLE)))

    *body, last = text.splitlines()
    assert text.isascii()
    assert "\x1b" not in text
    assert max(len(line) for line in body) <= 100
    assert not any(line.endswith(" ") for line in body)
    assert last.startswith("PASS: of 5 rows 2 MORE instructions (most: +1,964.5, pingpong pipe/64/median)")
    assert last.endswith("report: reports/r1")


def test_the_head_says_what_a_number_needs() -> None:
    text = Piped().results(results())

    assert "pingpong: exact mode, QEMU 7.2.22 tcg, Linux 6.12.117-virtme, kconfig default, guest single" in text
    assert "instructions; base = source, patched = busted/one-instruction:1" in text


def test_columns_are_aligned() -> None:
    lines = Piped().results(results(comparisons=(EQUAL, COSTLY))).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("row "))

    head, _, *rows = lines[start : start + 4]
    for column in ("base", "patched", "delta", "ratio"):
        end = head.index(column) + len(column)
        assert all(row[end - 1].isdigit() and row[end] == " " for row in rows)


def test_loud_rows_show_their_values_by_boot_and_equal_rows_do_not() -> None:
    text = Piped().results(results(comparisons=(EQUAL, MORE, WOBBLE)))

    assert "unix_stream/64/median MORE by boot: base 14,833 14,833; patched 14,835 14,835" in text
    assert "WOBBLE by boot: base 33,769 33,770; patched 33,770 33,773; timer tick inside the section" in " ".join(text.split())
    assert text.count("by boot") == 2


def test_no_word_of_time_is_used_for_instructions() -> None:
    text = Piped().results(results(comparisons=(EQUAL, MORE, COSTLY, FEWER, WOBBLE)))

    assert not re.search(r"\b(fast|slow)", text, re.IGNORECASE)


def test_failing_jobs_show_message_finding_and_stack_once() -> None:
    text = Piped().results(failing())

    assert text.count("busted_init+0x11/0x20 (lib/busted.c:12)") == 1
    assert "kernel panic 1.9 s after power-on" in text
    assert "the same in pingpong.one-instruction.k01.default.patched.r02" in text
    assert text.splitlines()[-1].startswith("FAIL: 2 of 3 boots did not pass")


def test_a_flaky_pass_is_said() -> None:
    assert "flaky" in Piped().results(results(jobs=(replace(job(), attempts=2),)))


def test_a_build_failure_shows_patch_file_and_hunk() -> None:
    finding = Finding("patch", "0002-x.patch does not apply to mm/slub.c, hunk 3", "f", ("expected: a", "found: b"))

    text = Piped().results(
        results(builds=(build(), build("patched", Status.FAIL, (finding,))), jobs=(), comparisons=(), status=Status.FAIL, exit=1)
    )

    assert "expected: a" in text
    assert "patched busted/one-instruction:1 does not apply: 0002-x.patch does not apply to mm/slub.c, hunk 3 (exit 1)" in text


def test_boot_only_jobs_show_their_milestones_and_stages_their_time() -> None:
    text = Piped().results(results(jobs=(job(payload=""),), comparisons=(), stages=(Milestone("build", 537.0),)))

    assert "init 1.50 s, ssh 2.30 s" in text
    assert "time: build 8 min 57 s" in text


def test_nothing_ran_is_said() -> None:
    assert "nothing ran" in Piped().results(results(builds=(), jobs=(), comparisons=(), status=Status.ERROR, exit=3))


def test_guests_cannot_move_the_cursor_or_use_markup() -> None:
    nasty = replace(job(status=Status.FAIL), message="[red]x[/] \x1b[2J\x07 \udc80", findings=())

    text = Piped().results(results(jobs=(nasty,), status=Status.FAIL))

    assert "[red]x[/] \\x1b[2J\\x07 \\udc80" in text


def test_a_stream_that_is_ascii_only_gets_escapes() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")

    Terminal(stdout=out, stderr=io.StringIO(), plain=True).print_line("caf\u00e9")
    out.flush()

    assert raw.getvalue() == b"caf\\xe9\n"


def test_tables_align_columns_to_the_right_when_asked() -> None:
    piped = Piped()

    piped.terminal.print_tables([("cache", ("kind", ">bytes"), (("source", "9"), ("b", "1,000"))), ("guests", ("name",), ())])

    assert piped.out.getvalue().splitlines() == [
        "", "cache", "kind    bytes", "-------------", "source      9", "b       1,000", "", "guests", "(none)",
    ]  # fmt: skip


def test_plain_progress_is_one_line_per_event_and_lines_only_on_failure() -> None:
    piped = Piped()
    events: tuple[Event, ...] = (
        Note("accelerator: tcg"),
        StageStarted("build", "baseline", 31.0),
        StageLine("build", "  CC  a.o"),
        StageFinished("build", "baseline", 31.4, "2,271 objects"),
        StageStarted("build", "patched"),
        *(StageLine("build", f"line {n}") for n in range(30)),
        StageFinished("build", "patched", 2.0, "exit 2", ok=False),
        JobStarted("j1"),
        JobFinished("j1", "PASS", 4.0),
    )
    for event in events:
        piped.terminal(event)

    lines = piped.err.getvalue().splitlines()
    assert lines[:4] == [
        "accelerator: tcg",
        "build    baseline ... (about 31.0 s)",
        "build    baseline: 31.4 s, 2,271 objects",
        "build    patched ...",
    ]
    assert lines[4:24] == [f"    | line {n}" for n in range(10, 30)]
    assert lines[24:] == ["build    patched: FAILED after 2.00 s, exit 2", "job      j1 ...", "job      j1 PASS in 4.00 s"]
    assert piped.out.getvalue() == ""


def test_a_terminal_shows_jobs_and_the_running_stage_and_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "30")
    with on_a_terminal() as (terminal, fd):
        terminal(JobStarted("pingpong.r01"))
        terminal(StageStarted("payload", "pingpong", 10.0))
        terminal(StageLine("payload", "ok 1 - round trips"))
        seen = screen(fd, "ok 1 - round trips")
        assert "pingpong.r01" in seen
        assert "of about 10.0 s" in seen
        assert "\x1b[?25l" in seen  # the cursor is hidden

        terminal.close()
        assert "\x1b[?25h" in screen(fd, "\x1b[?25h")
        terminal.close()


def test_a_terminal_is_given_back_when_an_exception_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with on_a_terminal() as (terminal, fd):
        with pytest.raises(KeyboardInterrupt), terminal:
            terminal(StageStarted("build", "x"))
            raise KeyboardInterrupt
        assert "\x1b[?25h" in screen(fd, "\x1b[?25h")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_color_and_dumb_terminals_get_plain_lines(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with on_a_terminal() as (terminal, fd):
        terminal(StageStarted("build", "x"))
        terminal(StageFinished("build", "x", 1.0))

        seen = screen(fd, "1.00 s")
    assert seen.splitlines() == ["build    x ...", "build    x: 1.00 s"]


def test_results_on_a_terminal_have_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    with on_a_terminal() as (terminal, fd):
        terminal.print_results(results(), "reports/r1")

        assert "\x1b[" in screen(fd, "reports/r1")


def test_a_reader_that_goes_away_does_not_decide_the_exit_code() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        terminal = Terminal(stdout=stream, stderr=io.StringIO(), plain=True)

        terminal.print_results(results(), "reports/r1")
        terminal.print_line("and again")
