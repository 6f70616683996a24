"""Self-tests of a toy tree, built by real make, gcc and rsync in a real slot."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest
from kerneltree import FILES, SELFTESTS_MK, TESTS, commit, developer_tree, fake_source, format_patches

from lab.cache import Cache
from lab.errors import HostError
from lab.events import Event, StageFinished, silent
from lab.kernel import selftests
from lab.kernel.selftests import Selftests, build_selftests, make_lines, parse_wants
from lab.kernel.series import read_series
from lab.kernel.slot import hold
from lab.kernel.tree import apply
from lab.model.change import Build, Series, Tree

GOOD_C = "#include <uapi.h>\n\nint main(void)\n{\n\treturn UAPI;\n}\n"
BROKEN_C = "#include <sys/no-such-capability.h>\n\nint main(void)\n{\n\treturn 0;\n}\n"
TREE = {
    **FILES,
    "Makefile": FILES["Makefile"] + "\nheaders:\n\t@mkdir -p usr/include; echo '#define UAPI 0' >usr/include/uapi.h\n",
    f"{TESTS}/Makefile": "ifneq ($(filter net,$(TARGETS)),)\n\tINSTALL_DEP_TARGETS := net/lib\nendif\nall:\n",
    f"{TESTS}/lib.mk": SELFTESTS_MK,
    f"{TESTS}/kselftest/ktap_helpers.sh": "# helpers\n",
    f"{TESTS}/net/Makefile": (
        "TEST_PROGS := script.sh\nTEST_GEN_PROGS := one two\nTEST_GEN_FILES := helper\ninclude ../lib.mk\n"
    ),
    f"{TESTS}/net/script.sh": "#!/bin/sh\nexec ./helper\n",
    f"{TESTS}/net/one.c": GOOD_C,
    f"{TESTS}/net/two.c": GOOD_C,
    f"{TESTS}/net/helper.c": GOOD_C,
    f"{TESTS}/net/settings": "# comment\ntimeout=7\n",
    f"{TESTS}/net/config": "CONFIG_SMP=y\nCONFIG_VETH=m\n",
    f"{TESTS}/net/lib/Makefile": "TEST_FILES := lib.sh\ninclude ../../lib.mk\n",
    f"{TESTS}/net/lib/lib.sh": "# shared\n",
    f"{TESTS}/odd/Makefile": "TEST_GEN_PROGS := good broken\ninclude ../lib.mk\n",
    f"{TESTS}/odd/good.c": GOOD_C,
    f"{TESTS}/odd/broken.c": BROKEN_C,
    f"{TESTS}/slow/Makefile": "TEST_CUSTOM_PROGS := slow\n$(info half)\nslow $(OUTPUT)/slow:\n\t@sleep 600\n",
    f"{TESTS}/sick/Makefile": "$(error this target wants a moon phase)\n",
}
NEW = {
    f"{TESTS}/net/Makefile": ("one two\n", "one two three\n"),
    f"{TESTS}/net/three.c": ("", GOOD_C),
}
HEALED = {f"{TESTS}/odd/broken.c": ("#include <sys/no-such-capability.h>\n", "")}


class World:
    """A cache and the toy tree in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = Cache(root / "cache")
        self.source = fake_source(root, self.cache, TREE)
        self.events: list[Event] = []

    def tree(self, *changes: dict[str, tuple[str, str]]) -> Tree:
        return apply(self.source, self.series(changes) if changes else (), None, self.cache, silent)

    def series(self, changes: Sequence[dict[str, tuple[str, str]]]) -> tuple[Series]:
        tree = developer_tree(self.root / "work", TREE)
        for number, change in enumerate(changes):
            commit(tree, f"step {number}", change)
        return (read_series(format_patches(tree, self.root / "series")),)

    def build(self, wants: str, tree: Tree | None = None) -> Selftests:
        kernel = Build("k", self.root, "6.12.99", "t", "default", "h", ("gcc",))
        return build_selftests(tree or self.tree(), parse_wants(wants), kernel, cache=self.cache, emit=self.events.append)

    def said(self, made: Selftests) -> str:
        return (made.directory.parent / "make.log").read_text()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def names(made: Selftests, directory: str = "net") -> set[str]:
    return {path.name for path in (made.directory / directory).iterdir() if path.is_file()}


def test_a_named_program_is_built_alone(world: World) -> None:
    made = world.build("net:one")

    assert (made.tests, made.unbuilt) == (("net:one",), {})
    assert names(made) == {"one", "script.sh", "settings", "config"}
    assert (made.directory / "kselftest.sh").is_file()
    assert (made.directory / "kselftest" / "ktap_helpers.sh").is_file()
    assert "CC       two" not in world.said(made)


def test_a_script_takes_all_of_its_target_and_what_goes_with_it(world: World) -> None:
    made = world.build("net:script.sh")

    assert made.tests == ("net:script.sh",)
    assert names(made) == {"one", "two", "helper", "script.sh", "settings", "config"}
    assert names(made, "net/lib") == {"lib.sh"}


def test_a_whole_target_gives_its_tests_in_order_its_limit_and_its_options(world: World) -> None:
    made = world.build("net")

    assert made.tests == ("net:one", "net:two", "net:script.sh")
    assert (made.timeout("net"), made.timeout("odd")) == (7, None)
    assert made.options("net") == ("CONFIG_SMP=y", "CONFIG_VETH=m")


def test_what_does_not_build_is_data_and_the_rest_is_built(world: World) -> None:
    made = world.build("odd net:one")

    assert made.tests == ("odd:good", "net:one")
    assert list(made.unbuilt) == ["odd:broken"]
    assert made.unbuilt["odd:broken"].startswith("broken.c:1:10: fatal error: sys/no-such-capability.h: No such file")


def test_a_library_that_was_installed_since_is_a_reason_to_build_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    includes = tmp_path / "include"
    includes.mkdir()
    monkeypatch.setattr(selftests, "INCLUDES", includes)
    world.build("net:one")

    assert world.build("net:one").reused
    (includes / "numa.h").touch()
    assert not world.build("net:one").reused


def test_a_target_that_make_cannot_read_says_why(world: World) -> None:
    made = world.build("sick:x")

    assert made.tests == ()
    assert "wants a moon phase" in made.unbuilt["sick:x"]


def test_what_the_tree_does_not_have_is_not_there(world: World) -> None:
    made = world.build("moon net:moon")

    assert (made.tests, made.unbuilt) == ((), {})


def test_each_side_has_the_tests_of_its_own_tree(world: World) -> None:
    base, patched = world.build("net:three"), world.build("net:three", world.tree(NEW))

    assert (base.tests, patched.tests) == ((), ("net:three",))


def test_what_was_built_is_not_built_again(world: World) -> None:
    first, second = world.build("net:one"), world.build("net:one")

    assert (first.reused, second.reused) == (False, True)
    assert first == second
    assert isinstance(world.events[-1], StageFinished)
    assert world.events[-1].detail == "unchanged: found in the cache"


def test_what_did_not_build_is_tried_again(world: World) -> None:
    assert [world.build("odd").reused for _ in range(2)] == [False, False]


def test_a_series_may_heal_a_test(world: World) -> None:
    assert world.build("odd:broken", world.tree(HEALED)).tests == ("odd:broken",)


def test_no_headers_no_tests(world: World) -> None:
    with pytest.raises(HostError, match="make headers"):
        world.build("net:one", world.tree({"Makefile": ("\t@mkdir -p usr/include; ", "\t@false; ")}))


def test_without_rsync_it_is_named(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(HostError, match="rsync"):
        world.build("net:one")


def test_the_lines_of_a_dry_run_build_nothing(world: World) -> None:
    text = make_lines(world.tree(), parse_wants("net:one"), cache=world.cache, vmlinux=Path("/vmlinux"))
    build, install = (line for line in text.splitlines() if f"-C {TESTS}/net" in line)

    assert " install " in install
    assert "/out/net/one " in build
    assert "VMLINUX_BTF=/vmlinux" in build
    assert not (world.cache.root / "slots").exists()


KILLED = """
    import os, signal, sys
    sys.path[:0] = {path!r}
    from pathlib import Path
    from lab.cache import Cache
    from lab.events import StageLine
    from lab.kernel.selftests import build_selftests, parse_wants
    from lab.model.change import Build, Tree
    def on(event):
        if isinstance(event, StageLine) and "half" in event.text:
            os.kill(os.getpid(), signal.SIGKILL)
    kernel = Build("k", Path("/"), "6.12.99", "t", "default", "h", ("gcc",))
    tree = Tree(Path({repository!r}), {commit!r}, {id!r}, ())
    build_selftests(tree, parse_wants("slow:slow"), kernel, cache=Cache(Path({cache!r})), emit=on)
"""


def test_a_killed_build_leaves_nothing_running_and_the_next_one_works(world: World) -> None:
    tree = world.tree()
    facts = {"repository": str(tree.repository), "commit": tree.commit, "id": tree.id, "cache": str(world.cache.root)}
    script = textwrap.dedent(KILLED).format(path=sys.path, **facts)
    killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, timeout=120)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with hold(world.cache, "selftests", "gcc", silent) as slot:  # free when the last process of the killed build is gone
        left = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and works_in(entry, slot.tree)]
    assert left == []
    assert world.build("net:one").tests == ("net:one",)


def works_in(process: Path, tree: Path) -> bool:
    try:
        return (process / "cwd").readlink().is_relative_to(tree)
    except OSError:
        return False
