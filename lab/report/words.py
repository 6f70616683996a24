"""What every face of the results says in the same words: numbers, heads of tables, the one-sentence verdict."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lab.model.judgement import Comparison, Verdict, fails
from lab.model.outcome import Finding, RowKind, Status
from lab.model.run import BuildRecord, JobResult, Results
from lab.model.steady import Steadiness
from lab.report import bisections, prices, suites

LOUD = (Verdict.MORE, Verdict.REGRESSED, Verdict.WOBBLE, Verdict.INCONCLUSIVE, Verdict.FEWER, Verdict.IMPROVED)
"""Verdicts whose values by boot are shown, costs first."""

MODES: dict[RowKind, str] = {"exact": "exact", "count": "counts", "sample": "wall", "info": "info"}
INTERRUPTED = 130

SYMBOLS = {
    "PASS": ".", "FAIL": "X", "SKIP": "s", "ERROR": "E", "MISS": "?",
    "EQUAL": "=", "MORE": "+", "FEWER": "-", "WOBBLE": "~", "UNCHANGED": "=", "IMPROVED": "-", "INCONCLUSIVE": "i",
    "NEW": ".", "FIXED": ".", "FAILS": "f", "FLAKY": "~", "SKIPPED": "s",
}  # fmt: skip
"""One character for a cell of a grid."""
Cell = tuple[str, str, str]
"""Payload, kconfig, guest."""


@dataclass(frozen=True)
class Block:
    """The rows of one table: one payload, kconfig and guest, and the same two sides."""

    payload: str
    kconfig: str
    guest: str
    a: str
    b: str
    rows: tuple[Comparison, ...]

    @property
    def cell(self) -> Cell:
        """Where its numbers come from."""
        return self.payload, self.kconfig, self.guest

    @property
    def shown(self) -> tuple[Comparison, ...]:
        """The rows worth a line: an info row that says UNCHANGED says nothing."""
        return tuple(row for row in self.rows if row.kind != "info" or row.verdict is not Verdict.UNCHANGED)

    @property
    def folded(self) -> str:
        """What is said of the others, or nothing."""
        count = len(self.rows) - len(self.shown)
        return (
            f"{count} rows `.total` (all that was executed, ticks and other tasks too) UNCHANGED; see results.json"
            if count
            else ""
        )

    @property
    def unit(self) -> str:
        """The unit when all rows share one, else the empty string: each row then names its own."""
        units = {row.unit for row in self.rows}
        return units.pop() if len(units) == 1 else ""

    def label(self, row: Comparison) -> str:
        """The row's name, with its unit where the head does not say it."""
        return row.metric if self.unit else f"{row.metric} ({row.unit})"


def blocks(results: Results) -> list[Block]:
    """The comparisons, table by table, in the order in which they were judged; of a matrix those of cells that did not pass."""
    passed = {(cell.payload, cell.kconfig, cell.guest, cell.a, cell.b) for cell in results.cells if cell.status is Status.PASS}
    found: dict[tuple[str, str, str, str, str], list[Comparison]] = {}
    for row in results.comparisons:
        if (row.payload, row.kconfig, row.guest, row.a, row.b) in passed:
            continue
        found.setdefault((row.payload, row.kconfig, row.guest, row.a, row.b), []).append(row)
    return [Block(*key, rows=tuple(rows)) for key, rows in found.items()]


def head(results: Results, block: Block) -> tuple[str, str]:
    """What a number is worth nothing without, in two lines: mode, QEMU, accelerator, release; unit, the two sides."""
    machine = where(results, block.cell, mode(results, block))
    return machine, f"{block.unit or 'units by row'}; base = {block.a}, patched = {block.b}"


def where(results: Results, cell: Cell, how: str) -> str:
    """Payload and mode, QEMU, accelerator, release, kconfig, guest."""
    payload, kconfig, guest = cell
    env = environment(results, cell)
    accel = results.accel
    machine = f"QEMU {accel.qemu_version} {accel.name}" if accel else f"QEMU {env.get('qemu', 'unknown')}"
    releases = sorted({build.release for build in results.builds if build.kconfig == kconfig})
    kernel = f"Linux {' and '.join(releases) or env.get('release', 'of unknown release')}"
    return ", ".join([f"{payload}: {how} mode", machine, kernel, f"kconfig {kconfig}", f"guest {guest}"])


def mode(results: Results, block: Block) -> str:
    """exact, counts, wall or emulated: as the jobs recorded it, else as the kind of the rows implies."""
    kinds = "/".join(sorted({MODES[row.kind] for row in block.rows}))
    return environment(results, block.cell).get("mode") or kinds


def environment(results: Results, cell: Cell) -> dict[str, str]:
    """The run's environment with what the cell's jobs agree on."""
    envs = [job.env for job in results.jobs if (job.payload, job.kconfig, job.guest) == cell]
    agreed = {key: value for env in envs[:1] for key, value in env.items() if all(other.get(key) == value for other in envs)}
    return {**results.env, **agreed}


def number(value: float) -> str:
    """A value with thousands separators and at most three decimals, none that are zero."""
    text = f"{value:,.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def signed(value: float) -> str:
    """A difference: +2, -14.5, 0."""
    text = number(value)
    return text if text == "0" or text.startswith("-") else f"+{text}"


def ratio(value: float | None) -> str:
    """patched / base to the millionth, which shows one instruction in a million."""
    return "-" if value is None else f"{value:.6f}"


def verdict(row: Comparison) -> str:
    """The verdict's word, and why it does not fail the run where that could be missed."""
    if row.verdict in (Verdict.MORE, Verdict.FEWER) and not row.material:
        return f"{row.verdict} (under {100 * row.min_effect:g} %)"
    return str(row.verdict)


def by_boot(row: Comparison) -> str:
    """Both sides' values, boot by boot, and what is known of a leak."""
    sides = (" ".join(number(value) for value in side.values_by_boot) for side in (row.base, row.patched))
    return "base {}; patched {}".format(*sides) + (f"; {row.note}" if row.note else "")


def loud(rows: Sequence[Comparison]) -> list[Comparison]:
    """The rows whose values by boot must be seen, costs first; last those EQUAL in several values, whose medians may differ."""
    several = (row for row in rows if row.verdict is Verdict.EQUAL and len(set(row.base.values_by_boot)) > 1)
    return [*sorted((row for row in rows if row.verdict in LOUD), key=lambda row: LOUD.index(row.verdict)), *several]


def side(item: JobResult | BuildRecord) -> str:
    """The side in words: baseline, or the series and how far it was applied."""
    return f"{item.role} {'+'.join(item.series)}:{item.upto}" if item.series else f"{item.role} source"


def asked_and_found(job: JobResult) -> list[tuple[str, str, str]]:
    """What was asked of the guest and what was found, a row a case whose detail is `asked A, found B` (or `; found`)."""
    rows = []
    for case in job.cases:
        asked, found = [*re.split("[,;] found ", case.detail.removeprefix("asked "), maxsplit=1), ""][:2]
        rows.append((case.name.replace("guest.", ""), asked, found))
    return rows


def is_flaky(job: JobResult) -> bool:
    """Whether the first attempt was lost and the second was kept."""
    return job.attempts > 1


def failed_jobs(results: Results) -> list[JobResult]:
    """Jobs that did not pass, worst news in job order; a retried one counts as such even when it passed."""
    return [job for job in results.jobs if job.status is not Status.PASS or is_flaky(job)]


def finding_lines(finding: Finding) -> list[str]:
    """A finding as text: its title, then the decoded stack, hunk or compiler lines."""
    return [f"{finding.kind}: {finding.title}", *(f"    {line}" for line in finding.detail)]


def sentence(results: Results) -> str:
    """The run in one sentence, its status first."""
    said = _matrix(results) if results.cells and results.exit != INTERRUPTED else _sentence(results)
    return f"{results.status}: {said}" + (f" (exit {results.exit})" if results.exit else "")


def _sentence(results: Results) -> str:
    if results.exit == INTERRUPTED:
        return f"interrupted after {_counted(len(results.jobs), 'boot')}; what was finished is kept"
    if is_empty(results):
        return "nothing ran, so nothing is known"
    if results.findings:
        return _counted(len(results.findings), "finding") + f", the first: {results.findings[0].title}"
    if broken := [build for build in results.builds if build.status is not Status.PASS]:
        return f"{side(broken[0])} {trouble(broken[0])}{first(broken[0].findings)}"
    if lost := [job for job in results.jobs if job.status not in (Status.PASS, Status.SKIP)]:
        why = (lost[0].message.splitlines() or [lost[0].status])[0]
        return f"{len(lost)} of {_counted(len(results.jobs), 'boot')} did not pass, the first: {lost[0].id}: {why}"
    return _answered(results) or _judged(results)


def is_empty(results: Results) -> bool:
    """Whether nothing was built, booted or answered."""
    return not (results.builds or results.jobs or results.findings or results.bisection or results.prices)


def _answered(results: Results) -> str:
    """The answer of a verb that asks something else than whether two sides differ."""
    return bisections.sentence(results.bisection) if results.bisection else prices.sentence(results.prices)


def _matrix(results: Results) -> str:
    bad = [cell for cell in results.cells if cell.status not in (Status.PASS, Status.SKIP)]
    counts = Counter(str(cell.status) for cell in results.cells)
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    first = f"; the first: {bad[0].id}: {bad[0].message or bad[0].verdict}" if bad else ""
    left = f"; {_counted(len(results.left_out), 'combination')} left out" if results.left_out else ""
    return f"of {_counted(len(results.cells), 'cell')} {said}{first}{left}"


def _judged(results: Results) -> str:
    rows = results.comparisons
    skipped = sum(job.status is Status.SKIP for job in results.jobs)
    tail = f"; {_counted(skipped, 'boot')} skipped" if skipped else ""
    if results.tests:
        tail = f"{tail}; {suites.sentence(results)}"
    if results.steadiness:
        tail = f"; {_steady(results.steadiness)}{tail}"
    if (results.tests or results.steadiness) and not rows:
        return tail.removeprefix("; ")
    if not rows:
        done = _counted(len(results.jobs), "boot") if results.jobs else _counted(len(results.builds), "kernel")
        return f"{done} good, nothing was compared{tail}"
    if all(row.verdict is Verdict.EQUAL for row in rows):
        return f"all {_counted(len(rows), 'row')} EQUAL to the instruction{tail}"
    groups = {word: [row for row in rows if row.verdict is word] for word in (*LOUD, Verdict.EQUAL, Verdict.UNCHANGED)}
    parts = [_some(word, group) for word, group in groups.items() if group]
    failing = sum(fails(row, any_more=results.any_more, strict=results.strict) for row in rows)
    return f"of {_counted(len(rows), 'row')} {', '.join(parts)}; {failing or 'none'} beyond what is allowed{tail}"


def _steady(rows: Sequence[Steadiness]) -> str:
    """`of 21 rows in 10 cold boots 19 EQUAL, 2 WOBBLE (tcp.4096, tcp.16384)`."""
    boots = " or ".join(str(boots) for boots in sorted({row.boots for row in rows}))
    if all(row.verdict is Verdict.EQUAL for row in rows):
        return f"all {_counted(len(rows), 'row')} EQUAL in {boots} cold boots"
    several = len({row.payload for row in rows}) > 1
    groups: dict[Verdict, list[str]] = {}
    for row in rows:
        groups.setdefault(row.verdict, []).append(f"{row.payload} {row.metric}" if several else row.metric)
    parts = [_row_names(word, groups[word]) for word in (Verdict.EQUAL, *LOUD) if word in groups]
    return f"of {_counted(len(rows), 'row')} in {boots} cold boots {', '.join(parts)}"


def _row_names(word: Verdict, names: Sequence[str]) -> str:
    return f"{len(names)} {word}" + ("" if word is Verdict.EQUAL else f" ({', '.join(names)})")


def _some(word: Verdict, rows: list[Comparison]) -> str:
    if word not in (Verdict.MORE, Verdict.FEWER):
        return f"{len(rows)} {word}"
    most = max(rows, key=lambda row: abs(row.delta))
    return f"{len(rows)} {word} {most.unit} (most: {signed(most.delta)}, {most.payload} {most.metric})"


def trouble(build: BuildRecord) -> str:
    """What kept a kernel from being there, as a verb."""
    kind = build.findings[0].kind if build.findings else ""
    verbs = {"patch": "does not apply", "kconfig": f"does not keep the options of kconfig {build.kconfig}"}
    return verbs.get(kind, f"does not build with kconfig {build.kconfig}")


def first(findings: tuple[Finding, ...]) -> str:
    """`: ` and the first finding's title, or nothing."""
    return f": {findings[0].title}" if findings else ""


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def duration(seconds: float) -> str:
    """Seconds as people say them: 0.42 s, 31.0 s, 8 min 57 s."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"


def printable(text: str) -> str:
    """One line of a guest or a program with every control character visible as an escape, so that it cannot move the cursor."""
    return "".join(char if char.isprintable() or char == "\t" else char.encode("unicode_escape").decode() for char in text)


def alike(results: Results) -> list[list[JobResult]]:
    """The jobs that did not plainly pass, those that say the same thing together."""
    groups: dict[tuple[str, str, bool, tuple[str, ...]], list[JobResult]] = {}
    for job in failed_jobs(results):
        prints = tuple(finding.fingerprint for finding in job.findings)
        groups.setdefault((job.status, job.message if not prints else "", is_flaky(job), prints), []).append(job)
    return list(groups.values())
