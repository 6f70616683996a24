"""A terminal joined to a UNIX socket until ctrl-]."""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import HostError

NEEDS: dict[str, str] = {}
LEAVE = b"\x1d"


def attach(path: Path, greeting: str) -> None:
    """Copy keys to the socket and its bytes to standard output until ctrl-], end of input or the other end's end."""
    link = socket.socket(socket.AF_UNIX)
    try:
        link.connect(str(path))
    except OSError as error:
        raise HostError(f"cannot attach to {path}: {error.strerror}", hint="./inv ps") from error
    sys.stderr.write(greeting + "\r\n")
    with link, _raw(0):
        _join(link)


def _join(link: socket.socket) -> None:
    sources: list[int | socket.socket] = [0, link]
    while link in sources:
        for source in select.select(sources, [], [])[0]:
            if source is link:
                data = link.recv(4096)
                if not data:
                    return
                os.write(1, data)
            else:
                keys, leave, _ = os.read(0, 4096).partition(LEAVE)
                link.sendall(keys)
                if leave or not keys:
                    return


@contextmanager
def _raw(fd: int) -> Iterator[None]:
    """The terminal in raw mode; something else than a terminal stays as it is."""
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    tty.setraw(fd)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
