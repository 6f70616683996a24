"""How a series is developed here: `edit` opens it as commits in a work tree, `export` writes the commits back as patches."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.cache import Cache, check_free, digest
from lab.deadline import Deadline
from lab.errors import LabError, UsageError
from lab.events import Emit, Note, StageFinished, StageStarted, silent
from lab.formats.patch import parse_mail
from lab.kernel import git
from lab.kernel.gitrange import FORMAT_PATCH
from lab.kernel.patchfiles import NUMBERED
from lab.kernel.series import read_series
from lab.kernel.tree import apply
from lab.model.change import Series, Source
from lab.model.ports import Completed
from lab.model.wire import read_json, write_json
from lab.proc import clean_environment, run

TREE_BYTES = 2_500_000_000
CHECKOUT_S = 1200.0
STATE = Path(".git/lab.json")


@dataclass(frozen=True)
class EditState:
    """What an edit tree was made from."""

    directory: Path
    """Where the patches came from and go to."""
    base: str
    """Commit with the requirements, below the series."""
    tip: str
    """Last commit that is the same as the patches."""
    patches: str
    """Digest of the patches at that time."""


def edit(source: Source, stack: Sequence[Series], series: Series, cache: Cache, emit: Emit) -> Path:
    """A git work tree with the series applied as commits on branch `series`, at <cache>/edit/<series>.

    Opened again it stays as it is while it holds the same patches. Raises UsageError rather than overwrite work, PatchError.
    """
    place = cache.root / "edit" / series.name
    with cache.lock(f"edit-{digest(series.name)}"):
        base = apply(source, stack, 0, cache, emit).commit
        tip = apply(source, stack, None, cache, emit).commit
        state = EditState(series.directory.resolve(), base, tip, _digest(series))
        if (place / STATE).exists():
            old = _state(place)
            _refuse_to_lose(place, old, state)
            if (old.patches, old.base) == (state.patches, state.base):
                return place
            _git(place, "fetch", "--quiet", source.repository, tip)
            _git(place, "checkout", "--quiet", "-B", "series", tip)
            write_json(place / STATE, state)
            return place
        _make(place, source, state, emit)
    return place


def export(source: Source, stack: Sequence[Series], series: Series, cache: Cache, emit: Emit) -> list[Path]:
    """Write the edit tree's commits to the series' directory; returns the files written.

    A commit that is as it was keeps its file byte for byte; the cover letter and series.toml stay. Raises UsageError.
    """
    place = cache.root / "edit" / series.name
    if not (place / STATE).exists():
        raise UsageError(f"{series.name} is not open for editing", hint=f"./inv edit --series {series.name}")
    with cache.lock(f"edit-{digest(series.name)}"):
        state = _state(place)
        _check_exportable(place, state, series)
        head = _git(place, "rev-parse", "HEAD").stdout.strip()
        wanted = _wanted(place, state, head, series)
        written = _write(series.directory, wanted)
        again = replace(read_series(series.directory), name=series.name)
        tree = apply(source, [*stack[:-1], again], None, cache, silent)
        if tree.id != git.tree_of(place / ".git", head):
            raise LabError(
                f"the patches written to {series.directory} do not make the tree in {place}",
                hint="git diff shows what was written",
            )
        write_json(place / STATE, replace(state, tip=head, patches=_digest(again)))
    emit(Note(f"export: {len(wanted)} patches, {len(written)} of them changed"))
    if len(wanted) != len(series.patches) and any(series.directory.glob("*0000-*.patch")):
        emit(Note(f"the series has {len(wanted)} patches now instead of {len(series.patches)}: see what its cover letter says"))
    return written


def _make(place: Path, source: Source, state: EditState, emit: Emit) -> None:
    check_free(place.parent, TREE_BYTES, "an edit tree")
    begun = time.monotonic()
    emit(StageStarted("edit", f"checking out {place}"))
    aside = place.with_name(f".{place.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    # --local links the objects: the work survives when the cache drops the source
    git.git(source.repository, "clone", "--quiet", "--local", "--no-checkout", source.repository, aside)
    _git(aside, "checkout", "--quiet", "-b", "series", state.tip)
    _git(aside, "update-ref", "refs/lab/base", state.base)
    write_json(aside / STATE, state)
    aside.rename(place)
    emit(StageFinished("edit", str(place), time.monotonic() - begun))


def _refuse_to_lose(place: Path, old: EditState, new: EditState) -> None:
    if old.directory != new.directory:
        raise UsageError(f"{place} holds the series of {old.directory}", hint=f"export or remove it first: rm -r {place}")
    head = _git(place, "rev-parse", "HEAD").stdout.strip()
    if (old.patches, old.base) == (new.patches, new.base):
        return
    if head != old.tip or _uncommitted(place):
        raise UsageError(
            f"the patches in {new.directory}, or what they are applied to, changed, and {place} holds work that was not exported",
            hint=f"git -C {place} format-patch {old.base[:12]} saves it; then rm -r {place}",
        )


def _check_exportable(place: Path, state: EditState, series: Series) -> None:
    if any((place / ".git" / name).exists() for name in ("rebase-merge", "rebase-apply", "MERGE_HEAD", "CHERRY_PICK_HEAD")):
        raise UsageError(f"a rebase or merge is under way in {place}", hint=f"git -C {place} status")
    if lines := _uncommitted(place):
        shown = "".join(f"\n    {line}" for line in lines[:10])
        raise UsageError(
            f"{place} has uncommitted changes:{shown}",
            hint=f"cd {place}; git commit --amend -a, or git commit, then export again",
        )
    if _git(place, "merge-base", "--is-ancestor", state.base, "HEAD", check=False).status != 0:
        raise UsageError(
            f"{place}: HEAD is not built on the series' base {state.base[:12]}", hint=f"git -C {place} rebase {state.base[:12]}"
        )
    if merges := _git(place, "rev-list", "--merges", f"{state.base}..HEAD").stdout.split():
        raise UsageError(
            f"{place}: {merges[0][:12]} is a merge, which no patch can hold", hint="git rebase makes the history a line"
        )
    if not _git(place, "rev-list", "-1", f"{state.base}..HEAD").stdout:
        raise UsageError(f"{place} holds no commits on top of the base", hint="git commit; an empty series is no series")
    if not all(NUMBERED.match(patch.name) for patch in series.patches):
        raise UsageError(
            f"{series.directory} is no directory of format-patch files",
            hint=f"git -C {place} format-patch -o DIR {state.base[:12]}",
        )
    if _digest(series) != state.patches:
        raise UsageError(
            f"the patches in {series.directory} changed since {place} was opened",
            hint="git diff shows how; restore them, then export",
        )


def _wanted(place: Path, state: EditState, head: str, series: Series) -> dict[str, bytes]:
    """File name -> content for the new series; what did not change is taken from the present files."""
    style = _style(series)
    before = _formatted(place, f"{state.base}..{state.tip}", style)
    after = _formatted(place, f"{state.base}..{head}", style)
    old = {text: patch for (_, text), patch in zip(before, series.patches, strict=True)}
    titles = {patch.subject: patch.name for patch in series.patches}
    wanted = {}
    for number, (name, text) in enumerate(after, 1):
        known = old.get(text)
        title = parse_mail(text.decode("utf-8", "surrogateescape")).title
        former = known.name if known else titles.get(title, name)
        match = NUMBERED.match(former)
        assert match is not None
        final = f"{former[: match.start(2)]}{number:04d}{former[match.end(2) :]}"
        wanted[final] = (series.directory / known.name).read_bytes() if known else text
    return wanted


def _style(series: Series) -> list[str]:
    """format-patch options that write as the present files are written."""
    if not series.patches:
        return ["--no-numbered"]
    mail = parse_mail(series.patches[0].text)
    words = [word for word in mail.tags.split() if "/" not in word or not word.replace("/", "").isdigit()]
    numbered = "--no-numbered" if mail.number is None else "--numbered"
    full = ["--full-index"] if "index " in mail.diff and len(mail.diff.partition("index ")[2].partition("..")[0]) >= 40 else []
    return [numbered, f"--subject-prefix={' '.join(words) or 'PATCH'}", *full]


def _formatted(place: Path, span: str, style: Sequence[str]) -> list[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory(prefix="lab-export-") as scratch:
        git.git(place / ".git", *FORMAT_PATCH, *style, "-o", scratch, span)
        return [(path.name, path.read_bytes()) for path in sorted(Path(scratch).iterdir())]


def _write(directory: Path, wanted: dict[str, bytes]) -> list[Path]:
    """Put the files in place, each whole; remove patches that are no more, never the cover letter."""
    written = []
    for name, content in wanted.items():
        path = directory / name
        if path.is_file() and path.read_bytes() == content:
            continue
        aside = directory / f".{name}.aside"
        aside.write_bytes(content)
        aside.rename(path)
        written.append(path)
    for path in directory.glob("*.patch"):
        match = NUMBERED.match(path.name)
        if match and int(match[2]) != 0 and path.name not in wanted:
            path.unlink()
    return written


def _digest(series: Series) -> str:
    return digest(*(part.encode("utf-8", "surrogateescape") for patch in series.patches for part in (patch.name, patch.text)))


def _state(place: Path) -> EditState:
    return read_json(place / STATE, EditState)


def _uncommitted(place: Path) -> list[str]:
    return _git(place, "status", "--porcelain").stdout.splitlines()


def _git(place: Path, *words: str | Path, check: bool = True) -> Completed:
    env = clean_environment(**git.OWN_CONFIG)
    return run(["git", "-C", place, *words], deadline=Deadline.after(CHECKOUT_S), env=env, check=check)
