"""Addresses and names of one Build: System.map for where things are, addr2line for file and line."""

from __future__ import annotations

import bisect
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.deadline import Deadline
from lab.errors import LabError
from lab.model.profile import Function
from lab.proc import run

DECODE_S = 120.0
PLACE = re.compile(r"(?<![\w.+])(?P<name>[A-Za-z_][\w.]*)\+0x(?P<offset>[0-9a-f]+)/0x(?P<length>[0-9a-f]+)(?! \()")
FUNCTION_TYPES = "tTwW"
LABEL_BYTES = 4096
"""How far code without a size, a label of assembly, reaches at most."""
NEEDS = {"addr2line": "binutils", "nm": "binutils"}


@dataclass(frozen=True)
class MapSymbols:
    """lab.model.ports.Symbols over the text of a System.map; addresses are those at run time, as guests boot with nokaslr."""

    starts: tuple[int, ...]
    """Addresses of all symbols, ascending."""
    names: tuple[str, ...]
    """Their names, in the same order."""
    functions: dict[str, tuple[int, ...]]
    """Where a name is defined: static functions may share one."""
    others: dict[str, int]
    vmlinux: Path

    def address(self, name: str) -> int:
        """Link-time address of a symbol, the first one's when several share the name. Raises KeyError."""
        places = self.functions.get(name)
        return places[0] if places else self.others[name]

    def extent(self, name: str) -> tuple[int, int]:
        """First address of a symbol and the first one after it. Raises KeyError."""
        start = self.address(name)
        return start, self._next(start)

    def nearest(self, address: int) -> str:
        """`func+0xoff` of an address, or its hex form when it lies in no symbol."""
        at = bisect.bisect_right(self.starts, address) - 1
        if at < 0 or at == len(self.starts) - 1:
            return f"{address:#x}"
        start = self.starts[at]
        name = self.names[bisect.bisect_left(self.starts, start)]
        return f"{name}+{address - start:#x}"

    def decode(self, lines: list[str]) -> list[str]:
        """Stack lines with ` (file:line)` where `func+0xoff/0xlen` is known; other lines unchanged."""
        wanted = {
            address: "" for line in lines for match in PLACE.finditer(line) if (address := self._where(match, line)) is not None
        }
        if not wanted or not self.vmlinux.is_file() or self.vmlinux.stat().st_size == 0:
            return lines
        known = dict(zip(wanted, _addr2line(self.vmlinux, list(wanted)), strict=True))

        def placed(match: re.Match[str]) -> str:
            place = known.get(self._where(match, match.string) or 0)
            return f"{match[0]} ({place})" if place else match[0]

        return [PLACE.sub(placed, line) for line in lines]

    def _where(self, match: re.Match[str], line: str) -> int | None:
        """The address to look up; length tells functions of one name apart, and a return address is one past its call."""
        places = self.functions.get(match["name"], ())
        fitting = [start for start in places if self._next(start) - start == int(match["length"], 16)] or list(places)
        if not fitting or (len(places) > 1 and len(fitting) > 1):
            return None
        offset = int(match["offset"], 16)
        return fitting[0] + offset - (0 if "RIP:" in line or offset == 0 else 1)

    def _next(self, start: int) -> int:
        at = bisect.bisect_right(self.starts, start)
        return self.starts[at] if at < len(self.starts) else start


def read_symbols(system_map: Path, vmlinux: Path) -> MapSymbols:
    """The symbols of a System.map (nm's format: address, type, name); `vmlinux` may be absent. Raises LabError."""
    starts, names = [], []
    functions: dict[str, list[int]] = {}
    others: dict[str, int] = {}
    for line in system_map.read_text(encoding="utf-8").splitlines():
        try:
            address, kind, name = line.split(maxsplit=2)
            start = int(address, 16)
        except ValueError as error:
            raise LabError(f"{system_map} is no System.map: {line[:60]!r}") from error
        starts.append(start)
        names.append(name)
        if kind in FUNCTION_TYPES:
            functions.setdefault(name, []).append(start)
        else:
            others.setdefault(name, start)
    return MapSymbols(tuple(starts), tuple(names), {name: tuple(places) for name, places in functions.items()}, others, vmlinux)


def functions_of(elf: Path, system_map: Path | None = None) -> tuple[Function, ...]:
    """The functions of an ELF file at their linked addresses, ascending, each byte in one; none without a symbol table.

    Of several names for one place the plainest stands. `system_map` stands in for a kernel whose vmlinux is not there.
    """
    found: tuple[Function, ...] = ()
    if elf.is_file() and elf.stat().st_size:
        found = parse_nm(run(["nm", "-S", "--defined-only", elf], deadline=Deadline.after(DECODE_S), check=False).stdout)
    if not found and system_map is not None:
        found = parse_nm(system_map.read_text(encoding="utf-8"), label_bytes=1 << 20)
    return found


def parse_nm(text: str, label_bytes: int = LABEL_BYTES) -> tuple[Function, ...]:
    """The functions in what `nm -S` prints: address, size unless there is none, type, name."""
    found: dict[int, tuple[int, bool, int, str]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) not in (3, 4) or words[-2] not in FUNCTION_TYPES:
            continue
        name, size = words[-1], int(words[1], 16) if len(words) == 4 else 0
        first = int(words[0], 16)
        found[first] = min(found.get(first, (0, True, 1 << 30, "")), (-size, name.startswith("_"), len(name), name))
    functions: list[Function] = []
    starts = sorted(found)
    for first, after in zip(starts, [*starts[1:], 1 << 64], strict=False):
        minus_size, _, _, name = found[first]
        if not minus_size and functions and first < functions[-1].end:
            continue  # a label inside a function
        if functions and functions[-1].end > first:
            functions[-1] = functions[-1]._replace(end=first)
        functions.append(Function(first, first - minus_size if minus_size else min(after, first + label_bytes), name))
    return tuple(functions)


def parse_kallsyms(text: str) -> tuple[Function, ...]:
    """Functions that came at run time, modules' and BPF's: /proc/kallsyms as root reads it, names with `[module]` behind them.

    Nothing says where one ends, so each reaches to the next. What lay at one place in turn has all its names.
    """
    found: dict[int, str] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 4 and words[1] in FUNCTION_TYPES and int(words[0], 16):
            first, name = int(words[0], 16), f"{words[2]} {words[3]}"
            known = found.get(first, name)
            found[first] = known if name in known.split(" or ") else f"{known} or {name}"
    starts = sorted(found)
    ends = [*starts[1:], 1 << 64][: len(starts)]
    return tuple(Function(first, min(end, first + (1 << 20)), found[first]) for first, end in zip(starts, ends, strict=True))


def _addr2line(vmlinux: Path, addresses: Sequence[int]) -> list[str]:
    """`file:line` of each address, with the inlined callees in front; empty where the debug information has none."""
    argv: list[str | Path] = ["addr2line", "-e", vmlinux, "-f", "-i", "-a", *(f"{address:#x}" for address in addresses)]
    out = run(argv, deadline=Deadline.after(DECODE_S), check=False).stdout
    groups: list[list[str]] = []
    for line in out.splitlines():
        if re.fullmatch(r"0x[0-9a-f]+", line):
            groups.append([])
        elif groups:
            groups[-1].append(line)
    found = [_place(group) for group in groups]
    return found if len(found) == len(addresses) else [""] * len(addresses)


def _place(group: Sequence[str]) -> str:
    """Pairs of function and file:line, innermost first, as one text: `file:line` or `file:line inlined in file:line`."""
    places = [posixpath.normpath(re.sub(r" \(discriminator \d+\)", "", line)) for line in group[1::2]]
    return " inlined at ".join(place for place in places if not place.startswith("??") and not place.endswith(":?"))
