"""QEMU's words for hardware that not every guest has: several NUMA nodes, NICs, NVMe, a shared directory. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.guest.network import Port, mac, tap_name
from lab.model.machine import GuestSpec, Nic, Node, Nvme

Words = tuple[str, ...]
SHARE_TAG = "share"
BRIDGES_FROM, BUSES_EACH = 0x40, 0x10
"""PCI bus numbers of the bridges that put a device on a node."""


@dataclass(frozen=True)
class Backing:
    """Where the guest's NICs and NVMe controllers end on the host, in QEMU's words."""

    nics: Words = ()
    """A netdev each: `tap,fds=7:8`."""
    nvme: Words = ()
    """A file name each; `/dev/fdset/N` for one of `fds`."""
    fds: tuple[int, ...] = ()
    """Inherited descriptors of files; the first is set 1."""


NO_BACKING = Backing()


def pasted(spec: GuestSpec, host: int) -> Backing:
    """For a person who pastes the line: named taps, files in the current directory."""
    taps = [
        f"tap,ifname={tap_name(number, host)},script=no,downscript=no,vhost=off"
        + (f",queues={nic.queues}" if nic.queues > 1 else "")
        for number, nic in enumerate(spec.nics)
    ]
    return Backing(nics=tuple(taps), nvme=tuple(disk_name(number, host) for number in range(len(spec.nvme))))


def disk_name(number: int, host: int) -> str:
    """The file of an NVMe controller's data on a pasted line."""
    return f"nvme{number}-{host}.img"


def inherited(ports: Sequence[Port], memories: Sequence[int]) -> Backing:
    """Taps or frame sockets, and files in memory, all by descriptor."""
    return Backing(
        nics=tuple(_netdev(port) for port in ports),
        nvme=tuple(f"/dev/fdset/{number}" for number in range(1, len(memories) + 1)),
        fds=tuple(memories),
    )


def _netdev(port: Port) -> str:
    if port.kind == "frames":
        return f"dgram,local.type=fd,local.str={port.fds[0]}"
    return f"tap,fds={':'.join(str(fd) for fd in port.fds)},vhost=off"


def topology(spec: GuestSpec) -> Words:
    """One socket unless there are nodes: the kernel of a guest of several AMD-like sockets does not trust its TSC."""
    if spec.cpus == 1:
        return ("-smp", "1")
    sockets = len(spec.nodes) or 1
    if spec.cpus % sockets:
        sockets = 1
    return ("-smp", f"{spec.cpus},sockets={sockets},cores={spec.cpus // sockets},threads=1")


def memory(spec: GuestSpec) -> Words:
    """RAM, on its nodes; with CPUs and distances of each."""
    words = [f"-m {spec.memory_mib}M"]
    for number, node in enumerate(spec.nodes):
        words.append(f"-object memory-backend-ram,id=ram{number},size={node.memory_mib}M")
        words.append(f"-numa node,nodeid={number},memdev=ram{number}" + "".join(f",cpus={part}" for part in node.cpus.split(",")))
    for number, node in enumerate(spec.nodes):
        words += _distances(number, node)
    return _split(words)


def _distances(number: int, node: Node) -> list[str]:
    others = [(other, far) for other, far in enumerate(node.distances) if other != number]
    return [f"-numa dist,src={number},dst={other},val={far}" for other, far in others]


def needs_bridges(spec: GuestSpec) -> bool:
    """Whether a device hangs on a node: that takes a PCI bridge, which qboot does not set up and SeaBIOS does."""
    return any(controller.node is not None for controller in spec.nvme)


def nics(spec: GuestSpec, backing: Backing, host: int) -> Words:
    """eth1, eth2...: what virtio-net needs for several queues and for XDP without switching offloads off by hand."""
    words = []
    for number, (nic, backend) in enumerate(zip(spec.nics, backing.nics, strict=True)):
        words += [f"-netdev {backend.replace(',', f',id=net{number + 1},', 1)}", f"-device {_nic(nic, number, host)}"]
    return _split(words)


def _nic(nic: Nic, number: int, host: int) -> str:
    plain = f"virtio-net-pci,netdev=net{number + 1},mac={mac(number, host)},romfile="
    if nic.queues == 1:
        return plain
    # two vectors a pair, one for the control queue, one for changes of the configuration
    return (
        f"{plain},mq=on,vectors={2 * nic.queues + 2},rss=on,ctrl_guest_offloads=on,mrg_rxbuf=on,queue_reset=on,rx_queue_size=1024"
    )


def nvme(spec: GuestSpec, backing: Backing) -> Words:
    """Controllers with one namespace each, in memory: the queue pairs that were asked for, a vector for each and for admin."""
    words = [f"-add-fd fd={fd},set={number}" for number, fd in enumerate(backing.fds, 1)]
    for number, (controller, file) in enumerate(zip(spec.nvme, backing.nvme, strict=True)):
        bridge, bus = ([], "") if controller.node is None else _bridge(number, controller.node)
        words += [
            *bridge,
            f"-blockdev driver=raw,node-name=nvme{number},file.driver=file,file.filename={file},file.locking=off",
            f"-device nvme,id=nvme{number}c,serial=lab{number},drive=nvme{number}{_pairs(controller)}{bus}",
        ]
    return _split(words)


def _pairs(controller: Nvme) -> str:
    return f",max_ioqpairs={controller.queues},msix_qsize={controller.queues + 1}"


def _bridge(number: int, node: int) -> tuple[list[str], str]:
    """A PCI root of its own whose place is a node, and a slot in it."""
    root, slot = f"root{number}", f"slot{number}"
    return [
        f"-device pxb-pcie,id={root},bus=pcie.0,bus_nr={BRIDGES_FROM + number * BUSES_EACH},numa_node={node}",
        f"-device pcie-root-port,id={slot},bus={root},chassis={number + 1},slot={number}",
    ], f",bus={slot}"


def share(directory: Path | None) -> Words:
    """A directory of the host, read-only, by 9p; the image's init mounts what has the tag."""
    if directory is None:
        return ()
    path = comma(directory)
    return (
        *("-fsdev", f"local,id={SHARE_TAG},path={path},security_model=none,readonly=on,multidevs=remap"),
        *("-device", f"virtio-9p-pci,fsdev={SHARE_TAG},mount_tag={SHARE_TAG}"),
    )


def comma(path: Path) -> str:
    """QEMU's option lists end at a comma unless it is doubled."""
    return str(path).replace(",", ",,")


def _split(words: Sequence[str]) -> Words:
    """`-option value` pairs as words; a value may hold spaces."""
    return tuple(part for word in words for part in word.split(" ", 1))
