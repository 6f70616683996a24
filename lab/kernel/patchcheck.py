"""checkpatch on every patch of a series, with the exceptions that series.toml names and gives a reason for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from lab.cache import Cache, digest
from lab.deadline import Deadline
from lab.errors import SourceError
from lab.kernel import git
from lab.kernel.series import read_notes
from lab.model.change import Patch, Series, Source
from lab.model.outcome import Case, Status
from lab.proc import clean_environment, run

CHECK_S = 120.0
COMPLAINT = re.compile(r"^(ERROR|WARNING|CHECK):([A-Z0-9_]+): (.*)$")
SCRIPT = Path("scripts/checkpatch.pl")
EXTRACTED = ("scripts", "include", "Documentation/process", "COPYING", "CREDITS", "Kbuild", "Makefile", "README", "MAINTAINERS")
TOP = ("Documentation", "arch", "include", "drivers", "fs", "init", "ipc", "kernel", "lib", "scripts")
"""Directories by which checkpatch knows a kernel tree."""
NEEDS = {"perl": "perl"}


def checkpatch(source: Source, series: Series, cache: Cache) -> tuple[Case, ...]:
    """One Case per patch: FAIL with the complaints, PASS with the accepted ones, ERROR when checkpatch itself failed.

    Raises SourceError when the tree has no checkpatch.
    """
    root = cache.get_or_make("checkpatch", digest("1", source.tree), lambda directory: _extract(source, directory))
    accepted = read_notes(series.directory).checkpatch_exceptions if series.directory.is_dir() else {}
    return tuple(_check(root, f"checkpatch {series.name}/{patch.name}", patch, accepted) for patch in series.patches)


def _check(root: Path, name: str, patch: Patch, accepted: Mapping[str, str]) -> Case:
    words = ["--strict", "--no-signoff", "--show-types", "--color=never", "--max-line-length=100", f"--root={root}", "-"]
    raw = patch.text.encode("utf-8", "surrogateescape")
    done = run(
        ["perl", root / SCRIPT, *words],
        deadline=Deadline.after(CHECK_S),
        cwd=root,
        env=clean_environment(),
        stdin=raw,
        check=False,
    )
    if not re.search(r"^total: \d+ errors", done.stdout, re.MULTILINE):
        return Case(
            name, Status.ERROR, f"checkpatch gave no result (exit {done.status}): {(done.stderr or done.stdout).strip()[-500:]}"
        )
    complaints = _complaints(done.stdout)
    bad = [text for kind, text in complaints if kind not in accepted]
    if done.status != 0 and not complaints:
        return Case(name, Status.ERROR, f"checkpatch ended with exit {done.status} and no complaint that can be read")
    if bad:
        return Case(name, Status.FAIL, "\n".join(bad))
    kinds = dict.fromkeys(kind for kind, _ in complaints)
    return Case(name, Status.PASS, "\n".join(f"accepted {kind}: {accepted[kind]}" for kind in kinds))


def _complaints(output: str) -> list[tuple[str, str]]:
    """Type and text of each complaint, with the place that the next lines name."""
    lines = output.splitlines()
    found = []
    for at, line in enumerate(lines):
        if match := COMPLAINT.match(line):
            places = [re.sub(r"^#\d+: FILE: ", "", one).rstrip(":") for one in lines[at + 1 : at + 2] if one.startswith("#")]
            found.append((match[2], " ".join([f"{match[1]} {match[2]}: {match[3]}", *(f"({place})" for place in places)])))
    return found


def _extract(source: Source, directory: Path) -> None:
    """The part of the tree that checkpatch reads, and the directories by which it knows a tree."""
    present = git.git(source.repository, "ls-tree", "--name-only", source.commit, "--", *EXTRACTED).split()
    if git.file_at(source.repository, source.commit, str(SCRIPT)) is None:
        raise SourceError(f"the source {source.release} has no {SCRIPT}", hint="patchcheck works on kernel trees")
    index = directory / ".index"
    words = (f"--work-tree={directory}", "checkout", "--quiet", source.commit, "--", *present)
    git.git(source.repository, *words, env={"GIT_INDEX_FILE": str(index)})
    index.unlink()
    for name in TOP:
        (directory / name).mkdir(exist_ok=True)
