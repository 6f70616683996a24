"""The verb patchcheck: everything that is asked of a series before it is posted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lab.campaign.known import Point
from lab.campaign.plan import Ask, Side
from lab.campaign.probe import Stack
from lab.campaign.session import Lab, TableRows
from lab.errors import LabError
from lab.formats.makelog import added_warnings
from lab.kernel.kconfig import list_kconfigs
from lab.kernel.patchcheck import checkpatch, forms
from lab.kernel.sparse import checked, complaints, missing
from lab.model.change import Build
from lab.model.outcome import Case, Status, worst
from lab.report.bisections import short

DEBUG = "debug"
"""The kconfig that the whole series is built with, too; each patch with --full."""


@dataclass(frozen=True)
class _Check:
    """The series under the checks, with one kconfig."""

    lab: Lab
    ask: Ask
    stack: Stack

    def side(self, k: int) -> Side:
        side = self.stack.side(self.lab, self.ask, Point(k))
        return side if k else replace(side, role="baseline")

    def name(self, what: str, k: int) -> str:
        """The name of a case about patch k."""
        series = self.stack.series
        kconfig = "" if not self.ask.kconfig else f" {self.ask.kconfig}"
        return f"{what}{kconfig} {series.name}/{series.patches[k - 1].name}"


def patchcheck_cases(lab: Lab, ask: Ask, *, full: bool = False) -> tuple[Case, ...]:
    """Form and checkpatch of every patch; every prefix built without new warnings, sparse on what it touches; then debug.

    With --kconfig only that one is built. `full`: every prefix on debug, too. Raises what is not the series' fault.
    """
    stack = Stack(*lab.stack(ask))
    ours = not ask.git and stack.series.directory.resolve().is_relative_to((lab.root / "patches").resolve())
    cases = [*forms(stack.series, ours=ours), *checkpatch(lab.source(ask), stack.series, lab.cache)]
    count = len(stack.series.patches)
    cases += _prefixes(_Check(lab, ask, stack), [*range(count + 1)], sparse=True)
    if not ask.kconfig and DEBUG in list_kconfigs(lab.root / "kconfigs"):
        debug = _Check(lab, replace(ask, kconfig=DEBUG), stack)
        cases += _prefixes(debug, [*range(count + 1)] if full else [0, count], sparse=False)
    return tuple(cases)


def _prefixes(check: _Check, ks: list[int], *, sparse: bool) -> Iterator[Case]:
    """Each kernel against the one before it in the list, in an order that moves the build slot forward only."""
    before, last = check.lab.build(check.ask, check.side(ks[0])), ks[0]
    for k in ks[1:]:
        files = checked(sorted({file for patch in check.stack.series.patches[last:k] for file in patch.files}))
        look = sparse and bool(files) and not missing()
        old = _said(check, last, files) if look else []
        case, build = _built(check, k, before)
        yield case
        if build is not None:
            if sparse:
                yield _sparse(check, k, files, added_warnings(old, _said(check, k, files)) if look else ())
            before, last = build, k


def _built(check: _Check, k: int, before: Build) -> tuple[Case, Build | None]:
    """The case of the first k patches, and their kernel when there is one."""
    name = check.name("build", k)
    try:
        build = check.lab.build(check.ask, check.side(k), before)
    except LabError as error:
        if error.code != 1:
            raise
        return Case(name, Status.FAIL, error.message), None
    if new := added_warnings(before.warnings, build.warnings):
        return Case(name, Status.FAIL, "\n".join(["new warnings:", *new])), build
    return Case(name, Status.PASS, f"{build.objects} objects, no new warning"), build


def _said(check: _Check, k: int, files: Sequence[str]) -> list[str]:
    """What sparse says of the files in the first k patches' kernel."""
    side = check.side(k)
    tree = check.lab.tree(check.ask, side)
    return complaints(tree, side.kconfig, files, cache=check.lab.cache, emit=check.lab.emit, cc=check.ask.cc or "gcc")


def _sparse(check: _Check, k: int, files: Sequence[str], new: Sequence[str]) -> Case:
    """The case of what sparse says that it did not say before; it has to be there where nobody reads the reason."""
    name = check.name("sparse", k)
    if not files:
        return Case(name, Status.PASS, "no C file of the kernel is touched")
    if why := missing():
        return Case(name, Status.ERROR if os.environ.get("CI") else Status.SKIP, why)
    return Case(name, Status.FAIL, "\n".join(new)) if new else Case(name, Status.PASS, f"{', '.join(files)}: nothing new")


def worst_code(cases: tuple[Case, ...]) -> int:
    """The exit code of a list of cases: none at all is the lab's fault."""
    return {Status.PASS: 0, Status.SKIP: 0, Status.FAIL: 1}.get(worst([case.status for case in cases]), 3)


def patchcheck_tables(cases: tuple[Case, ...]) -> tuple[TableRows, ...]:
    """The cases as a table: which check, of which patch."""
    rows = []
    for case in cases:
        what, _, where = case.name.rpartition(" ")
        file = where.rpartition("/")[2]
        number = file[:4] if file[:4].isdecimal() else ""
        rows.append((what, number, short(file), str(case.status), case.detail))
    return (("patchcheck", ("check", ">", "patch", "status", "detail"), tuple(rows)),)
