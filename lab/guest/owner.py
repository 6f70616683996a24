"""The process that owns one kept guest: `python -m lab.guest.owner DIRECTORY`, started by kept.keep, ended by SIGTERM."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from lab.deadline import Deadline
from lab.errors import LabError
from lab.events import Event, StageLine, silent
from lab.guest.boot import ENDLESS_S, Guest, launched
from lab.guest.kept import FAILURE, KNOWN_HOSTS, PLAN, STATE, Kept
from lab.guest.launch import BootPlan
from lab.model.wire import write_json

NEEDS: dict[str, str] = {}
ASK_S = 30.0


class _Stop(BaseException):
    """SIGTERM: somebody stops the guest."""


def main(directory: Path) -> int:
    """Own the guest whose plan is in `directory` until it ends or is stopped; the directory is gone afterwards."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    started = time.time()
    name, plan = pickle.loads((directory / PLAN).read_bytes())  # noqa: S301  (kept.keep wrote it; only we can write here)
    try:
        with launched(plan) as guest:
            _own(guest, plan, name, started)
    except _Stop:
        pass
    except LabError as error:
        kind = type(error) if type(error).__module__ == LabError.__module__ else LabError
        plain = kind(error.message, hint=error.hint, log=error.log, finding=error.finding)
        (directory / FAILURE).write_bytes(pickle.dumps(plain))
        return error.code
    shutil.rmtree(directory, ignore_errors=True)
    return 0


def _own(guest: Guest, plan: BootPlan, name: str, started: float) -> None:
    assert plan.runtime is not None
    if plan.gdb:
        _tell(guest, plan, name, started, "")
    else:
        guest.boot(_say)
        release = guest.shell.run("uname -r", deadline=Deadline.after(ASK_S)).stdout.strip()
        _tell(guest, plan, name, started, release)
    guest.watch.expect(None)
    _let_go()
    if plan.gdb:
        guest.boot(silent)
        release = guest.shell.run("uname -r", deadline=Deadline.after(ASK_S)).stdout.strip()
        _tell(guest, plan, name, started, release)
        guest.watch.expect(None)
    guest.watch.wait_end(Deadline.after(ENDLESS_S))


def _tell(guest: Guest, plan: BootPlan, name: str, started: float, release: str) -> None:
    assert plan.runtime is not None
    port = guest.ssh_port()
    key = plan.image.host_key.read_text(encoding="ascii")
    (plan.runtime / KNOWN_HOSTS).write_text(f"[127.0.0.1]:{port} {key}", encoding="ascii")
    state = Kept(
        name=name,
        release=release,
        guest=plan.spec.name,
        port=port,
        pid=os.getpid(),
        started=started,
        directory=plan.runtime,
        log=plan.console,
        image=plan.image,
        bzimage=plan.bzimage,
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
