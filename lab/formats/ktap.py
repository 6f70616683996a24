"""KTAP, the kernel's test output (Documentation/dev-tools/ktap.rst): text in, cases out. What is not certain is a problem."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lab.model.outcome import Case, Status

HEADER = re.compile(r"(?:KTAP version 1|TAP version 1[34])$")
PLAN = re.compile(r"1\.\.(?P<count>\d+)(?:\s*#\s*SKIP\s*(?P<reason>.*))?$", re.IGNORECASE)
RESULT = re.compile(r"(?P<bad>not )?ok\b(?:\s+(?P<number>\d+))?(?:\s+-)?\s*(?P<rest>.*)$")
DIRECTIVE = re.compile(r"(?P<name>.*?)\s*(?<!\\)#\s*(?P<word>SKIP|TODO|XFAIL|TIMEOUT|ERROR)\b:?\s*(?P<text>.*)$", re.IGNORECASE)
DATA = re.compile(r"(?P<name>\S.*?)\s+#\s+(?P<text>\S.*)$")
"""Diagnostic data of a result that has no directive (ktap.rst, "Test case result lines")."""
EXCUSED = ("SKIP", "XFAIL", "TODO")
"""Directives under which `not ok` is no failure: the test did not apply, or is known to fail."""


@dataclass(frozen=True)
class Ktap:
    """What a program said: its cases (subtests as `parent/child`), its `#` lines, and why the text cannot be trusted."""

    cases: tuple[Case, ...]
    diagnostics: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass
class _Level:
    """One nesting level while it is read."""

    indent: int
    plan: int | None = None
    seen: int = 0
    cases: list[Case] = field(default_factory=list)


def parse_ktap(text: str, *, kernels_own: bool = False) -> Ktap:
    """Parse one program's output. Truncation, a missing or unmet plan, numbers out of order and no test at all are problems.

    `kernels_own`: the text is of the kernel's own tests. KUnit's parameterised tests have no plan, and a result above subtests
    is a case too, whatever it says, so that two sides have the same cases.
    """
    reader = _Reader(kernels_own=kernels_own)
    for line in text.splitlines():
        reader.take(line)
    if text and not text.endswith("\n"):
        reader.problem("the last line is cut off")
    return reader.finish()


class _Reader:
    """Line by line; the innermost open level is last."""

    def __init__(self, *, kernels_own: bool) -> None:
        self.kernels_own = kernels_own
        self.levels: list[_Level] = []
        self.diagnostics: list[str] = []
        self.problems: list[str] = []
        self.skipped = ""

    def problem(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)

    def take(self, line: str) -> None:
        body = line.strip()
        indent = len(line) - len(line.lstrip())
        if HEADER.match(body):
            self._open(indent)
        elif body.startswith("#"):
            self.diagnostics.append(body[1:].strip())
        elif body.startswith("Bail out!"):
            self.problem(body)
        elif match := PLAN.match(body):
            self._plan(indent, int(match["count"]), match["reason"])
        elif match := RESULT.match(body):
            self._result(indent, match)

    def _open(self, indent: int) -> None:
        if self.levels and indent <= self.levels[0].indent:
            self.problem("a second KTAP header at the top level")
            return
        self.levels.append(_Level(indent))

    def _plan(self, indent: int, count: int, reason: str | None) -> None:
        level = self._level(indent)
        if level.plan is not None:
            self.problem(f"a second plan, 1..{count}")
        level.plan = count
        if count == 0 and len(self.levels) == 1:
            self.skipped = reason or "the program planned no tests"

    def _result(self, indent: int, match: re.Match[str]) -> None:
        children = self._close_deeper(indent)
        level = self._level(indent)
        level.seen += 1
        case = result_case(match)
        if match["number"] is not None and int(match["number"]) != level.seen:
            self.problem(f"`{match[0]}` is number {level.seen}")
        level.cases += [Case(f"{case.name}/{child.name}", child.status, child.detail) for child in children]
        level.cases += [case] if self.kernels_own or not children or case.status is not Status.PASS else []

    def _level(self, indent: int) -> _Level:
        """The open level of that indentation; some programs indent subtests without a header of their own."""
        if not self.levels:
            self.problem("no KTAP header before the first plan or result")
            self.levels.append(_Level(indent))
        if indent > self.levels[-1].indent:
            self.levels.append(_Level(indent))
        return self.levels[-1]

    def _close_deeper(self, indent: int) -> list[Case]:
        """End the levels inside `indent`; their cases belong to the result line that follows."""
        children: list[Case] = []
        while len(self.levels) > 1 and self.levels[-1].indent > indent:
            level = self.levels.pop()
            self._check(level, "a subtest")
            children = [*level.cases, *children]
        return children

    def _check(self, level: _Level, what: str) -> None:
        if level.plan is None:
            if not self.kernels_own or level.indent == 0:
                self.problem(f"{what} has no plan")
        elif level.plan != level.seen:
            self.problem(f"{what} planned {level.plan} results and gave {level.seen}")

    def finish(self) -> Ktap:
        while len(self.levels) > 1:
            level = self.levels.pop()
            self.problem("the output ends inside a subtest")
            self.levels[-1].cases += level.cases
        if not self.levels:
            return Ktap((), tuple(self.diagnostics), (*self.problems, "no KTAP output"))
        top = self.levels[0]
        self._check(top, "the program")
        if self.skipped and not top.cases and not self.problems:
            return Ktap((Case("plan", Status.SKIP, self.skipped),), tuple(self.diagnostics), ())
        if not top.cases:
            self.problem("no test ran")
        return Ktap(tuple(top.cases), tuple(self.diagnostics), tuple(self.problems))


def result_case(match: re.Match[str]) -> Case:
    """One result line as a case; what stands behind a `#` and is no directive is its detail."""
    rest, bad = match["rest"].strip(), match["bad"] is not None
    directive, data = DIRECTIVE.match(rest), DATA.match(rest)
    name = (directive["name"] if directive else data["name"] if data else rest).strip() or f"test {match['number'] or '?'}"
    if directive is None:
        return Case(name, Status.FAIL if bad else Status.PASS, data["text"] if data else "")
    word, text = directive["word"].upper(), directive["text"]
    if word == "SKIP" or (bad and word in EXCUSED):
        return Case(name, Status.SKIP, text or word)
    failed = bad or word not in EXCUSED
    return Case(name, Status.FAIL if failed else Status.PASS, f"{word} {text}".strip())
