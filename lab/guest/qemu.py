"""QEMU's command line: one pure function per device, summed. Option names: `man qemu-system-x86_64`, 7.2 to 10."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.deadline import Deadline
from lab.errors import HostError
from lab.guest import devices
from lab.guest.devices import NO_BACKING, Backing, comma
from lab.model.machine import Accel, GuestSpec, Instrument
from lab.proc import need, quote, run

PROGRAM = "qemu-system-x86_64"
NEEDS = {PROGRAM: "qemu-system-x86", "udevadm": "udev", "/usr/share/qemu/qboot.rom": "qemu-system-data"}
READY_PORT = "lab.ready"
SEED = 1
START_OF_TIME = "2026-01-01T00:00:00"
NVME_TIMEOUT_S = {"exact": 600, "counts": 15}
"""Seconds of guest time. An exact guest's clock can outrun the host's disk; with several vCPUs on one thread QEMU 7.2 lost the
interrupt of a request in one boot of thirty on a loaded host, and the driver finds its completion when the time is over."""

Words = tuple[str, ...]


@dataclass(frozen=True)
class Wires:
    """Where the guest's character devices end on the host: QEMU chardev backends (`socket,fd=7`, `stdio,signal=off`)."""

    console: str
    qmp: str
    ready: str
    gdb: str = ""
    """Path of the gdb stub's UNIX socket; empty: no stub, the guest starts at once."""


PASTED = Wires(console="stdio,signal=off", qmp="socket,path=qmp.sock,server=on,wait=off", ready="file,path=ready.txt")
"""For a person who pastes the line: console on the terminal, QMP in the current directory."""


def qemu_argv(
    spec: GuestSpec,
    accel: Accel,
    *,
    bzimage: Path,
    initrd: Path,
    console_log: Path,
    wires: Wires,
    root: Path | None = None,
    backing: Backing = NO_BACKING,
    host: int = 1,
    instrument: Instrument | None = None,
    append: Words = (),
) -> Words:
    """The whole command line; `host`: which guest of a pair. Raises HostError for wall mode without KVM."""
    return (
        PROGRAM,
        *machine(spec),
        *devices.memory(spec),
        *processor(spec, accel),
        *clock(spec, accel),
        *kernel(bzimage, initrd, (*kernel_arguments(spec, accel), *append)),
        *console(wires.console, console_log),
        *monitor(wires.qmp),
        *network(),
        *ready_port(wires.ready),
        *entropy(),
        *disk(root),
        *devices.nics(spec, backing, host),
        *devices.nvme(spec, backing),
        *devices.share(spec.share),
        *(gdb_stub(wires.gdb) if wires.gdb else ()),
        *(instrument.argv if instrument else ()),
        *spec.qemu_args,
    )


def machine(spec: GuestSpec) -> Words:
    """A q35 without anything that nobody asked for. qboot is 0.7 s faster than SeaBIOS in exact mode: it has no delay loops."""
    return (
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "q35,sata=off,smbus=off,vmport=off"),
        *(() if devices.needs_bridges(spec) else ("-bios", "qboot.rom")),
    )


def uses_kvm(spec: GuestSpec, accel: Accel) -> bool:
    """Exact and emulated mode are TCG by definition; counts takes KVM where it works, wall needs it. Raises HostError."""
    if spec.mode == "wall" and accel.name != "kvm":
        raise HostError(f"guest {spec.name}: wall mode needs a working KVM: {accel.evidence}", hint="use mode exact or counts")
    return spec.mode in ("wall", "counts") and accel.name == "kvm"


def processor(spec: GuestSpec, accel: Accel) -> Words:
    """CPUs. TCG of one thread unless emulated mode asks for more: multi-threaded TCG can throw a stray int3."""
    smp = devices.topology(spec)
    if uses_kvm(spec, accel):
        return (*smp, "-accel", "kvm", "-cpu", "host")
    thread = "multi" if spec.mode == "emulated" else "single"
    # rdrand and rdseed would be the host's randomness; everything else, ERMS and FSRM too, stays as QEMU has it
    return (*smp, "-accel", f"tcg,thread={thread}", "-cpu", "max,rdrand=off,rdseed=off")


def clock(spec: GuestSpec, accel: Accel) -> Words:
    """Exact mode: one instruction is one nanosecond; idle time passes as on the host (sleep=on), so devices keep their pace."""
    icount = ("-icount", "shift=0,sleep=on") if spec.mode == "exact" else ()
    source = "host" if uses_kvm(spec, accel) else "vm"
    return (*icount, "-rtc", f"base={START_OF_TIME},clock={source}", "-seed", str(SEED))


def kernel_arguments(spec: GuestSpec, accel: Accel) -> Words:
    """What the lab adds to every command line: nothing random, everything logged, a panic ends QEMU (with -no-reboot)."""
    steady = ("norandmaps", "nokaslr", "randomize_kstack_offset=off")
    logged = ("console=ttyS0", "loglevel=7", "panic=-1")
    # all CPUs of an emulated guest read one clock, whatever a late watchdog or the number of sockets suggests
    tsc: Words = () if uses_kvm(spec, accel) else ("tsc=reliable",)
    # on a busy host Linux finds a TSC a hundred times too slow by the PIT, and believes it against the HPET
    khz = 1_000_000 if spec.mode == "exact" else accel.tsc_khz
    tsc = (*tsc, f"tsc_early_khz={khz}") if tsc and khz else tsc
    # under -icount each PAUSE costs 0.2 us of host time, and calibrating the APIC timer is 25 million of them: 5 s a boot
    timer = ("nolapic_timer",) if spec.mode == "exact" and spec.cpus == 1 else ()
    # where time is the host's, a QEMU that waits for its turn delivers ticks late, and timer_irq_works() panics for want of them
    timer = timer if spec.mode == "exact" or uses_kvm(spec, accel) else (*timer, "no_timer_check")
    # a host that stalls for half a minute is no fault of the disk
    seconds = NVME_TIMEOUT_S.get(spec.mode) if spec.nvme else None
    patience = tuple(f"nvme_core.{which}_timeout={seconds}" for which in ("io", "admin")) if seconds else ()
    return (*steady, *tsc, *timer, *patience, *logged, *spec.cmdline)


def kernel(bzimage: Path, initrd: Path, arguments: Words) -> Words:
    """Direct boot."""
    return ("-kernel", str(bzimage), "-initrd", str(initrd), "-append", " ".join(arguments))


def console(backend: str, log: Path) -> Words:
    """The serial console; QEMU itself writes the log, so that it is whole whatever becomes of us."""
    return ("-chardev", f"{backend},id=console,logfile={comma(log)},logappend=off", "-serial", "chardev:console")


def monitor(backend: str) -> Words:
    """QMP."""
    return ("-chardev", f"{backend},id=qmp", "-mon", "chardev=qmp,mode=control")


def network() -> Words:
    """User-mode network without a way out; the kernel picks the host's port for SSH, `info usernet` tells it."""
    return (
        *("-netdev", "user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"),
        *("-device", "virtio-net-pci,netdev=net0,romfile="),
    )


def ready_port(backend: str) -> Words:
    """The virtio-serial port over which the init says how far it is."""
    return (
        *("-chardev", f"{backend},id=ready"),
        *("-device", "virtio-serial-pci,max_ports=2", "-device", f"virtserialport,chardev=ready,name={READY_PORT}"),
    )


def entropy() -> Words:
    """A virtio RNG fed by QEMU's own generator: with -seed the guest's random pool is the same in every boot."""
    return ("-object", "rng-builtin,id=rng0", "-device", "virtio-rng-pci,rng=rng0")


def disk(root: Path | None) -> Words:
    """The image's squashfs as /dev/vda; read-only, so any number of guests share the file and its place in the host's cache."""
    if root is None:
        return ()
    backend = f"driver=raw,node-name=root,read-only=on,file.driver=file,file.read-only=on,file.filename={comma(root)}"
    return ("-blockdev", backend, "-device", "virtio-blk-pci,drive=root")


def gdb_stub(path: str) -> Words:
    """The gdb stub on a UNIX socket; -S: the guest waits for gdb's `continue`."""
    return ("-gdb", f"unix:path={path},server=on,wait=off", "-S")


def version() -> str:
    """`7.2.22` of `QEMU emulator version 7.2.22 (...)`. Raises HostError."""
    said = run([need(PROGRAM, "boot guests"), "--version"], deadline=Deadline.after(20)).stdout
    found = re.search(r"version (\d+\.\d+\.\d+)", said)
    if found is None:
        raise HostError(f"`{PROGRAM} --version` does not say a version: {said.strip()[:200]!r}")
    return found.group(1)


def host_root_argv(bzimage: Path, words: Sequence[str], *, kvm: bool) -> Words:
    """`boot --host-root`: virtme-ng boots a built kernel on the host's root; no words: a shell. Raises HostError."""
    if words and shutil.which("udevadm") is None:
        raise HostError("`vng --run` finds a command's ports by udev, which is not on this host", hint="apt-get install udev")
    accel = () if kvm else ("--disable-kvm",)
    return (need("vng", "boot on the host's root"), "--run", str(bzimage), *accel, *(("--", quote(words)) if words else ()))
