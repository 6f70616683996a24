"""What a guest died of, from everything it left: the watcher's word, QEMU's status, the console."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lab.errors import BootTimeout, GuestError, LostGuest
from lab.formats.klog import parse_klog, parse_kmsg, parse_taint
from lab.guest.watch import End
from lab.model.outcome import Finding
from lab.model.ports import Completed, Symbols

TAIL = 12
PRINTED = re.compile(r"^[0-6],\d+,\d+,[^;]*;([^\\\n]*[^\\\s])$", re.MULTILINE)
"""Records of /dev/kmsg that come from the kernel (facility 0) at a level that loglevel=7 shows on the console."""
DULL = re.compile(r"\s*$|\s*</?TASK>|R[A-Z0-9]{2}: |RSP: |RIP: 0033:|Code: |\s*\? |[FC]S: |CR2: |Modules linked in:|---|PKRU")
"""Lines of a splat that a message does without; the finding and the log have them."""


@dataclass(frozen=True)
class Remains:
    """Where to look."""

    console: Path
    stderr: Path
    symbols: Symbols

    def splats(self) -> tuple[Finding, ...]:
        """What the kernel complains of on the console, with decoded stacks."""
        return decoded(parse_klog(read_text(self.console), "console"), self.symbols)

    def findings(self, kmsg: Completed, marker: str) -> tuple[Finding, ...]:
        """Console and kmsg together, each complaint once. `kmsg`: /dev/kmsg up to `marker`, then sysctls tainted and printk."""
        records, mask, printk = (*kmsg.stdout.rstrip().rsplit("\n", 2), "", "")[:3]
        lines, gaps = parse_kmsg(records)
        ours = [line for line in lines if not line.endswith(marker)]
        found = [*self.splats(), *decoded(parse_klog("\n".join(ours), "kmsg"), self.symbols)]
        found += [_gap(f"kernel log: {gap}", "kmsg") for gap in gaps]
        if kmsg.status != 0 or not lines or not lines[-1].endswith(marker) or not mask.isdigit():
            found.append(_gap(f"the kernel log could not be read (status {kmsg.status}): {kmsg.stderr.strip()[:200]}", "unread"))
        elif taints := parse_taint(int(mask)):
            found.append(Finding("taint", f"the kernel is tainted: {taints}", f"taint:{mask}", fatal=False))
        if printk.startswith("7"):  # else somebody asked for a quiet console
            found += self._console_gaps(PRINTED.findall(records))
        return tuple({item.fingerprint: item for item in reversed(found)}.values())[::-1]

    def _console_gaps(self, printed: list[str]) -> list[Finding]:
        text = read_text(self.console)
        if "Linux version" not in text:
            return [_gap(f"the console log holds no kernel log ({len(text)} characters)", "console")]
        if printed and printed[-1] not in text:
            return [_gap(f"the console log lacks what the kernel printed last: {printed[-1]}", "console-end")]
        return []

    def last_lines(self, count: int = TAIL) -> str:
        """The console's last lines, indented."""
        lines = [line for line in read_text(self.console).splitlines() if line.strip()]
        return "\n".join(f"    {line}" for line in lines[-count:])

    def complaint(self) -> str:
        """What QEMU wrote to its standard error."""
        return "\n".join(f"    {line}" for line in read_text(self.stderr).splitlines()[-TAIL:])


def _gap(title: str, which: str) -> Finding:
    return Finding("log-gap", title, f"log-gap:{which}", fatal=False)


def read_text(path: Path) -> str:
    """A guest's text, decoded once; nothing when the file is not there."""
    return path.read_text(encoding="utf-8", errors="backslashreplace") if path.is_file() else ""


def decoded(findings: Iterable[Finding], symbols: Symbols) -> tuple[Finding, ...]:
    """The findings with file and line in their stacks."""
    return tuple(replace(found, detail=tuple(symbols.decode(list(found.detail)))) for found in findings)


def died(end: End, status: int | None, reason: str, remains: Remains, doing: str) -> GuestError:
    """The error for a guest that is over; `status` is QEMU's, `reason` that of its SHUTDOWN event, `doing` what was under way."""
    if end.kind == "fault":
        return LostGuest(f"the lab lost sight of the guest {doing}: {end.text}", log=remains.console)
    splats = remains.splats()
    worst = next((found for found in splats if found.fatal), splats[0] if splats else None)
    found = _cause(end, reason, worst)
    if found is None:
        return _lost(status, worst, remains, doing)
    (found,) = decoded([found], remains.symbols) if end.kind == "stall" else (found,)
    kind = BootTimeout if end.kind == "stall" else GuestError
    return kind(_say(found, doing, remains), log=remains.console, finding=found)


def _cause(end: End, reason: str, worst: Finding | None) -> Finding | None:
    """What the kernel did wrong; None: nothing that is known, the host or the emulator did it."""
    if end.kind == "stall":
        return end.finding
    by_guest = end.kind in ("panic", "oops", "failed") or reason.startswith("guest")
    if worst is not None and (worst.fatal or by_guest):
        return worst
    if end.kind == "failed":
        return Finding("init", f"the guest's init gave up: {end.text}", f"init:{end.text}")
    if end.kind == "panic":
        return Finding("panic", "the kernel panicked", "panic:")
    return Finding("reset", f"the guest ended itself ({reason}) without a panic", f"reset:{reason}") if by_guest else None


def _lost(status: int | None, worst: Finding | None, remains: Remains, doing: str) -> LostGuest:
    lines = [f"QEMU {_meaning(status)} {doing}"]
    if said := remains.complaint():
        lines.append(f"it said:\n{said}")
    if last := remains.last_lines(5):
        lines.append(f"last console lines:\n{last}")
    hint = "a fault of the host or the emulator, not of the kernel"
    return LostGuest("\n".join(lines), log=remains.console, finding=worst, hint=hint)


def _say(found: Finding, doing: str, remains: Remains) -> str:
    telling = [line for line in found.detail if line.strip() != found.title and (found.kind == "stall" or not DULL.match(line))]
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
