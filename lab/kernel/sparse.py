"""sparse on the files that a patch touches: `make C=2` in the slot, for complaints that were not there before.

Documentation/dev-tools/sparse.rst. C=2 checks without compiling, where C=1 would need the objects to be out of date.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence

from lab.cache import Cache
from lab.deadline import Deadline
from lab.errors import BuildError
from lab.events import Emit, StageLine
from lab.kernel.build import in_slot
from lab.kernel.slot import Slot
from lab.model.change import Kconfig, Tree
from lab.proc import stream

SPARSE_S = 600.0
SAID = re.compile(r"^(?:\./)?[\w./+-]+:\d+:\d+: (?:warning|error): ")
RELEASE = "LOCALVERSION=-virtme"
"""What vng gives make; with another release, files that name it would be made anew, and the next build would compile more."""
PACKAGE = "sparse"
"""Of Debian; only this check wants it, so it is in no NEEDS."""


def missing() -> str:
    """Why sparse cannot be run here, with the remedy; empty when it can."""
    return "" if shutil.which("sparse") else f"sparse is not installed: apt-get install {PACKAGE}"


def checked(files: Sequence[str]) -> tuple[str, ...]:
    """The files of a patch that sparse can look at."""
    return tuple(file for file in files if file.endswith(".c") and not file.startswith(("tools/", "scripts/", "samples/")))


def complaints(tree: Tree, kconfig: Kconfig, files: Sequence[str], *, cache: Cache, emit: Emit, cc: str = "gcc") -> list[str]:
    """What sparse says of the files in that kernel; files that are not built are left out.

    Raises what `build` does, BuildError when make or sparse itself fails.
    """
    with in_slot(tree, kconfig, cache=cache, emit=emit, cc=cc) as slot:
        return _complaints(slot, files, emit)


def _complaints(slot: Slot, files: Sequence[str], emit: Emit) -> list[str]:
    objects = [target for file in files if (slot.tree / (target := file.removesuffix(".c") + ".o")).is_file()]
    if not objects:
        return []
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        emit(StageLine("sparse", line))

    words = ["make", "C=2", "CHECK=sparse", RELEASE, *slot.variables(), *slot.flags(), *objects]
    log = slot.root / "sparse.log"
    log.unlink(missing_ok=True)
    status = stream(
        words,
        deadline=Deadline.after(SPARSE_S),
        log=log,
        on_line=on_line,
        cwd=slot.tree,
        env=slot.environment(),
        pass_fds=[slot.fd],
    )
    found = [line for line in lines if SAID.match(line)]
    if status != 0 and not found:
        raise BuildError(f"`make C=2` ended with exit status {status}", log=log, hint="try it in the slot")
    return found
