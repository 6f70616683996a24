"""Patch series: directories of format-patch files, quilt stacks and mailboxes, read and checked; requirements in order."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from lab.errors import UsageError
from lab.kernel.gitrange import git_range
from lab.kernel.patchfiles import MAILBOXES, NUMBERED, QUILT, from_mbox, from_numbered, from_quilt
from lab.model.change import Series
from lab.toml import read_toml, strict_keys

__all__ = ["find_series", "git_range", "list_series", "read_notes", "read_series", "stack"]

NOTES = "series.toml"


@strict_keys
@dataclass(frozen=True)
class Expect:
    """What a control must be caught at, for the tests that prove it."""

    stage: Literal["apply", "build", "boot", "payload", "metric", "pass"]
    text: str = ""
    """Words of the message, or the verdict."""


@strict_keys
@dataclass(frozen=True)
class SeriesNotes:
    """series.toml: what a series says of itself. Every key is optional; a foreign directory needs no such file."""

    summary: str = ""
    requires: tuple[str, ...] = ()
    """Series that must be applied before."""
    kconfigs: tuple[str, ...] = ()
    payloads: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    """CONFIG_X=y lines for the patched side only."""
    selftests: tuple[str, ...] = ()
    """TARGET or TARGET:TEST words: the kernel self-tests that tell whether it works; `./inv kselftest own` runs them."""
    kunit: tuple[str, ...] = ()
    """CONFIG_X=y lines of the KUnit suites it adds, for `./inv kunit`."""
    promises: tuple[str, ...] = ()
    """What it promises, one sentence each, for the reader."""
    checkpatch_exceptions: dict[str, str] = field(default_factory=dict)
    """checkpatch message type -> the reason why it is accepted."""
    expect: Expect | None = None


def read_series(directory: Path) -> Series:
    """The series in a directory (format-patch files, a quilt `series`, one mailbox) or in a mailbox. Raises UsageError."""
    if directory.is_file():
        return Series(directory.stem, directory.parent, from_mbox(directory))
    if not directory.is_dir():
        raise UsageError(
            f"{directory}: no such series", hint="--series takes a name under patches/, or the path of a directory or mailbox"
        )
    notes = read_notes(directory)
    if (directory / QUILT).is_file():
        patches = from_quilt(directory)
    elif boxes := sorted(path for path in directory.iterdir() if path.suffix in MAILBOXES):
        if len(boxes) > 1:
            raise UsageError(f"{directory} holds {len(boxes)} mailboxes", hint=f"name one: --series {boxes[0]}")
        patches = from_mbox(boxes[0])
    else:
        patches = from_numbered(directory)
    return Series(
        directory.resolve().name,
        directory,
        patches,
        requires=notes.requires,
        kconfigs=notes.kconfigs,
        payloads=notes.payloads,
        summary=notes.summary,
        options=notes.options,
        selftests=notes.selftests,
        kunit=notes.kunit,
    )


def read_notes(directory: Path) -> SeriesNotes:
    """series.toml of a directory, or the empty one. Raises UsageError."""
    path = directory / NOTES
    return read_toml(path, SeriesNotes) if path.is_file() else SeriesNotes()


def find_series(patches: Path, name: str) -> Series:
    """A series by its name under `patches` (also `busted/x`), or by the path of any directory or mailbox. Raises UsageError."""
    if not name.startswith(("/", ".", "~")) and _is_series(patches / name):
        return replace(read_series(patches / name), name=name.strip("/"))
    path = Path(name).expanduser()
    if path.exists():
        inside = path.resolve().is_relative_to(patches.resolve()) and path.is_dir()
        return (
            replace(read_series(path), name=str(path.resolve().relative_to(patches.resolve()))) if inside else read_series(path)
        )
    known = list_series(patches)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else "--series also takes the path of a directory or mailbox"
    raise UsageError(f"no series `{name}`; there are: {', '.join(known) or 'none'}", hint=hint)


def list_series(patches: Path) -> tuple[str, ...]:
    """Names of the series under `patches`, one or two levels deep."""
    if not patches.is_dir():
        return ()
    return tuple(
        sorted(str(path.relative_to(patches)) for path in [*patches.glob("*/"), *patches.glob("*/*/")] if _is_series(path))
    )


def stack(patches: Path, series: Series, order: Sequence[str] = ()) -> tuple[Series, ...]:
    """The series' requirements, each after its own, then the series; `order` is lab.toml's total order. Raises UsageError."""
    found: dict[str, Series] = {}

    def visit(one: Series, path: tuple[str, ...]) -> None:
        if one.name in path:
            raise UsageError(
                f"series require each other: {' -> '.join([*path, one.name])}", hint=f"edit `requires` in {one.directory / NOTES}"
            )
        for name in one.requires:
            visit(found.get(name) or find_series(patches, name), (*path, one.name))
        found.setdefault(one.name, one)

    visit(series, ())
    required = [one for one in found.values() if one.name != series.name]
    return (*(in_order(required, order) if order else required), series)


def combine(patches: Path, name: str, order: Sequence[str]) -> tuple[tuple[Series, ...], tuple[Series, ...]]:
    """What a name stands on and what it is: one series, or several joined by `+`, each part in lab.toml's total `order`.

    Several stand on all that any of them requires and that is not named. Raises UsageError.
    """
    single = "+" not in name or Path(name).expanduser().exists()
    named = [find_series(patches, word) for word in ([name] if single else name.split("+"))]
    if len(named) == 1:
        *required, series = stack(patches, named[0], order)
        return tuple(required), (series,)
    whole = in_order({one.name: one for each in named for one in stack(patches, each)}.values(), order)
    names = {one.name for one in named}
    return tuple(one for one in whole if one.name not in names), tuple(one for one in whole if one.name in names)


def in_order(some: Iterable[Series], order: Sequence[str]) -> tuple[Series, ...]:
    """The series in the total order. Raises UsageError for one that it does not name, or puts before what that requires."""
    rank = {name: place for place, name in enumerate(order)}
    found = list(some)
    if unknown := [one.name for one in found if one.name not in rank]:
        raise UsageError(f"the order of series does not name {', '.join(unknown)}", hint="add it to [order] in lab.toml")
    found.sort(key=lambda one: rank[one.name])
    seen: set[str] = set()
    for one in found:
        if late := [name for name in one.requires if name not in seen]:
            raise UsageError(
                f"the order of series puts {one.name} before {', '.join(late)}, which it requires",
                hint="edit [order] in lab.toml",
            )
        seen.add(one.name)
    return tuple(found)


def _is_series(path: Path) -> bool:
    if path.is_file():
        return path.suffix in MAILBOXES
    names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
    return any(name in (NOTES, QUILT) or NUMBERED.match(name) or name.endswith(MAILBOXES) for name in names)
