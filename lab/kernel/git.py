"""The kernel room's git: bare repositories in the cache, and commits whose ids depend on nothing but their content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.deadline import Deadline
from lab.model.ports import Completed
from lab.proc import clean_environment, run

GIT_BUDGET_S = 600.0
STAMP = "1577836800 +0000"
"""Committer date of every commit the lab makes: 2020-01-01, so that the same input gives the same commit."""
IDENTITY = {
    "GIT_COMMITTER_NAME": "kernel lab",
    "GIT_COMMITTER_EMAIL": "lab@localhost",
    "GIT_COMMITTER_DATE": STAMP,
}
OWN_CONFIG = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
"""What keeps a user's diff.noprefix or format.signature out of the lab's own repositories."""
NEEDS = {"git": "git"}


def git(repository: Path, *words: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
    """Output of a git command in a repository of the lab's own, in the lab's own configuration. Raises CommandError."""
    return ask(repository, *words, stdin=stdin, env=env, check=True).stdout


def ask(
    repository: Path, *words: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None, check: bool = False
) -> Completed:
    """The same for a command that may say no."""
    environment = {**clean_environment(**OWN_CONFIG, **IDENTITY), **(env or {})}
    argv = ["git", f"--git-dir={repository}", *words]
    return run(argv, deadline=Deadline.after(GIT_BUDGET_S), env=environment, stdin=stdin, check=check)


def in_users_tree(directory: Path, *words: str | Path, env: Mapping[str, str] | None = None, check: bool = True) -> Completed:
    """A command that only reads, in a user's own tree and with the user's configuration (safe.directory). Raises CommandError."""
    environment = {**clean_environment(GIT_OPTIONAL_LOCKS="0"), **(env or {})}
    return run(["git", "-C", directory, *words], deadline=Deadline.after(GIT_BUDGET_S), env=environment, check=check)


def make_bare(repository: Path, object_format: str = "sha1") -> None:
    """An empty bare repository that never packs or prunes by itself: unreferenced commits are memoised results."""
    git(
        repository,
        "init",
        "--quiet",
        "--bare",
        "--initial-branch=base",
        "--template=",
        f"--object-format={object_format}",
        repository,
    )
    git(repository, "config", "gc.auto", "0")
    git(repository, "config", "core.compression", "1")
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")


def tree_of(repository: Path, commit: str) -> str:
    """The id of a commit's tree."""
    return git(repository, "rev-parse", "--verify", "--quiet", f"{commit}^{{tree}}").strip()


def file_at(repository: Path, commit: str, path: str) -> str | None:
    """A file's text at a commit, or None when it is not there."""
    shown = ask(repository, "cat-file", "blob", f"{commit}:{path}")
    return shown.stdout if shown.status == 0 else None
