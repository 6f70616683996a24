"""What a guest died of, from everything it left: the watcher's word, QEMU's status, the console."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lab.errors import BootTimeout, GuestError, LostGuest
from lab.formats.klog import parse_klog
from lab.guest.watch import End
from lab.model.outcome import Finding
from lab.model.ports import Symbols

TAIL = 12
DULL = re.compile(r"\s*$|\s*</?TASK>|R[A-Z0-9]{2}: |RSP: |RIP: 0033:|Code: |\s*\? |[FC]S: |CR2: |Modules linked in:|---|PKRU")
"""Lines of a splat that a message does without; the finding and the log have them."""


@dataclass(frozen=True)
class Remains:
    """Where to look."""

    console: Path
    stderr: Path
    symbols: Symbols

    def splats(self) -> tuple[Finding, ...]:
        """What the kernel's log on the console complains of, with decoded stacks; an unreadable log is a finding."""
        text = read_text(self.console)
        if "Linux version" not in text:
            gap = f"the console log holds no kernel log ({len(text)} characters)"
            return (Finding("log-gap", gap, "log-gap:console", fatal=False),)
        return decoded(parse_klog(text, "console"), self.symbols)

    def last_lines(self, count: int = TAIL) -> str:
        """The console's last lines, indented."""
        lines = [line for line in read_text(self.console).splitlines() if line.strip()]
        return "\n".join(f"    {line}" for line in lines[-count:])

    def complaint(self) -> str:
        """What QEMU wrote to its standard error."""
        return "\n".join(f"    {line}" for line in read_text(self.stderr).splitlines()[-TAIL:])


def read_text(path: Path) -> str:
    """A guest's text, decoded once; nothing when the file is not there."""
    return path.read_text(encoding="utf-8", errors="backslashreplace") if path.is_file() else ""


def decoded(findings: Iterable[Finding], symbols: Symbols) -> tuple[Finding, ...]:
    """The findings with file and line in their stacks."""
    return tuple(replace(found, detail=tuple(symbols.decode(list(found.detail)))) for found in findings)


def died(end: End, status: int | None, reason: str, remains: Remains, doing: str) -> GuestError:
    """The error for a guest that is over; `status` is QEMU's, `reason` that of its SHUTDOWN event, `doing` what was under way."""
    if end.kind == "stall":
        return _stalled(end, remains, doing)
    splats = [found for found in remains.splats() if found.kind != "log-gap"]
    worst = next((found for found in splats if found.kind == "panic"), splats[0] if splats else None)
    if end.kind == "failed":
        found = Finding("init", f"the guest's init gave up: {end.text}", f"init:{end.text}")
        return GuestError(_say(found, doing, remains), log=remains.console, finding=worst or found)
    if worst is not None and (end.kind == "panic" or worst.fatal or reason.startswith("guest")):
        return GuestError(_say(worst, doing, remains), log=remains.console, finding=worst)
    if reason.startswith("guest") and reason != "guest-panic":
        found = Finding("reset", f"the guest ended itself ({reason}) without a panic", f"reset:{reason}")
        return GuestError(_say(found, doing, remains), log=remains.console, finding=found)
    if end.kind == "panic":
        found = Finding("panic", "the kernel panicked", "panic:")
        return GuestError(_say(found, doing, remains), log=remains.console, finding=found)
    said = remains.complaint()
    lines = [f"QEMU {_meaning(status)} {doing}", *([f"it said:\n{said}"] if said else [])]
    if last := remains.last_lines(5):
        lines.append(f"last console lines:\n{last}")
    hint = "a fault of the host or the emulator, not of the kernel"
    return LostGuest("\n".join(lines), log=remains.console, finding=worst, hint=hint)


def _stalled(end: End, remains: Remains, doing: str) -> BootTimeout:
    assert end.finding is not None
    (found,) = decoded([end.finding], remains.symbols)
    return BootTimeout(_say(found, doing, remains), log=remains.console, finding=found)


def _say(found: Finding, doing: str, remains: Remains) -> str:
    telling = [line for line in found.detail if line.strip() != found.title and not DULL.match(line)]
    lines = [f"{found.kind} {doing}: {found.title}", *(f"    {line}" for line in telling[:40])]
    if not telling:
        lines.append(f"last console lines:\n{remains.last_lines()}")
    return "\n".join(lines)


def _meaning(status: int | None) -> str:
    if status is None:
        return "went away"
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
