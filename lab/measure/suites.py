"""What one boot said of the kernel's own tests: results, and in which test the kernel complained."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from lab.deadline import Deadline
from lab.formats.klog import STAMP, parse_klog, parse_taint
from lab.formats.kselftest import MARKER, Run, cases_of, parse_run
from lab.formats.kunit import Kunit, disagreements, parse_debugfs, parse_kunit
from lab.measure.collect import PLACE
from lab.model.outcome import Case, Finding, Status
from lab.model.ports import Stream
from lab.model.run import BootRecord, PayloadSpec

DEADLY = ("panic", "stall", "timeout", "reset", "init")
"""Findings that end a guest; they may stand in no log, and then belong to the test that was running."""
NOT_RUN = "(not run)"
TAINTED_BY = {"warn": 1 << 9, "atomic": 1 << 9, "oops": 1 << 7, "bug": 1 << 7, "kasan": 1 << 5, "soft-lockup": 1 << 14}
"""The bit of the taint mask that a complaint of a kind sets (kernel/panic.c, mm/kasan/report.c, kernel/watchdog.c)."""
ABSENT = "the kernel has no KUnit suite, or the filter leaves none"


@dataclass(frozen=True)
class Told:
    """One boot: every test's result; findings, those of a test marked so; what makes the boot itself worthless."""

    tests: tuple[Case, ...]
    findings: tuple[Finding, ...]
    problems: tuple[str, ...]
    absent: bool = False
    """Nothing but this is wrong: the kernel has none of the tests."""

    @property
    def loose(self) -> tuple[Finding, ...]:
        """Findings that belong to no test: they are held against the boot."""
        return tuple(finding for finding in self.findings if not finding.during)


@dataclass(frozen=True)
class Logs:
    """What a boot left: the console, and the payload's output."""

    console: str
    output: str


def told(spec: PayloadSpec, record: BootRecord, logs: Logs) -> Told:
    """Results and findings of a boot with kselftest or kunit. Unknown is failure: what did not run is MISS, with the reason."""
    return _kunit(record, logs) if spec.kind == "kunit" else _kselftest(spec, record, logs)


# --- self-tests -------------------------------------------------------------------------------------------------------------


def _kselftest(spec: PayloadSpec, record: BootRecord, logs: Logs) -> Told:
    run = parse_run(logs.output)
    segments = by_marker(logs.console)
    running = _running(segments)
    findings = [*_by_test(record.findings, segments, running), *_unbuilt(spec)]
    findings = _explain_taint(findings, run)
    cases = [case for test in run.tests for case in cases_of(test)]
    wanted = [word for word in spec.command if ":" in word]
    problems = []
    if record.payload_status is not None and not run.done:
        problems.append(f"the runner of the self-tests ended with status {record.payload_status} before its end")
    if wanted and not run.tests and record.end == "finished":
        problems.append("no self-test ran")
    why = f"not run: the guest died in {running}" if running else "not run"
    begun = {test.name for test in run.tests}
    cases += [Case(name, Status.MISS, why) for name in wanted if name not in begun and name != running]
    if running and running not in begun:  # its line did not leave the guest any more
        cases.append(Case(running, Status.FAIL, "it began and did not end"))
    cases += [Case(name, Status.FAIL, f"does not build: {text.splitlines()[0]}") for name, text in spec.unbuilt.items()]
    return Told(tuple(_failed_by(cases, findings)), tuple(findings), tuple(problems))


def by_marker(console: str) -> list[tuple[str, str]]:
    """The console cut at the runner's markers: (test or nothing, text), in order. A last test without an end marker ran last."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    for line in console.splitlines():
        text = STAMP.sub("", line.rstrip("\r"))
        word, _, test = text.removeprefix(MARKER).partition(" ")
        if text.startswith(MARKER) and word in ("begin", "end"):
            parts.append((test if word == "begin" else "", []))
        else:
            parts[-1][1].append(line)
    return [(test, "\n".join(lines)) for test, lines in parts]


def _running(segments: Sequence[tuple[str, str]]) -> str:
    """The test that was running when the console ended."""
    return segments[-1][0] if segments else ""


def _unbuilt(spec: PayloadSpec) -> list[Finding]:
    found = []
    for test, text in spec.unbuilt.items():
        title, *detail = text.splitlines()
        found.append(Finding("build", title, f"build:{test}:{title}", tuple(detail), fatal=False, during=test))
    return found


def _explain_taint(findings: Sequence[Finding], run: Run) -> list[Finding]:
    """The kernel's taint as each test's own doing, where the runner saw it rise."""
    kept = [finding for finding in findings if finding.kind != "taint"]
    final = next((finding for finding in findings if finding.kind == "taint"), None)
    risen: list[Finding] = []
    before = run.taint
    for test in run.tests:
        if test.status is None:
            break
        if new := parse_taint(test.taint & ~before):
            title = f"the kernel is tainted: {new}"
            risen.append(Finding("taint", title, f"taint:{test.taint & ~before}", fatal=False, during=test.name))
        before = test.taint
    if final is None or (not parse_taint(run.taint) and final.fingerprint == f"taint:{before}"):
        return [*kept, *risen]
    return [*kept, *risen, final]


# --- KUnit ------------------------------------------------------------------------------------------------------------------


def _kunit(record: BootRecord, logs: Logs) -> Told:
    log = parse_kunit(logs.console)
    segments = [*((suite.name, suite.log) for suite in log.suites), ("", log.rest)]
    running = next((suite.name for suite in log.suites if suite.result is None), "")
    findings = _own_taint(_by_test(record.findings, segments, running))
    cases: list[Case] = []
    for suite in log.suites:
        last = suite.cases[-1].name if suite.cases else "none"
        whole = suite.result or Case(suite.name, Status.FAIL, f"it began and did not end; the last case that ended: {last}")
        if whole.status is Status.SKIP and suite.cases:  # its own line gives no reason
            whole = replace(whole, detail=f"each of its {len(suite.cases)} cases: {suite.cases[0].detail}")
        cases += [whole, *(replace(case, name=f"{suite.name}: {case.name}") for case in suite.cases)]
    problems = [f"{suite.name}: {problem}" for suite in log.suites for problem in suite.problems]
    problems += _unlike_debugfs(log, record, logs.output)
    if running and record.end == "finished":
        problems.append(f"the kernel's log has no end of {running}")
    if log.planned is None:
        problems.append(
            "the kernel ran no KUnit suites: is CONFIG_KUNIT on?" if record.end == "finished" else "no KUnit suite ran"
        )
    elif log.planned == 0:
        problems.append(ABSENT)
    elif missing := log.planned - len(log.suites):
        why = f"the guest died in {running}" if running else "the log does not hold them"
        cases.append(Case(NOT_RUN, Status.MISS, f"{missing} of {log.planned} suites: {why}"))
    return Told(tuple(_failed_by(cases, findings)), tuple(findings), tuple(problems), absent=problems == [ABSENT])


def _own_taint(findings: Sequence[Finding]) -> list[Finding]:
    """The kernel's taint as the doing of the suite whose complaint brings it; KUnit's own (N) is no finding at all."""
    brought = {TAINTED_BY[finding.kind]: finding.during for finding in findings if finding.during and finding.kind in TAINTED_BY}
    found = []
    for finding in findings:
        mask = int(finding.fingerprint.partition(":")[2]) if finding.kind == "taint" else 0
        suites = [suite for bit, suite in brought.items() if mask & bit]
        explained = suites and not parse_taint(mask & ~sum(brought))
        found.append(replace(finding, during=suites[0]) if explained else finding)
    return found


def _unlike_debugfs(log: Kunit, record: BootRecord, output: str) -> list[str]:
    """The second witness: debugfs tells the same of every suite."""
    if record.payload_status is None:
        return []
    files, whole = parse_debugfs(output)
    if not whole:
        return [f"debugfs could not be read to its end (status {record.payload_status})"]
    problems = [f"{suite.name} is not in debugfs" for suite in log.suites if suite.name not in files]
    problems += [
        f"{name} is in debugfs and not in the kernel's log" for name in files if name not in {s.name for s in log.suites}
    ]
    for suite in log.suites:
        if suite.name in files:
            problems += disagreements(suite, files[suite.name])
    return problems


# --- both -------------------------------------------------------------------------------------------------------------------


def _by_test(findings: Sequence[Finding], segments: Sequence[tuple[str, str]], running: str) -> list[Finding]:
    """Every complaint of the console, once for each test whose part holds it, and what else the boot found.

    `findings` have decoded stacks, but lack the early complaints of a guest that died late. What ended the guest and stands in
    no log is the running test's.
    """
    decoded = {finding.fingerprint: finding for finding in findings}
    found: dict[tuple[str, str], Finding] = {}
    for test, text in segments:
        for finding in parse_klog(text):
            known = decoded.get(finding.fingerprint, finding)
            found.setdefault((test, finding.fingerprint), replace(known, during=test))
    seen = {fingerprint for _, fingerprint in found}
    rest = [finding for finding in findings if finding.fingerprint not in seen]
    return [*found.values(), *(replace(one, during=running if one.kind in DEADLY else "") for one in rest)]


def _failed_by(cases: Iterable[Case], findings: Sequence[Finding]) -> list[Case]:
    """A test in which the kernel complained has failed, whatever it says itself."""
    complaints = {finding.during: finding for finding in reversed(findings) if finding.during and finding.kind != "build"}
    return [
        Case(case.name, Status.FAIL, f"kernel log: {complaints[case.name].title}") if case.name in complaints else case
        for case in cases
    ]


def run_suite(
    shell: Stream,
    spec: PayloadSpec,
    write_stdout: Callable[[bytes], object],
    write_stderr: Callable[[bytes], object],
    *,
    deadline: Deadline,
) -> int:
    """Send the tests and run them; the output is written as it comes, so that a crash leaves what was said before it.

    The runner's exit status. Raises LostGuest, GuestError.
    """
    place = f"{PLACE}/{spec.name}"
    shell.push(spec.directory, place, deadline=deadline)
    words = " ".join(shlex.quote(word) for word in spec.command)
    return shell.stream(
        f"cd {shlex.quote(place)} && {words}",
        deadline=deadline,
        read_stdin=lambda _: b"",
        write_stdout=write_stdout,
        write_stderr=write_stderr,
    )
