"""From a kernel and an image to a guest that takes commands, and to everything it says when it does not."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lab.deadline import Deadline
from lab.errors import BootTimeout, GuestError, LabError, LostGuest
from lab.events import Emit, Note, StageFinished, StageLine, StageStarted
from lab.guest.ending import Remains, decoded, died
from lab.guest.launch import BootPlan, Machine, power_on
from lab.guest.ssh import OVERDUE, SshShell, connect
from lab.guest.stall import Pace
from lab.guest.watch import PANIC_GRACE_S
from lab.model.outcome import Finding, Milestone

__all__ = ["BootPlan", "Guest", "booted", "launched"]
NEEDS: dict[str, str] = {}
IDLE_S = 20.0
"""Host seconds a booting guest may sleep."""
SILENT_S = 120.0
"""Host seconds a payload may sleep before the guest is looked at."""
CUT_S = 3.0
"""Host seconds in which a guest that cut the connection is expected to show why."""
ASK_S = 20.0
DIAGNOSIS_S = 70.0
ENDLESS_S = 1e9
KMSG_END = "lab: end of the log"
FORWARD = re.compile(r"HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+22\b")


class Guest:
    """A running guest that takes commands. Made by `booted`."""

    def __init__(self, machine: Machine) -> None:
        self.console = machine.plan.console
        self.watch = machine.watch
        self.port = 0
        self.note = machine.note
        """What it lacks of what was asked for, and why; empty: nothing."""
        self.spec = machine.plan.spec
        """What it really has."""
        self._plan = machine.plan
        self._process = machine.process
        self._remains = Remains(machine.plan.console, machine.plan.stderr, machine.plan.symbols)
        self._shell: SshShell | None = None

    @property
    def shell(self) -> SshShell:
        """The guest's shell (model.ports.Shell)."""
        assert self._shell is not None, "the guest has not booted"
        return self._shell

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid

    @property
    def milestones(self) -> tuple[Milestone, ...]:
        """power-on, kernel (first console byte), init, ready (sshd listens), ssh (a command ran): host seconds."""
        return self.watch.milestones

    def findings(self) -> tuple[Finding, ...]:
        """Everything the kernel complained of since boot, on console and in /dev/kmsg, each once; gaps in the log too.

        Raises what `shell.run` raises.
        """
        # the marker ends the read: /dev/kmsg has no end of file
        # twice: sed reads one line ahead
        mark = f"echo '{KMSG_END}' >/dev/kmsg"
        script = f"{mark} && {mark} && sed '/{KMSG_END}$/q' /dev/kmsg && cat /proc/sys/kernel/tainted /proc/sys/kernel/printk"
        done = self.shell.run(script, deadline=Deadline.after(max(ASK_S, self._plan.busy_s)))
        return self._remains.findings(done, KMSG_END)

    @contextmanager
    def expect_progress(self, busy_s: float, idle_s: float) -> Iterator[None]:
        """Inside, the guest must show a sign of progress (console or SSH output) at this pace, else it is over as stalled."""
        self.watch.expect(Pace(busy_s, idle_s))
        try:
            yield
        finally:
            self.watch.expect(self._silent_pace())

    def quit(self, deadline: Deadline) -> None:
        """End QEMU cleanly, so that a plugin writes its output. Raises LostGuest when it does not end, or what it died of."""
        self.watch.expect(None)
        if self.watch.end is not None:
            raise self.explain("it is gone")
        self.shell.close()
        with suppress(LostGuest):  # it may be gone before its answer is read
            self.watch.command("quit", deadline)
        if self.watch.wait_end(deadline) is None:
            raise LostGuest("QEMU did not quit in time; what its plugin wrote may be incomplete", log=self.console)
        if status := self._process.wait(deadline.remaining):
            raise LostGuest(f"QEMU ended with status {status} when told to quit:\n{self._remains.complaint()}", log=self.console)

    def explain(self, what: str) -> LabError:
        """The error for a conversation with the guest that failed (`what`): what happened to the guest, when that is known."""
        overdue = what.endswith(OVERDUE)
        end = self.watch.wait_end(Deadline.after(0 if overdue else CUT_S))
        if end is None and "panic" in self.watch.doom:
            end = self.watch.wait_end(Deadline.after(PANIC_GRACE_S))
        doing = "while a command ran" if self._shell else "at boot"
        if end is not None:
            status = self._process.wait(ASK_S) if end.kind == "exit" else None
            return died(end, status, self.watch.shutdown_reason, self._remains, doing)
        if overdue:
            return self._overdue(what)
        if splats := self._remains.splats():
            return GuestError(f"{splats[0].title}\nand then: {what}", log=self.console, finding=splats[0])
        return LostGuest(f"the SSH connection broke {doing}, while the guest still runs: {what}", log=self.console)

    def _overdue(self, what: str) -> LabError:
        seen, raw = self.watch.diagnosis(what, Deadline.after(DIAGNOSIS_S))
        (found,) = decoded([raw], self._plan.symbols)
        if seen.stuck:
            return BootTimeout(f"stall while a command ran: {seen.title}\n{what}", log=self.console, finding=found)
        return GuestError(what, log=self.console, finding=Finding("timeout", what, "timeout:", detail=found.detail, fatal=False))

    def _silent_pace(self) -> Pace:
        return Pace(self._plan.busy_s, SILENT_S, ends=False)

    def boot(self, emit: Emit) -> None:
        """Wait until a command runs. Raises GuestError, BootTimeout, LostGuest."""
        deadline = Deadline.after(ENDLESS_S if self._plan.gdb else self._plan.boot_budget_s)
        self.watch.expect(None if self._plan.gdb else Pace(self._plan.busy_s, IDLE_S))
        for name in ("kernel", "init", "ready"):
            if not self.watch.wait(name, deadline):
                raise self._late()
            if self.watch.end is not None:
                raise self.explain("")
            emit(StageLine("boot", f"{name} after {self.milestones[-1].seconds:.2f} s"))
        self.port = self.ssh_port()
        self._shell = connect(
            self.port,
            self._plan.image,
            deadline=deadline,
            explain=self.explain,
            on_socket=self._cut_at_end,
            beat=self.watch.sign_of_life,
        )
        self._shell.run(":", deadline=deadline)
        self.watch.reach("ssh")
        if not self.watch.wait("settled", deadline):
            raise self._late()
        self.watch.expect(self._silent_pace())

    def _late(self) -> BootTimeout:
        why = f"not ready after {self._plan.boot_budget_s:.0f} s"
        _, raw = self.watch.diagnosis(why, Deadline.after(DIAGNOSIS_S))
        (found,) = decoded([raw], self._plan.symbols)
        lines = "\n".join(f"    {line}" for line in found.detail[:40])
        return BootTimeout(f"stall at boot: {found.title}\n{lines}", log=self.console, finding=found)

    def ssh_port(self) -> int:
        """The port on 127.0.0.1 that leads to the guest's sshd. Raises LostGuest."""
        said = str(self.watch.command("human-monitor-command", Deadline.after(ASK_S), **{"command-line": "info usernet"}))
        found = FORWARD.search(said)
        if found is None:
            raise LostGuest(f"QEMU does not name the SSH port it forwards:\n{said}", log=self.console)
        return int(found.group(1))

    def _cut_at_end(self, link: socket.socket) -> None:
        def cut() -> None:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

        self.watch.on_end(cut)


@contextmanager
def booted(plan: BootPlan, emit: Emit) -> Iterator[Guest]:
    """A guest that takes commands; QEMU is gone afterwards, however the block ends. Call it from a main thread.

    Raises GuestError (with a finding) for a kernel that panics, resets or gives up, BootTimeout for one that stalls, LostGuest
    when QEMU fails, HostError when something is missing.
    """
    began = time.monotonic()
    emit(StageStarted("boot", plan.spec.name))
    with launched(plan) as guest:
        if guest.note:
            emit(Note(f"guest {plan.spec.name}: {guest.note}"))
        try:
            guest.boot(emit)
        except LabError as error:
            emit(StageFinished("boot", plan.spec.name, time.monotonic() - began, error.message.splitlines()[0], ok=False))
            raise
        said = ", ".join(f"{milestone.name} {milestone.seconds:.2f} s" for milestone in guest.milestones[1:])
        emit(StageFinished("boot", plan.spec.name, time.monotonic() - began, said))
        yield guest


@contextmanager
def launched(plan: BootPlan) -> Iterator[Guest]:
    """A QEMU under watch, from power-on; it is gone afterwards. `booted` is what most want. Raises HostError."""
    with power_on(plan) as machine:
        yield Guest(machine)
