"""The verbs about source and series: fetch, apply, edit, export, patchcheck."""

from __future__ import annotations

from dataclasses import replace

from lab.campaign.plan import Ask, Side
from lab.campaign.session import Lab, TableRows
from lab.errors import LabError
from lab.events import Note
from lab.kernel.edit import edit, export
from lab.kernel.patchcheck import checkpatch
from lab.kernel.series import find_series, stack
from lab.kernel.tree import apply
from lab.model.change import Build, Series
from lab.model.outcome import Case, Status, worst


def fetch_verb(lab: Lab, ask: Ask) -> None:
    """Obtain and verify the source."""
    source = lab.source(ask)
    lab.emit(Note(f"source: Linux {source.release}, tree {source.tree}{', ' + source.label if source.label else ''}"))


def apply_verb(lab: Lab, ask: Ask) -> None:
    """Apply the series on the source; says what was applied and on what."""
    _, patched = lab.sides(ask)
    tree = apply(lab.source(ask), patched.series, patched.upto, lab.cache, lab.emit)
    for label in tree.labels:
        lab.emit(Note(label))
    lab.emit(Note(f"applied {len(tree.applied)} patches: tree {tree.id}, commit {tree.commit} in {tree.repository}"))


def edit_verb(lab: Lab, name: str) -> None:
    """Make the tree in which a series is developed."""
    series, whole = _stack(lab, name)
    place = edit(lab.source(Ask()), whole, series, lab.cache, lab.emit)
    lab.emit(Note(f"{series.name} is applied in {place}: change it, commit (or rebase -i), then ./inv export {name}"))


def export_verb(lab: Lab, name: str) -> None:
    """Write the edit tree's commits back to the series' directory."""
    series, whole = _stack(lab, name)
    files = export(lab.source(Ask()), whole, series, lab.cache, lab.emit)
    lab.emit(Note(f"{series.directory}: {len(files)} patches written"))


def _stack(lab: Lab, name: str) -> tuple[Series, tuple[Series, ...]]:
    series = find_series(lab.root / "patches", name)
    return series, stack(lab.root / "patches", series)


def patchcheck_cases(lab: Lab, ask: Ask) -> tuple[Case, ...]:
    """checkpatch on every patch, and every prefix of the series built: no error, no new warning."""
    base, patched = lab.sides(ask)
    series = patched.series[-1]
    cases = list(checkpatch(lab.source(ask), series, lab.cache))
    before = lab.build(ask, base)
    for k in range(1, len(series.patches) + 1):
        case, before = _built(lab, ask, replace(patched, upto=k), before)
        cases.append(case)
    return tuple(cases)


def _built(lab: Lab, ask: Ask, side: Side, before: Build) -> tuple[Case, Build]:
    name = f"build.{side.series[-1].patches[side.depth - 1].name}"
    try:
        build = lab.build(ask, side, before)
    except LabError as error:
        if error.code != 1:
            raise
        return Case(name, Status.FAIL, error.message), before
    new = [warning for warning in build.warnings if warning not in before.warnings]
    if new:
        return Case(name, Status.FAIL, "new warnings: " + "; ".join(new)), build
    return Case(name, Status.PASS, f"{build.objects} objects, no new warning"), build


def worst_code(cases: tuple[Case, ...]) -> int:
    """The exit code of a list of cases: none at all is the lab's fault."""
    return {Status.PASS: 0, Status.SKIP: 0, Status.FAIL: 1}.get(worst([case.status for case in cases]), 3)


def patchcheck_tables(cases: tuple[Case, ...]) -> tuple[TableRows, ...]:
    """The cases as a table."""
    return (("patchcheck", ("check", "status", "detail"), tuple((case.name, str(case.status), case.detail) for case in cases)),)
