"""The host's time-stamp counter, which is that of a guest under TCG whose time is the host's."""

from __future__ import annotations

import ctypes
from pathlib import Path

from lab.cache import Cache, digest
from lab.cbuild import shared_object
from lab.guest.accel import BOOT_ID

SOURCE = Path(__file__).with_name("tsc.c")


def tsc_khz(cache: Cache) -> int:
    """Thousands of ticks a second, measured for 50 ms and kept per host boot. Raises HostError without a compiler.

    QEMU gives such a guest the host's counter as it is: cpu_get_ticks(), softmmu/cpu-timers.c of QEMU 7.2.
    """

    def fill(directory: Path) -> None:
        (directory / "khz").write_text(str(ctypes.CDLL(str(shared_object(cache, SOURCE, ()))).tsc_khz()), encoding="ascii")

    place = cache.get_or_make(
        "accel", digest("tsc", BOOT_ID.read_text(encoding="ascii"), SOURCE.read_text(encoding="ascii")), fill
    )
    return int((place / "khz").read_text(encoding="ascii"))
