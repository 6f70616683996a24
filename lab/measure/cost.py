"""The exact instrument: the TCG plugin of cost_plugin.c as data for QEMU, and what it wrote as values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lab.cache import Cache
from lab.cbuild import shared_object
from lab.deadline import Deadline
from lab.errors import HostError
from lab.model.machine import Instrument
from lab.model.ports import Symbols
from lab.model.profile import PLAIN, Function, Profiling
from lab.proc import need, run

PLUGIN = Path(__file__).with_name("cost_plugin.c")
QEMU = "qemu-system-x86_64"
HEADER = "lab-cost 2"
FUNCTIONS, PROFILE = "cost.functions", "cost.profile"
VERSION = re.compile(r"version (?P<major>\d+)\.(?P<minor>\d+)")

CONTEXTS = ("task", "peer", "softirq", "other", "hardirq", "tail", "idle")
"""Where instructions were executed: cost_context.h says which is which."""
COUNTED = CONTEXTS[:-1]
"""All but idle."""
SPACES = ("own-space", "other-spaces", "space-loads")
"""Instructions but idle ones in the address space the measured task began in, and in others; how often another was loaded."""
TOTALS = (*CONTEXTS, "rep", "faults", "irqs", "switches", "elsewhere", "anomalies", *SPACES)

SYSVECS = (
    *("error_interrupt", "spurious_apic_interrupt", "apic_timer_interrupt", "x86_platform_ipi", "reschedule_ipi", "reboot"),
    *("call_function_single", "call_function", "irq_work", "kvm_asyncpf_interrupt", "kvm_posted_intr_ipi", "thermal"),
    *("kvm_posted_intr_wakeup_ipi", "kvm_posted_intr_nested_ipi", "threshold", "deferred_error", "posted_msi_notification"),
    *("hyperv_callback", "hyperv_reenlightenment", "hyperv_stimer0", "acrn_hv_callback", "xen_hvm_callback"),
)
EXCEPTIONS = (
    *("divide_error", "overflow", "bounds", "device_not_available", "coproc_segment_overrun", "spurious_interrupt_bug"),
    *("coprocessor_error", "simd_coprocessor_error", "invalid_tss", "segment_not_present", "stack_segment", "nmi", "debug"),
    *("general_protection", "alignment_check", "invalid_op", "int3", "double_fault", "machine_check", "control_protection"),
    *("virtualization_exception", "vmm_communication"),
)
"""arch/x86/include/asm/idtentry.h of Linux 6.12: whichever the kernel has."""


class Lap(NamedTuple):
    """One operation: instructions in the measured task, its peers and the softirqs they ran; then what else happened."""

    task: int
    peer: int
    softirq: int
    rep: int
    """Further steps of REP string instructions in these three, each of which counted once."""
    beside: int
    """Instructions and REP steps in interrupts and other tasks."""
    faults: int
    """Page faults of instructions, each of which is executed and counted again; not those taken on the way to one."""
    idle: int

    @property
    def work(self) -> int:
        """Instructions of the operation itself."""
        return self.task + self.peer + self.softirq

    @property
    def clock(self) -> int:
        """What the guest's clock saw, one nanosecond an executed instruction."""
        return self.work + self.rep + self.beside - self.faults


@dataclass(frozen=True)
class Section:
    """What was executed between a start and a stop mark."""

    laps: tuple[Lap, ...]
    totals: dict[str, int]
    """By name in TOTALS."""

    @property
    def executed(self) -> int:
        """Every executed instruction, idle excluded."""
        return sum(self.totals[name] for name in COUNTED)


@dataclass(frozen=True)
class Sections:
    """The plugin's output in order of the ordinals, and why it cannot be trusted."""

    sections: tuple[Section, ...]
    problems: tuple[str, ...]


def parse_cost(text: str) -> Sections:
    """Parse cost.out (format: head of cost_plugin.c). Anything unexpected, a section without its end included, is a problem."""
    lines = text.splitlines()
    if not lines or lines[0] != HEADER:
        return Sections((), ("the plugin's output is missing or of another version",))
    problems = [] if text.endswith("\n") else ["the plugin's output is cut off"]
    sections: list[Section] = []
    laps: list[Lap] | None = None
    for line in lines[1:]:
        words = line.split(" ")
        try:
            if words[0] == "section" and laps is None and words[1:] == [str(len(sections))]:
                laps = []
            elif words[0] == "lap" and laps is not None:
                laps.append(_lap(words))
            elif words[0] == "end" and laps is not None:
                sections.append(_section(words, len(sections), tuple(laps)))
                laps = None
            else:
                raise ValueError
        except ValueError:
            problems.append(f"the plugin's output has the line `{line[:80]}` where it makes no sense")
            break
    if laps is not None:
        problems.append(f"section {len(sections)} has no end")
    problems += [problem for number, section in enumerate(sections) for problem in _doubts(number, section)]
    return Sections(tuple(sections), tuple(problems))


def _lap(words: list[str]) -> Lap:
    if len(words) != 1 + len(Lap._fields):
        raise ValueError
    return Lap(*(int(word) for word in words[1:]))


def _section(words: list[str], ordinal: int, laps: tuple[Lap, ...]) -> Section:
    if tuple(words[2::2]) != ("laps", *TOTALS) or words[1] != str(ordinal) or int(words[3]) != len(laps):
        raise ValueError
    return Section(laps, dict(zip(TOTALS, (int(word) for word in words[5::2]), strict=True)))


def _doubts(number: int, section: Section) -> list[str]:
    """What makes a whole section void."""
    doubts = []
    if not section.laps:
        doubts.append(f"section {number} has no laps")
    if anomalies := section.totals["anomalies"]:
        doubts.append(f"section {number}: the plugin lost track of the context {anomalies} times")
    if (spaces := section.totals["own-space"] + section.totals["other-spaces"]) != section.executed:
        doubts.append(f"section {number}: {spaces} instructions by address space, {section.executed} by context")
    if section.totals["elsewhere"] * 100 > section.executed:
        doubts.append(f"section {number}: other vCPUs were busy ({section.totals['elsewhere']} instructions); exact needs one")
    return doubts


def cost_instrument(
    cache: Cache, symbols: Symbols, directory: Path, functions: Sequence[Function] = (), profiling: Profiling = PLAIN
) -> Instrument:
    """The plugin for the QEMU that is there and this kernel; writes `directory`/cost.symbols, QEMU writes `directory`/cost.out.

    With `functions`, ascending and apart, it also writes PROFILE: what was executed by function and call path, and what
    `profiling` asks for.
    Raises HostError (no QEMU, a kernel without the symbols), PayloadError (the plugin does not compile).
    """
    plugin = shared_object(cache, PLUGIN, [f"-DLAB_API={plugin_api(qemu_version())}"])
    places, output = directory / "cost.symbols", directory / "cost.out"
    places.write_text(places_of(symbols), encoding="ascii")
    files = {"symbols": places, "out": output}
    if functions:
        files |= {"functions": directory / FUNCTIONS, "profile": directory / PROFILE}
        lines = (f"{function.first:x} {function.end:x} {function.name}\n" for function in functions)
        files["functions"].write_text("".join(lines), encoding="utf-8")
    argument = ",".join([f"{key}={_comma(path)}" for key, path in files.items()] + [*_asked(profiling)] * bool(functions))
    return Instrument(("-plugin", f"{_comma(plugin)},{argument}"), output)


def _asked(profiling: Profiling) -> Iterator[str]:
    if shapes := profiling.caches:
        sizes = (f"{one.kib << 10}:{one.ways}:{shapes.line}" for one in (shapes.i1, shapes.d1, shapes.ll))
        yield f"caches={':'.join(sizes)}"
    if profiling.addresses:
        yield "addresses=on"


def qemu_version() -> tuple[int, int]:
    """Major and minor version of QEMU. Raises HostError."""
    said = run([need(QEMU, "run guests"), "--version"], deadline=Deadline.after(20)).stdout
    match = VERSION.search(said)
    if match is None:
        raise HostError(f"`{QEMU} --version` names no version: {said.splitlines()[:1]}", hint="./inv doctor")
    return int(match["major"]), int(match["minor"])


def plugin_api(version: tuple[int, int]) -> int:
    """The plugin interface of a QEMU: 1 until 8.x, scoreboards (2) in 9.0, instruction bytes by copy (3) since 9.1."""
    if version < (9, 0):
        return 1
    return 2 if version < (9, 1) else 3


def places_of(symbols: Symbols) -> str:
    """The plugin's `symbols=` file: lines of place, first address, end. Raises HostError when a kernel lacks what it needs."""
    try:
        required = [
            ("fault", *symbols.extent("asm_exc_page_fault")),
            ("irq", *symbols.extent("asm_sysvec_apic_timer_interrupt")),
            ("stubs", *symbols.extent("irq_entries_start")),
            ("touser", *symbols.extent("swapgs_restore_regs_and_return_to_usermode")),
            ("entry", symbols.address("__entry_text_start"), symbols.address("__entry_text_end")),
            ("switch", *symbols.extent("__switch_to_asm")),
            ("softirqs", *symbols.extent("handle_softirqs")),
            ("idle", *symbols.extent("do_idle")),
            ("syscall", *symbols.extent("entry_SYSCALL_64")),
            ("forked", *symbols.extent("ret_from_fork_asm")),
            ("birth", *symbols.extent("copy_thread")),
            ("space", *symbols.extent("switch_mm_irqs_off")),
        ]
    except KeyError as error:
        raise HostError(
            f"System.map has no {error}: the plugin cannot tell contexts apart in this kernel", hint="use a guest in another mode"
        ) from error
    optional = [("stubs", "spurious_entries_start"), ("thunk", "__x86_return_thunk"), ("exec", "begin_new_exec")]
    optional += [("irq", f"asm_sysvec_{name}") for name in SYSVECS if name != "apic_timer_interrupt"]
    optional += [("exception", f"asm_exc_{name}") for name in EXCEPTIONS]
    found = [*required, *((place, *extent) for place, name in optional if (extent := _extent(symbols, name)))]
    return "".join(f"{place} {first:x} {end:x}\n" for place, first, end in found)


def _extent(symbols: Symbols, name: str) -> tuple[int, int] | None:
    try:
        return symbols.extent(name)
    except KeyError:
        return None


def _comma(path: Path) -> str:
    """QEMU's option syntax doubles commas."""
    return str(path).replace(",", ",,")
