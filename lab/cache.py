"""The one content store: source, tree, Build, image, payload, plugin, proof. Lock, write aside, rename, prune."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.deadline import Deadline
from lab.errors import HostError
from lab.proc import spawn

KEY_LENGTH = 32
LOCK_WAIT_S = 3600.0
NOT_CONTENT = ("locks", "slots", "ccache", "edit")
"""Directories of the store that hold no finished things: `edit` is the user's own work, ccache prunes itself."""


def digest(*parts: str | bytes) -> str:
    """A content key: SHA-256 of the parts, each with its length in front so that no two lists collide."""
    state = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        state.update(f"{len(raw)}:".encode())
        state.update(raw)
    return state.hexdigest()[:KEY_LENGTH]


def digest_files(*paths: Path) -> str:
    """The key of what the files (or whole directories) at `paths` hold: relative names, executable bits and bytes."""
    parts: list[str | bytes] = []
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                name = str(file.relative_to(path)) if path.is_dir() else path.name
                parts += [name, str(os.access(file, os.X_OK)), file.read_bytes()]
    return digest(*parts)


@dataclass(frozen=True)
class Entry:
    """One thing in the store."""

    kind: str
    key: str
    path: Path
    bytes: int
    used: float
    """When it was last handed out, seconds since the epoch."""


@dataclass(frozen=True)
class Cache:
    """A directory of finished things, `<root>/<kind>/<key>`, each complete or absent."""

    root: Path

    @classmethod
    def default(cls) -> Cache:
        """The user's cache: $XDG_CACHE_HOME/kernel-lab."""
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(base) / "kernel-lab")

    def find(self, kind: str, key: str) -> Path | None:
        """The finished thing, or None. Counts as a use."""
        path = self.root / kind / key
        if not path.exists():
            return None
        os.utime(path)
        return path

    def get_or_make(self, kind: str, key: str, fill: Callable[[Path], None]) -> Path:
        """The directory `<kind>/<key>`, made by `fill(empty directory)` if it is not there; two askers make it once.

        Whatever `fill` raises leaves nothing behind; what a killed process left aside is removed by the next asker.
        """
        if found := self.find(kind, key):
            return found
        with self.lock(f"{kind}-{key}"):
            if found := self.find(kind, key):
                return found
            aside = self.root / kind / f".{key}.aside"
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            final = self.root / kind / key
            try:
                fill(aside)
                aside.rename(final)
            except OSError as error:
                message = f"cannot write the cache entry {final}: {error.strerror or error}"
                raise HostError(message, hint="./inv du; ./inv clean") from error
            finally:
                shutil.rmtree(aside, ignore_errors=True)
            return final

    @contextmanager
    def lock(
        self, name: str, *, deadline: Deadline | None = None, waiting: Callable[[str], None] = lambda _: None
    ) -> Iterator[int]:
        """Hold `<root>/locks/<name>`; yields the fd, which a child may inherit to keep the lock alive as long as it runs.

        The kernel drops the lock when the last holder of the fd is gone, however it went. `waiting` is told once when
        somebody else holds it. Raises HostError when the deadline (default an hour) passes.
        """
        directory = self.root / "locks"
        directory.mkdir(parents=True, exist_ok=True)
        fd = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting(f"waiting for {name}, held by another run")
                self._wait(fd, name, deadline or Deadline.after(LOCK_WAIT_S))
            yield fd
        finally:
            os.close(fd)

    @staticmethod
    def _wait(fd: int, name: str, deadline: Deadline) -> None:
        # flock(1) locks the open file description it inherits, so the lock is ours when it returns; flock(2) has no deadline.
        with spawn(["flock", "--timeout", f"{deadline.remaining:.1f}", str(fd)], pass_fds=(fd,)) as waiter:
            try:
                free = waiter.wait() == 0
            except BaseException:
                waiter.kill()
                raise
        if not free:
            raise HostError(f"the lock {name} was not free in time", hint="another run, or a make it left, holds it: `lslocks`")

    def entries(self) -> list[Entry]:
        """Everything in the store, least recently used first."""
        found = []
        for kind in sorted(self.root.iterdir()) if self.root.is_dir() else []:
            if kind.name in NOT_CONTENT or not kind.is_dir():
                continue
            for path in kind.iterdir():
                with suppress(FileNotFoundError):
                    found.append(Entry(kind.name, path.name, path, size_of(path), path.stat().st_mtime))
        return sorted(found, key=lambda entry: entry.used)

    def remove(self, entry: Entry) -> None:
        """Take one thing out of the store, whole or not at all."""
        with self.lock(f"{entry.kind}-{entry.key}"):
            aside = entry.path.with_name(f".{entry.key}.aside")
            with suppress(FileNotFoundError):
                entry.path.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)

    def slots(self) -> list[Path]:
        """The build slots: working trees that are not content, each under a lock `slot-<name>`."""
        directory = self.root / "slots"
        return sorted(directory.iterdir()) if directory.is_dir() else []

    def remove_slots(self) -> int:
        """Remove every build slot; the bytes that were freed."""
        freed = 0
        for path in self.slots():
            with self.lock(f"slot-{path.name}"):
                freed += size_of(path)
                shutil.rmtree(path)
        return freed

    def prune(self, *, older_than_s: float, keep_bytes: int) -> list[Entry]:
        """Remove what was not used for that long, then the least recently used until the store fits; returns what went."""
        gone, kept = [], self.entries()
        total = sum(entry.bytes for entry in kept)
        for entry in kept:
            if time.time() - entry.used > older_than_s or total > keep_bytes:
                self.remove(entry)
                gone.append(entry)
                total -= entry.bytes
        return gone


def size_of(path: Path) -> int:
    """Bytes on disk under `path`."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_blocks * 512 for file in files)


def check_free(path: Path, need_bytes: int, what: str) -> None:
    """Raise HostError when the disk under `path` has less room than `what` needs."""
    path.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path).free
    if free < need_bytes:
        raise HostError(
            f"{what} needs {need_bytes / 1e9:.1f} GB under {path}; {free / 1e9:.1f} GB are free",
            hint="./inv du shows what the lab holds, ./inv clean frees it; XDG_CACHE_HOME moves it",
        )
