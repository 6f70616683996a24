"""Guests that stay up: each under a detached owner process, known by the lock it holds. Nothing survives the owner."""

from __future__ import annotations

import os
import pickle
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import join

from lab.deadline import Deadline
from lab.errors import GuestError, HostError, LabError, UsageError
from lab.events import Emit, StageFinished, StageLine, StageStarted
from lab.guest import attach, runtime
from lab.guest.boot import ENDLESS_S
from lab.guest.launch import PEER, BootPlan
from lab.guest.ssh import USER, SshShell, connect
from lab.guest.transfer import fetch, send
from lab.model.machine import GuestSpec, Image
from lab.model.outcome import Milestone
from lab.model.wire import read_json
from lab.proc import PIPE, STDOUT, Process, decode, need, quote, spawn

NEEDS = {"ssh": "openssh-client"}
STATE, PLAN, FAILURE, KNOWN_HOSTS = "state.json", "plan", "failure", "known_hosts"
STOP_S = 20.0
CONNECT_S = 30.0
TRANSFER_S = 1800.0


@dataclass(frozen=True)
class Kept:
    """A guest under its own owner."""

    name: str
    release: str
    """`uname -r`; empty while it waits for gdb."""
    guest: str
    """Name of its GuestSpec."""
    port: int
    """127.0.0.1:`port` leads to its sshd."""
    pid: int
    """The owner's."""
    started: float
    """Seconds since the epoch."""
    directory: Path
    """Its runtime directory: sockets and state."""
    log: Path
    """console.log."""
    image: Image
    bzimage: Path
    spec: GuestSpec
    """What it really has, such as fewer queues where no taps could be made."""
    host: int = 1
    """2: the second guest of a pair, under the same owner."""
    note: str = ""
    """What it lacks of what was asked for, and why."""
    milestones: tuple[Milestone, ...] = ()
    gdb: bool = False

    @property
    def uptime_s(self) -> float:
        """Seconds since it was started."""
        return time.time() - self.started


def keep(plan: BootPlan, name: str, emit: Emit) -> Kept:
    """Boot a guest that stays up when we end; returns when it takes commands (with gdb: when gdb can attach).

    Raises what `booted` raises.
    """
    began = time.monotonic()
    emit(StageStarted("boot", name))
    runtime.living(runtime.root())  # the dead need no names
    directory, lock = runtime.claim(runtime.root(), name)
    try:
        name = (directory / runtime.NAME).read_text()
        (directory / PLAN).write_bytes(pickle.dumps((name, replace(plan, runtime=directory))))
        words = (sys.executable, "-P", "-m", "lab.guest.owner", directory)
        owner = spawn(words, stdout=PIPE, stderr=STDOUT, pass_fds=(lock,), die_with_parent=False)
        guest = _born(directory, _heard(owner, emit))
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    finally:
        os.close(lock)
    emit(StageFinished("boot", name, time.monotonic() - began, f"kept, owner {guest.pid}"))
    return guest


def _heard(owner: Process, emit: Emit) -> list[str]:
    """What the owner says until it lets go of us or ends."""
    assert owner.stdout is not None
    lines = []
    try:
        with owner.stdout as stream:
            for raw in stream:
                lines.append(decode(raw).rstrip())
                emit(StageLine("boot", lines[-1]))
    except BaseException:
        owner.terminate()
        raise
    return lines


def _born(directory: Path, said: list[str]) -> Kept:
    """The guest its owner tells of, or the error it met."""
    failure = directory / FAILURE
    if failure.is_file():
        error = pickle.loads(failure.read_bytes())  # noqa: S301  (our own owner wrote it into a directory only we can write)
        raise error if isinstance(error, LabError) else HostError(str(error))
    if not (directory / STATE).is_file():
        raise HostError("the owner of the guest ended without a word:\n" + "\n".join(said[-20:]))
    return read_json(directory / STATE, Kept)


def kept() -> tuple[Kept, ...]:
    """The guests that are up, oldest first, pairs together; what dead ones left is removed."""
    found = []
    for directory in runtime.living(runtime.root()):
        for place in (directory, directory / PEER):
            with suppress(FileNotFoundError):  # one that is still booting, one without a second
                found.append(read_json(place / STATE, Kept))
    return tuple(sorted(found, key=lambda guest: (guest.started, guest.host)))


def peers(guest: Kept) -> tuple[Kept, ...]:
    """The other guests of the same owner."""
    return tuple(other for other in kept() if other.pid == guest.pid and other.host != guest.host)


def find(name: str = "") -> Kept:
    """The kept guest of that name, or the only one (the first of the only pair). Raises UsageError with those there are."""
    guests = kept()
    if not guests:
        raise UsageError("no guest is up", hint="./inv boot --keep")
    fitting = [guest for guest in guests if guest.name == name or (not name and guest.host == 1)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(guest.name for guest in guests)
    what = f"no guest is named {name!r}" if name else "several guests are up"
    raise UsageError(f"{what}; there are: {names}", hint="--name NAME")


def stop(guest: Kept) -> None:
    """End a kept guest with its owner, the other of a pair too; returns when both are gone. Raises HostError when it cannot."""
    try:
        fd = os.pidfd_open(guest.pid)
    except ProcessLookupError:
        return
    try:
        for number, grace in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
            signal.pidfd_send_signal(fd, number)
            if select.select([fd], [], [], grace)[0]:
                break
        else:
            raise HostError(f"the owner {guest.pid} of {guest.name} does not end")
    except ProcessLookupError:
        return
    finally:
        os.close(fd)
        runtime.living(runtime.root())


@contextmanager
def shell(guest: Kept) -> Iterator[SshShell]:
    """A connection to a kept guest. Raises LostGuest."""
    connection = connect(guest.port, guest.image, deadline=Deadline.after(CONNECT_S))
    try:
        yield connection
    finally:
        connection.close()


def exec_words(guest: Kept, words: Sequence[str], *, push: Sequence[Path] = (), pull: Sequence[str] = ()) -> int:
    """Run the words in the guest with our standard streams; its exit status.

    `push` is copied into its working directory before, `pull` from there to ours afterwards, whatever the status. Raises
    GuestError when that fails; after a command that failed itself, its status counts and the error is only told.
    """
    with shell(guest) as connection:
        if push:
            send(connection, push, deadline=Deadline.after(TRANSFER_S))
        status = connection.stream(
            join(words),
            deadline=Deadline.after(ENDLESS_S),
            read_stdin=lambda size: os.read(0, size),
            write_stdout=lambda data: _write(1, data),
            write_stderr=lambda data: _write(2, data),
        )
        try:
            for path in pull:
                fetch(connection, path, Path.cwd(), deadline=Deadline.after(TRANSFER_S))
        except GuestError as error:
            if status == 0:
                raise
            _write(2, f"error: {error}\n".encode())
    return status


def _write(fd: int, data: bytes) -> None:
    """Write it all; a reader that went away ends us as it would end any program (128 + SIGPIPE)."""
    try:
        while data:
            data = data[os.write(fd, data) :]
    except BrokenPipeError:
        raise SystemExit(128 + signal.SIGPIPE) from None


def ssh_command(guest: Kept) -> tuple[str, ...]:
    """The line for an interactive shell. Raises HostError without OpenSSH's client."""
    options = {
        "UserKnownHostsFile": str(guest.directory / KNOWN_HOSTS),
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "LogLevel": "ERROR",
    }
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    program = need("ssh", "open an interactive shell on a guest")
    return (program, "-F", "/dev/null", *words, "-i", str(guest.image.ssh_key), "-p", str(guest.port), f"{USER}@127.0.0.1")


def console(guest: Kept) -> None:
    """Attach the terminal to the guest's console until ctrl-]. Raises HostError when the guest is gone."""
    attach.attach(guest.directory / runtime.CONSOLE, f"console of {guest.name}; ctrl-] leaves, the log is {guest.log}")


def gdb_line(guest: Kept) -> str:
    """How to attach gdb. Raises UsageError for a guest without a stub."""
    if not guest.gdb:
        raise UsageError(f"{guest.name} was booted without a gdb stub", hint="./inv boot --gdb")
    vmlinux = guest.bzimage.with_name("vmlinux")
    symbols = [str(vmlinux)] if vmlinux.is_file() else []
    return quote(["gdb", *symbols, "-ex", f"target remote {guest.directory / runtime.GDB}"])
