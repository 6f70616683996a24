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
from lab.proc import run

DECODE_S = 120.0
PLACE = re.compile(r"(?<![\w.+])(?P<name>[A-Za-z_][\w.]*)\+0x(?P<offset>[0-9a-f]+)/0x(?P<length>[0-9a-f]+)(?! \()")
FUNCTION_TYPES = "tTwW"
NEEDS = {"addr2line": "binutils"}


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
