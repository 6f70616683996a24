"""What of a kernel runs: the sections that are loaded, without what only names lines, builds and types. ELF: elf(5).

Two kernels with the same digest behave alike: comments, documentation and files that are not built change none of it.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lab.errors import LabError
from lab.kernel.symbols import functions_of
from lab.model.change import Build

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
ALLOC, NOBITS, RELA, RELOCATABLE = 0x2, 8, 4, 1
SYMBOLS = (".symtab", ".strtab")
"""What a module is linked by when it is loaded, beside its relocations."""
LEFT_OUT = (".BTF", ".note", ".notes")
"""Types (their ids, too: .BTF_ids), and notes, which hold the build id."""
BUGS = "__bug_table"
BUG, LINE_AT = 12, slice(8, 10)
"""Size of struct bug_entry with relative pointers and file names, and where its line is (include/asm-generic/bug.h)."""


@dataclass(frozen=True)
class Section:
    """A section that is loaded, or one that says how a module's is linked."""

    name: str
    kind: int
    data: bytes
    """Empty where the file holds none (.bss)."""
    address: int
    size: int


def runs(build: Build) -> str:
    """The digest of what runs of a build: vmlinux and its modules; empty when there is no vmlinux. Raises LabError: not ELF."""
    if not build.vmlinux.is_file() or not build.vmlinux.stat().st_size:
        return ""
    files = [build.vmlinux, *(sorted(build.modules.glob("*.ko")) if build.modules.is_dir() else ())]
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name} {digest_of(file.read_bytes(), str(file))}\n".encode())
    return whole.hexdigest()


def digest_of(elf: bytes, origin: str) -> str:
    """The digest of what runs of one ELF file. Raises LabError."""
    whole = hashlib.sha256()
    for section in sections(elf, origin):
        data = _without_lines(section.data) if section.name == BUGS else section.data
        whole.update(f"{section.name} {section.kind} {section.address:#x} {section.size}\n".encode())
        whole.update(data)
    return whole.hexdigest()


def sections(elf: bytes, origin: str) -> Iterator[Section]:
    """The sections that count, in the file's order. Raises LabError."""
    if elf[:6] != b"\x7fELF\x02\x01":
        raise LabError(f"{origin} is not a 64-bit little-endian ELF file")
    kind, table, count, names_at = _header(elf)
    raw = [SECTION.unpack_from(elf, table + number * SECTION.size) for number in range(count)]
    names = elf[raw[names_at][4] :]
    loaded = {number for number, one in enumerate(raw) if one[2] & ALLOC}
    for number, (name_at, of, _, address, offset, size, _, target, *_) in enumerate(raw):
        name = names[name_at : names.index(b"\0", name_at)].decode("utf-8", "backslashreplace")
        moved = of == RELA and target in loaded and not name.removeprefix(".rela").startswith(LEFT_OUT)
        links = kind == RELOCATABLE and (moved or name in SYMBOLS)
        if (number in loaded and not name.startswith(LEFT_OUT)) or links:
            yield Section(name, of, b"" if of == NOBITS else elf[offset : offset + size], address, size)


def _header(elf: bytes) -> tuple[int, int, int, int]:
    """Type, offset of the section headers, their number, and which one holds the names."""
    found = HEADER.unpack_from(elf)
    return found[1], found[6], found[12], found[13]


def _without_lines(table: bytes) -> bytes:
    """A __bug_table whose entries name no line: any line above moves them, and none is executed."""
    if len(table) % BUG:
        return table
    entries = bytearray(table)
    for at in range(0, len(entries), BUG):
        entries[at + LINE_AT.start : at + LINE_AT.stop] = b"\0\0"
    return bytes(entries)


def text_growth(before: Build, after: Build) -> tuple[tuple[str, int], ...]:
    """Functions whose size in bytes differs and by how much, the largest growth first; those of one name are taken together."""
    sizes = [_sizes(build) for build in (before, after)]
    grown = {name: sizes[1][name] - sizes[0][name] for name in {*sizes[0], *sizes[1]}}
    return tuple(sorted(((name, by) for name, by in grown.items() if by), key=lambda one: (-one[1], one[0])))


def _sizes(build: Build) -> Counter[str]:
    found: Counter[str] = Counter()
    for function in functions_of(build.vmlinux):
        found[function.name] += function.end - function.first
    return found
