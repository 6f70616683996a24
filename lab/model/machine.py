"""Where a kernel runs: guest specification, accelerator, image, instrument."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Mode = Literal["exact", "counts", "wall", "emulated"]


@dataclass(frozen=True)
class Nic:
    """A virtio-net device on a tap of the guest's private network; the device SSH comes through is another one."""

    queues: int = 1
    """Queue pairs."""


@dataclass(frozen=True)
class Nvme:
    """An NVMe controller with one namespace whose data lies in host memory."""

    size_mib: int = 64
    queues: int = 1
    """I/O queue pairs."""
    node: int | None = None
    """NUMA node the controller hangs on; None: no node."""


@dataclass(frozen=True)
class Node:
    """A NUMA node."""

    cpus: str
    """A cpulist, `0-3`."""
    memory_mib: int
    distances: tuple[int, ...]
    """SLIT distances to every node, itself (10) included, in the order of the nodes."""


@dataclass(frozen=True)
class GuestSpec:
    """A named guest of lab.toml: hardware and command line, as data."""

    name: str
    cpus: int = 1
    memory_mib: int = 1024
    cmdline: tuple[str, ...] = ()
    """Kernel arguments on top of what the mode needs."""
    mode: Mode = "exact"
    image: str = "tiny"
    qemu_args: tuple[str, ...] = ()
    """Words of --qemu-arg, added last."""
    summary: str = ""
    nics: tuple[Nic, ...] = ()
    nvme: tuple[Nvme, ...] = ()
    nodes: tuple[Node, ...] = ()
    """Empty: one node with all CPUs and memory."""
    hosts: int = 1
    """2: two guests of this hardware on one private bridge; a payload runs on the first and has a helper on the second."""
    share: Path | None = None
    """A directory of the host that the guest sees, read-only, at /share."""


@dataclass(frozen=True)
class Accel:
    """The accelerator that really boots a kernel here."""

    name: Literal["kvm", "tcg"]
    proven: bool
    evidence: str
    """One line: how this is known."""
    qemu_version: str


@dataclass(frozen=True)
class Image:
    """A guest root file system: an initramfs, the key that logs into it and, when it has one, a disk the initramfs mounts."""

    name: str
    hash: str
    initrd: Path
    ssh_key: Path
    host_key: Path
    """The guest's public host key, so that the lab knows to whom it talks."""
    disk: Path | None = None
    """A read-only squashfs; None: the initramfs is everything."""
    label: str = ""
    """What is not as asked about it, such as a package that was left out; empty: nothing."""


@dataclass(frozen=True)
class Instrument:
    """A QEMU plugin as data: words for QEMU's command line and the file it writes."""

    argv: tuple[str, ...]
    output: Path
