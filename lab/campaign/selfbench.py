"""The lab's own speed, each figure beside what it depends on: a calibration of the host, and `vng --run` of the same bzImage."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lab.cache import Cache
from lab.campaign.plan import Ask
from lab.campaign.session import Lab, TableRows
from lab.cbuild import compiler_id
from lab.deadline import Deadline
from lab.errors import LabError
from lab.guest.boot import booted
from lab.guest.launch import BootPlan
from lab.guest.qemu import host_root_argv
from lab.kernel.build import build
from lab.kernel.symbols import read_symbols
from lab.kernel.tree import apply
from lab.model.change import Build, Series
from lab.model.machine import Mode
from lab.proc import Argv, run

REPEATS = 3
ONE_STEP = "busted/one-instruction"
"""A series that changes one .c file."""
MODES: tuple[Mode, ...] = ("exact", "counts")


def selfbench_tables(lab: Lab) -> tuple[TableRows, ...]:
    """Measure everything; takes a cold kernel build and some boots."""
    calibration = calibrate(lab)
    scratch = lab.cache.root / "slots" / "selfbench"  # a slot, so that clean --all takes what a killed run left
    with lab.cache.lock("slot-selfbench"):
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            builds, kernel = _builds(lab, Cache(scratch), calibration)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    boots = _boots(lab, kernel)
    host = (("calibration", f"{calibration:.2f} objects/s: one payload compiled {REPEATS} times, {compiler_id()}"),)
    return (("host", ("what", "found"), host), builds, boots)


def calibrate(lab: Lab) -> float:
    """How fast this host compiles: objects per second of one fixed C file, one at a time."""
    source = lab.root / "payloads" / "pingpong" / "pingpong.c"
    include = lab.root / "payloads" / "include"
    argv: Argv = ["gcc", "-O2", "-c", f"-I{include}", "-o", "/dev/null", source]
    return 1.0 / statistics.median(_timed(lambda: run(argv, deadline=Deadline.after(60))) for _ in range(REPEATS))


def _builds(lab: Lab, scratch: Cache, calibration: float) -> tuple[TableRows, Build]:
    """Cold without any cache, one .c file further, the same again, and cold with a warm ccache."""
    ask = replace(Ask(), series=ONE_STEP)
    base, step = lab.sides(ask)
    source = lab.source(ask)
    rows = []
    made: list[Build] = []

    def timed(what: str, series: tuple[Series, ...], cache: Cache) -> None:
        tree = apply(source, series, None, cache, lab.emit)
        seconds = _timed(lambda: made.append(build(tree, base.kconfig, cache=cache, emit=lab.emit)))
        objects = 0 if made[-1].reused else made[-1].objects
        speed = f"{objects / seconds:.2f}" if objects else "-"
        times = f"{objects / seconds / calibration:.2f}" if objects else "-"
        rows.append((what, f"{seconds:.1f} s", str(objects), speed, times))

    timed("cold, empty ccache", base.series, scratch)
    timed("one .c file further", step.series, scratch)
    timed("the same again", step.series, scratch)
    kernel = made[-1]
    for slot in scratch.slots():
        shutil.rmtree(slot)
    for entry in scratch.entries():
        if entry.kind == "build" and entry.key != kernel.key:
            scratch.remove(entry)
    timed("cold, warm ccache", base.series, scratch)
    return ("builds", ("build", "time", "objects", "objects/s", "of calibration"), tuple(rows)), _kept(lab, kernel)


def _kept(lab: Lab, kernel: Build) -> Build:
    """The kernel moved out of the scratch cache, which goes away while guests still need it."""
    place = lab.cache.get_or_make("build", kernel.key, lambda aside: _copy(kernel.directory, aside))
    return replace(kernel, directory=place)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)


def _boots(lab: Lab, kernel: Build) -> TableRows:
    """Power-on to an SSH command done, one exec round trip, and `vng --run` of one command with the same bzImage."""
    ask = Ask()
    spec = lab.guest(ask)
    image = lab.image(spec.image)
    accel = lab.accel(ask, kernel, image)
    symbols = read_symbols(kernel.system_map, kernel.vmlinux)
    ready, trips = [], []
    for mode in MODES:
        for _ in range(REPEATS):
            with tempfile.TemporaryDirectory(prefix="selfbench-") as directory:
                guest_spec = replace(spec, mode=mode)
                plan = BootPlan(guest_spec, kernel.bzimage, image, accel, Path(directory), symbols)
                started = time.monotonic()
                with booted(plan, lab.emit) as guest:
                    guest.shell.run("true", deadline=Deadline.after(60))
                    ready.append((mode, time.monotonic() - started))
                    trips.append((mode, _timed(lambda: guest.shell.run("true", deadline=Deadline.after(60)))))
    rows = []
    for mode in MODES:
        rows.append((f"boot to SSH command done, {mode}", *_spread([s for m, s in ready if m == mode])))
        rows.append((f"exec round trip, {mode}", *_spread([s for m, s in trips if m == mode])))
    rows.append(_vng(kernel, accel.name))
    return (f"guests ({accel.name}, QEMU {accel.qemu_version})", ("what", "median", "least", "most"), tuple(rows))


def _vng(kernel: Build, accel: str) -> tuple[str, str, str, str]:
    try:
        argv = host_root_argv(kernel.bzimage, ("true",), kvm=accel == "kvm")
        seconds = [_timed(lambda: run(argv, deadline=Deadline.after(180))) for _ in range(REPEATS)]
    except LabError as error:
        return ("vng --run -- true", f"failed: {error.message.strip().splitlines()[-1]}", "", "")

    return ("vng --run -- true", *_spread(seconds))


def _spread(seconds: list[float]) -> tuple[str, str, str]:
    middle, least, most = (f"{value:.2f} s" for value in (statistics.median(seconds), min(seconds), max(seconds)))
    return middle, least, most


def _timed(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started
