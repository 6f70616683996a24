"""When a guest counts as stalled, and which kind of stall it is, told from outside: registers, stack words, sysrq."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from lab.guest.interrupts import interrupts
from lab.model.outcome import Finding
from lab.model.ports import Symbols

SAMPLES = 5
SAMPLE_GAP_S = 0.2
"""For each CPU: one thread of TCG runs them in turn, 0.1 s each, and a CPU that did not run between samples looks stuck."""
IDLE_SHARE = 0.05
"""A guest that takes less of a CPU than this, and would not have got more, sleeps."""
INTERRUPT_FLAG = 0x200
SYSRQ_LIMIT_S = 20.0
SYSRQ_QUIET_S = 1.0

CPU = re.compile(r"CPU#(\d+)(.*?)(?=CPU#|\Z)", re.DOTALL)
TASK = re.compile(r"task:(?P<name>\S.*?)\s+state:(?P<state>\S).*?\bpid:(?P<pid>\d+)")
STAMP = re.compile(r"^\[\s*\d+\.\d+(?:\]\[\s*[TC]\d+)?\] ?")
FRAME = re.compile(r"^\s*(\? )?(?P<function>[\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+")
WAITING = re.compile(
    r"^(__|___)?(schedule|preempt_schedule|io_schedule|wait_for_c|wait_for_common|wait_woken|mutex_lock|rwsem_down|rt_mutex|down|msleep|usleep"
    r"|context_switch|read_hpet|delay|const_udelay|udelay|ndelay|_raw_spin|do_wait_intr|cond_resched|hrtimer_nanosleep|do_nanosleep|pv_native_safe_halt)"
)


@dataclass(frozen=True)
class Effort:
    """What QEMU has had of the host so far: CPU seconds, seconds spent runnable without a CPU, and when this was read."""

    cpu_s: float
    starved_s: float
    at: float


@dataclass(frozen=True)
class Silence:
    """No sign of progress for too long: a guest that runs or one that sleeps, and how long in words."""

    kind: Literal["busy", "asleep"]
    text: str


@dataclass(frozen=True)
class Pace:
    """How long a guest may show no sign of progress: QEMU's own CPU seconds when it is busy, host seconds when it sleeps."""

    busy_s: float
    idle_s: float
    ends: bool = True
    """Whether silence alone ends the guest; False: only a diagnosis that proves it stuck does (a payload may be silent)."""

    def exceeded(self, before: Effort, now: Effort) -> Silence | None:
        """Whether this is too long. A loaded or suspended host is neither busy nor asleep."""
        cpu, host = now.cpu_s - before.cpu_s, now.at - before.at
        if cpu >= self.busy_s:
            return Silence("busy", f"no sign of progress in {cpu:.0f} CPU seconds of QEMU")
        if host >= self.idle_s and cpu + now.starved_s - before.starved_s < IDLE_SHARE * host:
            return Silence("asleep", f"no sign of progress in {host:.0f} s, of which QEMU used {cpu:.1f} s of CPU time")
        return None


class Probe(Protocol):
    """What a diagnosis may ask of a running guest."""

    async def monitor(self, line: str) -> str:
        """The answer of QEMU's human monitor."""
        ...

    async def sysrq(self, key: str, quiet_s: float, limit_s: float) -> str:
        """What the kernel prints for a sysrq key; empty when it does not react."""
        ...

    def heard(self) -> int:
        """Bytes the console has said so far."""
        ...

    def last_milestone(self) -> str:
        """The newest milestone."""
        ...


@dataclass(frozen=True)
class Diagnosis:
    """Which kind of stall."""

    shape: str
    """irqs-off, blocked, deaf, spin, not-ready."""
    title: str
    function: str = ""
    stack: tuple[str, ...] = ()
    stuck: bool = True
    """Whether this state cannot end by itself."""

    def finding(self, verdict: str, console: tuple[str, ...]) -> Finding:
        """The report's form of it: why it counts as stalled, the decoded stack, the last console lines."""
        detail = (verdict, *self.stack, "last console lines:", *(f"  {line}" for line in console))
        print_ = ":".join(part for part in ("stall", self.shape, self.function) if part)
        return Finding(kind="stall", title=self.title, fingerprint=print_, detail=detail)


@dataclass(frozen=True)
class CpuState:
    """One CPU as `info registers` shows it."""

    number: int
    rip: int
    rsp: int
    flags: int
    level: int
    halted: bool

    @property
    def deaf(self) -> bool:
        """In the kernel with interrupts off, and not just waiting for one."""
        return self.level == 0 and not self.flags & INTERRUPT_FLAG and not self.halted


@dataclass(frozen=True)
class Task:
    """One task as sysrq w or t shows it."""

    name: str
    state: str
    pid: int
    trace: tuple[str, ...]

    @property
    def label(self) -> str:
        """Name and pid; the kernel calls its first process swapper/0 until it has become /init."""
        return f"{'init' if self.pid == 1 else self.name} (pid {self.pid})"

    @property
    def place(self) -> str:
        """The function it waits in, below the scheduler's own."""
        found = [match["function"] for line in self.trace if (match := FRAME.match(line)) and not match[1]]
        return next((name for name in found if not WAITING.match(name)), found[0] if found else "?")


def effort_of(pid: int) -> Effort | None:
    """Read /proc/PID/stat (fields 14 and 15) and the threads' schedstat (field 2: ns waited for a CPU); None when it is gone."""
    process = Path("/proc") / str(pid)
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        waits = [int((task / "schedstat").read_text().split()[1]) for task in (process / "task").iterdir()]
    except (OSError, IndexError):
        return None
    ticks = int(fields[11]) + int(fields[12])
    return Effort(ticks / os.sysconf("SC_CLK_TCK"), sum(waits) / 1e9, time.monotonic())


def parse_registers(text: str) -> list[CpuState]:
    """The CPUs in the output of `info registers -a` (x86-64)."""
    found = []
    for number, block in CPU.findall(text):
        values = {key: re.search(rf"\b{key}\s*=([0-9a-f]+)", block) for key in ("RIP", "RSP", "RFL", "CPL", "HLT")}
        rip, rsp, flags, level, halted = (int(match[1], 16) if match else 0 for match in values.values())
        if values["RIP"]:
            found.append(CpuState(int(number), rip, rsp, flags, level, bool(halted)))
    return found


def parse_tasks(text: str) -> list[Task]:
    """The tasks in what sysrq w or t printed."""
    tasks: list[Task] = []
    lines = [STAMP.sub("", line.rstrip("\r")) for line in text.splitlines()]
    starts = [number for number, line in enumerate(lines) if TASK.search(line)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=False):
        head = TASK.search(lines[start])
        assert head is not None
        trace = tuple(line for line in lines[start + 1 : end] if FRAME.match(line))
        tasks.append(Task(head["name"], head["state"], int(head["pid"]), trace))
    return tasks


async def diagnose(probe: Probe, symbols: Symbols, *, passive: bool = False) -> Diagnosis:
    """Look at a guest that shows no progress: its registers first, which does not disturb it; then, unless `passive`, sysrq."""
    seen, deaf = await _looks(probe, symbols)
    if deaf:
        return await _deaf_cpu(probe, symbols, deaf)
    if passive:
        return Diagnosis("busy", "the guest is silent, but its interrupts work", stuck=False)
    busy = [states for states in seen if not any(state.halted for state in states)]
    blocked = await probe.sysrq("w", SYSRQ_QUIET_S, SYSRQ_LIMIT_S)
    if not blocked:
        return _unresponsive(symbols, busy)
    tasks = parse_tasks(blocked)
    if stuck := [task for task in tasks if task.state == "D"]:
        return _blocked(stuck)
    for states in busy:
        if all(state.level == 0 for state in states):
            return await _spinning(probe, symbols, states)
    return await _not_ready(probe, busy=bool(busy))


async def _looks(probe: Probe, symbols: Symbols) -> tuple[list[tuple[CpuState, ...]], tuple[CpuState, ...]]:
    """The samples of each CPU, and those of one that was deaf all the time, or none.

    Where QEMU lets itself be asked is no place at random: a live kernel that sets timers all the time is found at that, with
    interrupts off. One that counts an interrupt meanwhile, or says something, is not deaf.
    """
    heard = probe.heard()
    seen: list[list[CpuState]] = []
    taken: dict[int, tuple[str, ...]] = {}
    for _ in range(SAMPLES):
        seen.append(parse_registers(await probe.monitor("info registers -a")))
        for state in seen[-1]:
            if state.number not in taken:
                taken[state.number] = await interrupts(probe.monitor, symbols, state.number)
        await asyncio.sleep(SAMPLE_GAP_S * len(seen[-1]))
    cpus = list(zip(*seen, strict=False))
    for states in cpus:
        cpu = states[0].number
        deaf = all(state.deaf for state in states) and taken[cpu] == await interrupts(probe.monitor, symbols, cpu)
        if deaf and probe.heard() == heard:
            return cpus, states
    return cpus, ()


async def _deaf_cpu(probe: Probe, symbols: Symbols, states: tuple[CpuState, ...]) -> Diagnosis:
    stack = await _stack(probe, symbols, states[-1])
    function = _function(symbols, states, stack)
    title = f"CPU {states[0].number} spins in {function}() with interrupts off"
    return Diagnosis("irqs-off", title, function, tuple(stack))


def _unresponsive(symbols: Symbols, busy: list[tuple[CpuState, ...]]) -> Diagnosis:
    if busy:
        function = _function(symbols, busy[0], [])
        title = f"CPU {busy[0][0].number} is busy in {function}() and the kernel does not react to sysrq"
        return Diagnosis("deaf", title, function)
    return Diagnosis("deaf", "every CPU is idle and the kernel does not react to sysrq: it waits for something that never comes")


def _blocked(tasks: list[Task]) -> Diagnosis:
    first = min(tasks, key=lambda task: task.pid)
    stack = [line for task in tasks for line in (f"{task.label} state {task.state}", *task.trace)]
    title = f"{first.label} is in D state in {first.place}()"
    return Diagnosis("blocked", title, first.place, tuple(stack))


async def _spinning(probe: Probe, symbols: Symbols, states: tuple[CpuState, ...]) -> Diagnosis:
    stack = await _stack(probe, symbols, states[-1])
    function = _function(symbols, states, stack)
    title = f"CPU {states[0].number} spins in {function}() with interrupts on"
    return Diagnosis("spin", title, function, tuple(stack), stuck=False)


async def _not_ready(probe: Probe, *, busy: bool) -> Diagnosis:
    listing = parse_tasks(await probe.sysrq("t", SYSRQ_QUIET_S, SYSRQ_LIMIT_S))
    init = next((task for task in listing if task.pid == 1), None)
    users = [task for task in listing if task.pid == 1 or any("do_syscall" in line for line in task.trace)]
    shown = [line for task in users[-4:] for line in (f"{task.label} state {task.state}", *task.trace)]
    state = "is busy" if busy else f"waits in {init.place}()" if init else "is gone"
    child = f", {users[-1].label} waits in {users[-1].place}()" if len(users) > 1 and not busy else ""
    title = f"user land never became ready: init (pid 1) {state}{child}, last milestone: {probe.last_milestone()}"
    return Diagnosis("not-ready", title, users[-1].place if child else "", tuple(shown), stuck=False)


async def _stack(probe: Probe, symbols: Symbols, state: CpuState) -> list[str]:
    """Where it is, then the return addresses among the words on its stack: some may be stale, like the kernel's own `?` lines."""
    words = await probe.monitor(f"x /96gx {state.rsp:#x}")
    frames = [_frame(symbols, int(address, 16)) for address in re.findall(r"0x(ffffffff[0-9a-f]{8})\b(?!:)", words)]
    return [f" {_frame(symbols, state.rip) or hex(state.rip)}", *(f" ? {frame}" for frame in frames if frame)][:24]


def _frame(symbols: Symbols, address: int) -> str:
    """`func+0xoff/0xlen` as the kernel writes it; nothing for an address that is no place in a function."""
    name, _, offset = symbols.nearest(address).partition("+")
    try:
        start, end = symbols.extent(name)
    except KeyError:
        return ""
    return f"{name}+{offset}/{end - start:#x}" if offset not in ("", "0x0") else ""


def _function(symbols: Symbols, states: tuple[CpuState, ...], stack: list[str]) -> str:
    """The function most samples are in; when that is a delay or a lock, the first caller that is not."""
    names = Counter(symbols.nearest(state.rip).partition("+")[0] for state in states)
    name = names.most_common(1)[0][0]
    callers = [line.strip(" ?").partition("+")[0] for line in stack[1:]]
    return next((caller for caller in callers if not WAITING.match(caller)), name) if WAITING.match(name) else name
