"""The rule of the kernel's own tests: what passed on the baseline must pass on the patched kernel, and what is new must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.measure.repeats import joined
from lab.model.outcome import Case, Status
from lab.model.run import JobResult
from lab.model.suite import SEPARATOR, CaseRow, CaseVerdict

AGAIN = (CaseVerdict.REGRESSED, CaseVerdict.BROKEN, CaseVerdict.UNKNOWN, CaseVerdict.FIXED)
"""Verdicts that are believed only after a second boot."""

TABLE: dict[Status | None, dict[Status | None, CaseVerdict]] = {
    Status.PASS: {Status.PASS: CaseVerdict.PASS},
    Status.FAIL: {Status.PASS: CaseVerdict.FIXED, Status.MISS: CaseVerdict.UNKNOWN},
    Status.SKIP: {Status.PASS: CaseVerdict.NEW, Status.FAIL: CaseVerdict.BROKEN, Status.MISS: CaseVerdict.UNKNOWN},
    Status.MISS: {Status.PASS: CaseVerdict.NEW, None: CaseVerdict.SKIPPED},
    None: {Status.PASS: CaseVerdict.NEW, Status.MISS: CaseVerdict.UNKNOWN},
}
"""Result on the baseline (None: there is no such test) -> result on the patched kernel -> verdict."""
OTHERWISE: dict[Status | None, CaseVerdict] = {
    Status.PASS: CaseVerdict.REGRESSED,
    Status.FAIL: CaseVerdict.FAILS,
    Status.SKIP: CaseVerdict.SKIPPED,
    Status.MISS: CaseVerdict.UNKNOWN,
    None: CaseVerdict.BROKEN,
}
"""Whatever else the patched kernel says."""


@dataclass(frozen=True)
class Seen:
    """One test on one side: its results by boot, `missing` where its program ran without giving it."""

    statuses: tuple[Status, ...] = ()
    missing: int = 0
    detail: str = ""

    @property
    def state(self) -> Status | None:
        """The one answer of all boots that had one; MISS: it never got to run; None: there is no such test."""
        told = {status for status in self.statuses if status is not Status.MISS}
        if told:
            return told.pop()
        return Status.MISS if self.statuses else None

    @property
    def disagree(self) -> bool:
        """Whether boots of the side have different results."""
        return len({status for status in self.statuses if status is not Status.MISS}) > 1

    def rate(self, side: str) -> str:
        """How often it passed, in words."""
        passed = sum(status is Status.PASS for status in self.statuses)
        return f"passed in {passed} of {len(self.statuses) + self.missing} boots of the {side}"

    @property
    def flaky(self) -> bool:
        """Whether boots of the side disagree, or one of them did not come to a result that another has."""
        return self.disagree or bool(self.state and self.missing)


def rows(
    base: Sequence[JobResult], patched: Sequence[JobResult], a: str, b: str, borrowed: Sequence[JobResult] = ()
) -> tuple[CaseRow, ...]:
    """Every test of both sides compared. The jobs are those of one payload; `a` and `b` name the sides.

    `borrowed`: the patched tree's new tests on the baseline's kernel. They decide nothing, but tell whether a test shows what
    the series is for.
    """
    base, patched = joined((base, patched))
    names = dict.fromkeys(case.name for side in (base, patched) for job in side for case in job.tests)
    any_job = next(iter((*base, *patched)), None)
    if any_job is None:
        return ()
    known = {finding.fingerprint for job in base for finding in job.findings}
    fresh: dict[str, str] = {}
    for job in patched:
        for finding in job.findings:
            if finding.during and finding.kind != "build" and finding.fingerprint not in known:
                fresh.setdefault(finding.during, finding.title)
    found = []
    for name in _ordered(names):
        whole = SEPARATOR not in name
        left, right = _seen(base, name), _seen(patched, name)
        verdict = CaseVerdict.REGRESSED if name in fresh else judged(_or_whole(left, base, name), right)
        note = f"kernel log: {fresh[name]}" if name in fresh else _note(left, right, verdict)
        if whole and left.state is None:
            note = "; ".join(filter(None, (note, _without(_seen(borrowed, name)))))
        found.append(
            CaseRow(
                a, b, any_job.payload, any_job.kconfig, any_job.guest, name, whole, left.statuses, right.statuses, verdict, note
            )
        )
    return tuple(found)


def judged(base: Seen, patched: Seen) -> CaseVerdict:
    """The verdict on one test. Unknown is failure."""
    if patched.flaky or base.flaky:
        if patched.state is Status.MISS:
            return CaseVerdict.UNKNOWN
        new = base.state is None and patched.disagree  # what is new has to pass each time
        return CaseVerdict.BROKEN if new else CaseVerdict.FLAKY
    return TABLE[base.state].get(patched.state, OTHERWISE[base.state])


def unsettled(found: Sequence[CaseRow], unbuilt: Sequence[str] = ()) -> tuple[str, ...]:
    """Programs or suites to run once more before they are believed; those that do not build cannot."""
    names = dict.fromkeys(row.test.partition(SEPARATOR)[0] for row in found if row.verdict in AGAIN)
    return tuple(name for name in names if name not in unbuilt)


def _ordered(names: Sequence[str] | dict[str, None]) -> list[str]:
    """Each program followed by its results."""
    wholes = dict.fromkeys(name.partition(SEPARATOR)[0] for name in names)
    parts: dict[str, list[str]] = {whole: [] for whole in wholes}
    for name in names:
        parts[name.partition(SEPARATOR)[0]].append(name)
    return [name for whole in wholes for name in sorted(parts[whole], key=lambda one: one != whole)]


def _seen(jobs: Sequence[JobResult], name: str) -> Seen:
    whole = name.partition(SEPARATOR)[0]
    statuses, details, missing = [], [], 0
    for job in jobs:
        cases = {case.name: case for case in job.tests}
        if name in cases:
            statuses.append(cases[name].status)
            details.append(cases[name])
        elif name != whole and whole in cases and cases[whole].status is not Status.MISS:
            missing += 1
    return Seen(tuple(statuses), missing, _worst_detail(details))


def _worst_detail(cases: Sequence[Case]) -> str:
    return next((case.detail for case in cases if case.status is not Status.PASS), "")


def _or_whole(seen: Seen, jobs: Sequence[JobResult], name: str) -> Seen:
    """A result that the baseline's program never came to is what became of the program: unknown there, not new here."""
    if seen.state is not None or SEPARATOR not in name:
        return seen
    whole = _seen(jobs, name.partition(SEPARATOR)[0])
    return seen if whole.state in (Status.PASS, None) else whole


def _without(seen: Seen) -> str:
    """What became of a new test on the kernel without the series."""
    if seen.state is Status.PASS:
        return "it passes on the baseline's kernel too"
    return f"on the baseline's kernel: {seen.state}: {seen.detail}" if seen.state else ""


def _note(base: Seen, patched: Seen, verdict: CaseVerdict) -> str:
    """What the losing side says of it."""
    if verdict is CaseVerdict.PASS:
        return ""
    if verdict is CaseVerdict.FIXED:
        return f"was: {base.detail}"
    if verdict is CaseVerdict.FLAKY and not (base.disagree or patched.disagree):
        return "only in some boots"
    if verdict is CaseVerdict.FLAKY:
        rates = [seen.rate(side) for side, seen in (("baseline", base), ("patched side", patched)) if seen.disagree]
        return "; ".join(filter(None, (*rates, patched.detail or base.detail)))
    gone = "the patched side does not give it" if base.state is not None and patched.state is None else ""
    return gone or patched.detail or (f"baseline: {base.detail}" if base.detail else "")
