"""A matrix expanded: which cells there are, which combinations are left out and why, in which order, in how many shards. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lab.campaign.settings import Default, MatrixTable, Upto, unknown
from lab.errors import UsageError
from lab.model.change import Series
from lab.model.machine import GuestSpec
from lab.model.matrix import OWN, SUITES, Cell, Kernel, LeftOut, Plan

SUITE_GUESTS = {"kselftest": "debian", "kunit": "plain"}
"""What the verbs of the kernel's own tests boot when they are not told."""
KUNIT = ("KUNIT", "KUNIT_DEBUGFS")
"""What a kernel needs to run suites at boot and to tell of them."""


@dataclass(frozen=True)
class Suits:
    """What a payload asks of a guest."""

    guests: tuple[str, ...] = ()
    """Guests it suits, the one that is taken first; empty: any."""
    pair: bool = False
    """Whether it needs two guests."""

    def lacks(self, guest: GuestSpec) -> str:
        """Why it cannot run on this guest, or nothing."""
        if self.guests and guest.name not in self.guests:
            return f"it runs on guest {' or '.join(self.guests)}, not on {guest.name}"
        return f"it needs a pair of guests, and {guest.name} is one" if self.pair and guest.hosts < 2 else ""


@dataclass(frozen=True)
class Stacked:
    """What a name of a series stands for: what it requires, and itself, or several joined by `+`; in the order of application."""

    below: tuple[Series, ...]
    named: tuple[Series, ...]

    @property
    def last(self) -> Series:
        """The one whose patches are counted, and whose payloads and kconfigs count."""
        return self.named[-1]


@dataclass(frozen=True)
class Catalogue:
    """What there is to choose from, by name."""

    stacks: Mapping[str, Stacked]
    kconfigs: Mapping[str, frozenset[str]]
    """The symbols that each sets, as Kconfig files spell them: without CONFIG_."""
    guests: Mapping[str, GuestSpec]
    payloads: Mapping[str, Suits]
    default: Default


def expand(name: str, table: MatrixTable, there: Catalogue) -> Plan:
    """Every combination of the table: those that can run as cells, kconfig by kconfig and along each series, the others named.

    Raises UsageError for a name that does not exist, and when nothing is left.
    """
    _check(name, table, there)
    cells: list[Cell] = []
    out: list[LeftOut] = []
    for kconfig, series in _chains(table, there):
        stacked = there.stacks[series]
        patches = len(stacked.last.patches)
        for upto in _depths(table.upto, patches):
            if isinstance(upto, LeftOut):
                out.append(replace(upto, what=f"{series} {upto.what}"))
                continue
            for payload, guest in _places(table, stacked.last, there):
                base, patched = _kernels(stacked, series, upto, kconfig, payload)
                cell = Cell(series, upto, patches, kconfig, guest, payload, base, patched)
                why = _unfit(cell, there)
                if why:
                    out.append(LeftOut(f"{payload} of {series} on guest {guest}, kconfig {kconfig}", why))
                else:
                    cells.append(cell)
    if not cells:
        whys = "\n".join(f"  {one.what}: {one.why}" for one in dict.fromkeys(out))
        raise UsageError(f"matrix {name}: no combination can run\n{whys}".rstrip(), hint=f"edit [matrix.{name}] in lab.toml")
    return Plan(name, tuple(dict.fromkeys(cells)), tuple(dict.fromkeys(out)))


def shard(plan: Plan, number: int, count: int) -> Plan:
    """Part `number` of `count` (from 1): the cells of one patched kernel stay together, and kernels that follow each other, too.

    Raises UsageError for a shard that would be empty: nothing that ran is not good news.
    """
    groups = plan.groups
    if not 1 <= number <= count:
        raise UsageError(f"--shard {number}/{count}: shards are numbered from 1 to {count}")
    if count > len(groups):
        raise UsageError(
            f"--shard {number}/{count}: matrix {plan.name} has {len(groups)} kernels to test, so many shards at most"
        )
    first, last = ((number - one) * len(groups) // count for one in (1, 0))
    cells = tuple(cell for group in groups[first:last] for cell in group)
    return restricted(replace(plan, name=f"{plan.name}-{number}of{count}"), cells)


def restricted(plan: Plan, cells: tuple[Cell, ...]) -> Plan:
    """The plan with some of its cells."""
    kept = replace(plan, cells=cells)
    needed = {kernel.id for kernel in kept.kernels}
    return replace(kept, inputs={key: value for key, value in plan.inputs.items() if key in needed})


def parse_shard(text: str) -> tuple[int, int]:
    """I/N. Raises UsageError."""
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and int(count) > 0):
        raise UsageError(f"--shard takes I/N, for example 1/3; got {text!r}")
    return int(number), int(count)


def _check(name: str, table: MatrixTable, there: Catalogue) -> None:
    where = f"[matrix.{name}] in lab.toml names it"
    for kind, names, known in (
        ("series", table.series, there.stacks),
        ("kconfig", table.kconfigs, there.kconfigs),
        ("guest", table.guests, there.guests),
        ("payload", table.payloads, there.payloads),
    ):
        for one in names:
            if one not in known:
                raise unknown(kind, one, known, where)
    for suite in table.suites:
        verb, _, rest = suite.partition(" ")
        if verb not in SUITES or (verb == "kselftest" and not rest.strip()):
            hint = f'[matrix.{name}] suites = ["kselftest net/af_unix", "kunit list*"]'
            raise UsageError(f"`{suite}` is no suite: `kselftest TARGET` or `kunit [GLOB]`", hint=hint)
    if table.baseline_boots < 1:
        raise UsageError(f"[matrix.{name}] baseline_boots: {table.baseline_boots} is not a number of boots", hint="1 or more")


def _chains(table: MatrixTable, there: Catalogue) -> Iterator[tuple[str, str]]:
    """Kconfig and series: one build slot after the other, in each of them one series after the other."""
    names = table.series or (there.default.series,)
    wanted = {name: table.kconfigs or there.stacks[name].last.kconfigs or (there.default.kconfig,) for name in names}
    for kconfig in dict.fromkeys(itertools.chain.from_iterable(wanted.values())):
        for name in dict.fromkeys(names):
            if kconfig in wanted[name]:
                yield kconfig, name


def _depths(upto: Upto | Sequence[Upto], patches: int) -> Iterator[int | LeftOut]:
    words = (upto,) if isinstance(upto, int | str) else upto
    for word in words:
        if isinstance(word, str):
            yield from range(1, patches + 1) if word == "all" else (patches,)
        elif 0 <= word <= patches:
            yield word
        else:
            yield LeftOut(f"upto {word}", f"it has {patches} patches")


def _places(table: MatrixTable, series: Series, there: Catalogue) -> Iterator[tuple[str, str]]:
    """Payload and guest; without a list of guests the one that a bench would take."""
    own = table.payloads or (() if table.suites else series.payloads or there.default.payloads)
    for payload in (*own, *table.suites):
        suits = there.payloads[payload] if payload in there.payloads else Suits((SUITE_GUESTS[payload.partition(" ")[0]],))
        default = there.default.guest if not suits.guests or there.default.guest in suits.guests else suits.guests[0]
        for guest in table.guests or (default,):
            yield payload, guest


def _kernels(stacked: Stacked, name: str, upto: int, kconfig: str, payload: str) -> tuple[Kernel, Kernel]:
    """Baseline and patched; `name`: what the series is asked for by, which may be a path."""
    below = tuple(one.name for one in stacked.below)
    names = tuple(one.name for one in stacked.named) if stacked.named[1:] else (name,)
    sets = [option for one in stacked.named for option in one.options]
    if payload.partition(" ")[0] == "kunit":
        sets += stacked.last.kunit
    base = Kernel(below, len(stacked.below[-1].patches) if below else 0, kconfig)
    return base, Kernel((*below, *names), upto, kconfig, tuple(sets))


def _unfit(cell: Cell, there: Catalogue) -> str:
    if cell.suite is None:
        return there.payloads[cell.payload].lacks(there.guests[cell.guest])
    lost = [symbol for symbol in KUNIT if cell.suite[0] == "kunit" and symbol not in there.kconfigs[cell.kconfig]]
    if lost:
        return f"kconfig {cell.kconfig} does not ask for CONFIG_{lost[0]}"
    declared = there.stacks[cell.series].last.selftests
    return "it declares no self-tests" if cell.suite == ("kselftest", OWN) and not declared else ""
