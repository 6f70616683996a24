"""Power-on: a QEMU with everything it inherits from us - sockets, taps, disks in memory - and a watcher on it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from lab.errors import HostError
from lab.guest.devices import Backing, inherited
from lab.guest.network import Network, private_network
from lab.guest.qemu import Wires, qemu_argv, uses_kvm
from lab.guest.runtime import CONSOLE, GDB, scratch
from lab.guest.watch import Watch
from lab.model.machine import Accel, GuestSpec, Image, Instrument, Nvme
from lab.model.ports import Symbols
from lab.proc import Process, quote, spawn, stop

NEEDS = {"setpriv": "util-linux"}
PEER = "peer"
"""The second guest of a pair, in names of directories and guests."""


@dataclass(frozen=True)
class BootPlan:
    """One boot: what to start, where to leave console.log, qemu.err and qemu.argv, how long it may take."""

    spec: GuestSpec
    bzimage: Path
    image: Image
    accel: Accel
    directory: Path
    symbols: Symbols
    instrument: Instrument | None = None
    stall_budget_s: float = 60.0
    """QEMU's own CPU seconds without a sign of progress, on one CPU."""
    boot_budget_s: float = 180.0
    """Host seconds until an SSH command works, the last resort."""
    append: tuple[str, ...] = ()
    gdb: bool = False
    """Whether the guest waits for gdb's `continue`, without any budget; its stub listens in `runtime`."""
    runtime: Path | None = None
    """Directory for sockets that others attach to (console, gdb); None: one that is gone with the guest."""
    network: Network | None = None
    """What its NICs hang on; None: a network of its own, if it has NICs."""
    host: int = 1
    """Which guest of the network this is; 2: the second of a pair."""

    @property
    def busy_s(self) -> float:
        """The same on all CPUs that run at a time: one under TCG, as many as there are elsewhere."""
        at_once = self.spec.cpus if self.spec.mode == "emulated" or uses_kvm(self.spec, self.accel) else 1
        return self.stall_budget_s * at_once

    @property
    def console(self) -> Path:
        """Everything the guest says on its serial console; QEMU writes it."""
        return self.directory / "console.log"

    @property
    def stderr(self) -> Path:
        """What QEMU itself complains of."""
        return self.directory / "qemu.err"


def plans_of_hosts(plan: BootPlan) -> tuple[BootPlan, ...]:
    """The plan of each guest of a specification; the second has directories of its own within those of the first."""
    if plan.spec.hosts == 1:
        return (plan,)
    runtime = plan.runtime / PEER if plan.runtime else None
    return plan, replace(plan, host=2, directory=plan.directory / PEER, runtime=runtime, instrument=None, gdb=False)


@dataclass(frozen=True)
class Machine:
    """A QEMU that was started, and what it was given."""

    plan: BootPlan
    """Its `spec` has what the guest really gets, such as fewer queues where there are no taps."""
    process: Process
    watch: Watch
    note: str = ""
    """What the guest lacks of what was asked for, and why; empty: nothing."""


@contextmanager
def power_on(plan: BootPlan) -> Iterator[Machine]:
    """Start QEMU; it is gone afterwards. Call it from a main thread. Raises HostError."""
    with ExitStack() as stack:
        runtime = plan.runtime or stack.enter_context(scratch())
        network = plan.network or (stack.enter_context(private_network(plan.spec)) if plan.spec.nics else None)
        if network:
            plan = replace(plan, spec=network.granted(plan.spec), network=network)
        (qmp, its_qmp), (ready, its_ready) = socket.socketpair(), socket.socketpair()
        console = socket.socket(socket.AF_UNIX)
        console.bind(str(runtime / CONSOLE))
        console.listen(1)
        for end in (qmp, its_qmp, ready, its_ready, console):
            stack.callback(end.close)
        wires = Wires(
            console=f"socket,fd={console.fileno()},server=on,wait=off",
            qmp=f"socket,fd={its_qmp.fileno()}",
            ready=f"socket,fd={its_ready.fileno()}",
            gdb=str(runtime / GDB) if plan.gdb else "",
        )
        theirs = (its_qmp, its_ready, console)
        process = _start(plan, wires, [end.fileno() for end in theirs])
        stack.callback(stop, process)
        for end in theirs:  # a dead QEMU must look dead
            end.close()
        watch = Watch(process.pid, qmp=qmp, ready=ready, log=plan.console, console=runtime / CONSOLE, symbols=plan.symbols)
        stack.callback(watch.close)
        yield Machine(plan, process, watch, network.note if network else "")


def _start(plan: BootPlan, wires: Wires, fds: list[int]) -> Process:
    with ExitStack() as ours:  # QEMU has its own copies then
        memories = [_memory(controller) for controller in plan.spec.nvme]
        for fd in memories:
            ours.callback(os.close, fd)
        ports = plan.network.ports[plan.host - 1] if plan.network else ()
        argv = _argv(plan, wires, inherited(ports, memories))
        stderr = ours.enter_context(_fresh_files(plan, argv))
        return spawn(argv, stdout=stderr, stderr=stderr, pass_fds=[*fds, *memories, *(fd for port in ports for fd in port.fds)])


def _memory(controller: Nvme) -> int:
    """A file of zeroes without a name, in the host's memory."""
    fd = os.memfd_create("nvme")
    os.ftruncate(fd, controller.size_mib << 20)
    return fd


def _fresh_files(plan: BootPlan, argv: tuple[str, ...]) -> IO[bytes]:
    """qemu.argv, an empty console.log, and qemu.err, open."""
    try:
        plan.directory.mkdir(parents=True, exist_ok=True)
        (plan.directory / "qemu.argv").write_text(quote(argv) + "\n", encoding="utf-8")
        plan.console.write_bytes(b"")
        return plan.stderr.open("wb")
    except OSError as error:
        raise HostError(f"cannot write into {plan.directory}: {error.strerror}", hint="./inv du; ./inv clean") from error


def _argv(plan: BootPlan, wires: Wires, backing: Backing) -> tuple[str, ...]:
    return qemu_argv(
        plan.spec,
        plan.accel,
        bzimage=plan.bzimage,
        initrd=plan.image.initrd,
        root=plan.image.disk,
        console_log=plan.console,
        wires=wires,
        backing=backing,
        host=plan.host,
        instrument=plan.instrument,
        append=plan.append,
    )
