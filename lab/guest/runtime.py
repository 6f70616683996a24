"""Directories for sockets of running guests: $XDG_RUNTIME_DIR/lab/<8 hex>, alive as long as somebody holds the lock inside."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.errors import HostError

LOCK, CONSOLE, GDB, NAME = "lock", "console", "gdb", "name"
LONGEST_SOCKET = 107
"""Bytes of a UNIX socket's path (unix(7))."""


def root() -> Path:
    """The user's own directory for runtime files, made if needed. Raises HostError when somebody else owns it."""
    user = os.getuid()
    given = os.environ.get("XDG_RUNTIME_DIR")
    standard = Path(f"/run/user/{user}")
    base = Path(given) if given else standard
    place = base / "lab" if base.is_dir() and os.access(base, os.W_OK) else Path(f"/tmp/lab-{user}")  # noqa: S108  (checked below)
    if len(str(place)) + len("/12345678/peer/console") > LONGEST_SOCKET:
        raise HostError(f"{place} is too long for UNIX sockets", hint="set XDG_RUNTIME_DIR to a shorter path")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if place.stat().st_uid != user:
        raise HostError(f"{place} belongs to somebody else", hint="set XDG_RUNTIME_DIR to a directory of yours")
    return place


@contextmanager
def _guarded(place: Path) -> Iterator[None]:
    """Nobody claims or sweeps while we do: a fresh directory is not locked yet and looks dead."""
    fd = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def claim(place: Path, name: str = "") -> tuple[Path, int]:
    """A new directory and the fd of its held lock, which a child may inherit; it is alive until the last holder is gone.

    A `name` is kept in its file NAME, with `.2`, `.3`... behind it when another directory has it.
    """
    with _guarded(place):
        taken = {path.read_text() for path in place.glob(f"*/{NAME}")}
        directory = place / secrets.token_hex(4)
        directory.mkdir(mode=0o700)
        fd = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if name:
            names = (name, *(f"{name}.{number}" for number in range(2, len(taken) + 3)))
            (directory / NAME).write_text(next(word for word in names if word not in taken))
    return directory, fd


@contextmanager
def scratch() -> Iterator[Path]:
    """A runtime directory for as long as the block runs; what a kill leaves is removed by whoever asks `living` next."""
    directory, fd = claim(root())
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(fd)


def living(place: Path) -> tuple[Path, ...]:
    """The directories somebody holds; those of the dead are removed."""
    found = []
    with _guarded(place):
        for directory in sorted(place.iterdir()):
            if not directory.is_dir():
                continue
            if _held(directory / LOCK):
                found.append(directory)
            else:
                shutil.rmtree(directory, ignore_errors=True)
    return tuple(found)


def _held(lock: Path) -> bool:
    with suppress(FileNotFoundError):
        fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
    return False
