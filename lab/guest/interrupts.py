"""Whether a CPU of a guest takes interrupts: what its kernel counts of them, read from outside."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from lab.model.ports import Symbols

WORDS = 16
"""irq_cpustat_t (arch/x86/include/asm/hardirq.h) has up to 20 counters of 4 bytes."""
WORD = re.compile(r"0x([0-9a-f]{16})\b")
ADDRESSES = 1 << 64


async def interrupts(monitor: Callable[[str], Awaitable[str]], symbols: Symbols, cpu: int) -> tuple[str, ...]:
    """The counters of a CPU as hex words, through QEMU's human `monitor`; none where nobody can tell: no SMP, no such page."""
    try:
        counters, offsets = (symbols.extent(name)[0] for name in ("irq_stat", "__per_cpu_offset"))
    except KeyError:
        return ()
    base = WORD.findall(await monitor(f"x /1gx {offsets + 8 * cpu:#x}"))
    return tuple(WORD.findall(await monitor(f"x /{WORDS}gx {(counters + int(base[0], 16)) % ADDRESSES:#x}"))) if base else ()
