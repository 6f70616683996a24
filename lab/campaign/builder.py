"""A build as a process: `python -m lab.campaign.builder request.json result.json`, so that guests run while it goes on.

It reads the patches and the kconfig itself, and refuses when they are no longer what the plan was made from.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from lab.cache import Cache, digest
from lab.errors import LabError, UsageError
from lab.events import Event, as_line
from lab.kernel.build import build
from lab.kernel.kconfig import find_kconfig, requested
from lab.kernel.selftests import Selftests, build_selftests, parse_wants
from lab.kernel.series import find_series
from lab.kernel.tree import apply
from lab.model.change import Build, Kconfig, Series, Source
from lab.model.matrix import Kernel
from lab.model.outcome import Finding
from lab.model.wire import read_json, write_json


@dataclass(frozen=True)
class Request:
    """A kernel, and perhaps self-tests of its tree."""

    root: Path
    """The checkout whose patches and kconfigs these are."""
    cache: Path
    source: Source
    kernel: Kernel
    pin: str
    """What pins the source: part of `inputs`."""
    inputs: str
    """The digest in the plan."""
    cc: str = "gcc"
    wants: str = ""
    """TARGET[:TEST],... words."""


@dataclass(frozen=True)
class Fault:
    """Why there is no kernel; `code` tells whose fault it is, as LabError's."""

    code: int
    message: str
    finding: Finding | None = None

    @classmethod
    def of(cls, error: LabError) -> Fault:
        """The error as data."""
        return cls(error.code, str(error), error.finding)


@dataclass(frozen=True)
class Made:
    """What came of a request."""

    build: Build | None = None
    tests: Selftests | None = None
    fault: Fault | None = None


def material(root: Path, kernel: Kernel) -> tuple[tuple[Series, ...], Kconfig]:
    """The series of a kernel in order, and its kconfig. Raises UsageError."""
    kconfig = find_kconfig(root / "kconfigs", kernel.kconfig, kernel.sets)
    return tuple(find_series(root / "patches", name) for name in kernel.stack), kconfig


def inputs_of(root: Path, kernel: Kernel, pin: str) -> str:
    """The digest of everything that is built into a kernel but the toolchain; `pin`: what pins the source."""
    series, kconfig = material(root, kernel)
    patches = [patch for one in series[:-1] for patch in one.patches]
    patches += series[-1].patches[: kernel.upto] if series else ()
    wanted = requested(kconfig)
    texts = [patch.text.encode("utf-8", "surrogateescape") for patch in patches]
    return digest(pin, wanted.base, repr(sorted(wanted.wanted.items())), *texts)


def main(argv: list[str]) -> int:
    """Build what `argv[0]` asks for; `argv[1]` gets the Made. 0: it is there, whatever it says; 130: cancelled."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _cancel)
    try:
        made = _made(read_json(Path(argv[0]), Request))
    except LabError as error:
        made = Made(fault=Fault.of(error))
    except KeyboardInterrupt:
        return 130
    write_json(Path(argv[1]), made)
    return 0


def _made(request: Request) -> Made:
    cache = Cache(request.cache)
    if request.inputs != inputs_of(request.root, request.kernel, request.pin):
        raise UsageError(
            f"patches or options of {request.kernel.id} changed since the plan was made", hint="start the matrix again"
        )
    series, kconfig = material(request.root, request.kernel)
    tree = apply(request.source, series, request.kernel.upto if series else None, cache, _say)
    kernel = build(tree, kconfig, cache=cache, emit=_say, cc=request.cc)
    wants = parse_wants(request.wants) if request.wants else ()
    tests = build_selftests(tree, wants, kernel, cache=cache, emit=_say, cc=request.cc) if wants else None
    return Made(kernel, tests)


def _cancel(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say(event: Event) -> None:
    sys.stdout.write(as_line(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
