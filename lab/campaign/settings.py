"""lab.toml: the source pin, named guests, defaults and budgets."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from lab.errors import UsageError
from lab.model.change import SourceSpec
from lab.model.machine import GuestSpec, Mode, Nic, Node, Nvme, unfit
from lab.model.profile import Cache, Caches
from lab.toml import read_toml, strict_keys


@strict_keys
@dataclass(frozen=True)
class Default:
    """What a verb uses when it is not told."""

    series: str
    kconfig: str
    guest: str
    payloads: tuple[str, ...]


@strict_keys
@dataclass(frozen=True)
class Order:
    """The total order of series."""

    series: tuple[str, ...] = ()


@strict_keys
@dataclass(frozen=True)
class NicTable(Nic):
    """One of `nics`: a Nic that takes no unknown key."""


@strict_keys
@dataclass(frozen=True)
class NvmeTable(Nvme):
    """One of `nvme`: an Nvme that takes no unknown key."""


@strict_keys
@dataclass(frozen=True)
class NodeTable(Node):
    """One of `nodes`: a Node that takes no unknown key."""


@strict_keys
@dataclass(frozen=True)
class GuestTable:
    """`[guest.NAME]`."""

    summary: str = ""
    cpus: int = 1
    memory_mib: int = 1024
    cmdline: tuple[str, ...] = ()
    mode: Mode = "exact"
    image: str = "tiny"
    nics: tuple[NicTable, ...] = ()
    nvme: tuple[NvmeTable, ...] = ()
    nodes: tuple[NodeTable, ...] = ()
    hosts: int = 1


@strict_keys
@dataclass(frozen=True)
class Budget:
    """How long and how much: seconds, days, GB, guests and (in a matrix) kernel builds at a time."""

    stall_cpu_s: float = 60.0
    boot_s: float = 180.0
    slow_kconfigs: dict[str, float] = field(default_factory=dict)
    cache_days: float = 30.0
    cache_gb: float = 40.0
    workers: int = 2
    builders: int = 2

    def factor(self, kconfig: str) -> float:
        """How much slower than default a kernel of this kconfig may be."""
        return self.slow_kconfigs.get(kconfig, 1.0)


Upto = int | Literal["whole", "all"]
"""How far a series is applied: so many patches, the whole of it, or one after the other every prefix of it."""


@strict_keys
@dataclass(frozen=True)
class MatrixTable:
    """`[matrix.NAME]`: lists whose combinations are run. Empty: what a bench takes when it is not told."""

    summary: str = ""
    series: tuple[str, ...] = ()
    upto: Upto | tuple[Upto, ...] = "whole"
    kconfigs: tuple[str, ...] = ()
    guests: tuple[str, ...] = ()
    payloads: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    """The kernel's own tests beside the payloads, as words of the command line: `kselftest net/af_unix,futex`, `kunit list*`."""
    baseline_boots: int = 3
    """How often a suite is booted on its baseline: a test whose boots disagree there is flaky, whatever the series does."""


@strict_keys
@dataclass(frozen=True)
class CacheTable(Cache):
    """One of `[caches]`: a Cache that takes no unknown key."""


@strict_keys
@dataclass(frozen=True)
class CachesTable(Caches):
    """`[caches]`: what --caches models."""

    i1: CacheTable = CacheTable(32, 8)
    d1: CacheTable = CacheTable(32, 8)
    ll: CacheTable = CacheTable(8192, 16)

    @property
    def plain(self) -> Caches:
        """The model. Raises UsageError for a cache that cannot be."""
        if self.unfit:
            raise UsageError(f"lab.toml: caches: {self.unfit}", hint="edit [caches] in lab.toml")
        i1, d1, ll = (Cache(one.kib, one.ways) for one in (self.i1, self.d1, self.ll))
        return Caches(i1, d1, ll, self.line)


@strict_keys
@dataclass(frozen=True)
class Settings:
    """The whole file."""

    source: SourceSpec
    default: Default
    guest: dict[str, GuestTable]
    matrix: dict[str, MatrixTable] = field(default_factory=dict)
    selftests: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The words that a self-test TARGET:TEST gets, as from the kernel's runner with KSELFTEST_<TEST>_ARGS."""
    order: Order = Order()
    budget: Budget = Budget()
    caches: CachesTable = CachesTable()


def read_settings(path: Path) -> Settings:
    """lab.toml at `path`. Raises UsageError naming file, key and what is allowed."""
    return read_toml(path, Settings)


def guest_spec(settings: Settings, name: str) -> GuestSpec:
    """The named guest. Raises UsageError listing the ones there are."""
    table = settings.guest.get(name)
    if table is None:
        raise unknown("guest", name, settings.guest, "lab.toml declares guests under [guest.NAME]")
    return GuestSpec(
        name=name,
        summary=table.summary,
        cpus=table.cpus,
        memory_mib=table.memory_mib,
        cmdline=table.cmdline,
        mode=table.mode,
        image=table.image,
        nics=tuple(Nic(**vars(nic)) for nic in table.nics),
        nvme=tuple(Nvme(**vars(nvme)) for nvme in table.nvme),
        nodes=tuple(Node(**vars(node)) for node in table.nodes),
        hosts=table.hosts,
    )


CHANGES = ("cpus", "memory", "append", "qemu_arg", "image", "share")
"""Options that change a guest."""


def changed_guest(spec: GuestSpec, changes: Mapping[str, str]) -> GuestSpec:
    """`spec` with the options of CHANGES applied; the empty string means not given. Raises UsageError."""
    if changes.get("cpus"):
        spec = replace(spec, cpus=whole_number("--cpus", changes["cpus"]))
    if changes.get("memory"):
        spec = replace(spec, memory_mib=whole_number("--memory", changes["memory"]))
    if changes.get("image"):
        spec = replace(spec, image=changes["image"])
    if changes.get("share"):
        spec = replace(spec, share=shared_directory(changes["share"]))
    if why := unfit(spec):
        raise UsageError(f"guest {spec.name}: {why}", hint="another guest, or one of your own under [guest.NAME] in lab.toml")
    return replace(
        spec,
        cmdline=(*spec.cmdline, *changes.get("append", "").split()),
        qemu_args=(*spec.qemu_args, *changes.get("qemu_arg", "").split()),
    )


def shared_directory(text: str) -> Path:
    """The value of --share, absolute. Raises UsageError for what is no directory or cannot be read."""
    path = Path(text).expanduser().resolve()
    if not path.is_dir():
        raise UsageError(f"--share {text}: {path} is not a directory")
    if not os.access(path, os.R_OK | os.X_OK):
        raise UsageError(f"--share {text}: {path} cannot be read")
    return path


def whole_number(option: str, text: str, least: int = 1) -> int:
    """The value of a numeric option. Raises UsageError."""
    if not text.isdecimal() or int(text) < least:
        raise UsageError(f"{option} takes a whole number from {least}, got {text!r}")
    return int(text)


def unknown(kind: str, name: str, known: Mapping[str, object], hint: str) -> UsageError:
    """The error for a name that does not exist: what there is, and the closest."""
    close = difflib.get_close_matches(name, known, 1)
    guess = f"; did you mean {close[0]}?" if close else ""
    return UsageError(f"no {kind} named {name!r} (there are: {', '.join(known) or 'none'}){guess}", hint=hint)
