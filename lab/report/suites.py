"""What every face says of the kernel's own tests, in the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.model.outcome import Status
from lab.model.run import JobResult, Results
from lab.model.suite import HELD, CaseRow, CaseVerdict, held

COLUMNS = ("test", "baseline", "patched", "verdict")
ALWAYS = (*HELD, CaseVerdict.FLAKY, CaseVerdict.FIXED)
"""Verdicts on a single result of a program that are always shown; of FAILS some, of the others none."""
MOST_CASES, MOST_FAILS, MOST_LINES = 30, 5, 45
MEANING = {
    CaseVerdict.REGRESSED: "passed on the baseline",
    CaseVerdict.BROKEN: "new, and does not pass",
    CaseVerdict.UNKNOWN: "did not get to run",
    CaseVerdict.FAILS: "failed on the baseline too: not held against the series",
    CaseVerdict.FLAKY: "boots of one side disagree",
}


@dataclass(frozen=True)
class Table:
    """The tests of one suite, kconfig, guest and pair of sides."""

    suite: str
    kconfig: str
    guest: str
    a: str
    b: str
    rows: tuple[CaseRow, ...]

    @property
    def head(self) -> str:
        """What was compared."""
        return f"{self.suite}: baseline = {self.a}, patched = {self.b}, kconfig {self.kconfig}, guest {self.guest}"

    @property
    def wholes(self) -> tuple[CaseRow, ...]:
        """The programs or suites."""
        return tuple(row for row in self.rows if row.whole)

    def cases(self, whole: CaseRow) -> tuple[CaseRow, ...]:
        """The results that one of them gave."""
        return tuple(row for row in self.rows if not row.whole and row.test.startswith(f"{whole.test}: "))

    @property
    def lines(self) -> list[tuple[str, str, str, str]]:
        """The cells of the table: every program, and below it those of its results that differ."""
        lines = []
        for whole in self.wholes:
            cases = self.cases(whole)
            base = f"{_by_boot(whole.base)} {_passed(row.base for row in cases)}".strip()
            patched = f"{_by_boot(whole.patched)} {_passed(row.patched for row in cases)}".strip()
            lines.append((whole.test, base, patched, str(whole.verdict)))
            for row in told(cases):
                name = "  " + row.test.partition(": ")[2]
                lines.append((name, _by_boot(row.base), _by_boot(row.patched), str(row.verdict)))
        return lines

    @property
    def notes(self) -> list[str]:
        """Why, for each line that is no plain pass; what was left out."""
        notes = []
        for whole in self.wholes:
            cases = self.cases(whole)
            shown = told(cases)
            notes += [f"{whole.test}: {whole.verdict}: {whole.note}"] if whole.note else []
            notes += _together(whole.test, shown)
            loud = [row for row in cases if row.verdict in (*ALWAYS, CaseVerdict.FAILS)]
            if more := len(loud) - len(shown):
                notes.append(f"{whole.test}: {more} more results that are no plain pass; see results.json")
        return notes


def tables(results: Results) -> list[Table]:
    """The tests, suite by suite, in the order in which they ran."""
    found: dict[tuple[str, str, str, str, str], list[CaseRow]] = {}
    for row in results.tests:
        found.setdefault((row.suite, row.kconfig, row.guest, row.a, row.b), []).append(row)
    return [Table(*key, rows=tuple(rows)) for key, rows in found.items()]


def told(cases: Iterable[CaseRow]) -> list[CaseRow]:
    """The results of one program that are worth a line."""
    listed = list(cases)
    always = [row for row in listed if row.verdict in ALWAYS]
    return [*always, *[row for row in listed if row.verdict is CaseVerdict.FAILS][:MOST_FAILS]][:MOST_CASES]


def sentence(results: Results) -> str:
    """All tests of the run in a clause, the ones that are held against the series first."""
    wholes = [row for row in results.tests if row.whole]
    if not any(Status.PASS in (*row.base, *row.patched) for row in results.tests):
        return f"none of {_counted(len(wholes), 'test')} passed on either side, so nothing was tested"
    counts = Counter(row.verdict for row in wholes)
    words = [f"{counts[word]} {word}" for word in (*HELD, *(word for word in CaseVerdict if word not in HELD)) if counts[word]]
    cases = sum(not row.whole for row in results.tests)
    bad = [row for row in results.tests if held(row, strict=results.strict)]
    tail = (
        f"; {len(bad)} held against the series, the first: {bad[0].test}: {reason(bad[0])}" if bad else "; none held against it"
    )
    return f"of {_counted(len(wholes), 'test')} ({_counted(cases, 'case')}) {', '.join(words)}{tail}"


def evidence(results: Results, row: CaseRow) -> list[str]:
    """What the kernel or the compiler complained of in a test that is held against the series, and the baseline has not."""
    if not row.whole or row.verdict not in HELD:
        return []
    jobs = [job for job in results.jobs if job.payload == row.suite and (_is_of(job, row) or not results.cells)]
    known = {finding.fingerprint for job in jobs if job.role == "baseline" for finding in job.findings}
    own = [finding for job in jobs if job.role == "patched" for finding in job.findings if finding.during == row.test]
    fresh = {finding.fingerprint: finding for finding in reversed(own) if finding.fingerprint not in known}
    lines = []
    for finding in reversed(fresh.values()):
        lines += [f"{row.test}: {finding.kind}: {finding.title}", *(f"    {line}" for line in finding.detail[:MOST_LINES])]
    return lines


def _is_of(job: JobResult, row: CaseRow) -> bool:
    """Whether the boot is one of the row's sides, of which a matrix has several."""
    stack, _, cut = (row.b if job.role == "patched" else row.a).partition("[:")
    here = (job.kconfig, job.guest) == (row.kconfig, row.guest)
    return here and stack == ("+".join(job.series) or "base") and cut in ("", f"{job.upto}]")


def reason(row: CaseRow) -> str:
    """The verdict in words, and what the test said."""
    return "; ".join(filter(None, (MEANING.get(row.verdict, ""), row.note))) or str(row.verdict)


def _together(program: str, cases: Iterable[CaseRow]) -> list[str]:
    """A note for each case, one for all that say the same."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in cases:
        if row.note:
            groups.setdefault((row.verdict, row.note), []).append(row.test.partition(": ")[2])
    return [
        f"{program}: {f'{len(names)} results' if len(names) > 2 else ', '.join(names)}: {verdict}: {note}"
        for (verdict, note), names in groups.items()
    ]


def _by_boot(statuses: Iterable[Status]) -> str:
    """What one side said, boot by boot where boots disagree."""
    return "/".join(dict.fromkeys(map(str, statuses))) or "-"


def _passed(cases: Iterable[Sequence[Status]]) -> str:
    """How many of a program's results passed in every boot they came in."""
    there = [set(statuses) for statuses in cases if statuses]
    return f"{there.count({Status.PASS})}/{len(there)}" if there else ""


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
