"""What a payload takes of the tree that a kernel was built from: each side gets its own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from lab.cache import Cache, digest, digest_files
from lab.events import Emit
from lab.kernel.tools import build_tool
from lab.model.run import PayloadSpec


def equipped(payload: PayloadSpec, tree: str, repository: Path, *, cache: Cache, emit: Emit, cc: str) -> PayloadSpec:
    """The payload with those of its tools that the tree (an id in `repository`) has. Raises BuildError, HostError.

    Its `hash` stays that of its own files: the tree's id stands beside it in every result.
    """
    made = [build_tool(repository, tree, tool, cache=cache, emit=emit, cc=cc) for tool in payload.tools]
    files = [path for path in made if path]
    if not files:
        return payload

    def fill(directory: Path) -> None:
        for path in (*payload.directory.iterdir(), *files):
            shutil.copy(path, directory)

    return replace(payload, directory=cache.get_or_make("payload", digest(payload.hash, *map(digest_files, files)), fill))
