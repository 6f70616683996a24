"""Many kernels: what a matrix is made of, and what became of each of its cells."""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass, field

from lab.model.outcome import Status


@dataclass(frozen=True)
class Kernel:
    """What a Build is asked for: a stack of series, how many patches of the last one, the kconfig and options on top of it."""

    stack: tuple[str, ...]
    upto: int
    kconfig: str
    sets: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`base.k00`, `reserve+agent-local.k03`."""
        return file_name(f"{'+'.join(self.stack) or 'base'}.k{self.upto:02d}")

    @property
    def id(self) -> str:
        """A file name; kernels that differ have different ones."""
        extra = f".{zlib.crc32(chr(0).join(self.sets).encode()):08x}" if self.sets else ""
        return f"{self.name}.{file_name(self.kconfig)}{extra}"


@dataclass(frozen=True)
class Cell:
    """One combination of a matrix: a series as far as it is applied, against what it stands on, with one payload or suite."""

    series: str
    upto: int
    patches: int
    """How many the series has."""
    kconfig: str
    guest: str
    payload: str
    """A payload's name, or a suite as the command line has it: `kselftest net/af_unix`, `kunit list*`."""
    base: Kernel
    patched: Kernel

    @property
    def id(self) -> str:
        """Readable, and a file name: syscall.null.k01.default.single."""
        return file_name(f"{shortened(self.payload)}.{self.series}.k{self.upto:02d}.{self.kconfig}.{self.guest}")

    @property
    def suite(self) -> tuple[str, str] | None:
        """The verb and its argument when the cell runs the kernel's own tests."""
        verb, space, rest = self.payload.partition(" ")
        return (verb, rest) if space or verb in SUITES else None


SUITES = ("kselftest", "kunit")
OWN = "own"
"""The target of kselftest that stands for the self-tests a series declares."""
LONG = 80
"""Characters of a part of a file name."""


@dataclass(frozen=True)
class LeftOut:
    """A combination that is not run, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Plan:
    """What a matrix comes to, before anything runs. Two equal plans have equal results, so a run may be continued by it."""

    name: str
    cells: tuple[Cell, ...]
    left_out: tuple[LeftOut, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)
    """Kernel id -> a digest of all that is built into it but the toolchain: a CI's cache key."""
    facts: dict[str, str] = field(default_factory=dict)
    """What else decides results: payloads, guests, boots on the baseline."""

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """Every kernel once, in the order in which they are built."""
        return tuple(dict.fromkeys(kernel for cell in self.cells for kernel in (cell.base, cell.patched)))

    @property
    def key(self) -> str:
        """A digest of all that its kernels are built from: under it a CI keeps their Builds."""
        return hashlib.sha256("\n".join(sorted(self.inputs.values())).encode()).hexdigest()[:32]

    @property
    def groups(self) -> tuple[tuple[Cell, ...], ...]:
        """The cells of each patched kernel together."""
        found: dict[Kernel, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.patched, []).append(cell)
        return tuple(tuple(cells) for cells in found.values())


@dataclass(frozen=True)
class CellResult:
    """What became of a cell. Its rows are the comparisons (or tests) with the same sides, payload, kconfig and guest."""

    id: str
    series: str
    upto: int
    patches: int
    kconfig: str
    guest: str
    payload: str
    a: str
    b: str
    """The sides, as comparisons name them."""
    status: Status
    verdict: str
    """The word that says most of its rows: EQUAL, MORE, REGRESSED; empty when nothing was compared."""
    message: str = ""
    """What a person needs to know first, for anything but a plain pass."""
    jobs: tuple[str, ...] = ()
    """Ids of its boots, also of those that it shares with other cells."""


def file_name(text: str) -> str:
    """The text with everything that does not belong into a file name as a dash."""
    return re.sub(r"[^\w.+-]", "-", text)


def shortened(text: str) -> str:
    """The text, or its begin and a digest: one part of a file name, of which there are others."""
    return text if len(text) <= LONG else f"{text[: LONG - 9]}-{zlib.crc32(text.encode()):08x}"
