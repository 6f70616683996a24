"""What can be said of patches by reading them: checkpatch, their form, what a series has to bring along.

Complaints have types; series.toml names those that are accepted, each with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lab.cache import Cache, digest
from lab.deadline import Deadline
from lab.errors import SourceError
from lab.formats.patch import parse_mail
from lab.formats.patchform import kconfig_complaints, message_complaints, new_options
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
SEEN = re.compile(r"include/uapi/|arch/\w+/include/uapi/|arch/\w+/entry/syscalls/")
"""What user space sees."""
TESTS = re.compile(r"tools/testing/(?:selftests|kunit)/|.*(?:_test|_kunit|/test_\w+)\.c$|lib/kunit/")
DOCUMENTATION = re.compile(r"Documentation/")


def checkpatch(source: Source, series: Series, cache: Cache) -> tuple[Case, ...]:
    """One Case per patch: FAIL with the complaints, PASS with the accepted ones, ERROR when checkpatch itself failed.

    Raises SourceError when the tree has no checkpatch.
    """
    root = cache.get_or_make("checkpatch", digest("1", source.tree), lambda directory: _extract(source, directory))
    return tuple(_check(root, f"checkpatch {series.name}/{patch.name}", patch, _accepted(series)) for patch in series.patches)


def forms(series: Series, *, ours: bool) -> tuple[Case, ...]:
    """A Case a patch about its message and the defaults of its options; one about the series' self-tests and documentation.

    `ours`: the series is kept here, where nobody signs.
    """
    accepted = _accepted(series)
    cases = []
    for patch in series.patches:
        found = [*message_complaints(patch.text, ours=ours), *kconfig_complaints(parse_mail(patch.text).diff)]
        cases.append(
            _judged(f"form {series.name}/{patch.name}", [(one.kind, f"{one.kind}: {one.text}") for one in found], accepted)
        )
    return (*cases, _judged(f"brings {series.name}", list(_lacking(series)), accepted))


def _lacking(series: Series) -> Iterator[tuple[str, str]]:
    """What a series that user space or a configuration can see has to bring along, and does not."""
    files = [file for patch in series.patches for file in patch.files]
    options = [name for patch in series.patches for name in new_options(parse_mail(patch.text).diff)]
    seen = [f"the option {name}" for name in options] + [f"{file} to user space" for file in files if SEEN.match(file)]
    for kind, there, what in (("NO_SELFTEST", TESTS, "self-test"), ("NO_DOCUMENTATION", DOCUMENTATION, "documentation")):
        if seen and not any(there.match(file) for file in files):
            yield kind, f"{kind}: the series adds {seen[0]} and no {what}"


def _accepted(series: Series) -> Mapping[str, str]:
    return read_notes(series.directory).checkpatch_exceptions if series.directory.is_dir() else {}


def _judged(name: str, complaints: Sequence[tuple[str, str]], accepted: Mapping[str, str]) -> Case:
    """FAIL with the complaints, PASS with the accepted ones and their reasons."""
    if bad := [text for kind, text in complaints if kind not in accepted]:
        return Case(name, Status.FAIL, "\n".join(bad))
    kinds = dict.fromkeys(kind for kind, _ in complaints)
    return Case(name, Status.PASS, "\n".join(f"accepted {kind}: {accepted[kind]}" for kind in kinds))


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
    if done.status != 0 and not complaints:
        return Case(name, Status.ERROR, f"checkpatch ended with exit {done.status} and no complaint that can be read")
    return _judged(name, complaints, accepted)


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
