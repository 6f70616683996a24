"""TCG plugins of these tests: compiled, and told of the addresses of a series' own code."""

from __future__ import annotations

import subprocess
from array import array
from collections.abc import Iterable
from pathlib import Path

from coverage import Row

HERE = Path(__file__).parent
FAR = 0x1000
"""Bytes without a row between two parts of a kernel's image, as .text and .init.text."""


def plugin_argument(name: str, low: int, high: int, into: Path, **words: int) -> str:
    """What --qemu-arg takes to run NAME_plugin.c on low <= address < high; it writes into the directory."""
    plugin = into / f"{name}.so"
    argv = ["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-DLAB_API=1"]
    subprocess.run([*argv, "-o", plugin, HERE / f"{name}_plugin.c"], check=True)
    more = "".join(f",{word}={value}" for word, value in words.items())
    return f"-plugin {plugin},low={low:x},high={high:x},into={into}{more}"


def span(table: Iterable[Row]) -> tuple[int, int]:
    """The lowest address of all rows, and the first one after them."""
    addresses = [row.address for row in table]
    return min(addresses), max(addresses) + 1


def body(table: Iterable[Row]) -> tuple[int, int]:
    """As span(), of the part with most rows: what runs again and again is together, what starts up is elsewhere."""
    parts: list[list[Row]] = [[]]
    for row in sorted(table, key=lambda row: row.address):
        if parts[-1] and row.address - parts[-1][-1].address > FAR:
            parts.append([])
        parts[-1].append(row)
    longest = max(parts, key=len)
    return span(longest)


def delays(into: Path) -> list[int]:
    """How often each vCPU that delay_plugin.c saw stood still, most first."""
    counts = [array("Q", path.read_bytes()) for path in into.glob("*.delays")]
    return sorted((count for one in counts for count in one if count), reverse=True)
