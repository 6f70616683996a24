"""Kernel source: obtained once, verified, kept as a bare git repository with one base commit."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from lab.cache import Cache, check_free, digest
from lab.deadline import Deadline
from lab.errors import SourceError
from lab.events import Emit, Note, StageFinished, StageStarted
from lab.kernel import git
from lab.model.change import Source, SourceSpec
from lab.proc import CommandError, decode, need, run, spawn, stop

SOURCE_BYTES = 1_500_000_000
REPOSITORY = "repository.git"
DOWNLOAD_S = 1800.0
CHUNK = 1 << 20
NEEDS = {"git": "git", "xz": "xz-utils"}
"""Programs this module calls, each with its Debian package; apt-get and dpkg-deb only where the source is a package."""


def obtain(spec: SourceSpec, cache: Cache, emit: Emit) -> Source:
    """The source that `[source]` of lab.toml asks for, from the cache or made. Raises SourceError, HostError."""
    if spec.kind == "git":
        return from_git(Path(spec.location), spec.ref or "HEAD", cache, emit)
    if not spec.sha256:
        raise SourceError(f"[source] of kind {spec.kind} has no sha256", hint='add sha256 = "..." to [source] in lab.toml')
    spec, label = _offered(spec, cache) if spec.kind == "debian" else (spec, "")
    key = digest(spec.kind, spec.package, spec.version, spec.sha256, spec.location if not spec.sha256 else "")

    def fill(directory: Path) -> None:
        _fill(spec, directory, emit)

    return replace(describe(cache.get_or_make("source", key, fill) / REPOSITORY), label=label)


def from_git(path: Path, ref: str, cache: Cache, emit: Emit) -> Source:
    """A user's repository at `ref`, as a repository of ours that borrows its objects; theirs is only read. Raises SourceError."""
    try:
        objects, common, commit, form = (
            git.in_users_tree(path, "rev-parse", "--path-format=absolute", *words).stdout.strip()
            for words in (
                ("--git-path", "objects"),
                ("--git-common-dir",),
                ("--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"),
                ("--show-object-format",),
            )
        )
    except CommandError as error:
        raise SourceError(
            f"{path}: not a git repository with a commit `{ref}`: {error.message}", hint=f"git -C {path} log {ref}"
        ) from error

    def fill(directory: Path) -> None:
        emit(Note(f"source: borrowing the objects of {path}"))
        repository = directory / REPOSITORY
        git.make_bare(repository, form)
        (repository / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
        if (Path(common) / "shallow").exists():
            shutil.copy(Path(common) / "shallow", repository / "shallow")
        git.git(repository, "update-ref", "refs/heads/base", commit)

    repository = cache.get_or_make("source", digest("git", objects, commit), fill) / REPOSITORY
    return describe(repository)


def describe(repository: Path) -> Source:
    """The Source of a repository of ours: its branch `base`."""
    commit = git.git(repository, "rev-parse", "--verify", "refs/heads/base").strip()
    return Source(repository, commit, git.tree_of(repository, commit), release_of(repository, commit))


def release_of(repository: Path, commit: str) -> str:
    """What the top Makefile calls the tree, e.g. 6.12.117, or its short commit id when it has none."""
    text = git.file_at(repository, commit, "Makefile") or ""
    values = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(\S*)$", text, re.MULTILINE))
    if not {"VERSION", "PATCHLEVEL", "SUBLEVEL"} <= values.keys():
        return commit[:12]
    return f"{values['VERSION']}.{values['PATCHLEVEL']}.{values['SUBLEVEL']}{values.get('EXTRAVERSION', '')}"


def _offered(spec: SourceSpec, cache: Cache) -> tuple[SourceSpec, str]:
    """The spec itself where we have it or the archive offers it; else the newest of its series, with a loud label."""
    key = digest(spec.kind, spec.package, spec.version, spec.sha256, "")
    if cache.find("source", key):
        return spec, ""
    offered = _versions(spec.package)
    if not offered and os.geteuid() == 0:
        run(["apt-get", "update", "-q"], deadline=Deadline.after(DOWNLOAD_S))
        offered = _versions(spec.package)
    if spec.version in offered:
        return spec, ""
    series = re.match(r"\d+\.\d+\.", spec.version)
    newest = next((version for version in offered if series and version.startswith(series[0])), None)
    if newest is None:
        raise SourceError(
            f"the package archive does not offer {spec.package} {spec.version}"
            + (f", only {', '.join(offered)}" if offered else ""),
            hint='sudo apt-get update; or set [source] in lab.toml to kind = "tarball" or "git"',
        )
    label = f"SOURCE IS NOT THE PINNED ONE: {spec.package} {newest} instead of {spec.version}; its hash is not pinned either"
    return replace(spec, version=newest, sha256=""), label


def _versions(package: str) -> list[str]:
    """Versions apt can download, newest first."""
    need("apt-cache", "find the kernel source package")
    table = run(["apt-cache", "madison", package], deadline=Deadline.after(60), check=False).stdout
    return list(
        dict.fromkeys(line.split("|")[1].strip() for line in table.splitlines() if line.count("|") == 2 and "Sources" not in line)
    )


def _fill(spec: SourceSpec, directory: Path, emit: Emit) -> None:
    what, begun = spec.location or f"{spec.package} {spec.version}", time.monotonic()
    check_free(directory, SOURCE_BYTES, f"the source {what}")
    emit(StageStarted("fetch", what))
    download = directory / "download"
    download.mkdir()
    archive = _package(spec, download) if spec.kind == "debian" else _tarball(spec, download)
    repository = directory / REPOSITORY
    git.make_bare(repository)
    import_tar(archive, repository, f"{what}\n")
    shutil.rmtree(download)
    emit(StageFinished("fetch", what, time.monotonic() - begun, f"verified, {release_of(repository, 'base')}"))


def _package(spec: SourceSpec, directory: Path) -> Path:
    """The tar inside a linux-source package."""
    words = ["apt-get", "download", "-q", f"{spec.package}={spec.version}"]
    try:
        run(words, deadline=Deadline.after(DOWNLOAD_S), cwd=directory)
    except CommandError as error:
        raise SourceError(
            f"cannot download the kernel source: {error.message}", hint="sudo apt-get update, then try again"
        ) from error
    package = next(directory.glob("*.deb"))
    _verify(package, spec.sha256)
    run(["dpkg-deb", "-x", package, directory], deadline=Deadline.after(300))
    found = sorted((directory / "usr" / "src").glob("*.tar.*"))
    if len(found) != 1:
        raise SourceError(f"{package.name} holds {len(found)} source tars, expected one")
    return found[0]


def _tarball(spec: SourceSpec, directory: Path) -> Path:
    path = Path(spec.location)
    if re.match(r"https?://", spec.location):
        path = directory / "tarball"
        try:
            with urllib.request.urlopen(spec.location, timeout=60) as answer, path.open("wb") as file:  # noqa: S310  (http or https, checked above)
                shutil.copyfileobj(answer, file, CHUNK)
        except OSError as error:
            raise SourceError(
                f"cannot download {spec.location}: {error}", hint="check `location` of [source] in lab.toml"
            ) from error
    elif not path.is_file():
        raise SourceError(f"[source]: no file {path}", hint="`location` is a URL or the path of a tar file")
    _verify(path, spec.sha256)
    return path


def _verify(path: Path, expected: str) -> None:
    """Compare a file's SHA-256. The empty `expected` is the unpinned newest package, labelled loudly by the caller."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if expected and found != expected.lower():
        raise SourceError(
            f"{path.name} is not what [source] pins:\n    expected sha256 {expected}\n    found    sha256 {found}",
            hint="do not use it; check where it came from, or correct sha256 in lab.toml if the change is wanted",
        )


def import_tar(archive: Path, repository: Path, message: str) -> None:
    """One commit on `base` from a tar with one top directory, by git fast-import: no work tree, no .gitignore in the way.

    Format: git-fast-import(1). Raises SourceError.
    """
    try:
        with _fast_import(repository) as sink, tarfile.open(archive, "r|*") as tar:
            who = f"kernel lab <lab@localhost> {git.STAMP}"
            sink.write(f"commit refs/heads/base\nauthor {who}\ncommitter {who}\n".encode() + _data(message.encode()))
            for member in tar:
                _import_member(tar, member, sink)
            sink.write(b"done\n")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SourceError(f"{archive.name} cannot be unpacked: {error}", hint="./inv clean, then ./inv fetch") from error


def _import_member(tar: tarfile.TarFile, member: tarfile.TarInfo, sink: IO[bytes]) -> None:
    path = member.name.removeprefix("./").partition("/")[2]
    if not path or member.isdir():
        return
    if ".." in path.split("/") or "\n" in path or path.startswith('"'):
        raise SourceError(f"the source tar holds an unsafe name: {member.name!r}")
    if member.issym():
        sink.write(f"M 120000 inline {path}\n".encode() + _data(member.linkname.encode()))
        return
    content = tar.extractfile(member)
    if content is None:
        raise SourceError(f"the source tar holds {member.name!r}, which is neither a file nor a symbolic link")
    raw = content.read()
    if path == ".gitignore":  # Debian's hides everything at the top level, new files of an edit tree too
        raw = raw.replace(b"\n/*\n!/debian/\n", b"\n")
    mode = "100755" if member.mode & 0o100 else "100644"
    sink.write(f"M {mode} inline {path}\n".encode() + _data(raw))


def _data(raw: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(raw), raw)


@contextmanager
def _fast_import(repository: Path) -> Iterator[IO[bytes]]:
    """git fast-import with its input open for writing; ends with it checked or killed. Raises SourceError with git's words."""
    reader, writer = os.pipe()
    words = ["git", f"--git-dir={repository}", "fast-import", "--quiet", "--depth=0", "--done", "--date-format=raw"]
    with tempfile.TemporaryFile() as complaints:
        process, whole = spawn(words, stdin=reader, stderr=complaints), False
        os.close(reader)
        try:
            with suppress(BrokenPipeError), open(writer, "wb", buffering=CHUNK) as sink:  # noqa: PTH123  (a descriptor has no path)
                yield sink
                whole = True
            if process.wait() != 0 or not whole:
                complaints.seek(0)
                said = decode(complaints.read()).partition("\n")[0] or "git fast-import failed"
                raise SourceError(f"the source cannot be unpacked: {said}", hint="./inv du; ./inv clean; is the disk full?")
        finally:
            stop(process)
