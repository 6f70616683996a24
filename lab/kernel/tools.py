"""Programs of the tree's own tools/, for payloads that try what a series brings for user space."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from lab.cache import Cache, digest
from lab.deadline import Deadline
from lab.errors import BuildError, HostError
from lab.events import Emit, StageLine
from lab.formats.makelog import first_fault
from lab.kernel import git
from lab.kernel.build import toolchain
from lab.kernel.selftests import SLOT
from lab.kernel.slot import Slot, hold
from lab.proc import stream

RECIPE = "1"
BUILD_S = 600.0


def build_tool(repository: Path, tree: str, tool: str, *, cache: Cache, emit: Emit, cc: str = "gcc") -> Path | None:
    """The file that `make FILE` makes in tools/DIRECTORY of a tree; `tool`: DIRECTORY/FILE. None: the tree has no such tool.

    From the cache, or made in the self-tests' slot after `make headers`. Raises BuildError when the tool does not build,
    HostError when the headers do not install.
    """
    directory, name = str(PurePosixPath("tools", tool).parent), PurePosixPath(tool).name
    if git.file_at(repository, tree, f"{directory}/Makefile") is None:
        return None

    def fill(aside: Path) -> None:
        with hold(cache, SLOT, cc, emit) as slot, slot.building():
            slot.move(repository, tree)
            slot.log.unlink(missing_ok=True)
            if _make(slot, emit, "-s", "headers"):
                raise HostError("`make headers` fails, which no tool can do without", log=slot.log)
            if _make(slot, emit, "--always-make", "-C", directory, f"CC={cc}", name):
                raise BuildError(f"{directory} does not build: {_why(slot)}", log=slot.log)
            shutil.copy(slot.tree / directory / name, aside / name)

    return cache.get_or_make("tool", digest(RECIPE, tree, tool, *toolchain(cc)), fill) / name


def _make(slot: Slot, emit: Emit, *words: str) -> int:
    """Run make in the slot; its status."""

    def on_line(line: str) -> None:
        emit(StageLine("tools", line))

    argv, deadline = ["make", "--no-print-directory", *words], Deadline.after(BUILD_S)
    return stream(
        argv, deadline=deadline, log=slot.log, on_line=on_line, cwd=slot.tree, env=slot.environment(), pass_fds=[slot.fd]
    )


def _why(slot: Slot) -> str:
    return first_fault(slot.log.read_text(encoding="utf-8", errors="backslashreplace").splitlines()).title
