"""Why a patch does not apply, in the words a person needs: patch, file, hunk, lines expected and found, who moved them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.errors import PatchError
from lab.formats.patch import Hunk, Mismatch, hunks_of, mismatch, parse_mail
from lab.model.change import Patch
from lab.model.outcome import Finding

SHOWN_LINES = 12


@dataclass(frozen=True)
class Earlier:
    """A patch that was applied before, under its full name."""

    name: str
    patch: Patch


def explain(name: str, patch: Patch, said: str, read: Callable[[str], str | None], earlier: Sequence[Earlier]) -> PatchError:
    """The error for a patch that does not apply; `said` is git's own complaint, `read` gives a file before the patch or None."""
    lines, title = _lines(patch, read, earlier), "does not apply"
    if not lines:
        lines = [f"  git says: {line}" for line in said.strip().splitlines()]
    return PatchError(
        "\n".join([f"{name} does not apply", *lines]),
        hint="fix it with `./inv edit` on a tree where the patches before it apply, or check `requires` in series.toml",
        finding=Finding("patch", f"{name} {title}", f"patch:{name}", tuple(lines), fatal=False),
    )


def _lines(patch: Patch, read: Callable[[str], str | None], earlier: Sequence[Earlier]) -> list[str]:
    """What is wrong with the first hunk that has no place."""
    for hunk in hunks_of(parse_mail(patch.text).diff):
        text = read(hunk.path)
        if text is None and hunk.old:
            return [f"  file {hunk.path}: is not in the tree", *_culprit(hunk.path, hunk, None, earlier)]
        if text is not None and not hunk.old and hunk.start == 0:
            return [
                f"  file {hunk.path}: the patch creates it, but it is there already",
                *_culprit(hunk.path, hunk, None, earlier),
            ]
        wrong = mismatch(hunk, (text or "").splitlines())
        if wrong:
            return _described(wrong, earlier)
    return []


def _described(wrong: Mismatch, earlier: Sequence[Earlier]) -> list[str]:
    hunk = wrong.hunk
    return [
        f"  file {hunk.path}",
        f"  hunk {hunk.header}",
        "  expected:",
        *_shown(wrong.expected),
        f"  found (nearest place, line {wrong.line}):",
        *_shown(wrong.found),
        *_culprit(hunk.path, hunk, wrong, earlier),
    ]


def _shown(lines: Sequence[str]) -> list[str]:
    shown = [f"    | {line}" for line in lines[:SHOWN_LINES]] or ["    | (nothing)"]
    return shown + ([f"    | ... {len(lines) - SHOWN_LINES} more"] if len(lines) > SHOWN_LINES else [])


def _culprit(path: str, hunk: Hunk, wrong: Mismatch | None, earlier: Sequence[Earlier]) -> list[str]:
    """The newest earlier patch that took the expected lines away or put the found ones there, else the last to touch the file."""
    touching = [one for one in reversed(earlier) if path in one.patch.files]
    for one in touching if wrong else ():
        assert wrong is not None
        for other in hunks_of(parse_mail(one.patch.text).diff):
            if other.path == path and ({*other.removed} & _telling(wrong.expected) or {*other.added} & _telling(wrong.found)):
                return [f"  moved by {one.name} ({other.header})"]
    if touching:
        return [f"  last changed by {touching[0].name}"]
    return ["  no earlier patch of the stack touches this file: the patch was made for another source"]


def _telling(lines: Sequence[str]) -> set[str]:
    """Lines that say something: braces and blank lines are everywhere."""
    return {line for line in lines if len(line.strip()) > 2}
