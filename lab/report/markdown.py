"""Results as Markdown for a cover letter or a pull request: narrow enough for mail, costs first."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from lab.model.judgement import Comparison, Verdict
from lab.model.outcome import Status
from lab.model.run import Results
from lab.report import bisections, prices, steady, suites, words
from lab.report.grid import grid_lines, told_lines
from lab.report.words import Block

COLUMNS, GRID_COLUMNS = 75, 100
COSTS = (Verdict.MORE, Verdict.REGRESSED)
MEANING = {
    "exact": "Numbers are executed guest instructions, net of the clock reads around them. They are not time: MORE and FEWER "
    "say nothing of caches, and one vCPU hides contention.",
    "counts": "Numbers are counts of events, compared by range over boots.",
    "wall": "Numbers are times; the boot is the unit, ratios come with intervals.",
}


def cover_text(results: Results) -> str:
    """What was measured, on what, row by row with the costs first, and how to do it again."""
    parts = [_wrap(words.sentence(results)), _grid(results), _facts(results)]
    for block in words.blocks(results):
        parts += [_heading(results, block), _table(block), _notes(block)]
    for tests in suites.tables(results):
        parts += _words(tests.suite, tests.head, suites.COLUMNS, tests.lines, tests.notes)
    for rows in steady.tables(results):
        parts += _words(rows.rows[0].payload, rows.head, steady.COLUMNS, rows.lines, rows.notes)
    for title, heads, lines in (*bisections.tables(results.bisection), *prices.tables(results.prices)):
        parts += _words(title or "Patch by patch", "", heads, lines, ())
    parts += _meanings(results)
    if failures := _failures(results):
        parts.append(failures)
    parts.append(_again(results))
    return "\n\n".join(part for part in parts if part) + "\n"


def _grid(results: Results) -> str:
    """The cells of a matrix as a block of text, with what is to be said of single ones below it."""
    drawn = "\n".join(f"    {words.printable(line)}".rstrip() for line in grid_lines(results.cells, GRID_COLUMNS))
    told = "\n".join(_wrap(f"- {_plain(line)}", "  ") for line in told_lines(results.cells, results.left_out))
    return f"### Matrix\n\n{drawn}\n\n{told}".rstrip() if results.cells else ""


def _facts(results: Results) -> str:
    lines = [f"Source: {results.source}"]
    for build in results.builds:
        lines.append(f"Kernel: {words.side(build)}, {build.release}, kconfig {build.kconfig}, tree `{build.tree[:12]}`")
        lines += [f"Kconfig delta: `{option}`" for option in build.options_delta]
    if results.accel:
        lines.append(f"Machine: QEMU {results.accel.qemu_version}, {results.accel.name} ({results.accel.evidence})")
    return "\n".join(_wrap(f"- {_plain(line)}", "  ") for line in lines)


def _heading(results: Results, block: Block) -> str:
    first, second = words.head(results, block)
    return f"### {_plain(block.payload)}\n\n{_wrap(_plain(f'{first}; {second}.'))}"


def _table(block: Block) -> str:
    ranks = {word: rank for rank, word in enumerate(words.LOUD)}
    rows = sorted(block.shown, key=lambda row: ranks.get(row.verdict, len(ranks)))
    head = ["row", "base", "patched", "delta", "ratio", "verdict"]
    cells = [
        [
            _plain(block.label(row)),
            words.number(row.base.median),
            words.number(row.patched.median),
            words.signed(row.delta),
            words.ratio(row.ratio),
            row.verdict if row.material or row.verdict not in (Verdict.MORE, Verdict.FEWER) else f"{row.verdict}*",
        ]
        for row in rows
    ]
    return _aligned([head, *cells])


def _words(
    title: str, head: str, columns: Sequence[str], lines: Sequence[Sequence[str]], notes: Sequence[str]
) -> tuple[str, str, str]:
    """A heading, a table of words, notes."""
    cells = [[_plain(cell) for cell in line] for line in ([column.removeprefix(">") for column in columns], *lines)]
    told = "\n".join(_wrap(f"- {_plain(note)}", "  ") for note in notes)
    return f"### {_plain(title)}\n\n{_wrap(_plain(head))}", _aligned(cells, numbers=False), told


def _aligned(table: Sequence[Sequence[str]], *, numbers: bool = True) -> str:
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    text = range(len(widths))[
        :: len(widths) - 1 if numbers else 1
    ]  # the first and the last column hold words, the others numbers
    lines = []
    for line in table:
        cells = (
            cell.ljust(width) if column in text else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append(" | ".join(cells).rstrip())
    rule = ("-" * width if column in text else "-" * (width - 1) + ":" for column, width in enumerate(widths))
    return "\n".join([lines[0], " | ".join(rule), *lines[1:]])


def _notes(block: Block) -> str:
    loud = words.loud(block.rows)
    lines = [_wrap(_plain(f"- {block.label(row)}, {row.verdict} by boot: {words.by_boot(row)}"), "  ") for row in loud]
    if any(not row.material for row in loud if row.verdict in (Verdict.MORE, Verdict.FEWER)):
        lines.append(f"- \\* under the metric's {100 * min(row.min_effect for row in loud):g} %")
    if block.folded:
        lines.append(_wrap(f"- {block.folded}", "  "))
    return "\n".join([_costs(block.rows), "", *lines]).rstrip()


def _costs(rows: Sequence[Comparison]) -> str:
    worse = [row for row in rows if row.verdict in COSTS]
    if not worse:
        return f"Costs: none found in {len(rows)} rows."
    most = max(worse, key=lambda row: abs(row.delta))
    return _wrap(
        _plain(f"Costs: {len(worse)} of {len(rows)} rows; the largest is {words.signed(most.delta)} {most.unit}, {most.metric}.")
    )


def _meanings(results: Results) -> list[str]:
    modes = dict.fromkeys(words.mode(results, block) for block in words.blocks(results))
    told = [MEANING[mode] for mode in modes if mode in MEANING]
    return [_wrap(text) for text in (*told, *([steady.MEANING] if results.steadiness else []))]


def _failures(results: Results) -> str:
    lines = [_wrap(f"- {_plain(line)}", "  ") for finding in results.findings for line in words.finding_lines(finding)[:1]]
    broken = [build for build in results.builds if build.status is not Status.PASS]
    lines += [
        _wrap(_plain(f"- {words.side(build)} {words.trouble(build)}{words.first(build.findings)}"), "  ") for build in broken
    ]
    for alike in words.alike(results):
        job = alike[0]
        title = job.findings[0].title if job.findings else (job.message.splitlines() or [job.status])[0]
        flaky = "flaky, " if words.is_flaky(job) else ""
        lines.append(_wrap(_plain(f"- {job.status} ({flaky}{len(alike)} of {len(results.jobs)} boots): {job.id}: {title}"), "  "))
    return "\n".join(["### Not passed", "", *lines]) if lines else ""


def _again(results: Results) -> str:
    return f"### Again\n\n    {words.printable(results.command)}\n\n{_wrap(f'Run {results.run}, started {results.started}.')}"


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(text, COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _plain(text: str) -> str:
    """Text of a guest or a file name on one line, without what Markdown would take for markup in a table."""
    return words.printable(" ".join(text.split())).replace("|", "\\|").replace("<", "&lt;")
