"""Builds carried between machines: a tar of cache entries that names every file's hash, and is believed only as far as it holds.

Format 1: `kernel-lab-builds.json` first (a Manifest), then `build/<key>/<file>` as the manifest lists them. A Build's key is
computed again from the tree id, .config and toolchain it holds, so an entry cannot stand under another one's key. Whether bzImage
was really made from these an archive cannot show: it is trusted as whoever wrote it is.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from lab.cache import Cache, digest
from lab.errors import HostError, UsageError
from lab.kernel.build import RECIPE, cc_flags, remember
from lab.model.change import Build
from lab.model.wire import from_json, read_json, to_json

FORMAT = 1
MANIFEST = "kernel-lab-builds.json"
MOST_MANIFEST = 64 << 20
CHUNK = 1 << 20
KEY = re.compile(r"[0-9a-f]{32}")
FILE = re.compile(r"(?:modules/)?[\w+-][\w.+-]*")


@dataclass(frozen=True)
class File:
    """A file of a Build: path below it, size in bytes, SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What an archive holds."""

    format: int
    recipe: str
    """That of lab/kernel/build.py: another one builds other things under the same names."""
    builds: dict[str, tuple[File, ...]]
    memos: dict[str, str] = field(default_factory=dict)
    """Memo -> key: what spares the resolving of a .config."""


def export_builds(cache: Cache, keys: Sequence[str], path: Path) -> int:
    """Write the Builds into a tar at `path`, aside and renamed; its bytes. Raises UsageError for one that is not there."""
    if missing := [key for key in keys if not cache.find("build", key)]:
        raise UsageError(f"the cache has no Build {', '.join(missing)}", hint="./inv du shows what it holds")
    places = {key: cache.root / "build" / key for key in dict.fromkeys(keys)}
    files = {key: tuple(_described(place)) for key, place in places.items()}
    text = to_json(Manifest(FORMAT, RECIPE, files, dict(_memos(cache, places))))
    aside = path.with_name(f".{path.name}.aside")
    try:
        with tarfile.open(aside, "w") as tar:
            _add(tar, MANIFEST, io.BytesIO(text.encode()), len(text.encode()))
            for key, place in places.items():
                for file in files[key]:
                    with (place / file.path).open("rb") as stream:
                        _add(tar, f"build/{key}/{file.path}", stream, file.size)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise HostError(f"cannot write {path}: {error.strerror}", hint="./inv du") from error
    return path.stat().st_size


def import_builds(cache: Cache, path: Path) -> tuple[list[str], list[str]]:
    """Put the archive's Builds into the cache; keys that are new and keys it had.

    A Build goes in whole, when all of its files were as the manifest says and its key is its own; what went in before a damaged
    one stays. Raises UsageError: damaged, foreign, no archive.
    """
    new: list[str] = []
    had: list[str] = []
    try:
        with tarfile.open(path, "r|") as tar:
            archive = _Archive(path, tar)
            manifest = archive.manifest()
            for key, files in manifest.builds.items():
                (had if cache.find("build", key) else new).append(key)
                if key in had:
                    archive.skip(key, files)
                else:
                    cache.get_or_make("build", key, partial(archive.unpack, key, files))
            archive.end()
    except (tarfile.TarError, EOFError) as error:
        raise _refused(path, str(error)) from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    for memo, key in manifest.memos.items():
        remember(cache, memo, key)
    return new, had


class _Archive:
    """A tar that is read once from its beginning, and has to hold just what its manifest says, in that order."""

    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        self.path = path
        self._tar = tar
        self._members = iter(tar)

    def manifest(self) -> Manifest:
        """The first member, checked. Nothing else is looked at before it is."""
        member, stream = self._next(MANIFEST)
        if stream is None or member is None or member.size > MOST_MANIFEST:
            raise _refused(self.path, f"it does not begin with {MANIFEST}")
        try:
            manifest = from_json(stream.read(), Manifest)
        except ValueError as error:
            raise _refused(self.path, f"its manifest cannot be read: {str(error).splitlines()[0]}") from error
        if why := _unsound(manifest):
            raise _refused(self.path, why)
        return manifest

    def unpack(self, key: str, files: Sequence[File], into: Path) -> None:
        """The next members are the files of a Build: write them into a directory, and hold its key against what it holds."""
        for file in files:
            place = into / file.path
            place.parent.mkdir(exist_ok=True)
            with place.open("wb") as sink:
                self._copy(key, file, sink.write)
        check_key(into, key, self.path)

    def skip(self, key: str, files: Sequence[File]) -> None:
        """The next members are the files of a Build that nobody wants; they are held against the manifest all the same."""
        for file in files:
            self._copy(key, file, len)

    def end(self) -> None:
        """There has to be nothing more."""
        if extra := next(self._members, None):
            raise _refused(self.path, f"{extra.name} is not in its manifest")

    def _copy(self, key: str, file: File, write: Callable[[bytes], object]) -> None:
        name = f"build/{key}/{file.path}"
        _, stream = self._next(name)
        if stream is None:
            raise _refused(self.path, f"{name} is missing: it ends early or was put together by something else")
        state, size = hashlib.sha256(), 0
        while chunk := stream.read(CHUNK):
            state.update(chunk)
            size += len(chunk)
            write(chunk)
        if (size, state.hexdigest()) != (file.size, file.sha256):
            raise _refused(self.path, f"{name} is damaged: its SHA-256 is not the manifest's")

    def _next(self, name: str) -> tuple[tarfile.TarInfo | None, IO[bytes] | None]:
        member = next(self._members, None)
        fits = member is not None and member.isreg() and member.name == name
        return member, self._tar.extractfile(member) if member and fits else None


def _unsound(manifest: Manifest) -> str:
    """What is wrong with a manifest, or nothing."""
    if (manifest.format, manifest.recipe) != (FORMAT, RECIPE):
        return f"it has format {manifest.format}, recipe {manifest.recipe}; this lab takes {FORMAT} and {RECIPE}"
    for key in (*manifest.builds, *manifest.memos, *manifest.memos.values()):
        if not KEY.fullmatch(key):
            return f"{key!r} is not a key"
    for key in manifest.memos.values():
        if key not in manifest.builds:
            return f"a memo names {key}, which is not in it"
    for file in (file for files in manifest.builds.values() for file in files):
        if not FILE.fullmatch(file.path):
            return f"{file.path!r} is not the name of a file of a Build"
    return ""


def _described(place: Path) -> Iterator[File]:
    for file in sorted(place.rglob("*")):
        if file.is_file():
            with file.open("rb") as stream:
                yield File(str(file.relative_to(place)), file.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())


def _memos(cache: Cache, places: dict[str, Path]) -> Iterator[tuple[str, str]]:
    for entry in sorted((cache.root / "memo").glob("[!.]*/build")):
        if (key := entry.read_text(encoding="utf-8")) in places:
            yield entry.parent.name, key


def _add(tar: tarfile.TarFile, name: str, stream: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    tar.addfile(member, stream)


def check_key(directory: Path, key: str, origin: Path) -> None:
    """Compute a Build's key again from what it holds. Raises UsageError when it is another one's."""
    try:
        made = read_json(directory / "build.json", Build)
        text = (directory / "config").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _refused(origin, f"Build {key} lacks what its key is made of: {error}") from error
    lacking = [name for name in ("bzImage", "vmlinux", "System.map") if not (directory / name).is_file()]
    real = digest(RECIPE, made.tree, text, cc_flags(), *made.toolchain)
    if lacking or (real, made.key, made.kconfig_hash) != (key, key, hashlib.sha256(text.encode()).hexdigest()):
        why = f"has no {lacking[0]}" if lacking else f"was made from something else: its key would be {real}"
        raise _refused(origin, f"Build {key} {why}")


def _refused(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is not a sound archive of Builds: {why}", hint="./inv cache export FILE makes one; this one is of no use"
    )
