"""The accelerator that really boots a kernel here: proven by booting, never by looking."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lab.cache import Cache, digest
from lab.deadline import Deadline
from lab.errors import HostError, LabError, UsageError
from lab.events import Emit, Note
from lab.guest.boot import launched
from lab.guest.launch import BootPlan
from lab.guest.qemu import version
from lab.model.machine import Accel, GuestSpec, Image
from lab.model.wire import read_json, write_json

NEEDS: dict[str, str] = {}
KVM = Path("/dev/kvm")
PROOF_S = 20.0
"""Host seconds a kernel gets to reach `ready` under KVM; it takes about one."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class NoSymbols:
    """Symbols of a kernel nobody asks about."""

    def address(self, name: str) -> int:
        """Not known."""
        raise KeyError(name)

    def extent(self, name: str) -> tuple[int, int]:
        """Not known."""
        raise KeyError(name)

    def decode(self, lines: list[str]) -> list[str]:
        """As they are."""
        return lines

    def nearest(self, address: int) -> str:
        """Its hex form."""
        return f"{address:#x}"


def prove(cache: Cache, *, bzimage: Path | None, image: Image | None, forced: str = "", emit: Emit) -> Accel:
    """KVM if `bzimage` boots to ready with it, else TCG, with the reason; kept per host boot and QEMU version.

    Without a kernel nothing is proven. `forced` ("kvm" or "tcg") overrides. Raises UsageError for another word, HostError
    without QEMU.
    """
    qemu = version()
    if forced:
        return _forced(forced, qemu)
    if why := closed():
        return Accel("tcg", proven=True, evidence=why, qemu_version=qemu)
    key = digest(BOOT_ID.read_text(encoding="ascii"), qemu)
    if place := cache.find("accel", key):
        return read_json(place / "accel.json", Accel)
    if bzimage is None or image is None:
        evidence = f"{KVM} opens, not proven: no kernel was booted with it yet"
        return Accel("tcg", proven=False, evidence=evidence, qemu_version=qemu)
    emit(Note(f"trying KVM with {bzimage.name}, once per boot of this host (at most {PROOF_S:.0f} s)"))
    accel = _tried(bzimage, image, qemu)
    place = cache.get_or_make("accel", key, lambda aside: write_json(aside / "accel.json", accel))
    return read_json(place / "accel.json", Accel)


def closed() -> str:
    """Why KVM is out of the question without trying; empty when its device opens."""
    try:
        os.close(os.open(KVM, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"{KVM}: {error.strerror}"
    return ""


def _forced(word: str, qemu: str) -> Accel:
    if word == "kvm":
        if why := closed():
            raise HostError(f"KVM was asked for, but {why}", hint="leave --accel out")
        return Accel("kvm", proven=False, evidence="asked for, not proven", qemu_version=qemu)
    if word == "tcg":
        return Accel("tcg", proven=True, evidence="asked for", qemu_version=qemu)
    raise UsageError(f"--accel {word}: there are kvm and tcg")


def _tried(bzimage: Path, image: Image, qemu: str) -> Accel:
    candidate = Accel("kvm", proven=True, evidence="", qemu_version=qemu)
    spec = GuestSpec("accelerator-proof", mode="counts", memory_mib=512)
    with tempfile.TemporaryDirectory(prefix="lab-accel-") as scratch:
        plan = BootPlan(spec, bzimage, image, candidate, Path(scratch), NoSymbols())
        try:
            with launched(plan) as guest:
                watch = guest.watch
                watch.wait("ready", Deadline.after(PROOF_S))
                reached, end = watch.milestones, watch.end
        except LabError as error:
            return Accel("tcg", proven=True, evidence=f"KVM does not start: {error.message.splitlines()[0]}", qemu_version=qemu)
        said = plan.stderr.read_text(encoding="utf-8", errors="backslashreplace").strip().splitlines()
    for milestone in reached:
        if milestone.name == "ready":
            evidence = f"a kernel booted with KVM in {milestone.seconds:.1f} s"
            return Accel("kvm", proven=True, evidence=evidence, qemu_version=qemu)
    what = f"QEMU ended: {said[-1] if said else 'without a word'}" if end else f"hung for {PROOF_S:.0f} s"
    last = reached[-1]
    evidence = f"{KVM} opens, but a kernel booted with it came to {last.name} after {last.seconds:.1f} s and then {what}"
    return Accel("tcg", proven=True, evidence=evidence, qemu_version=qemu)
