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


MOST_QUEUES, MOST_NICS = 128, 9
"""More do not fit into one message of descriptors, or into the image's eth[1-9]."""
NEAR, FAR = 10, 255
"""SLIT distances (ACPI 6.5, 5.2.17): to itself; unreachable."""


def cpulist(text: str) -> tuple[int, ...]:
    """The CPUs of `0-3,6`, in the kernel's form (without strides). Raises ValueError."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        found += range(int(first), int(last if dash else first) + 1)
    return tuple(found)


def unfit(spec: GuestSpec) -> str:
    """What in a specification contradicts itself or cannot be had, in words; empty: nothing."""
    pairs = [("nics", nic.queues) for nic in spec.nics] + [("nvme", controller.queues) for controller in spec.nvme]
    for what, queues in pairs:
        if not 1 <= queues <= MOST_QUEUES:
            return f"{what}: queues is {queues}, not 1 to {MOST_QUEUES}"
    if spec.hosts not in (1, 2) or len(spec.nics) > MOST_NICS:
        return f"hosts is {spec.hosts} and nics are {len(spec.nics)}; there can be 1 or 2 and up to {MOST_NICS}"
    if spec.hosts > 1 and not spec.nics:
        return "two hosts without a NIC each cannot reach each other"
    for controller in spec.nvme:
        if controller.size_mib < 1 or (controller.node is not None and not 0 <= controller.node < len(spec.nodes)):
            return f"nvme: size_mib {controller.size_mib} on node {controller.node}, of {len(spec.nodes)} nodes"
    return _unfit_nodes(spec) if spec.nodes else ""


def _unfit_nodes(spec: GuestSpec) -> str:
    try:
        cpus = sorted(cpu for node in spec.nodes for cpu in cpulist(node.cpus))
    except ValueError:
        return f"nodes: cpus is no list such as 0-3,6: {', '.join(repr(node.cpus) for node in spec.nodes)}"
    if cpus != list(range(spec.cpus)):
        return f"nodes have the CPUs {', '.join(node.cpus for node in spec.nodes)}, but the guest has {spec.cpus} in all"
    if (memory := sum(node.memory_mib for node in spec.nodes)) != spec.memory_mib:
        return f"nodes have {memory} MiB, but the guest has {spec.memory_mib} in all"
    for number, node in enumerate(spec.nodes):
        others = [far for other, far in enumerate(node.distances) if other != number]
        good = (
            len(node.distances) == len(spec.nodes) and node.distances[number] == NEAR and all(NEAR < far < FAR for far in others)
        )
        if not good:
            return f"nodes: distances of node {number} are {node.distances}: one a node, {NEAR} to itself, above that to others"
    return ""


@dataclass(frozen=True)
class Accel:
    """The accelerator that really boots a kernel here."""

    name: Literal["kvm", "tcg"]
    proven: bool
    evidence: str
    """One line: how this is known."""
    qemu_version: str
    tsc_khz: int = 0
    """What the host's time-stamp counter runs at; 0: not measured, or no guest's business."""


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
