"""Parts of payloads, run on the host: a C program that includes a payload's files."""

from __future__ import annotations

from pathlib import Path

from lab.deadline import Deadline
from lab.proc import run

PAYLOADS = Path(__file__).parents[2] / "payloads"
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-unused-function", "-Werror", "-pthread")


def said_by(program: str, place: Path) -> str:
    """What a C program that includes a payload's files prints; it may end as it likes."""
    (place / "part.c").write_text(f"#define _GNU_SOURCE\n{program}\n")
    run(
        ["gcc", *FLAGS, "-I", PAYLOADS / "include", "-I", PAYLOADS, "-o", place / "part", place / "part.c"],
        deadline=Deadline.after(60),
    )
    return run([place / "part"], deadline=Deadline.after(60), check=False, cwd=place).stdout
