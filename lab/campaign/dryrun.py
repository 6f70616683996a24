"""--dry-run: the exact git, make, QEMU and payload lines, ready to paste; nothing is built or booted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab.campaign.bench import payload_names
from lab.campaign.hardware import asked
from lab.campaign.plan import Ask, Side
from lab.campaign.session import Lab
from lab.guest.paste import dry_run
from lab.kernel.build import make_line
from lab.kernel.tree import apply
from lab.model.run import PayloadSpec
from lab.proc import quote


def build_lines(lab: Lab, ask: Ask) -> Iterator[str]:
    """Source, patches, and the make line of both sides. Applying is cheap and is done, so the commits are real."""
    if ask.kernel:
        yield f"# kernel: {ask.kernel}"
        return
    for side in lab.sides(ask):
        tree = apply(lab.source(ask), side.series, side.upto, lab.cache, lab.emit)
        yield f"# {side.role}: {side.label}, tree {tree.id}"
        yield from _patches(side)
        cc = ask.cc or "gcc"
        yield make_line(side.kconfig, repository=tree.repository, commit=tree.commit, cache=lab.cache, cc=cc)


def _patches(side: Side) -> Iterator[str]:
    for series in side.series:
        cut = side.upto if series is side.series[-1] else None
        files = [series.directory / patch.name for patch in series.patches[:cut]]
        yield quote(["git", "am", "-3", *files]) if files else f"# {series.name}: no patches"


def boot_lines(lab: Lab, ask: Ask, payload: PayloadSpec | None = None) -> Iterator[str]:
    """QEMU's command line of the guest, and what proves it."""
    spec = lab.guest(ask, payload)
    image = lab.image(spec.image)
    bzimage = Path(ask.kernel.removeprefix("O=")) if ask.kernel else Path("arch/x86/boot/bzImage")
    yield f"# guest {spec.name}"
    yield dry_run(spec, lab.accel(ask), bzimage=bzimage, initrd=image.initrd, root=image.disk)
    if proof := lab.proof(spec):
        yield from payload_lines(proof, asked(spec))


def bench_lines(lab: Lab, ask: Ask) -> Iterator[str]:
    """Everything a bench takes: kernels, guests, and what each payload runs in them."""
    yield from build_lines(lab, ask)
    for name in payload_names(lab, ask, () if ask.kernel else lab.sides(ask)[1].series):
        payload = lab.payload(name)
        yield from boot_lines(lab, ask, payload)
        yield from payload_lines(payload)


def payload_lines(payload: PayloadSpec, words: tuple[str, ...] = ()) -> Iterator[str]:
    """What a payload runs in its guest."""
    yield f"# payload {payload.name}, built in {payload.directory}, run in the guest:"
    if payload.peer:
        yield f"{quote(payload.peer)} # on the second guest, before the first starts"
    yield quote((*payload.command, *words))
