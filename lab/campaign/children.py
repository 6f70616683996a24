"""Processes that are waited for together: each says lines, ends by itself or at its deadline, and is then handed to its owner."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lab.deadline import Deadline
from lab.proc import PIPE, Argv, Process, clean_environment, decode, ended, spawn

GRACE_S = 20.0
"""What a child gets to end after a cancel."""


@dataclass(eq=False)
class Child:
    """A running process; `say` gets its lines, `over` gets it when it has ended."""

    process: Process
    pidfd: int
    deadline: Deadline
    say: Callable[[str], None]
    over: Callable[[Child], None]
    late: bool = False
    """Whether it was killed because its deadline had passed."""
    pending: bytes = field(default=b"")

    @property
    def stdout(self) -> IO[bytes]:
        """What it says."""
        assert self.process.stdout is not None
        return self.process.stdout


class Children:
    """All of them. `held`: descriptors of locks that each inherits, so that a lock is held until the last one is gone."""

    def __init__(self, held: Sequence[int] = ()) -> None:
        self.held = held
        self.running: list[Child] = []
        self._selector = selectors.DefaultSelector()

    def start(
        self, argv: Argv, *, errors: Path, deadline: Deadline, say: Callable[[str], None], over: Callable[[Child], None]
    ) -> Child:
        """Start a process that dies with us. Raises HostError."""
        with errors.open("wb") as sink:
            process = spawn(argv, stdout=PIPE, stderr=sink, env=clean_environment(), pass_fds=self.held)
        child = Child(process, os.pidfd_open(process.pid), deadline, say, over)
        os.set_blocking(child.stdout.fileno(), False)  # what a descendant of a dead child holds open must not hold us
        self._selector.register(child.pidfd, selectors.EVENT_READ, child)
        self._selector.register(child.stdout, selectors.EVENT_READ, child)
        self.running.append(child)
        return child

    def wait(self) -> None:
        """Sleep until one says something, ends, or is over its deadline; those that ended are handed to their owners."""
        nearest = min(child.deadline.remaining for child in self.running)
        over = []
        for key, _ in self._selector.select(nearest):
            child: Child = key.data
            if key.fd == child.pidfd:
                over.append(child)
            else:
                self._read(child)
        for child in self.running:
            if child.deadline.expired and child not in over:
                child.late = True
                child.process.kill()
                over.append(child)
        for child in over:
            self._forget(child)
            child.over(child)

    def cancel(self) -> list[Child]:
        """Ask every one to end; what does not obey, or a second interrupt, is killed. Returns those that were running."""
        deadline = Deadline.after(GRACE_S)
        cancelled = list(self.running)
        for child in cancelled:
            child.process.terminate()
        try:
            for child in cancelled:
                ended(child.process, deadline)
        finally:
            for child in cancelled:
                child.process.kill()
                self._forget(child)
        return cancelled

    def _read(self, child: Child) -> bool:
        """Take what it says; whether there may be more."""
        try:
            raw = os.read(child.stdout.fileno(), 65536)
        except BlockingIOError:
            return False
        if not raw:
            self._selector.unregister(child.stdout)
            return False
        *lines, child.pending = (child.pending + raw).split(b"\n")
        for line in lines:
            child.say(decode(line))
        return True

    def _forget(self, child: Child) -> None:
        child.process.wait()
        while child.stdout in self._selector.get_map() and self._read(child):
            pass  # its last words
        for stream in (child.pidfd, child.stdout):
            with suppress(KeyError):
                self._selector.unregister(stream)
        os.close(child.pidfd)
        child.stdout.close()
        self.running.remove(child)
