"""Wake up when a file grows: inotify(7), which Python's library does not have."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

IN_MODIFY = 0x2
FLAGS = os.O_NONBLOCK | os.O_CLOEXEC


def growth(path: Path) -> int:
    """A file descriptor that becomes readable when `path` is written to. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.inotify_init1(FLAGS))
    if fd < 0 or libc.inotify_add_watch(fd, os.fsencode(path), IN_MODIFY) < 0:
        raise OSError(ctypes.get_errno(), f"cannot watch {path}")
    return fd


def drain(fd: int) -> None:
    """Forget what was told."""
    with suppress(BlockingIOError):
        while os.read(fd, 65536):
            pass
