"""Source + Series[:k] -> Tree: patches become commits in the bare repository, through an index and no work tree at all."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Cache, digest
from lab.errors import PatchError, UsageError
from lab.events import Emit, StageFinished, StageStarted
from lab.kernel import git
from lab.kernel.conflict import Earlier, explain
from lab.model.change import Patch, Series, Source, Tree
from lab.model.outcome import Finding

METHODS = (
    ((), ""),
    (("--3way",), "applied by a three-way merge"),
    (("-C1",), "APPLIED WITH REDUCED CONTEXT (1 line): read the result"),
)
"""Ways to apply, tried in order, each with the label that a result carries; the first is `git am`, the second `git am -3`."""
MEMO_VERSION = "1"


@dataclass(frozen=True)
class _Step:
    """One patch as a commit; memoised."""

    commit: str
    tree: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class _Stand:
    """Where one patch is tried: a parent commit and a scratch directory for indexes."""

    repository: Path
    parent: _Step
    scratch: Path

    @contextmanager
    def index(self) -> Iterator[dict[str, str]]:
        """A fresh index that holds the parent's tree, as environment."""
        path = self.scratch / "index"
        env = {"GIT_INDEX_FILE": str(path)}
        git.git(self.repository, "read-tree", self.parent.tree, env=env)
        yield env
        path.unlink()

    def reverses(self, diff: bytes) -> bool:
        """Whether the diff applies backwards: it is in."""
        with self.index() as env:
            return git.ask(self.repository, "apply", "--cached", "--check", "--reverse", stdin=diff, env=env).status == 0


def apply(source: Source, series: Sequence[Series], upto: int | None, cache: Cache, emit: Emit) -> Tree:
    """The tree with every patch of `series`, of the last one only the first `upto` (None: all, 0: none).

    Same input, same commit and tree id; each step is memoised. Raises PatchError (conflict, already applied), UsageError.
    """
    chosen = _chosen(series, upto)
    what, begun = _described(series, upto), time.monotonic()
    emit(StageStarted("apply", what))
    labels = [source.label] if source.label else []
    step, made, earlier = _Step(source.commit, source.tree, ()), 0, list[Earlier]()
    key = digest(MEMO_VERSION, source.commit)
    with cache.lock(f"trees-{digest(str(source.repository))}"):
        for name, patch in chosen:
            key = digest(key, name, patch.text.encode("utf-8", "surrogateescape"))
            known = _recall(source.repository, key)
            step = known or _apply_one(source.repository, step, name, patch, earlier)
            if known is None:
                _remember(source.repository, key, step)
                made += 1
            labels += step.labels
            earlier.append(Earlier(name, patch))
    detail = f"{len(chosen)} patches, {made} applied now" if chosen else "no patches"
    emit(StageFinished("apply", what, time.monotonic() - begun, "; ".join([detail, *labels])))
    return Tree(source.repository, step.commit, step.tree, tuple(name for name, _ in chosen), tuple(labels))


def commits_of(tree: Tree) -> dict[str, str]:
    """The applied patches' names by commit id, oldest first."""
    if not tree.applied:
        return {}
    span = f"{tree.commit}~{len(tree.applied)}..{tree.commit}"
    commits = git.git(tree.repository, "rev-list", "--reverse", "--first-parent", span).split()
    return dict(zip(commits, tree.applied, strict=True))


def _chosen(series: Sequence[Series], upto: int | None) -> list[tuple[str, Patch]]:
    if not series:
        return []
    *required, last = series
    if upto is not None and not 0 <= upto <= len(last.patches):
        raise UsageError(
            f"--upto {upto}: {last.name} has {len(last.patches)} patches", hint=f"0 (none) to {len(last.patches)} (all)"
        )
    named = [(f"{one.name}/{patch.name}", patch) for one in required for patch in one.patches]
    return named + [(f"{last.name}/{patch.name}", patch) for patch in last.patches[:upto]]


def _described(series: Sequence[Series], upto: int | None) -> str:
    if not series:
        return "the source as it is"
    names = " + ".join(one.name for one in series)
    return names if upto is None else f"{names} up to {upto} of {len(series[-1].patches)}"


def _recall(repository: Path, key: str) -> _Step | None:
    path = repository / "lab" / f"{key}.json"
    if not path.is_file():
        return None
    table = json.loads(path.read_text(encoding="utf-8"))
    return _Step(table["commit"], table["tree"], tuple(table["labels"]))


def _remember(repository: Path, key: str, step: _Step) -> None:
    """Keep the memo beside the objects it speaks of, so that both go together; rename makes it whole or absent."""
    directory = repository / "lab"
    directory.mkdir(exist_ok=True)
    aside = directory / f".{key}.aside"
    table = {"commit": step.commit, "tree": step.tree, "labels": step.labels}
    aside.write_text(json.dumps(table), encoding="utf-8")
    git.git(repository, "update-ref", f"refs/lab/{key}", step.commit)
    aside.rename(directory / f"{key}.json")


def _apply_one(repository: Path, parent: _Step, name: str, patch: Patch, earlier: Sequence[Earlier]) -> _Step:
    with tempfile.TemporaryDirectory(prefix="lab-apply-") as scratch:
        stand = _Stand(repository, parent, Path(scratch))
        message, diff, author = _mail(stand, patch)
        if not diff.strip():
            raise PatchError(f"{name} holds no diff that git can read", finding=_finding(name, "holds no diff"))
        tree, label = _new_tree(stand, name, patch, diff, earlier)
    labels = [f"{name}: {label}"] if label else []
    labels += [f"{name}: ALREADY IN, NOTHING LEFT TO CHANGE: {file}" for file in _untouched(repository, parent.tree, tree, patch)]
    commit = git.git(repository, "commit-tree", "-p", parent.commit, tree, stdin=message, env=author).strip()
    return _Step(commit, tree, tuple(labels))


def _mail(stand: _Stand, patch: Patch) -> tuple[bytes, bytes, dict[str, str]]:
    """Message, diff and author of a mail, taken apart by git itself."""
    raw = patch.text.encode("utf-8", "surrogateescape")
    message, diff = stand.scratch / "message", stand.scratch / "diff"
    info = git.git(stand.repository, "mailinfo", message, diff, stdin=raw)
    fields = dict(re.findall(r"^(Author|Email|Subject|Date): (.*)$", info, re.MULTILINE))
    author = {
        "GIT_AUTHOR_NAME": fields.get("Author") or "nobody",
        "GIT_AUTHOR_EMAIL": fields.get("Email") or "nobody@localhost",
        "GIT_AUTHOR_DATE": fields.get("Date") or git.STAMP,
    }
    subject = (fields.get("Subject") or patch.subject or patch.name).encode("utf-8", "surrogateescape")
    return subject + b"\n\n" + message.read_bytes(), diff.read_bytes(), author


def _new_tree(stand: _Stand, name: str, patch: Patch, diff: bytes, earlier: Sequence[Earlier]) -> tuple[str, str]:
    """The tree after the patch and the label of the way it took. Raises PatchError."""
    said = ""
    for words, label in METHODS:
        with stand.index() as env:
            done = git.ask(stand.repository, "apply", "--cached", "--whitespace=nowarn", *words, stdin=diff, env=env)
            if done.status == 0:
                tree = git.git(stand.repository, "write-tree", env=env).strip()
                if tree == stand.parent.tree:
                    raise _already_in(name)
                reduced = re.findall(r"Context reduced to .*", done.stderr)
                return tree, f"{label}: {'; '.join(reduced)}" if reduced else label
            said = said or done.stderr
        if not words and stand.reverses(diff):
            raise _already_in(name)
    raise explain(name, patch, said, lambda path: git.file_at(stand.repository, stand.parent.commit, path), earlier)


def _already_in(name: str) -> PatchError:
    return PatchError(
        f"{name} is already in the tree: it applies in reverse",
        hint="take it out of the series, or check which source and which required series it is meant for",
        finding=_finding(name, "is already in the tree"),
    )


def _finding(name: str, title: str) -> Finding:
    return Finding("patch", f"{name} {title}", f"patch:{name}", fatal=False)


def _untouched(repository: Path, before: str, after: str, patch: Patch) -> list[str]:
    """Files the patch has hunks for and did not change: a merge found the change there already."""
    changed = git.git(repository, "diff-tree", "-r", "--no-renames", "--name-only", "-z", before, after).split("\0")
    return [file for file in patch.files if file not in changed]
