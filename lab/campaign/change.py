"""The verbs about source and series: fetch, apply, edit, export."""

from __future__ import annotations

from lab.campaign.plan import Ask
from lab.campaign.session import Lab
from lab.events import Note
from lab.kernel.edit import edit, export
from lab.kernel.series import find_series, stack
from lab.kernel.tree import apply
from lab.model.change import Series


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
