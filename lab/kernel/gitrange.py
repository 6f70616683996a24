"""`--git PATH --range BASE..TIP [--dirty]`: a user's branch as a source and a series; their repository is only read."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from lab.cache import Cache
from lab.errors import UsageError
from lab.events import Emit, Note
from lab.kernel import git
from lab.kernel.patchfiles import patches_of, read_text
from lab.kernel.source import from_git
from lab.model.change import Patch, Series, Source

FORMAT_PATCH = (
    "-c",
    "core.abbrev=12",
    "-c",
    "core.quotePath=false",
    "format-patch",
    "--quiet",
    "--zero-commit",
    "--no-signature",
)


def git_range(repository: Path, span: str, *, dirty: bool, cache: Cache, emit: Emit) -> tuple[Source, Series]:
    """BASE..TIP of a user's repository: the source at BASE and the commits after it as patches, the oldest first.

    With `dirty` what is not committed yet comes last, as one more patch. Raises UsageError, SourceError.
    """
    below, dots, above = span.partition("..")
    if not dots or not below or above.startswith("."):
        raise UsageError(f"--range {span}: not a range", hint="write BASE..TIP; BASE.. ends at HEAD")
    source = from_git(repository, below, cache, emit)
    ours, top = source.repository, from_git(repository, above or "HEAD", cache, emit).commit
    if git.ask(ours, "merge-base", "--is-ancestor", source.commit, top).status != 0:
        raise UsageError(
            f"--range {span}: {below} is not an ancestor of {above or 'HEAD'}", hint=f"git merge-base {below} {above or 'HEAD'}"
        )
    if merges := git.git(ours, "rev-list", "--merges", f"{source.commit}..{top}").split():
        raise UsageError(
            f"--range {span} holds the merge {merges[0][:12]}: not a series", hint="rebase it, or name a BASE after the merge"
        )
    if dirty:
        top = _with_uncommitted(repository, ours, top, emit)
    patches = patches_between(ours, source.commit, top, str(repository))
    if not patches:
        raise UsageError(f"--range {span} holds no commits", hint="commit something, or add --dirty")
    name = f"{repository.resolve().name}:{span}"
    return source, Series(name, repository, patches, summary=f"{span} of {repository}", ref=top)


def patches_between(repository: Path, below: str, above: str, origin: str) -> tuple[Patch, ...]:
    """The commits after `below` up to `above`, in mail form."""
    with tempfile.TemporaryDirectory(prefix="lab-range-") as scratch:
        git.git(repository, *FORMAT_PATCH, "--no-numbered", "-o", scratch, f"{below}..{above}")
        mails = [(path.name, read_text(path)) for path in sorted(Path(scratch).iterdir())]
    return patches_of(origin, mails, numbered=False)


def _with_uncommitted(users: Path, ours: Path, top: str, emit: Emit) -> str:
    """A commit of ours on `top` that holds what the user's work tree and index have on top of HEAD; `top` when that is nothing.

    The index is a copy and new objects go to our repository, so that nothing of theirs is written.
    """
    head, place, index, objects = (
        git.in_users_tree(users, "rev-parse", "--path-format=absolute", *words).stdout.strip()
        for words in (("HEAD",), ("--show-toplevel",), ("--git-path", "index"), ("--git-path", "objects"))
    )
    if head != top:
        raise UsageError(
            f"--dirty: the work tree of {users} is at {head[:12]}, not at the tip of the range", hint="end the range at HEAD"
        )
    with tempfile.TemporaryDirectory(prefix="lab-dirty-") as scratch:
        copy = shutil.copy2(index, Path(scratch) / "index")
        env = {
            "GIT_INDEX_FILE": str(copy),
            "GIT_OBJECT_DIRECTORY": str(ours / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        git.in_users_tree(Path(place), "add", "--update", ".", env=env)
        tree = git.in_users_tree(Path(place), "write-tree", env=env).stdout.strip()
        loose = git.in_users_tree(Path(place), "ls-files", "--others", "--exclude-standard", env=env).stdout.splitlines()
    if loose:
        emit(
            Note(
                f"--dirty leaves out {len(loose)} untracked files, e.g. {loose[0]}; `git add` the ones that belong to the change"
            )
        )
    if tree == git.tree_of(ours, top):
        emit(Note(f"--dirty: {users} has no uncommitted changes"))
        return top
    author = {"GIT_AUTHOR_NAME": "uncommitted", "GIT_AUTHOR_EMAIL": "nobody@localhost", "GIT_AUTHOR_DATE": git.STAMP}
    return git.git(ours, "commit-tree", "-p", top, "-m", "Uncommitted changes", tree, env=author).strip()
