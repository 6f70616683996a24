"""What kbuild and the compiler say: text in, value out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

COMPILED = re.compile(r"^\s+(?:CC|AS)(?: \[M\])?\s+(\S+)")
WARNING = re.compile(r"^(?:\S+:\d+(?::\d+)?: warning: |\S+: warning: objtool: |WARNING: modpost: |warning: \()")
ERROR = re.compile(r"^(?P<file>[^\s:]+):(?P<line>\d+)(?::\d+)?: (?:fatal )?error: ")
LINK_ERROR = re.compile(
    r"^(?:\S*ld(?:\.\w+)?: |ERROR: modpost: |\S+: error: objtool: |\S+: undefined reference |error: |FAILED|Error: )"
)
STOPPED = re.compile(r"^make(?:\[\d+\])?: \*\*\* ")
INCLUDED = re.compile(r"^(?:In file included from|\s+from) (?P<file>[^\s:]+):\d+")
HOST_TROUBLE = re.compile(
    r"No space left on device|Disk quota exceeded|Cannot allocate memory|[Kk]illed signal terminated program"
)
CONTEXT_LINES = 12


@dataclass(frozen=True)
class BuildFault:
    """The first thing that went wrong."""

    title: str
    """The compiler's own line."""
    file: str
    """Path in the tree; empty when the message names none."""
    line: int
    context: tuple[str, ...]
    """The lines before (In function ...) and after (source and caret) that belong to it."""
    included: tuple[str, ...] = ()
    """Files on the way of #include, nearest first: a fault in one may show in another."""


def count_compiled(lines: Iterable[str]) -> int:
    """Kernel objects that make compiled or assembled, host tools left out."""
    return sum(1 for line in lines if COMPILED.match(line))


def warnings_of(lines: Iterable[str]) -> tuple[str, ...]:
    """Warning lines of compiler, objtool, modpost and Kconfig, each once, in order."""
    return tuple(dict.fromkeys(line for line in lines if WARNING.match(line)))


def carried_warnings(before: Iterable[str], lines: Sequence[str]) -> tuple[str, ...]:
    """Warnings of a tree after a make that compiled a part of it: those known before of what it left alone, and its own."""
    compiled = {match[1].rpartition(".")[0] for line in lines if (match := COMPILED.match(line))}
    kept = [line for line in before if line.partition(":")[0].removeprefix("./").rpartition(".")[0] not in compiled]
    return tuple(dict.fromkeys([*kept, *warnings_of(lines)]))


def added_warnings(before: Iterable[str], after: Iterable[str]) -> tuple[str, ...]:
    """Warnings of `after` that `before` does not have, or not so often: by file and text, since every line above moves them."""
    left = Counter(_without_line(line) for line in before)
    added = []
    for line in after:
        left[_without_line(line)] -= 1
        if left[_without_line(line)] < 0:
            added.append(line)
    return tuple(added)


def _without_line(line: str) -> str:
    return re.sub(r"^([^\s:]+):\d+(?::\d+)?: ", r"\1: ", line)


def host_trouble(lines: Iterable[str]) -> str:
    """The line that shows the host, not the kernel, to be at fault (disk full, memory); empty when there is none."""
    return next((line for line in lines if HOST_TROUBLE.search(line)), "")


def first_fault(lines: Sequence[str]) -> BuildFault:
    """The first error of a failed build: the compiler's, else the linker's or a tool's, else the rule that make stopped at."""
    for pattern in (ERROR, LINK_ERROR, STOPPED):
        for at, line in enumerate(lines):
            if match := pattern.match(line):
                return _fault(lines, at, match if pattern is ERROR else None)
    tail = tuple(lines[-CONTEXT_LINES:])
    return BuildFault(tail[-1] if tail else "make said nothing", "", 0, tail)


def _fault(lines: Sequence[str], at: int, match: re.Match[str] | None) -> BuildFault:
    begin = at
    while (
        begin > 0
        and at - begin < CONTEXT_LINES
        and (INCLUDED.match(lines[begin - 1]) or re.search(r": In function |: At top level", lines[begin - 1]))
    ):
        begin -= 1
    end = at + 1
    while end < len(lines) and end - at < CONTEXT_LINES and re.match(r"\s+(\d+ )?\s*\||\S+: note: ", lines[end]):
        end += 1
    if match is None:
        begin, end = max(0, at - CONTEXT_LINES // 2), min(len(lines), at + CONTEXT_LINES // 2)
    included = tuple(found["file"] for line in lines[begin:at] if (found := INCLUDED.match(line)))
    return BuildFault(
        title=lines[at].strip(),
        file=match["file"].removeprefix("./") if match else "",
        line=int(match["line"]) if match else 0,
        context=tuple(lines[begin:end]),
        included=tuple(file.removeprefix("./") for file in included),
    )
