"""Guests without a kernel (tests/data/measure/*.S) in the real QEMU with the plugin: what they execute is counted by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.cache import Cache
from lab.cbuild import shared_object
from lab.deadline import Deadline
from lab.formats.profile import EVENTS, Node, Profile, parse_profile
from lab.kernel.symbols import functions_of
from lab.measure.cost import PLUGIN, QEMU, plugin_api, qemu_version
from lab.proc import run

SOURCES = Path(__file__).parents[1] / "data" / "measure"
PROFILED = ",".join(f"{name}={{0}}/{name}" for name in ("symbols", "out", "functions", "profile"))
QUIT = 33
"""What isa-debug-exit makes of the guests' 16."""


def built(place: Path, name: str) -> Path:
    """The guest `name` assembled, and the plugin's files beside it; `place`."""
    words = ["-m32", "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x100000", "-Wl,--build-id=none"]
    run(["gcc", *words, "-o", place / "guest", SOURCES / f"{name}.S"], deadline=Deadline.after(60))
    functions = functions_of(place / "guest")
    (place / "functions").write_text("".join(f"{one.first:x} {one.end:x} {one.name}\n" for one in functions))
    (place / "symbols").write_text("irq ffffffff81000000 ffffffff81000010\n")
    return place


def boot(place: Path, arguments: str, *more: str) -> int:
    """Run the guest of `place` to its end with the plugin's `arguments`, in which {0} is `place`; QEMU's exit status."""
    plugin = shared_object(Cache(place / "cache"), PLUGIN, [f"-DLAB_API={plugin_api(qemu_version())}"])
    devices = ["-nodefaults", "-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4"]
    counted = ["-accel", "tcg,thread=single", "-icount", "shift=0", *more, "-plugin", f"{plugin},{arguments.format(place)}"]
    argv = [QEMU, "-m", "16M", *devices, *counted, "-kernel", str(place / "guest")]
    return run(argv, deadline=Deadline.after(60), check=False).status


def profiled(place: Path, *arguments: str, more: Sequence[str] = ()) -> Profile:
    """The profile of the guest of `place`, which runs to its end; `arguments` of the plugin, `more` words for QEMU."""
    assert boot(place, ",".join((PROFILED, *arguments)), *more) == QUIT
    profile = parse_profile((place / "profile").read_text())
    assert profile.problems == ()
    return profile


def paths(place: Path, profile: Profile) -> Iterator[tuple[str, Node]]:
    """The nodes of the first section with the names on their paths."""
    names = {one.first: one.name for one in functions_of(place / "guest")}
    known: dict[int, str] = {0: ""}
    for node in profile.sections[0].nodes:
        known[node.number] = f"{known[node.parent]}/{names[profile.addresses[node.function] or 0]}"
        yield known[node.number], node


def events(place: Path, profile: Profile) -> dict[str, dict[str, int]]:
    """Function -> what happened in it beside instructions, in the first section; nothing that did not."""
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for path, node in paths(place, profile):
        for name, count in zip(EVENTS, node.events, strict=True):
            if count:
                function = path.rpartition("/")[2]
                found[function][name] = found[function].get(name, 0) + count
    return dict(found)
