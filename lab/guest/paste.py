"""--dry-run: the shell lines that start a guest, or a pair with its network, by hand: the console is on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab.guest.devices import disk_name, pasted
from lab.guest.launch import PEER
from lab.guest.network import Way, allowed, ip_batch
from lab.guest.qemu import PASTED, Wires, Words, qemu_argv
from lab.model.machine import Accel, GuestSpec
from lab.proc import quote

NEEDS: dict[str, str] = {}
PEER_WIRES = Wires(console="null", qmp=f"socket,path={PEER}/qmp.sock,server=on,wait=off", ready=f"file,path={PEER}/ready.txt")
"""The second of a pair is in the background."""


def dry_run(
    spec: GuestSpec,
    accel: Accel,
    *,
    bzimage: Path,
    initrd: Path,
    root: Path | None = None,
    append: Words = (),
    way: Way | None = None,
) -> str:
    """The lines as a person would paste them. `way`: how to get a network namespace; None: as this user best can."""

    def argv(host: int) -> Words:
        log, wires = (Path("console.log"), PASTED) if host == 1 else (Path(PEER) / "console.log", PEER_WIRES)
        return qemu_argv(
            spec,
            accel,
            bzimage=bzimage,
            initrd=initrd,
            console_log=log,
            wires=wires,
            root=root,
            backing=pasted(spec, host),
            host=host,
            append=append,
        )

    others = [argv(host) for host in range(2, spec.hosts + 1)]
    line = _networked(spec, argv(1), others, way or allowed()[0]) if spec.nics else quote(argv(1))
    return "\n".join((*_files(spec), line))


def _files(spec: GuestSpec) -> Iterator[str]:
    """What must be there before QEMU starts: disks, and a directory for what the second guest leaves."""
    if spec.hosts > 1:
        yield quote(["mkdir", "-p", PEER])
    for host in range(1, spec.hosts + 1):
        for number, controller in enumerate(spec.nvme):
            yield quote(["truncate", "-s", f"{controller.size_mib}M", disk_name(number, host)])


def _networked(spec: GuestSpec, first: Words, others: list[Words], way: Way) -> str:
    """One shell inside a namespace of its own: bridges and taps, the second guest, then the first in its place."""
    batch = ip_batch([nic.queues for nic in spec.nics], spec.hosts)
    together = [*(f"{quote(argv)} &" for argv in others), '"$@" || :', "kill $!", "wait"] if others else ['exec "$@"']
    script = ["", "ip -batch - <<END", *batch, "END", *together, ""]
    return quote([*way, "sh", "-ec", "\n".join(script), "sh", *first])
