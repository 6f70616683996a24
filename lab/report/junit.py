"""The one door to junit-xml: results as Jenkins and GitLab read them.

Both show a skipped test apart from a passed one and neither fails on it, so what is not a plain pass and not a failure
(flaky, WOBBLE, INCONCLUSIVE) is a skip with its reason. The last suite, `lab`, repeats the run's own status, so that the file is
never greener than the exit code.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from junit_xml import TestCase, TestSuite, to_xml_report_string

from lab.model.judgement import Comparison, Verdict, fails
from lab.model.matrix import CellResult
from lab.model.outcome import Case, Finding, Status
from lab.model.run import BuildRecord, JobResult, Results
from lab.model.steady import Steadiness
from lab.model.suite import CaseRow, CaseVerdict, held
from lab.report import steady, words
from lab.report.suites import evidence, reason

NOT_XML = re.compile("[^\t\n\u0020-\u007e\u0085\u00a0-\ud7ff\ue000-\ufdcf\ufde0-\ufffd\U00010000-\U0001fffd]")
"""What XML 1.0 forbids or junit-xml drops without a word, and all planes that hold no text."""


def junit_text(results: Results) -> str:
    """The run as JUnit XML: a suite per payload x kconfig x guest (of a matrix: per cell), and the suites boot, build and lab."""
    suites: dict[str, list[TestCase]] = defaultdict(list)
    for finding in results.findings:
        suites["build"].append(_broken("build", f"{finding.kind} {finding.fingerprint}", Status.FAIL, "", (finding,)))
    for build in results.builds:
        suites["build"].append(_build(build))
    for cell in results.cells:
        suites[cell.id] += _cell(cell, results)
    for job in results.jobs if not results.cells else ():
        suites[_suite(job.payload, job.kconfig, job.guest)] += _job(job)
    for row in results.comparisons if not results.cells else ():
        suites[_suite(row.payload, row.kconfig, row.guest)].append(_comparison(row, results))
    for one in results.steadiness:
        suites[_suite(one.payload, one.kconfig, one.guest)].append(_steady(one, results))
    for test in results.tests if not results.cells else ():
        suites[_suite(test.suite, test.kconfig, test.guest)].append(_compared(test, results))
    suites["lab"].append(_run(results))
    properties = _properties(results)
    ordered = [
        TestSuite(_clean(name), _distinct(cases), timestamp=results.started, properties=properties)
        for name, cases in suites.items()
    ]
    return str(to_xml_report_string(ordered))


def _suite(payload: str, kconfig: str, guest: str) -> str:
    return f"{payload or 'boot'}.{kconfig}.{guest}"


def _cell(cell: CellResult, results: Results) -> list[TestCase]:
    """Everything of a cell under its own name, boots that it shares with others too; first of all how it ended."""
    mine = (cell.payload, cell.kconfig, cell.guest, cell.a, cell.b)
    cases = [_ended(cell)]
    for job in results.jobs:
        cases += _job(job) if job.id in cell.jobs else []
    rows = [row for row in results.comparisons if (row.payload, row.kconfig, row.guest, row.a, row.b) == mine]
    tests = [test for test in results.tests if (test.suite, test.kconfig, test.guest, test.a, test.b) == mine]
    cases += [*(_comparison(row, results) for row in rows), *(_compared(test, results) for test in tests)]
    for case in cases:
        case.classname = _clean(cell.id)
    return cases


def _ended(cell: CellResult) -> TestCase:
    said = " ".join(filter(None, (str(cell.status), cell.verdict)))
    if cell.status is Status.PASS:
        return _case(cell.id, "cell", stdout=said)
    if cell.status is Status.SKIP:
        skipped = _case(cell.id, "cell")
        skipped.add_skipped_info(_title(cell.message, "skipped, no reason given"), _clean(cell.message))
        return skipped
    return _broken(cell.id, "cell", cell.status, cell.message or said, ())


def _build(build: BuildRecord) -> TestCase:
    name = f"{words.side(build)} kconfig {build.kconfig}"
    if build.status in (Status.PASS, Status.SKIP) and not build.findings:
        return _case("build", name, build.seconds, stdout="\n".join(build.warnings))
    status = Status.FAIL if build.status is Status.PASS else build.status
    return _broken("build", name, status, words.trouble(build), build.findings, seconds=build.seconds)


def _job(job: JobResult) -> list[TestCase]:
    where = _suite(job.payload, job.kconfig, job.guest)
    text = "\n".join([job.message, *job.notes]).strip()
    if job.status is Status.PASS and not words.is_flaky(job):
        whole = _case(where, job.id, job.seconds, stdout=text)
    elif job.status is Status.PASS:
        whole = _case(where, job.id, job.seconds)
        whole.add_skipped_info(f"FLAKY: passed on attempt {job.attempts}, the one before was lost", _clean(text))
    elif job.status is Status.SKIP:
        whole = _case(where, job.id, job.seconds)
        whole.add_skipped_info(_title(job.message, "skipped, no reason given"), _clean(text))
    else:
        whole = _broken(where, job.id, job.status, job.message, job.findings, seconds=job.seconds)
    return [whole, *(_ktap(where, job, case) for case in job.cases)]


def _ktap(where: str, job: JobResult, case: Case) -> TestCase:
    name = f"{job.id}: {case.name}"
    if case.status is Status.SKIP:
        skipped = _case(where, name)
        skipped.add_skipped_info(_title(case.detail, "skipped, no reason given"), _clean(case.detail))
        return skipped
    if case.status is Status.PASS:
        return _case(where, name, stdout=case.detail)
    return _broken(where, name, case.status, case.detail or f"not ok: {case.name}", ())


def _comparison(row: Comparison, results: Results) -> TestCase:
    numbers = f"{words.number(row.base.median)} -> {words.number(row.patched.median)} {row.unit} ({words.signed(row.delta)})"
    title = f"{words.verdict(row)}: {numbers}"
    text = f"{title}\nby boot: {words.by_boot(row)}"
    where = _suite(row.payload, row.kconfig, row.guest)
    case = _case(where, f"{row.b} against {row.a}: {row.metric}", stdout=text)
    if fails(row, any_more=results.any_more, strict=results.strict):
        case.add_failure_info(_title(title, row.verdict), _clean(text), row.verdict)
    elif row.verdict in (Verdict.WOBBLE, Verdict.INCONCLUSIVE):
        case.add_skipped_info(_title(title, row.verdict), _clean(text))
    return case


def _steady(row: Steadiness, results: Results) -> TestCase:
    """A row of one kernel over many boots: a wobble is a skip with its cause, with --strict a failure; no value is an error."""
    title = f"{row.verdict}: {steady.value_set(row)}"
    text = "\n".join(
        filter(None, [title, f"boots whose laps are all the same: {steady.samples(row)}", steady.reason(row), *row.digests])
    )
    case = _case(_suite(row.payload, row.kconfig, row.guest), f"{row.kernel}, {row.boots} boots: {row.metric}", stdout=text)
    if row.verdict is Verdict.INCONCLUSIVE:
        case.add_error_info(_title(f"{row.verdict}: {row.note}", row.verdict), _clean(text), row.verdict)
    elif row.verdict is Verdict.WOBBLE:
        add = case.add_failure_info if results.strict else case.add_skipped_info
        add(_title(title, row.verdict), _clean(text))
    return case


def _compared(row: CaseRow, results: Results) -> TestCase:
    """One of the kernel's own tests on both sides; what is neither a plain pass nor held against the series is a skip."""
    by_boot = (",".join(side) or "none" for side in (row.base, row.patched))
    text = "\n".join(
        ["{}: baseline {}, patched {}".format(row.verdict, *by_boot), *filter(None, [row.note]), *evidence(results, row)]
    )
    case = _case(_suite(row.suite, row.kconfig, row.guest), f"{row.b} against {row.a}: {row.test}", stdout=text)
    if held(row, strict=results.strict):
        case.add_failure_info(_title(f"{row.verdict}: {reason(row)}", row.verdict), _clean(text), row.verdict)
    elif row.verdict not in (CaseVerdict.PASS, CaseVerdict.NEW, CaseVerdict.FIXED):
        case.add_skipped_info(_title(f"{row.verdict}: {reason(row)}", row.verdict), _clean(text))
    return case


def _run(results: Results) -> TestCase:
    said = words.sentence(results)
    empty = words.is_empty(results)
    status = Status.ERROR if empty else results.status
    if status is Status.PASS and not results.exit:
        return _case("lab", "run", results.seconds, stdout=said)
    lost = status in (Status.ERROR, Status.MISS) or results.exit == 3
    return _broken("lab", "run", Status.ERROR if lost else Status.FAIL, said, (), seconds=results.seconds)


def _case(where: str, name: str, seconds: float = 0.0, stdout: str = "") -> TestCase:
    return TestCase(_clean(_title(name, "unnamed")), _clean(where), seconds, _clean(stdout))


def _broken(
    where: str, name: str, status: Status, message: str, findings: Sequence[Finding], *, seconds: float = 0.0
) -> TestCase:
    """FAIL is a failure, anything else an error; junit-xml drops an entry without text, so there is always some."""
    case = _case(where, name, seconds)
    lines = [line for finding in findings for line in words.finding_lines(finding)]
    title = _title(findings[0].title if findings else message, str(status))
    text = _clean("\n".join([message, *lines]).strip())
    add = case.add_failure_info if status is Status.FAIL else case.add_error_info
    add(title, text, findings[0].kind if findings else str(status))
    return case


def _properties(results: Results) -> dict[str, str]:
    facts = {"run": results.run, "command": results.command, "source": results.source, **results.env}
    if results.accel:
        facts |= {"accel": results.accel.name, "accel.evidence": results.accel.evidence, "qemu": results.accel.qemu_version}
    for build in results.builds:
        facts |= {f"{build.role}.{build.kconfig}.tree": build.tree, f"{build.role}.{build.kconfig}.release": build.release}
    return {_clean(key): _title(value, "") for key, value in sorted(facts.items())}


def _distinct(cases: Iterable[TestCase]) -> list[TestCase]:
    """GitLab keeps one of two cases with the same name; the second gets a number."""
    kept, seen = list(cases), Counter[str]()
    for case in kept:
        seen[case.name] += 1
        if seen[case.name] > 1:
            case.name = f"{case.name} #{seen[case.name]}"
    return kept


def _title(text: str, otherwise: str) -> str:
    """The first line with something on it: attributes hold one line."""
    return _clean(next((line.strip() for line in text.splitlines() if line.strip()), otherwise))


def _clean(text: str) -> str:
    """The text with each character that XML cannot hold written as an escape."""
    return NOT_XML.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
