"""What runs on behalf of a test: found by the test's directory in the command line."""

from __future__ import annotations

import select
import signal
from pathlib import Path


def named(tmp_path: Path) -> dict[int, str]:
    """Process id and command line of what names the test's directory."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(tmp_path) in line:
            found[int(process.name)] = line
    return found


def wait_until_gone(tmp_path: Path) -> None:
    """The kernel kills what was bound to the dead; that takes a moment, but no action of anybody."""
    for _ in range(400):
        if not named(tmp_path):
            return
        select.select([], [], [], 0.05)
    raise AssertionError(named(tmp_path))


def hear_interrupts() -> None:
    """What is started from now on hears Ctrl-C, also where a shell started the tests in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
