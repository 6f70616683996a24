"""What the debug information of one vmlinux says of addresses, and whether a running kernel is that vmlinux."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.deadline import Deadline
from lab.proc import run

READ_S = 300.0
ADDRESS = re.compile(r"0x[0-9a-f]+$")
BUILD_ID = re.compile(r"Build ID: ([0-9a-f]+)")
NEEDS = {"addr2line": "binutils", "readelf": "binutils"}


def has_debug_info(vmlinux: Path) -> bool:
    """Whether it knows source lines and inlined functions (DWARF); no file has none."""
    return _is_there(vmlinux) and ".debug_info" in _read(["readelf", "-SW", vmlinux])


def source_files(vmlinux: Path, addresses: Sequence[int]) -> dict[int, str]:
    """Address -> the file of the function that holds it, not of what is inlined there, relative to the tree's top if it can be.

    Those that the debug information does not know are left out, all of them without a vmlinux.
    """
    found: dict[int, str] = {}
    for address, lines in _addr2line(vmlinux, addresses, "-i"):
        known = [
            posixpath.normpath(line.partition(":")[0]) for line in lines if not line.startswith("??") and not line.endswith(":?")
        ]
        if known:
            found[address] = known[-1]  # innermost first
    return found


def inlined_at(vmlinux: Path, addresses: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Address -> the functions it belongs to, the innermost inlined one first, the one that was called last."""
    found: dict[int, tuple[str, ...]] = {}
    for address, lines in _addr2line(vmlinux, addresses, "-i", "-f"):
        names = tuple(line for line in lines[::2] if line != "??")  # pairs of function and file:line
        if names:
            found[address] = names
    return found


def build_id(vmlinux: Path) -> str:
    """The build id in a vmlinux, in hex; empty without one or without the file."""
    match = BUILD_ID.search(_read(["readelf", "-n", vmlinux])) if _is_there(vmlinux) else None
    return match[1] if match else ""


def _is_there(vmlinux: Path) -> bool:
    return vmlinux.is_file() and vmlinux.stat().st_size > 0


def _read(argv: Sequence[str | Path], stdin: bytes = b"") -> str:
    return run(argv, deadline=Deadline.after(READ_S), stdin=stdin, check=False).stdout


def _addr2line(vmlinux: Path, addresses: Sequence[int], *options: str) -> Iterator[tuple[int, list[str]]]:
    """What `addr2line` says of each address; of none without a vmlinux."""
    if not _is_there(vmlinux):
        return
    asked = "".join(f"{address:#x}\n" for address in addresses).encode()
    address, lines = 0, list[str]()
    for line in _read(["addr2line", "-e", vmlinux, *options, "-a"], asked).splitlines():
        if ADDRESS.match(line):
            if lines:
                yield address, lines
            address, lines = int(line, 16), []
        else:
            lines.append(line)
    if lines:
        yield address, lines
