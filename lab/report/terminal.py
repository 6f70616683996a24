"""The door to rich: progress on stderr, results on stdout."""

from __future__ import annotations

import os
import textwrap
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from rich.box import SIMPLE, Box
from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lab.events import Event
from lab.model.judgement import Comparison, fails
from lab.model.outcome import Status
from lab.model.run import BuildRecord, JobResult, Results
from lab.report import bisections, explained, prices, steady, suites, words
from lab.report.grid import grid_lines, told_lines
from lab.report.live import STATUS_STYLES, picture
from lab.report.progress import Line, Progress
from lab.report.words import Block, duration, printable

PIPED_WIDTH = 100
DETAIL_LINES = 60
PLAIN_BOX = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
TONES = {"good": "green", "bad": "bold red", "": ""}
VERDICT_STYLES = {
    "EQUAL": "",
    "UNCHANGED": "",
    "FEWER": "green",
    "IMPROVED": "green",
    "WOBBLE": "yellow",
    "INCONCLUSIVE": "yellow",
}


class Terminal:
    """Subscribes to events (a live view on a terminal, else a line each) and prints results; `plain`: as if into a file."""

    def __init__(self, *, stdout: IO[str], stderr: IO[str], plain: bool) -> None:
        self._out = _console(stdout, plain)
        self._err = _console(stderr, plain)
        self._progress = Progress()
        self._lock = threading.RLock()
        self._live: Live | None = None

    def __call__(self, event: Event) -> None:
        """Show one event. May be called from any thread."""
        with self._lock:
            for line in self._progress.update(event, time.monotonic()):
                if not (line.start and self._err.is_terminal):
                    self._show(line)
            if self._progress.running and self._err.is_terminal:
                self._start()
            else:
                self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the terminal back as it was; may be called again, and again used."""
        with self._lock:
            self._stop()

    def print_line(self, text: str) -> None:
        """One paragraph on stdout, never wrapped by us."""
        self._stop()
        self._say(text)

    def print_tables(self, tables: Iterable[tuple[str, Sequence[str], Iterable[Sequence[str]]]]) -> None:
        """Tables on stdout: title, columns, rows. A column whose name begins with `>` is aligned to the right."""
        self._stop()
        for title, columns, rows in tables:
            if title:
                self._say_all(("", title), "bold")
            cells = [[Text(cell) for cell in row] for row in rows]
            self._print_table(columns, cells)

    def print_results(self, results: Results, where: str | Path, *, explain: bool = False) -> None:
        """Everything a run found: builds, boots, tables, failures, time per stage; the last line is the verdict and `where`.

        `explain`: tables for every explained row, not only for a few.
        """
        self._stop()
        if results.builds:
            self.print_tables([_builds(results.builds)])
        for block in words.blocks(results):
            self._print_block(results, block)
        self._print_explanations(results, everything=explain)
        self._print_steadiness(results)
        self._print_tests(results)
        for job in results.jobs:
            if not job.payload and job.milestones and job.status is Status.PASS:
                self.print_tables([(f"guest {job.guest}", ("what", "asked", "found"), words.asked_and_found(job))])
                self._say(f"{job.id}: " + ", ".join(f"{stone.name} {duration(stone.seconds)}" for stone in job.milestones))
        self.print_tables([*bisections.tables(results.bisection), *prices.tables(results.prices)])
        for finding in results.findings:
            self._say_all(words.finding_lines(finding), "bold red")
        for build in results.builds:
            for finding in build.findings:
                self._say_all([f"{words.side(build)}: {build.status}", *words.finding_lines(finding)], "bold red")
        for alike in words.alike(results):
            self._print_failures(alike)
        self._say_all(["", *grid_lines(results.cells, self._out.width)] if results.cells else [], "")
        self._say_all(["", *told_lines(results.cells, results.left_out)] if results.cells else [], "")
        if results.stages:
            stages = ", ".join(f"{stage.name} {duration(stage.seconds)}" for stage in results.stages)
            self._say(f"time: {stages}; {duration(results.seconds)} in all")
        self._say(f"{words.sentence(results)}; report: {where}", STATUS_STYLES[results.status])

    def _print_table(self, columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
        if not rows:
            self._say("(none)")
        elif self._out.is_terminal:
            self._out.print(_table(columns, rows, self._out))
        else:
            with self._out.capture() as drawn:
                self._out.print(_table(columns, rows, self._out))
            for line in drawn.get().splitlines():
                self._say(line.rstrip())  # rich pads the last column

    def _print_block(self, results: Results, block: Block) -> None:
        self._say_all(("", *words.head(results, block)), "bold")
        cells = [_row(block, row, results) for row in block.shown]
        self._print_table(["row", ">base", ">patched", ">delta", ">ratio", "verdict"], cells)
        if block.folded:
            self._say(block.folded)
        self._say_notes(f"{block.label(row)} {row.verdict} by boot: {words.by_boot(row)}" for row in words.loud(block.rows))

    def _say_notes(self, notes: Iterable[str]) -> None:
        for note in notes:
            self._say(textwrap.fill(f"  {note}", PIPED_WIDTH, subsequent_indent="      ", break_long_words=False))

    def _print_steadiness(self, results: Results) -> None:
        for rows in steady.tables(results):
            self.print_tables([(rows.head, steady.COLUMNS, rows.lines)])
            self._say_notes(rows.notes)

    def _print_tests(self, results: Results) -> None:
        for table in suites.tables(results):
            self.print_tables([(table.head, suites.COLUMNS, table.lines)])
            self._say_notes(table.notes)
            for row in table.wholes:
                self._say_all(suites.evidence(results, row), "bold red")

    def _print_explanations(self, results: Results, *, everything: bool) -> None:
        self._say_all(["", *map(explained.sentence, results.explanations)] if results.explanations else [], "")
        for one in explained.shown(results.explanations, everything=everything):
            self.print_tables(explained.tables(one))

    def _print_failures(self, alike: Sequence[JobResult]) -> None:
        job = alike[0]
        flaky = " (flaky: the first attempt was lost, this is the second)" if words.is_flaky(job) else ""
        self._say(f"{job.status} {job.id}{flaky}", STATUS_STYLES[job.status])
        lines = [
            *job.message.splitlines(),
            *(f"not ok: {case.name}: {case.detail}" for case in job.cases if case.status is not Status.PASS),
        ]
        for finding in job.findings:
            lines += words.finding_lines(finding)
        for line in lines[:DETAIL_LINES]:
            self._say(f"    {line}")
        if len(lines) > DETAIL_LINES:
            self._say(f"    ... {len(lines) - DETAIL_LINES} lines more in the report")
        if len(alike) > 1:
            self._say(f"    the same in {', '.join(other.id for other in alike[1:])}")

    def _say_all(self, lines: Sequence[str], style: str) -> None:
        """Lines that belong together, the first non-empty one in the style of a title."""
        for number, line in enumerate(lines):
            self._say(line, "" if any(lines[:number]) else style)

    def _say(self, text: str, style: str = "") -> None:
        self._out.print(_text(text, style, self._out), soft_wrap=True)

    def _show(self, line: Line) -> None:
        self._err.print(_text(line.text, TONES[line.tone], self._err), soft_wrap=True)

    def _start(self) -> None:
        if self._live is None:
            self._live = Live(
                get_renderable=self._picture, console=self._err, transient=True, refresh_per_second=8, redirect_stdout=False
            )
            self._live.start()

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _picture(self) -> RenderableType:
        return picture(list(self._progress.stages.values()), list(self._progress.jobs.values()), time.monotonic())


class _Console(Console):
    """rich's console that lets the run's own exit code stand when the reader of a pipe goes away."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def _console(stream: IO[str], plain: bool) -> Console:
    rich = stream.isatty() and not plain and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = None if stream.isatty() or os.environ.get("COLUMNS") else PIPED_WIDTH
    return _Console(
        file=stream,
        force_terminal=rich,
        force_interactive=rich,
        color_system="auto" if rich else None,
        no_color=not rich,
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _text(text: str, style: str, console: Console) -> Text:
    """`text` safe to print: no control characters, nothing the stream cannot encode."""
    safe = "\n".join(printable(line) for line in text.split("\n"))
    return Text(safe.encode(console.encoding, "backslashreplace").decode(console.encoding), style=style)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Text]], console: Console) -> Table:
    table = Table(
        box=SIMPLE if console.is_terminal else PLAIN_BOX,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        table.add_row(*(_text(cell.plain, str(cell.style), console) for cell in row))
    return table


def _row(block: Block, row: Comparison, results: Results) -> list[Text]:
    failing = fails(row, any_more=results.any_more, strict=results.strict)
    style = "bold red" if failing else VERDICT_STYLES.get(row.verdict, "yellow")
    numbers = [words.number(row.base.median), words.number(row.patched.median), words.signed(row.delta), words.ratio(row.ratio)]
    return [Text(block.label(row)), *map(Text, numbers), Text(words.verdict(row), style=style)]


def _builds(builds: Sequence[BuildRecord]) -> tuple[str, list[str], list[list[str]]]:
    rows = [
        [
            words.side(build), build.kconfig, build.release, build.tree[:12], build.status,
            "reused" if build.reused else duration(build.seconds), f"{build.objects:,}",
        ]
        for build in builds
    ]  # fmt: skip
    return "", ["kernel", "kconfig", "release", "tree", "status", ">built in", ">objects"], rows
