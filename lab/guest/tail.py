"""The end of a file that grows, told by inotify(7), which Python's library does not have."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

NEEDS: dict[str, str] = {}
IN_MODIFY = 0x2
FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
KEPT_BYTES = 1 << 20


class Tail:
    """Reads what a file gains. `fd` becomes readable when there is something to read. Raises OSError."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = int(libc.inotify_init1(FLAGS))
        if self.fd < 0 or libc.inotify_add_watch(self.fd, os.fsencode(path), IN_MODIFY) < 0:
            raise OSError(ctypes.get_errno(), f"cannot watch {path}")
        self.heard = 0
        """Bytes read so far."""
        self._file = path.open("rb", buffering=0)
        self._kept = bytearray()

    def read(self) -> bytes:
        """What is new."""
        with suppress(BlockingIOError):
            while os.read(self.fd, 65536):
                pass
        chunk = self._file.read() or b""
        self.heard += len(chunk)
        self._kept += chunk
        if len(self._kept) > 2 * KEPT_BYTES:
            del self._kept[:KEPT_BYTES]
        return chunk

    def last(self, count: int) -> bytes:
        """The last bytes that were read."""
        return bytes(self._kept[max(0, len(self._kept) - count) :])

    def close(self) -> None:
        """Give both descriptors back."""
        self._file.close()
        os.close(self.fd)
