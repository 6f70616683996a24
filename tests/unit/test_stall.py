from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field

import pytest
from fakeguest import FakeSymbols

from lab.guest import stall
from lab.guest.stall import Effort, Pace, diagnose, effort_of, parse_registers, parse_tasks

PACE = Pace(busy_s=10, idle_s=20)
START = Effort(cpu_s=100, starved_s=0, at=1000)


def exceeded(cpu: float, starved: float, host: float) -> str:
    silence = PACE.exceeded(START, Effort(START.cpu_s + cpu, START.starved_s + starved, START.at + host))
    return silence.kind if silence else ""


@pytest.mark.parametrize(
    ("cpu", "starved", "host", "kind"),
    [
        (9.9, 0, 11, ""),
        (10, 0, 11, "busy"),
        (10, 500, 600, "busy"),
        (0.5, 0, 19, ""),
        (0.5, 0, 20, "asleep"),
        (0.5, 15, 20, ""),  # the host is loaded: QEMU would have run
        (5, 0, 60, ""),  # slow, not asleep
    ],
)
def test_silence_is_measured_in_what_qemu_got_and_not_in_what_passed(cpu: float, starved: float, host: float, kind: str) -> None:
    assert exceeded(cpu, starved, host) == kind


def test_effort_is_read_from_proc() -> None:
    mine = effort_of(os.getpid())
    assert mine is not None
    assert mine.cpu_s > 0
    assert effort_of(2**22 + 1) is None


REGISTERS = """
CPU#0
RAX=0000000000000000 RBX=ffff88803e600000 RCX=0000000000000000 RDX=00000000000003e8
RSI=000000000000f424 RDI=0000000000000380 RBP=ffff88803e61aac0 RSP=ffff88800088fed0
RIP=ffffffff824579dc RFL=00000283 [--S---C] CPL=0 II=0 A20=1 SMM=0 HLT=0
CPU#1
RSP=ffff88800088fed0
RIP=ffffffff81000000 RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1
"""


def test_registers_are_read_per_cpu() -> None:
    first, second = parse_registers(REGISTERS)
    assert (first.number, first.rip, first.rsp, first.halted, first.deaf) == (
        0,
        0xFFFFFFFF824579DC,
        0xFFFF88800088FED0,
        False,
        False,
    )
    assert (second.number, second.halted, second.deaf) == (1, True, False)


def test_a_cpu_in_the_kernel_with_interrupts_off_is_deaf() -> None:
    (cpu,) = parse_registers("CPU#0\nRIP=ffffffff81000000 RFL=00000046 [] CPL=0 HLT=0\nRSP=0")
    assert cpu.deaf
    (user,) = parse_registers("CPU#0\nRIP=0000000000400000 RFL=00000046 [] CPL=3 HLT=0\nRSP=0")
    assert not user.deaf


def test_what_does_not_read_is_no_cpu() -> None:
    assert parse_registers("") == []
    assert parse_registers("CPU#0\nnothing here") == []


BLOCKED = """\
[   21.103232] sysrq: Show Blocked State
[   21.103941] task:swapper/0       state:D stack:0     pid:1     tgid:1     ppid:0      flags:0x00004000
[   21.104542] Call Trace:
[   21.104700]  <TASK>
[   21.104846]  __schedule+0x347/0x850
[   21.105087]  schedule+0x20/0xb0
[   21.105293]  schedule_timeout+0x10c/0x120
[   21.105551]  ? __lock_text_start+0x10/0x20
[   21.105800]  __wait_for_common+0x8a/0x180
[   21.106060]  kernel_init+0x61/0x1a0
[   21.106293]  ret_from_fork+0x2d/0x50
[   21.106528]  </TASK>
"""


def test_a_task_waits_below_the_schedulers_own_functions() -> None:
    (task,) = parse_tasks(BLOCKED)
    assert (task.state, task.pid, task.place, task.label) == ("D", 1, "kernel_init", "init (pid 1)")
    assert parse_tasks("[ 1.0] sysrq: Show Blocked State\n") == []


@dataclass
class FakeProbe:
    registers: str
    answers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    said: int = 0
    talks: bool = False

    async def monitor(self, line: str) -> str:
        self.asked.append(line)
        return self.registers if line.startswith("info registers") else "ffff888000000000: 0xffffffff81000110 0x0000000000000000"

    async def sysrq(self, key: str, quiet_s: float, limit_s: float) -> str:
        self.asked.append(key)
        return self.answers.get(key, "")

    def heard(self) -> int:
        self.said += self.talks
        return self.said

    def last_milestone(self) -> str:
        return "init"


SPINNING = "CPU#0\nRSP=ffff888000000000\nRIP=ffffffff81000100 RFL=00000{flags} [] CPL=0 HLT=0\n"
IDLE = "CPU#0\nRSP=ffff888000000000\nRIP=ffffffff81000100 RFL=00000246 [] CPL=0 HLT=1\n"
EMPTY = "[ 1.0] sysrq: Show Blocked State\n"
SLEEPER = "[ 1.0] task:init  state:S stack:0 pid:1 tgid:1\n[ 1.0]  do_wait+0x1/0x2\n[ 1.0]  do_syscall_64+0x1/0x2\n"
CHILD = "[ 1.0] task:dropbear  state:S stack:0 pid:51 tgid:51\n[ 1.0]  inet_listen+0x1/0x2\n[ 1.0]  do_syscall_64+0x1/0x2\n"


def seen(probe: FakeProbe, monkeypatch: pytest.MonkeyPatch, *, passive: bool = False) -> stall.Diagnosis:
    monkeypatch.setattr(stall, "SAMPLE_GAP_S", 0)
    return asyncio.run(diagnose(probe, FakeSymbols(), passive=passive))


def test_a_loop_with_interrupts_off(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = FakeProbe(SPINNING.format(flags="046"))
    found = seen(probe, monkeypatch)
    assert found.title == "CPU 0 spins in fake_spin() with interrupts off"
    assert found.stack == (" fake_spin+0x100/0x200", " ? fake_spin+0x110/0x200")
    assert found.stuck
    assert "w" not in probe.asked, "a deaf CPU hears no sysrq"


def test_the_second_cpu_of_a_guest_is_looked_at_like_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    second = SPINNING.format(flags="046").replace("CPU#0", "CPU#1")
    assert seen(FakeProbe(IDLE + second), monkeypatch).title == "CPU 1 spins in fake_spin() with interrupts off"
    user = IDLE.replace("HLT=1", "HLT=0").replace("CPL=0", "CPL=3")
    spinning = FakeProbe(user + second.replace("046", "246"), {"w": EMPTY})
    assert seen(spinning, monkeypatch).title == "CPU 1 spins in fake_spin() with interrupts on"


def test_between_looks_each_cpu_gets_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    gaps: list[float] = []

    async def slept(seconds: float) -> None:
        gaps.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", slept)
    cpus = "".join(IDLE.replace("CPU#0", f"CPU#{number}") for number in range(8))
    asyncio.run(diagnose(FakeProbe(cpus), FakeSymbols(), passive=True))
    assert gaps == [8 * stall.SAMPLE_GAP_S] * stall.SAMPLES


def test_a_console_that_talks_is_not_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(FakeProbe(SPINNING.format(flags="046"), talks=True), monkeypatch).shape != "irqs-off"


class PerCpu(FakeSymbols):
    """A kernel that counts each CPU's interrupts."""

    def address(self, name: str) -> int:
        return {"irq_stat": 0x2BC80, "__per_cpu_offset": 0xFFFFFFFF81C2F900}.get(name) or super().address(name)


class Counting(FakeProbe):
    """Its second CPU takes interrupts, and the first one none."""

    async def monitor(self, line: str) -> str:
        if line == "x /1gx 0xffffffff81c2f900":
            return "ffffffff81c2f900: 0xffff88803e600000"
        if line == "x /1gx 0xffffffff81c2f908":
            return "ffffffff81c2f908: 0xffff88803e700000"
        if line == "x /16gx 0xffff88803e62bc80":
            return "ffff88803e62bc80: 0x0000000700000000 0x0000000000000000"
        if line == "x /16gx 0xffff88803e72bc80":
            self.said += 1
            return f"ffff88803e72bc80: 0x0000000700000000 0x{self.said:016x}"
        return await super().monitor(line)


def test_a_cpu_that_counts_interrupts_is_not_deaf_however_often_it_is_found_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall, "SAMPLE_GAP_S", 0)
    first, second = (SPINNING.format(flags="046").replace("CPU#0", f"CPU#{number}") for number in (0, 1))

    async def look(registers: str) -> stall.Diagnosis:
        probe = Counting(registers)
        probe.heard = lambda: 0  # type: ignore[method-assign]  # what it counts is not what it says
        return await diagnose(probe, PerCpu(), passive=True)

    assert not asyncio.run(look(IDLE + second)).stuck
    assert asyncio.run(look(first + second)).title == "CPU 0 spins in fake_spin() with interrupts off"


def test_a_loop_with_interrupts_on(monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(FakeProbe(SPINNING.format(flags="246"), {"w": EMPTY}), monkeypatch)
    assert found.title == "CPU 0 spins in fake_spin() with interrupts on"


def test_init_in_d_state(monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(FakeProbe(IDLE, {"w": BLOCKED}), monkeypatch)
    assert found.title == "init (pid 1) is in D state in kernel_init()"
    assert found.finding("why", ("last",)).fingerprint == "stall:blocked:kernel_init"


def test_user_land_that_never_became_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(FakeProbe(IDLE, {"w": EMPTY, "t": SLEEPER + CHILD}), monkeypatch)
    expected = "user land never became ready: init (pid 1) waits in do_wait(), dropbear (pid 51) waits in inet_listen()"
    assert found.title == f"{expected}, last milestone: init"
    assert "init (pid 1) is gone" not in found.title


def test_a_dead_init_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "init (pid 1) is gone" in seen(FakeProbe(IDLE, {"w": EMPTY}), monkeypatch).title


def test_a_kernel_that_does_not_react(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "does not react to sysrq" in seen(FakeProbe(IDLE), monkeypatch).title
    assert "is busy in fake_spin()" in seen(FakeProbe(SPINNING.format(flags="246")), monkeypatch).title


def test_a_passive_look_asks_the_guest_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = FakeProbe(IDLE, {"w": BLOCKED})
    assert not seen(probe, monkeypatch, passive=True).stuck
    assert "w" not in probe.asked
