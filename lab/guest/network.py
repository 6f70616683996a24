"""The private network of a guest or a pair: taps on bridges in a network namespace without a name, held by a small process.

QEMU stays in the host's namespace and gets the taps' queues as inherited descriptors. Everything is gone with the last holder.
"""

from __future__ import annotations

import functools
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from lab.deadline import Deadline
from lab.errors import HostError
from lab.model.machine import GuestSpec, Nic
from lab.proc import PIPE, STDOUT, Process, decode, need, spawn, stop

NEEDS = {"ip": "iproute2", "unshare": "util-linux"}
SETUP_S = 30.0
READY, REFUSED, TAP, FRAMES = b"ready", b"refused ", b"tap", b"frames"
"""What a holder says: it is done; it cannot, and why; here are the descriptors of a port."""
MOST_FDS = 253
"""Descriptors in one message (SCM_MAX_FD, unix(7))."""
MAKE_TAP = "tuntap add"
PLAIN = ("unshare", "--net")
ROOTLESS = ("unshare", "--user", "--map-root-user", "--net")
Way = tuple[str, ...]


@dataclass(frozen=True)
class Port:
    """The guest's end of one NIC: descriptors that QEMU inherits."""

    kind: Literal["tap", "frames"]
    """tap: one tap queue each; frames: one datagram socket that carries Ethernet frames."""
    fds: tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """A private network while it is held."""

    ports: tuple[tuple[Port, ...], ...]
    """By guest (first, second), then by NIC."""
    note: str = ""
    """What it lacks of what was asked for, and why; empty: nothing."""

    def granted(self, spec: GuestSpec) -> GuestSpec:
        """`spec` with the queues that its NICs really get."""
        queues = (len(port.fds) for port in self.ports[0])
        return replace(spec, nics=tuple(Nic(count) for count in queues))


def mac(nic: int, host: int) -> str:
    """Hardware address of a guest's NIC (both counted from 0 and 1); the image's init makes the IP address of it."""
    return f"52:54:00:99:{nic:02x}:{host + 1:02x}"


def address(nic: int, host: int) -> str:
    """IPv4 address of the same; host 0 is the bridge."""
    return f"10.99.{nic}.{host + 1}"


def tap_name(nic: int, host: int) -> str:
    """The tap of a guest's NIC inside the namespace."""
    return f"tap{nic}-{host}"


def ip_batch(queues: Sequence[int], hosts: int) -> tuple[str, ...]:
    """Lines for `ip -batch`: for each NIC a bridge with the host's address and a tap of every guest. `queues`: pairs, by NIC."""
    lines = ["link set dev lo up"]
    for nic, pairs in enumerate(queues):
        lines += [
            f"link add dev br{nic} type bridge mcast_snooping 0",
            f"address add {address(nic, 0)}/24 dev br{nic}",
            f"link set dev br{nic} up",
        ]
        for host in range(1, hosts + 1):
            name, many = tap_name(nic, host), " multi_queue" if pairs > 1 else ""
            lines += [f"{MAKE_TAP} dev {name} mode tap{many} vnet_hdr", f"link set dev {name} master br{nic} up"]
    return tuple(lines)


@contextmanager
def private_network(spec: GuestSpec, ways: Sequence[Way] | None = None) -> Iterator[Network]:
    """The network that the NICs of `spec` ask for, for as long as the block runs. Call it from a main thread.

    `ways`: how a namespace may be made, best first; None: as this user may. Where none works, a switch of our own carries
    frames between sockets: one queue a NIC, and `note` says so. Raises HostError, at the end too when its holder died on the way.
    """
    need("ip", "make a private network")
    with ExitStack() as stack:
        refusals = []
        for way in allowed() if ways is None else ways:
            try:
                network, holder = _held("lab.guest.holder", way, spec, stack)
                break
            except HostError as error:
                refusals.append(error.message)
        else:
            network, holder = _held("lab.guest.hub", (), spec, stack)
            why = "; ".join(dict.fromkeys(refusals)) or "network namespaces are not wanted"
            network = replace(network, note=f"no taps, so one queue a NIC: {why}")
        yield network
        if holder.poll() is not None:  # whoever measured on it must know
            raise HostError(f"the private network's holder died: {_last_words(holder)}")


def allowed() -> tuple[Way, ...]:
    """The ways to a network namespace that are worth a try: root's own, then that of any user."""
    return (PLAIN, ROOTLESS) if os.geteuid() == 0 else (ROOTLESS,)


@functools.cache
def tap_refusal() -> str:
    """Why this user cannot have multi-queue taps, found by making one; empty: it can. Raises HostError without `ip`."""
    with private_network(GuestSpec("probe", nics=(Nic(2),))) as network:
        return network.note


def _held(module: str, way: Way, spec: GuestSpec, stack: ExitStack) -> tuple[Network, Process]:
    """Start the holder and take the ports it hands over; it ends when our end of the socket closes, however that happens."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ExitStack() as undo:
        undo.callback(ours.close)
        with theirs:
            words = [str(theirs.fileno()), str(spec.hosts), *(str(nic.queues) for nic in spec.nics)]
            argv = (*way, sys.executable, "-P", "-m", module, *words)
            process = spawn(argv, stdout=PIPE, stderr=STDOUT, pass_fds=(theirs.fileno(),))
        undo.callback(_gone, process)
        ports = _received(ours, process, len(spec.nics), undo)
        stack.push(undo.pop_all())
    return Network(ports), process


def _received(ours: socket.socket, process: Process, width: int, undo: ExitStack) -> tuple[tuple[Port, ...], ...]:
    """One message a port, with its descriptors, guest by guest; then `ready`."""
    deadline, found = Deadline.after(SETUP_S), list[Port]()
    while True:
        ours.settimeout(max(deadline.remaining, 0.001))
        try:
            said, fds, _, _ = socket.recv_fds(ours, 4096, MOST_FDS)
        except TimeoutError:
            raise HostError(f"the private network is not there after {SETUP_S:.0f} s") from None
        for fd in fds:
            undo.callback(os.close, fd)
        if said == READY:
            return tuple(tuple(found[at : at + width]) for at in range(0, len(found), width))
        if said.startswith(REFUSED) or not said:
            raise HostError(decode(said.removeprefix(REFUSED)) or _last_words(process))
        found.append(Port("tap" if said == TAP else "frames", tuple(fds)))


def _last_words(process: Process) -> str:
    """What a holder that ended had to say."""
    assert process.stdout is not None
    lines = decode(process.stdout.read()).strip().splitlines()
    return lines[-1] if lines else f"the holder of the private network ended with status {process.wait()}"


def _gone(process: Process) -> None:
    stop(process)
    assert process.stdout is not None
    process.stdout.close()
