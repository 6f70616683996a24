"""Debug information of a program that was compiled for it, and the lack of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.deadline import Deadline
from lab.kernel.debuginfo import build_id, has_debug_info, inlined_at, source_files
from lab.kernel.symbols import functions_of
from lab.proc import run

PROGRAM = """
static inline __attribute__((always_inline)) void inner(void) { asm volatile("nop"); }
static inline __attribute__((always_inline)) void middle(void) { inner(); }
void outer(void) { middle(); asm volatile("hlt"); }
void _start(void) { outer(); }
"""


def compiled(place: Path, *more: str) -> Path:
    (place / "program.c").write_text(PROGRAM)
    words = [
        "-nostdlib",
        "-static",
        "-no-pie",
        "-O2",
        "-fcf-protection=none",
        "-fno-inline-functions",
        "-Wl,--build-id=0xc0ffee00",
    ]
    run(["gcc", *words, *more, "-o", place / "program", "program.c"], deadline=Deadline.after(60), cwd=place)
    return place / "program"


def test_inlined_functions_are_named_from_the_innermost_out(tmp_path: Path) -> None:
    program = compiled(tmp_path, "-g")
    outer = next(one for one in functions_of(program) if one.name == "outer")

    assert has_debug_info(program)
    assert inlined_at(program, [outer.first, outer.first + 1]) == {
        outer.first: ("inner", "middle", "outer"),
        outer.first + 1: ("outer",),
    }
    assert source_files(program, [outer.first])[outer.first].endswith("program.c")


@pytest.mark.parametrize("make", [lambda place: compiled(place, "-g0"), lambda place: place / "none"])
def test_without_debug_information_nothing_is_known(tmp_path: Path, make: object) -> None:
    program = make(tmp_path)  # type: ignore[operator]  # a lambda

    assert not has_debug_info(program)
    assert source_files(program, [0x401000]) == {}


def test_the_build_id_is_the_linkers(tmp_path: Path) -> None:
    assert build_id(compiled(tmp_path)) == "c0ffee00"
    assert build_id(tmp_path / "none") == ""
