"""What runs on a guest sees these Protocols and nothing else: guest implements, measure uses, tests fake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lab.deadline import Deadline


@dataclass(frozen=True)
class Completed:
    """What a finished program left: exit status (negative: the signal that ended it) and its output, decoded once."""

    status: int
    stdout: str
    stderr: str


class Shell(Protocol):
    """A guest that takes commands."""

    def run(self, command: str, *, deadline: Deadline, stdin: bytes = b"") -> Completed:
        """Run `command` in the guest's sh to its end. Raises LostGuest when the connection or the guest goes away."""
        ...

    def push(self, directory: Path, target: str, *, deadline: Deadline) -> None:
        """Stream the files of a host directory into `target` on the guest, as one tar."""
        ...

    def pull(self, path: str, target: Path, *, deadline: Deadline) -> None:
        """Copy one file of the guest to the host."""
        ...


class Stream(Protocol):
    """A guest whose commands' output comes while they run, so that what was said before a crash is kept."""

    def stream(
        self,
        command: str,
        *,
        deadline: Deadline,
        read_stdin: Callable[[int], bytes],
        write_stdout: Callable[[bytes], object],
        write_stderr: Callable[[bytes], object],
    ) -> int:
        """Run `command` with its streams connected; its exit status. Raises what `Shell.run` raises."""
        ...

    def push(self, directory: Path, target: str, *, deadline: Deadline) -> None:
        """As `Shell.push`."""
        ...


class Symbols(Protocol):
    """Addresses and names of one Build."""

    def address(self, name: str) -> int:
        """Link-time address of a symbol. Raises KeyError."""
        ...

    def extent(self, name: str) -> tuple[int, int]:
        """First address of a function and the first one after it. Raises KeyError."""
        ...

    def decode(self, lines: list[str]) -> list[str]:
        """Stack lines with file:line added where `func+0xoff/0xlen` is known; other lines unchanged."""
        ...

    def nearest(self, address: int) -> str:
        """`func+0xoff` of an address, or its hex form when it is in no function."""
        ...
