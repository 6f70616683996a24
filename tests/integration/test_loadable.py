"""What runs, told from what only names lines, builds and types: on what gcc and ld make of a few lines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.kernel.loadable import digest_of, runs, text_growth
from lab.model.change import Build

BUG = """asm(".pushsection __bug_table,\\"aw\\"; .long 0, 0; .word %d, 0; .popsection");
"""
CODE = """
int other(int value);
int work(int value);
int work(int value)
{
	return other(value) + 1;
}
int other(int value)
{
	return value * 3;
}
"""
BTF = 'asm(".pushsection .BTF,\\"a\\"; .long %d; .popsection; .pushsection .BTF_ids,\\"a\\"; .long %d; .popsection");\n'


def module(tmp_path: Path, text: str) -> bytes:
    source, target = tmp_path / "one.c", tmp_path / "one.o"
    source.write_text(text)
    subprocess.run(["gcc", "-g", "-O1", "-ffreestanding", "-fno-pie", "-c", "-o", target, source], check=True)
    return target.read_bytes()


def link(tmp_path: Path, text: str, *flags: str) -> bytes:
    module(tmp_path, text)
    target = tmp_path / "one"
    subprocess.run(["ld", "-e", "work", *flags, "-o", target, tmp_path / "one.o"], check=True)
    return target.read_bytes()


def digest(tmp_path: Path, text: str, *flags: str) -> str:
    return digest_of(link(tmp_path, text, *flags), "one")


def test_lines_and_comments_do_not_run(tmp_path: Path) -> None:
    plain = digest(tmp_path, BUG % 7 + CODE)

    assert digest(tmp_path, BUG % 9 + "/* more\n * lines */\n" + CODE) == plain


def test_build_ids_and_types_do_not_run(tmp_path: Path) -> None:
    plain = digest(tmp_path, BTF % (1, 2) + CODE, "--build-id=0x11")

    assert digest(tmp_path, BTF % (3, 4) + CODE, "--build-id=0x22") == plain


@pytest.mark.parametrize(
    "change",
    [
        ("value * 3", "value * 5"),
        ("\treturn other", '\tasm volatile("nop");\n\treturn other'),
        ("\nint other(int value);", "\nint table[2] = { 1, 2 };\nint other(int value);"),
        ("\nint other(int value);", "\nchar room[4096];\nint other(int value);"),
        (".word 7, 0", ".word 7, 1"),
    ],
)
def test_anything_that_runs_is_seen(tmp_path: Path, change: tuple[str, str]) -> None:
    text = BUG % 7 + CODE
    assert text.replace(*change) != text

    assert digest(tmp_path, text.replace(*change)) != digest(tmp_path, text)


def test_what_a_module_calls_is_seen_and_its_lines_are_not(tmp_path: Path) -> None:
    text = BUG % 7 + "int here(int); int this(int);\nint work(int v);\nint work(int v) { return here(v); }\n"
    plain, other, moved = (
        digest_of(module(tmp_path, one), "one.o")
        for one in (text, text.replace("return here", "return this"), "/* a comment */\n" + text.replace("7", "8"))
    )

    assert plain == moved
    assert plain != other


def build(directory: Path, elf: bytes) -> Build:
    directory.mkdir()
    (directory / "vmlinux").write_bytes(elf)
    return Build("k", directory, "6.12.0", "t", "default", "h", ())


def test_a_build_is_its_kernel_and_its_modules(tmp_path: Path) -> None:
    one, two = (build(tmp_path / name, link(tmp_path, CODE)) for name in "ab")
    assert runs(one) == runs(two)

    two.modules.mkdir()
    (two.modules / "x.ko").write_bytes(link(tmp_path, CODE))
    assert runs(one) != runs(two)


def test_a_kernel_without_vmlinux_has_no_digest(tmp_path: Path) -> None:
    assert runs(build(tmp_path / "a", b"")) == ""


def test_what_is_no_elf_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="not a 64-bit little-endian ELF"):
        runs(build(tmp_path / "a", b"MZ"))


def test_growth_of_text_is_told_by_function(tmp_path: Path) -> None:
    nop = CODE.replace("\treturn other", '\tasm volatile("nop");\n\treturn other')
    before, after = build(tmp_path / "a", link(tmp_path, CODE)), build(tmp_path / "b", link(tmp_path, nop))

    assert text_growth(before, after) == (("work", 1),)
    assert text_growth(after, before) == (("work", -1),)
    assert text_growth(before, before) == ()
