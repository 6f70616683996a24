"""The one door to the host's C compiler for the lab's own programs: payloads and the TCG plugin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.cache import Cache, digest, digest_files
from lab.deadline import Deadline
from lab.errors import PayloadError
from lab.proc import CommandError, clean_environment, need, run

WARNINGS = ("-Wall", "-Wextra", "-Werror")
NEEDS = {
    "gcc": "gcc",
    "make": "make",
    "/usr/include/stdio.h": "libc6-dev",
    "clang": "clang",
    "/usr/include/bpf/libbpf.h": "libbpf-dev",
    "/usr/include/gelf.h": "libelf-dev",
    "/usr/include/zlib.h": "zlib1g-dev",
    "/usr/include/zstd.h": "libzstd-dev",
}
"""What this module compiles with (gcc only recommends the C library's headers), each with the Debian package that has it.
clang makes BPF objects, which libbpf loads; its static library wants those of libelf, zlib and, on Debian 13, zstd."""
BPF_SOURCES = "*.bpf.c"


def compiler_id(cc: str = "gcc") -> str:
    """The compiler's first version line, part of every key."""
    return run([need(cc, "compile payloads"), "--version"], deadline=Deadline.after(20)).stdout.splitlines()[0]


def shared_object(cache: Cache, source: Path, flags: Sequence[str], cc: str = "gcc") -> Path:
    """`source` (and headers beside it) as a shared object, compiled once per content, flags, compiler. Raises PayloadError."""
    words = [*WARNINGS, "-O2", "-shared", "-fPIC", *flags]
    key = digest(digest_files(source, *sorted(source.parent.glob("*.h"))), *words, compiler_id(cc))

    def fill(directory: Path) -> None:
        _compile([cc, *words, "-o", directory / f"{source.stem}.so", source], source.parent)

    return cache.get_or_make("plugin", key, fill) / f"{source.stem}.so"


def make_directory(cache: Cache, source: Path, include: Path, cc: str = "gcc") -> Path:
    """The payload directory `source` built by its Makefile (given OUT, INCLUDE, CC), in the cache. Raises PayloadError."""
    compilers = [compiler_id(cc), *([compiler_id("clang")] if any(source.glob(BPF_SOURCES)) else [])]
    key = digest(digest_files(source), digest_files(include), *compilers)

    def fill(directory: Path) -> None:
        _compile(["make", "-s", "-C", source, f"OUT={directory}", f"INCLUDE={include}", f"CC={cc}"], source)

    return cache.get_or_make("payload", key, fill)


def _compile(argv: Sequence[str | Path], where: Path) -> None:
    try:
        run(argv, deadline=Deadline.after(300), cwd=where, env=clean_environment())
    except CommandError as error:
        raise PayloadError(f"{where} does not build: {error.message}", hint=f"in {where}, fix the first error") from error
