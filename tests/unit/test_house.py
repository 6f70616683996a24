"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRACKED = tuple(
    name
    for name in subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout.split(
        "\0"
    )
    if name and (ROOT / name).is_file()
)
PROGRAM = tuple(name for name in TRACKED if name.endswith(".py") and not name.startswith("tests/"))
MODULE_LINES, FUNCTION_LINES = 300, 50
DESCRIBED_BY = ("README.md", "series.toml", "payload.toml", "image.toml")
ONE_MACHINE = re.compile(r"(?:^|[^\w.-])/(?:work|farm|home/[a-z]\w*)/")
FORBIDDEN = {("time", "sleep"): "wait for the thing itself, with a Deadline", ("os", "chdir"): "pass cwd="}


def parsed(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def too_long(tree: ast.Module) -> list[str]:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [node.name for node in functions if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES]


def forbidden(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in FORBIDDEN:
            yield f"line {node.lineno}: {node.value.id}.{node.attr}: {FORBIDDEN[node.value.id, node.attr]}"
        if isinstance(node, ast.ImportFrom):
            yield from (f"line {node.lineno}: from {node.module}" for name in node.names if (node.module, name.name) in FORBIDDEN)


def undescribed(names: tuple[str, ...]) -> list[str]:
    """Directories with files of their own and nothing that says what they are for; what lies below tests/data is data."""
    holding = {str(PurePosixPath(name).parent) for name in names}
    described = {str(PurePosixPath(name).parent) for name in names if PurePosixPath(name).name in DESCRIBED_BY}
    return sorted(place for place in holding - described if not place.startswith("tests/data/"))


def test_there_is_something_to_look_at() -> None:
    assert len(PROGRAM) > 20


@pytest.mark.parametrize("name", PROGRAM)
def test_a_module_is_short_and_so_are_its_functions(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= MODULE_LINES
    assert too_long(parsed(name)) == []


@pytest.mark.parametrize("name", PROGRAM)
def test_nothing_sleeps_or_changes_directory(name: str) -> None:
    assert list(forbidden(parsed(name))) == []


def test_no_file_names_a_place_on_one_machine() -> None:
    found = []
    for name in TRACKED:
        if not name.endswith(".patch"):
            lines = (ROOT / name).read_bytes().decode("utf-8", "replace").splitlines()
            found += [f"{name}:{number}" for number, line in enumerate(lines, 1) if ONE_MACHINE.search(line)]

    assert found == []


def test_every_directory_says_what_it_is_for() -> None:
    assert undescribed(TRACKED) == []


def test_no_tracked_file_is_large() -> None:
    assert [name for name in TRACKED if (ROOT / name).stat().st_size > 1 << 20] == []


def test_what_ci_runs_is_there_and_executable() -> None:
    for name in (".ci/run", "inv"):
        assert (ROOT / name).stat().st_mode & 0o111


# --- and each of them says no ---------------------------------------------------------------------------------------------


def test_a_long_function_is_seen() -> None:
    body = "\n    x = 1" * FUNCTION_LINES

    assert too_long(ast.parse(f"class A:\n  async def long():{body}\n")) == ["long"]
    assert too_long(ast.parse("def short(): pass\n")) == []


@pytest.mark.parametrize("text", ["import time\ntime.sleep(1)\n", "from time import sleep\n", "import os\nos.chdir('x')\n"])
def test_sleeping_and_moving_are_seen(text: str) -> None:
    assert list(forbidden(ast.parse(text)))


@pytest.mark.parametrize(
    ("line", "seen"),
    [("cd {}work/main", True), ("'{}home/jane/x'", True), ("network/", False), ("a/work/b", False), ("~/linux", False)],
)
def test_a_place_on_one_machine_is_seen(line: str, *, seen: bool) -> None:
    assert bool(ONE_MACHINE.search(line.format("/"))) is seen


def test_a_directory_without_a_word_is_seen() -> None:
    assert undescribed(("README.md", "a/x.py", "b/README.md", "b/y", "patches/s/series.toml", "tests/data/logs/x.log")) == ["a"]
