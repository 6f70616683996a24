"""One watcher per guest: an asyncio loop in one thread that ends every wait by whatever happens first."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from qemu.qmp import QMPClient, QMPError

from lab.deadline import Deadline
from lab.errors import LostGuest
from lab.guest.stall import Diagnosis, Effort, Pace, diagnose, effort_of
from lab.guest.tail import Tail
from lab.model.outcome import Finding, Milestone
from lab.model.ports import Symbols
from lab.proc import decode

T = TypeVar("T")
NEEDS: dict[str, str] = {}
TICK_S = 0.25
PANIC_GRACE_S, OOPS_GRACE_S = 10.0, 20.0
"""Host seconds to print a trace and reset; to finish after an oops: who waits for the task that had it waits for ever."""
DOOM = {b"Kernel panic - not syncing": ("panic", PANIC_GRACE_S), b"Oops: ": ("oops", OOPS_GRACE_S)}
DRAIN_S, GROWTH_S = 2.0, 0.02
LAST_LINES = 20
LOOK_S = 60.0


@dataclass(frozen=True)
class End:
    """Why nothing more is to be expected of the guest."""

    kind: str
    """exit: QEMU; panic, oops: the kernel; failed: init; stall: no progress; fault: the watcher itself."""
    text: str = ""
    finding: Finding | None = None


class Watch:
    """Watches QEMU's process, QMP, console and ready port. Methods are called from the thread that owns the guest."""

    def __init__(self, pid: int, *, qmp: socket.socket, ready: socket.socket, log: Path, console: Path, symbols: Symbols) -> None:
        self.started = time.monotonic()
        self.shutdown_reason = ""
        self.doom: set[str] = set()
        """What the console shows the kernel to have begun: panic, oops."""
        self._pid = pid
        self._ends = {"qmp": qmp, "ready": ready}
        self._tail = Tail(log)
        self._console = console
        self._symbols = symbols
        self._changed = threading.Condition()
        self._milestones = [Milestone("power-on", 0.0)]
        self._end: End | None = None
        self._on_end: list[Callable[[], None]] = []
        self._pace: Pace | None = None
        self._signs = 0
        self._client = QMPClient("lab")
        self._talking = asyncio.Event()
        self._over = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    # -- what the owner of the guest calls ------------------------------------------------------------------------

    @property
    def milestones(self) -> tuple[Milestone, ...]:
        """What was reached so far, in order."""
        with self._changed:
            return tuple(self._milestones)

    @property
    def end(self) -> End | None:
        """Why the guest is over, or None while it lives."""
        with self._changed:
            return self._end

    def reach(self, name: str) -> None:
        """Note a milestone, once."""
        with self._changed:
            if all(known.name != name for known in self._milestones):
                self._milestones.append(Milestone(name, round(time.monotonic() - self.started, 3)))
            self._signs += 1
            self._changed.notify_all()

    def wait(self, name: str, deadline: Deadline) -> bool:
        """Wait for a milestone, or the end. False: neither came before the deadline."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._end is not None or any(known.name == name for known in self._milestones), deadline.remaining
            )

    def wait_end(self, deadline: Deadline) -> End | None:
        """Wait for the end of the guest."""
        with self._changed:
            self._changed.wait_for(lambda: self._end is not None, deadline.remaining)
            return self._end

    def on_end(self, callback: Callable[[], None]) -> None:
        """Have `callback` called (from the watcher's thread) when the guest is over, at once if it is."""
        with self._changed:
            self._on_end.append(callback)
            over = self._end is not None
        if over:
            callback()

    def sign_of_life(self) -> None:
        """A heartbeat: the guest's user land did something."""
        with self._changed:
            self._signs += 1

    def expect(self, pace: Pace | None) -> None:
        """From now on the guest counts as stalled when it shows no sign of progress at `pace`; None: it may be silent."""
        with self._changed:
            self._signs += 1
            self._pace = pace

    def command(self, name: str, deadline: Deadline, **arguments: object) -> object:
        """A QMP command's answer. Raises LostGuest when QEMU does not give it."""
        return self._call(self._qmp(name, **arguments), f"QMP {name}", deadline)

    def diagnosis(self, why: str, deadline: Deadline) -> tuple[Diagnosis, Finding]:
        """What the guest is doing, asked from outside, and the finding of it."""
        last = self.last_lines(LAST_LINES)
        seen = self._call(self._look(passive=False), "the diagnosis", deadline)
        return seen, seen.finding(why, last)

    def close(self) -> None:
        """End the watcher itself."""
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        for end in self._ends.values():
            end.close()
        self._tail.close()

    # -- what a diagnosis calls, inside the loop --------------------------------------------------------------------

    async def monitor(self, line: str) -> str:
        """The answer of QEMU's human monitor."""
        return str(await self._qmp("human-monitor-command", **{"command-line": line}))

    async def sysrq(self, key: str, quiet_s: float, limit_s: float) -> str:
        """What the kernel prints after a break and `key` on its serial console, until it is quiet; empty: it did not react."""
        before, last = self._tail.heard, time.monotonic()
        await self._qmp("chardev-send-break", id="console")
        _, writer = await asyncio.open_unix_connection(self._console)
        writer.write(key.encode())
        await writer.drain()
        writer.close()  # at once: a connected reader slower than the guest makes QEMU log bytes twice
        end, size = last + limit_s, before
        while time.monotonic() < min(end, last + quiet_s if size > before else end):
            await asyncio.sleep(0.05)
            if self._tail.heard != size:
                size, last = self._tail.heard, time.monotonic()
        return decode(self._tail.last(size - before))

    def heard(self) -> int:
        """Bytes the console has said so far."""
        return self._tail.heard

    def last_lines(self, count: int) -> tuple[str, ...]:
        """The console's last lines."""
        return tuple(decode(self._tail.last(8192)).splitlines()[-count:])

    def last_milestone(self) -> str:
        """Name of the newest milestone."""
        return self.milestones[-1].name

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._loop.close()

    async def _main(self) -> None:
        for end in self._ends.values():
            end.setblocking(False)
        self._console_grew()
        work = (self._read_ready(), self._talk(), self._wait_exit(), self._keep_time())
        running = [asyncio.create_task(each) for each in work]
        for task in running:
            task.add_done_callback(self._faulty)
        await self._over.wait()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        with suppress(QMPError, OSError, EOFError, asyncio.TimeoutError):
            await asyncio.wait_for(self._client.disconnect(), DRAIN_S)

    def _finish(self, end: End) -> None:
        with self._changed:
            if self._end is not None:
                return
            self._end = end
            callbacks = tuple(self._on_end)
            self._changed.notify_all()
        for callback in callbacks:
            callback()

    def _console_grew(self) -> None:
        """Read the console; QEMU writes it byte by byte, so look again only after a while."""
        self._loop.remove_reader(self._tail.fd)
        self._read_console()
        self._loop.call_later(GROWTH_S, self._loop.add_reader, self._tail.fd, self._console_grew)

    def _read_console(self) -> None:
        if not (chunk := self._tail.read()):
            return
        self.reach("kernel")
        for word, (kind, grace_s) in DOOM.items():
            if kind not in self.doom and word in self._tail.last(len(chunk) + len(word)):
                self.doom.add(kind)
                self._loop.call_later(grace_s, self._finish, End(kind))

    def _faulty(self, task: asyncio.Task[None]) -> None:
        """A guest that nobody watches must not look well."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._finish(End("fault", f"{type(error).__name__} {error}"))

    async def _read_ready(self) -> None:
        loop, line = asyncio.get_running_loop(), b""
        with suppress(OSError):
            while chunk := await loop.sock_recv(self._ends["ready"], 4096):
                *lines, line = (line + chunk).split(b"\n")
                self.reach("kernel")  # a quiet one says nothing itself
                for word in map(decode, lines):
                    if word.startswith("failed"):
                        self._finish(End("failed", word.removeprefix("failed").strip()))
                    self.reach(word)

    async def _talk(self) -> None:
        with suppress(QMPError, OSError, EOFError):
            await self._client.connect(self._ends["qmp"])
            self._talking.set()
            async for event in self._client.events:
                data = event.get("data")
                if event["event"] == "SHUTDOWN" and isinstance(data, dict):
                    self.shutdown_reason = str(data.get("reason", ""))

    async def _wait_exit(self) -> None:
        gone = asyncio.Event()
        fd = os.pidfd_open(self._pid)  # cannot fail: whoever owns the process reaps it after close()
        self._loop.add_reader(fd, gone.set)
        try:
            await gone.wait()
        finally:
            self._loop.remove_reader(fd)
            os.close(fd)
        self._read_console()
        self._finish(End("exit"))

    async def _keep_time(self) -> None:
        mark: tuple[int, Effort] | None = None
        while self.end is None:
            await asyncio.sleep(TICK_S)
            now = effort_of(self._pid)
            with self._changed:
                pace, signs = self._pace, self._signs
            if pace is None or now is None:
                mark = None
            elif mark is None or mark[0] != signs:
                mark = (signs, now)
            elif silence := pace.exceeded(mark[1], now):
                # a payload that computes in silence must not be disturbed by a sysrq
                last = self.last_lines(LAST_LINES)
                seen = await self._look(passive=silence.kind == "busy" and not pace.ends)
                if seen.stuck or pace.ends:
                    self._finish(End("stall", silence.text, seen.finding(silence.text, last)))
                mark = None

    async def _look(self, *, passive: bool) -> Diagnosis:
        try:
            return await asyncio.wait_for(diagnose(self, self._symbols, passive=passive), LOOK_S)
        except (QMPError, OSError, TimeoutError) as error:
            return Diagnosis("mute", f"QEMU's own monitor does not answer ({type(error).__name__})")

    async def _qmp(self, name: str, **arguments: object) -> object:
        await self._talking.wait()
        return await self._client.execute(name, dict(arguments))

    def _call(self, work: Coroutine[Any, Any, T], what: str, deadline: Deadline) -> T:
        answer = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return answer.result(deadline.remaining)
        except (QMPError, OSError, TimeoutError) as error:
            answer.cancel()
            raise LostGuest(f"QEMU did not answer ({what}): {str(error) or type(error).__name__}") from error
