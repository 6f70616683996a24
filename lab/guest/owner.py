"""The process that owns one kept guest or pair: `python -m lab.guest.owner DIRECTORY`, started by kept.keep, ended by SIGTERM."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from types import FrameType

from lab.deadline import Deadline
from lab.errors import LabError
from lab.events import Emit, Event, StageLine, silent
from lab.guest.boot import ENDLESS_S, Guest, launched
from lab.guest.kept import FAILURE, KNOWN_HOSTS, PLAN, STATE, Kept
from lab.guest.launch import PEER, BootPlan, plans_of_hosts
from lab.guest.network import private_network
from lab.model.wire import write_json

NEEDS: dict[str, str] = {}
ASK_S = 30.0


class _Stop(BaseException):
    """SIGTERM: somebody stops the guest."""


def main(directory: Path) -> int:
    """Own the guests whose plan is in `directory` until one ends or they are stopped; the directory is gone afterwards."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    started = time.time()
    name, plan = pickle.loads((directory / PLAN).read_bytes())  # noqa: S301  (kept.keep wrote it; only we can write here)
    try:
        with ExitStack() as stack:
            network = stack.enter_context(private_network(plan.spec)) if plan.spec.nics else None
            plans = plans_of_hosts(replace(plan, network=network))
            _own([(each, stack.enter_context(_launched(each))) for each in plans], name, started)
    except _Stop:
        pass
    except LabError as error:
        kind = type(error) if type(error).__module__ == LabError.__module__ else LabError
        plain = kind(error.message, hint=error.hint, log=error.log, finding=error.finding)
        (directory / FAILURE).write_bytes(pickle.dumps(plain))
        return error.code
    shutil.rmtree(directory, ignore_errors=True)
    return 0


def _launched(plan: BootPlan) -> AbstractContextManager[Guest]:
    assert plan.runtime is not None
    plan.runtime.mkdir(mode=0o700, exist_ok=True)
    return launched(plan)


def _own(guests: Sequence[tuple[BootPlan, Guest]], name: str, started: float) -> None:
    """Boot them, tell of them, and wait until the first of them ends."""
    waits = any(plan.gdb for plan, _ in guests)
    if waits:
        _tell(*guests[0], name, started, "")
    else:
        _boot(guests, name, started, _say)
    _let_go()
    if waits:
        _boot(guests, name, started, silent)
    over = threading.Event()
    for _, guest in guests:
        guest.watch.on_end(over.set)
    over.wait(ENDLESS_S)


def _boot(guests: Sequence[tuple[BootPlan, Guest]], name: str, started: float, emit: Emit) -> None:
    for plan, guest in guests:
        if guest.note and plan.host == 1:
            emit(StageLine("boot", guest.note))
        guest.boot(emit)
    for plan, guest in guests:
        release = guest.shell.run("uname -r", deadline=Deadline.after(ASK_S)).stdout.strip()
        _tell(plan, guest, name, started, release)
        guest.watch.expect(None)


def _tell(plan: BootPlan, guest: Guest, name: str, started: float, release: str) -> None:
    assert plan.runtime is not None
    port = guest.ssh_port()
    key = plan.image.host_key.read_text(encoding="ascii")
    (plan.runtime / KNOWN_HOSTS).write_text(f"[127.0.0.1]:{port} {key}", encoding="ascii")
    state = Kept(
        name=name if plan.host == 1 else f"{name}.{PEER}",
        release=release,
        guest=plan.spec.name,
        port=port,
        pid=os.getpid(),
        started=started,
        directory=plan.runtime,
        log=plan.console,
        image=plan.image,
        bzimage=plan.bzimage,
        spec=guest.spec,
        host=plan.host,
        note=guest.note,
        milestones=guest.milestones,
        gdb=plan.gdb,
    )
    write_json(plan.runtime / STATE, state)


def _let_go() -> None:
    """Close what ties us to the one who started us: it reads our output to the end."""
    null = os.open(os.devnull, os.O_RDWR)
    sys.stdout.flush()
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def _say(event: Event) -> None:
    if isinstance(event, StageLine):
        sys.stdout.write(event.text + "\n")
        sys.stdout.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise _Stop


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
