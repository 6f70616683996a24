"""Builds of the toy tree by real make and gcc in a real slot; vng is a fake that hands on to make."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from kerneltree import CLAMP, COMMENT, FILES, VNG, commit, developer_tree, fake_source, format_patches, git
from processes import hear_interrupts

from lab.cache import Cache
from lab.errors import BuildError, HostError, KconfigError
from lab.events import Event, StageFinished, StageLine, silent
from lab.kernel.build import build, make_line
from lab.kernel.kconfig import find_kconfig
from lab.kernel.series import git_range, read_series
from lab.kernel.slot import hold
from lab.kernel.symbols import read_symbols
from lab.kernel.tree import apply
from lab.model.change import Build, Kconfig, Series, Tree

BROKEN = {"fs/read_write.c": ("\tint ret;\n", "\tint ret = file->odd;\n")}
WARNING = {"init/main.c": ("\tstruct file file", "#warning look here\n\tstruct file file")}


class Lab:
    """A cache, a source, kconfigs and a record of what vng was called with."""

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        self.root = root
        self.cache = Cache(root / "cache")
        self.source = fake_source(root, self.cache)
        self.calls = root / "vng.calls"
        self.kconfigs = root / "kconfigs"
        self.kconfigs.mkdir()
        self.events: list[Event] = []
        (self.kconfigs / "default.config").write_text("CONFIG_SMP=y\n#CHECK# CONFIG_MODULES=n\n")

    def kconfig(self, *sets: str) -> Kconfig:
        return find_kconfig(self.kconfigs, "default", sets)

    def series(self, name: str, *changes: dict[str, tuple[str, str]]) -> Series:
        tree = developer_tree(self.root / f"work-{name}")
        for number, change in enumerate(changes, 1):
            commit(tree, f"{name}: step {number}", change)
        return read_series(format_patches(tree, self.root / name))

    def tree(self, *series: Series) -> Tree:
        return apply(self.source, series, None, self.cache, silent)

    def build(self, *series: Series, kconfig: Kconfig | None = None) -> Build:
        return build(self.tree(*series), kconfig or self.kconfig(), cache=self.cache, emit=self.events.append)

    def vng_calls(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    place = tmp_path / "bin"
    place.mkdir()
    (place / "vng").write_text(VNG.replace("$VNG_CALLS", str(tmp_path / "vng.calls")))
    (place / "vng").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return Lab(tmp_path)


def test_a_build_has_everything_later_stages_need(lab: Lab) -> None:
    made = lab.build()

    assert (made.release, made.kconfig, made.objects, made.reused) == ("6.12.99-virtme", "default", 2, False)
    assert (
        made.config.read_text()
        == "CONFIG_SMP=y\n# CONFIG_NET is not set\n# CONFIG_OBSCURE is not set\n# CONFIG_MODULES is not set\n"
    )
    assert "vfs_read" in read_symbols(made.system_map, made.vmlinux).functions
    assert (made.directory / "make.log").read_text().count("  CC ") == 2
    assert any("gcc" in line for line in made.toolchain)
    assert not made.modules.exists()
    assert [event.text for event in lab.events if isinstance(event, StageLine)].count("  LD      vmlinux") == 1
    assert lab.vng_calls()[0].startswith("vng --build --verbose --skip-modules RUSTC=false KCFLAGS=-ffile-prefix-map=")


def test_the_same_again_runs_no_make_and_another_kconfig_does(lab: Lab) -> None:
    first, again = lab.build(), lab.build()

    assert again == first
    assert again.reused
    assert len(lab.vng_calls()) == 1
    assert isinstance(lab.events[-1], StageFinished)
    assert lab.events[-1].detail == "unchanged: found in the cache, no make run"
    assert lab.build(kconfig=lab.kconfig("CONFIG_NET=y")).key != first.key
    assert lab.build().reused
    assert len(lab.vng_calls()) == 2


def test_a_lost_memo_costs_a_config_run_and_no_make(lab: Lab) -> None:
    first = lab.build()
    shutil.rmtree(lab.cache.root / "memo")

    assert lab.build() == first
    assert len(lab.vng_calls()) == 1


def test_moving_along_a_series_compiles_only_what_differs(lab: Lab) -> None:
    one = lab.series("one", CLAMP)

    assert [lab.build().objects, lab.build(one).objects] == [2, 1]
    assert lab.build(one).applied == ("one/0001-one-step-1.patch",)
    assert lab.build(lab.series("two", COMMENT)).objects == 2, "back and forth: both files differ from what the slot held"


def test_the_same_build_is_the_same_bytes_in_another_cache(lab: Lab, tmp_path: Path) -> None:
    other = Lab(lab.root / "elsewhere-with-another-length")

    one, two = lab.build(), other.build()

    assert one.key == two.key
    assert one.vmlinux.read_bytes() == two.vmlinux.read_bytes()
    assert str(lab.root).encode() not in one.vmlinux.read_bytes()


def test_a_cache_may_be_moved(lab: Lab) -> None:
    key = lab.build().key
    moved = lab.root / "moved"
    lab.cache.root.rename(moved)
    lab.cache = Cache(moved)
    lab.source = replace(lab.source, repository=moved / lab.source.repository.relative_to(lab.root / "cache"))

    again = lab.build()

    assert (again.key, again.reused) == (key, True)
    assert again.bzimage.is_file()


def test_lost_options_are_named_with_value_and_dependency(lab: Lab) -> None:
    with pytest.raises(KconfigError) as caught:
        lab.build(kconfig=lab.kconfig("CONFIG_OBSCURE=y", "CONFIG_NOPE=y"))

    message = caught.value.message
    assert "kconfig default: 2 options did not come out as asked" in message
    assert "CONFIG_OBSCURE: asked for y, got n" in message
    assert "Kconfig: depends on NET: NET is not set" in message
    assert "Kconfig: depends on SMP || FALSE_FRIEND: SMP=y, FALSE_FRIEND is not set" in message
    assert "CONFIG_NOPE: asked for y, got n\n    no Kconfig file of this tree has such an option" in message
    assert caught.value.finding is not None
    assert lab.vng_calls() == []


def test_a_check_that_fails_is_lost_too(lab: Lab) -> None:
    (lab.kconfigs / "default.config").write_text("CONFIG_SMP=y\n#CHECK# CONFIG_NET=y\n")

    with pytest.raises(KconfigError, match="CONFIG_NET: asked for y, got n"):
        lab.build()


def test_a_kconfig_over_a_defconfig(lab: Lab) -> None:
    (lab.kconfigs / "default.config").write_text("#BASE# x86_64_defconfig\nCONFIG_NET=y\n#CHECK# CONFIG_SMP=y\n")

    assert lab.build().config.read_text().startswith("CONFIG_SMP=y\nCONFIG_NET=y\n")


def test_modules_are_built_when_there_are_some(lab: Lab) -> None:
    (lab.kconfigs / "default.config").write_text("CONFIG_MODULES=m\n")

    made = lab.build()

    assert "--skip-modules" not in lab.vng_calls()[0]
    assert [path.name for path in made.modules.iterdir()] == ["dummy.ko"]


def test_the_first_compiler_error_and_the_patch_behind_it(lab: Lab) -> None:
    one, two = lab.series("one", COMMENT), lab.series("two", BROKEN)

    with pytest.raises(BuildError) as caught:
        lab.build(one, two)

    assert "fs/read_write.c:9:" in caught.value.message
    assert "has no member named" in caught.value.message
    assert "last touched by two/0001-two-step-1.patch: fs/read_write.c" in caught.value.message
    assert caught.value.log is not None
    assert "no member named" in caught.value.log.read_text()
    assert caught.value.finding is not None
    assert caught.value.finding.kind == "build"
    assert lab.build().objects >= 1, "the slot goes on with another tree"


def test_an_error_in_a_header_names_who_touched_the_header(lab: Lab) -> None:
    one = lab.series("one", {"include/file.h": ("\tint mode;\n", "\tint mode\tint;\n")})

    with pytest.raises(BuildError, match=r"last touched by one/0001-one-step-1.patch: include/file.h"):
        lab.build(one)


def test_an_error_that_no_patch_touches(lab: Lab) -> None:
    broken = Lab(lab.root / "broken")
    broken.source = fake_source(broken.root, broken.cache, {**FILES, "init/main.c": "int main(void) { return odd; }\n"})

    with pytest.raises(BuildError, match="no patch is applied"):
        broken.build()
    with pytest.raises(BuildError, match=r"no patch touches init/main.c; the last one applied is one/0001"):
        broken.build(broken.series("one", CLAMP))


def test_a_full_disk_is_the_hosts_fault(lab: Lab) -> None:
    (lab.root / "bin" / "vng").write_text(
        "#!/bin/sh\necho 'fatal error: error writing to x.s: No space left on device'\nexit 2\n"
    )

    with pytest.raises(HostError, match="No space left on device"):
        lab.build()


def test_without_vng_the_build_says_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.root / "bin" / "vng").unlink()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")

    with pytest.raises(HostError, match="`vng` is not on the PATH; it is needed to build the kernel"):
        lab.build()


def test_warnings_are_kept(lab: Lab) -> None:
    one = lab.series("one", WARNING)

    assert any("look here" in line for line in lab.build(one).warnings)
    assert any("look here" in line for line in lab.build(one).warnings), "also when reused"
    further = lab.build(one, lab.series("two", CLAMP))
    assert further.objects == 1
    assert any("look here" in line for line in further.warnings), "also of objects that were not compiled again"
    assert not any("look here" in line for line in lab.build(lab.series("three", CLAMP)).warnings)


def test_a_config_that_the_build_changes_is_an_error(lab: Lab) -> None:
    (lab.root / "bin" / "vng").write_text(
        VNG.replace("$VNG_CALLS", "/dev/null").replace("exec make", "echo '# odd' >>.config; exec make")
    )

    with pytest.raises(BuildError, match=r"the build changed \.config"):
        lab.build()


KILLED = """
    import os, signal, sys
    from pathlib import Path
    sys.path[:0] = {path!r}
    from lab.cache import Cache
    from lab.events import StageLine
    from lab.kernel.build import build
    from lab.kernel.kconfig import find_kconfig
    from lab.model.change import Tree
    def on(event):
        if isinstance(event, StageLine) and {word!r} in event.text:
            os.kill(os.getpid(), signal.{name})
    tree = Tree(Path({repository!r}), {commit!r}, {id!r}, ())
    build(tree, find_kconfig(Path({kconfigs!r}), "default"), cache=Cache(Path({cache!r})), emit=on)
"""


def killed(lab: Lab, name: str, word: str) -> int:
    """The exit status of a lab that is killed when make prints `word`."""
    hear_interrupts()
    tree = lab.tree()
    script = textwrap.dedent(KILLED).format(
        path=sys.path,
        word=word,
        name=name,
        repository=str(tree.repository),
        commit=tree.commit,
        id=tree.id,
        kconfigs=str(lab.kconfigs),
        cache=str(lab.cache.root),
    )
    return subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, timeout=120).returncode


@pytest.mark.parametrize(("name", "status"), [("SIGKILL", -signal.SIGKILL), ("SIGINT", -signal.SIGINT)])
def test_a_killed_build_leaves_nothing_running_and_the_next_one_works(lab: Lab, name: str, status: int) -> None:
    slow = lab.root / "bin" / "vng"
    slow.write_text(
        VNG.replace("$VNG_CALLS", str(lab.calls)).replace("exec make", 'echo "pid $$"; sleep 600 & echo half; wait; exec make')
    )

    assert killed(lab, name, "half") in (status, 1)

    tree = str(lab.cache.root / "slots" / "default-gcc" / "tree")
    with hold(lab.cache, "default", "gcc", silent):  # free when the last process of the killed build is gone
        assert [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and _works_in(entry, tree)] == []
    assert (lab.cache.root / "slots" / "default-gcc" / "building").exists()
    slow.write_text(VNG.replace("$VNG_CALLS", str(lab.calls)))
    assert lab.build().objects == 2
    assert not (lab.cache.root / "slots" / "default-gcc" / "building").exists()


def _works_in(entry: Path, tree: str) -> bool:
    try:
        return str((entry / "cwd").readlink()).startswith(tree)
    except OSError:
        return False


def test_a_half_written_object_of_a_killed_make_is_made_again(lab: Lab) -> None:
    lab.build()
    slot = lab.cache.root / "slots" / "default-gcc"
    (slot / "building").touch()
    (slot / "tree" / "fs" / "read_write.o").write_bytes(b"half")

    made = lab.build(kconfig=lab.kconfig("CONFIG_NET=n"))

    assert made.reused, "the same .config: found by its key"
    assert lab.build(lab.series("one", COMMENT)).objects == 2


def test_a_move_that_was_cut_off_is_finished_first(lab: Lab, tmp_path: Path) -> None:
    new = lab.tree(lab.series("one", {"fs/new.c": ("", "int x;\n")}))
    base = lab.tree()
    with hold(lab.cache, "default", "gcc", silent) as slot:
        slot.move(base.repository, base.id)
        (slot.tree / "fs" / "new.c").write_text("half")
        (slot.root / "moving").write_text(new.id)
        (slot.root / "index.lock").touch()
        slot.move(base.repository, base.id)

        assert not (slot.tree / "fs" / "new.c").exists()
        assert not (slot.root / "moving").exists()


def test_what_somebody_changed_in_the_slot_is_put_right(lab: Lab) -> None:
    base = lab.tree()
    with hold(lab.cache, "default", "gcc", silent) as slot:
        slot.move(base.repository, base.id)
        (slot.tree / "fs" / "read_write.c").write_text("nonsense")
        (slot.tree / "init" / "main.c").unlink()
        slot.move(base.repository, base.id)

        assert (slot.tree / "fs" / "read_write.c").read_text() == FILES["fs/read_write.c"]
        assert (slot.tree / "init" / "main.c").exists()


@pytest.mark.parametrize(
    ("name", "text"), [("piggy.S", '.incbin "payload"\n'), ("plain.c", '__asm__(".incbin \\"payload\\"");\n')]
)
def test_what_another_kernel_brought_in_is_not_taken_for_this_ones(lab: Lab, name: str, text: str) -> None:
    with hold(lab.cache, "default", "gcc", silent) as slot:
        (slot.tree / name).write_text(text)
        for payload in (b"one kernel", b"an other 1"):  # of one size, as two kernels may be when they are compressed
            (slot.tree / "payload").write_bytes(payload)
            command = ["gcc", "-MD", "-c", "-o", "piggy.o", name]
            subprocess.run(command, check=True, cwd=slot.tree, env=slot.environment())

            assert payload in (slot.tree / "piggy.o").read_bytes()


def test_what_brings_nothing_in_is_kept(lab: Lab) -> None:
    with hold(lab.cache, "default", "gcc", silent) as slot:
        (slot.tree / "one.c").write_text("int one;\n")
        for _ in range(2):
            subprocess.run(["gcc", "-MD", "-c", "-o", "one.o", "one.c"], check=True, cwd=slot.tree, env=slot.environment())
        said = subprocess.run(
            ["ccache", "--print-stats"], check=True, env=slot.environment(), capture_output=True, text=True
        ).stdout

    assert dict(line.split("\t") for line in said.splitlines())["direct_cache_hit"] == "1"


def test_what_was_compiled_elsewhere_is_taken_only_where_its_debug_information_is_right(lab: Lab, tmp_path: Path) -> None:
    with hold(lab.cache, "default", "gcc", silent) as slot:
        environment = slot.environment()
        for place, mapped in ((tmp_path / "mine", slot.tree), (tmp_path / "other", tmp_path / "other"), (slot.tree, slot.tree)):
            place.mkdir(exist_ok=True)
            (place / "one.c").write_text("int one;\n")
            words = ["gcc", f"-ffile-prefix-map={mapped}=.", "-g", "-MD", "-c", "-o", "one.o", "one.c"]
            subprocess.run(words, check=True, cwd=place, env=environment | {"CCACHE_BASEDIR": str(place)})
        said = subprocess.run(["ccache", "--print-stats"], check=True, env=environment, capture_output=True, text=True).stdout

        assert f"{tmp_path / 'mine'}".encode() not in (slot.tree / "one.o").read_bytes()
    assert dict(line.split("\t") for line in said.splitlines())["direct_cache_hit"] == "1", "that of the other slot"


@pytest.mark.parametrize("fragment", ["CONFIG_SMP=y\n", "#BASE# x86_64_defconfig\nCONFIG_NET=y\n"])
def test_the_dry_run_lines_can_be_pasted(lab: Lab, fragment: str) -> None:
    (lab.kconfigs / "default.config").write_text(fragment)
    tree = lab.tree()
    lines = make_line(lab.kconfig(), repository=tree.repository, commit=tree.commit, cache=lab.cache)

    subprocess.run(["bash", "-euc", lines], check=True, capture_output=True, cwd=lab.root)

    assert (lab.cache.root / "slots/default-gcc/tree/arch/x86/boot/bzImage").is_file()
    assert lab.build().objects == 0, "the lab's own build finds everything done"


def test_a_git_source_builds_too(lab: Lab, tmp_path: Path) -> None:
    tree = developer_tree(tmp_path / "mine")
    commit(tree, "fs: clamp", CLAMP)
    source, series = git_range(tree, "base..", dirty=False, cache=lab.cache, emit=silent)

    made = build(apply(source, [series], None, lab.cache, silent), lab.kconfig(), cache=lab.cache, emit=silent)

    assert made.objects == 2
    assert git(tree, "status", "--porcelain") == ""
