"""Tools of a toy tree, built by real make and gcc in a real slot, and payloads that take them along."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakeguest import ROOT
from kerneltree import FILES, commit, developer_tree, fake_source, format_patches
from lab_job import job_of

from lab.cache import Cache
from lab.campaign.equip import equipped
from lab.campaign.plan import Ask
from lab.campaign.session import Lab
from lab.errors import BuildError
from lab.events import silent
from lab.kernel.series import read_series
from lab.kernel.tools import build_tool
from lab.kernel.tree import apply
from lab.model.change import Tree
from lab.model.run import PayloadSpec

TREE = {
    **FILES,
    "Makefile": FILES["Makefile"] + "\nheaders:\n\t@mkdir -p usr/include; echo '#define UAPI 7' >usr/include/uapi.h\n",
}
TOOL = "agent/agent.so"
MAKEFILE = "agent.so: agent.c\n\t$(CC) -I../../usr/include -shared -fPIC -o $@ $<\n"
SOURCE = "#include <uapi.h>\nint agent(void)\n{\n\treturn UAPI;\n}\n"


class World:
    """A cache, the toy tree in it, and the tree with a tool."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = Cache(root / "cache")
        self.source = fake_source(root, self.cache, TREE)
        self.base = apply(self.source, (), None, self.cache, silent)

    def with_tool(self, source: str = SOURCE) -> Tree:
        tree = developer_tree(self.root / "work", TREE)
        commit(tree, "tools/agent", {"tools/agent/Makefile": ("", MAKEFILE), "tools/agent/agent.c": ("", source)})
        series = read_series(format_patches(tree, self.root / "series"))
        return apply(self.source, (series,), None, self.cache, silent)

    def build(self, tree: Tree) -> Path | None:
        return build_tool(tree.repository, tree.id, TOOL, cache=self.cache, emit=silent)

    def equipped(self, tree: Tree) -> PayloadSpec:
        built = self.root / "payload"
        built.mkdir(exist_ok=True)
        (built / "program").write_text("payload")
        spec = PayloadSpec("servers", "", built, "hash", ("./program",), (), tools=(TOOL,))
        return equipped(spec, tree.id, tree.repository, cache=self.cache, emit=silent, cc="gcc")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_tool_is_what_the_trees_own_makefile_makes_of_it(world: World) -> None:
    made = world.build(world.with_tool())

    assert made is not None
    assert made.name == "agent.so"
    assert made.read_bytes()[:4] == b"\x7fELF"


def test_a_tree_without_the_tool_has_none_though_the_slot_held_one_that_had(world: World) -> None:
    world.build(world.with_tool())

    assert world.build(world.base) is None


def test_a_tool_that_does_not_build_says_the_compilers_first_error(world: World) -> None:
    with pytest.raises(BuildError, match=r"tools/agent does not build: agent\.c:2:\d+: error: "):
        world.build(world.with_tool("#include <uapi.h>\nint agent = NOTHING;\n"))


def test_a_payload_takes_the_tool_of_the_side_that_has_it(world: World) -> None:
    base, patched = world.equipped(world.base), world.equipped(world.with_tool())

    assert base.directory == world.root / "payload"
    assert sorted(path.name for path in patched.directory.iterdir()) == ["agent.so", "program"]
    assert base.hash == patched.hash


def test_every_job_has_what_its_own_kernel_was_built_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(Lab, "equip", lambda lab, ask, payload, tree: replace(payload, hash=tree))
    spec = PayloadSpec("servers", "", tmp_path, "hash", ("./program",), (), tools=(TOOL,))

    one, plain = Lab(ROOT, silent, []).equip_jobs(Ask(), [job_of(payload=spec), job_of()])

    assert one.payload is not None
    assert one.payload.hash == one.kernel.tree
    assert plain.payload is None


def test_a_kernel_from_elsewhere_has_no_tree_to_take_tools_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    spec = PayloadSpec("servers", "", tmp_path, "hash", ("./program",), (), tools=(TOOL,))

    assert Lab(ROOT, silent, []).equip(Ask(kernel="bzImage"), spec, "") is spec
