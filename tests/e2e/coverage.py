"""Which lines of a kernel's source files were executed: no instrumented kernel, a TCG plugin and the kernel's own DWARF.

A line is there if the compiler begins a statement of it somewhere; it was executed if an instruction of it was. What the
compiler merged or left out is no line, and lines that share an instruction share its fate.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROW = re.compile(r"(?P<file>\S+\.[ch])\s+(?P<line>\d+)\s+0x(?P<address>[0-9a-f]+)(?:\s+\d+)?(?P<statement>\s+x)?\s*$")
"""A row of `objdump -W --dwarf=decodedline`: file, line, address, view, is_stmt."""


@dataclass(frozen=True)
class Row:
    """An address at which code of a line begins."""

    file: str
    line: int
    address: int
    statement: bool


@dataclass(frozen=True)
class Coverage:
    """Lines of one file that have code, and those of them that ran."""

    file: str
    lines: frozenset[int]
    ran: frozenset[int]

    @property
    def percent(self) -> float:
        """Of the lines with code."""
        return 100 * len(self.ran) / len(self.lines)

    @property
    def missing(self) -> list[int]:
        """Lines that did not run."""
        return sorted(self.lines - self.ran)


def rows(vmlinux: Path, files: Iterable[str]) -> list[Row]:
    """The rows of these files (last part of the name) in the line table."""
    wanted = frozenset(files)
    argv = ["objdump", "-W", "--dwarf=decodedline", str(vmlinux)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        matches = [match for text in process.stdout if (match := ROW.match(text)) and match["file"] in wanted]
    found = [
        Row(match["file"], int(match["line"]), int(match["address"], 16), match["statement"] is not None) for match in matches
    ]
    assert found, f"{vmlinux} has no line table for {sorted(wanted)}"
    return found


def executed(into: Path) -> frozenset[int]:
    """The addresses that all QEMUs wrote; a line that was cut off says nothing."""
    texts = [path.read_text().rpartition("\n")[0].splitlines() for path in into.glob("*.addresses")]
    return frozenset(int(text, 16) for lines in texts for text in lines)


def coverage(table: Iterable[Row], ran: frozenset[int]) -> list[Coverage]:
    """One for each file, in order of the names."""
    there: dict[str, set[int]] = {}
    hit: dict[str, set[int]] = {}
    for row in table:
        if row.statement:
            there.setdefault(row.file, set()).add(row.line)
        if row.address in ran:
            hit.setdefault(row.file, set()).add(row.line)
    return [Coverage(file, frozenset(there[file]), frozenset(there[file] & hit.get(file, set()))) for file in sorted(there)]
