"""A build slot: one work tree per (kconfig, compiler) that moves along a series, touching only what differs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Cache, check_free
from lab.deadline import Deadline
from lab.errors import BuildError
from lab.events import Emit, Note
from lab.formats.dotconfig import Fragment
from lab.formats.makelog import carried_warnings
from lab.kernel import git
from lab.proc import CommandError, clean_environment, quote, run

NEW_SLOT_BYTES = 3_500_000_000
USED_SLOT_BYTES = 700_000_000
CONFIG_S = 600.0
SLOT_WAIT_S = 5 * 3600.0
EPOCH = "Thu Jan  1 00:00:00 UTC 1970"
FIXED = {"KBUILD_BUILD_TIMESTAMP": EPOCH, "KBUILD_BUILD_USER": "lab", "KBUILD_BUILD_HOST": "lab", "KBUILD_BUILD_VERSION": "1"}
"""What would make two builds of the same thing differ."""
NO_RUST = "RUSTC=false"
"""A make variable: whether the host has a Rust compiler must not show in .config."""
FRONT = """#!/bin/sh
# What .incbin brings in is in no list of dependencies (CCACHE_DEPEND): piggy.S, one text for all kernels of one compressed size.
for word; do
	case $word in
	*.c | *.S) ! grep -qsF .incbin "$word" || export CCACHE_DISABLE=1 ;;
	esac
done
PATH=${{PATH#*:}} exec {link} "$@"
"""


@dataclass(frozen=True)
class Slot:
    """<cache>/slots/<kconfig>-<cc>: `tree` (the work tree, built in place), `index` (git's), make.log, resolved.config."""

    root: Path
    cache: Cache
    cc: str
    fd: int
    """The held lock, for make to inherit."""

    @property
    def tree(self) -> Path:
        """The work tree; it has no .git, so nothing of git shows in a build."""
        return self.root / "tree"

    @property
    def log(self) -> Path:
        """What make said last; kept when a build fails."""
        return self.root / "make.log"

    @property
    def request(self) -> Path:
        """What is asked of Kconfig."""
        return self.root / "request.config"

    def move(self, repository: Path, tree: str) -> None:
        """Make the work tree hold `tree`; files that do not differ keep their time stamps. Raises CommandError."""
        marker = self.root / "moving"
        (self.root / "index.lock").unlink(missing_ok=True)  # of a killed run; the slot's lock is ours
        if marker.exists():  # finish that move first: files it added must be known to the index to be removed again
            interrupted = marker.read_text(encoding="utf-8")
            if git.ask(repository, "cat-file", "-e", interrupted).status == 0:
                self._read_tree(repository, interrupted)
        marker.write_text(tree, encoding="utf-8")
        self._read_tree(repository, tree)
        marker.unlink()

    def _read_tree(self, repository: Path, tree: str) -> None:
        env = {"GIT_INDEX_FILE": str(self.root / "index")}
        git.git(repository, f"--work-tree={self.tree}", "read-tree", "--reset", "-u", tree, env=env)

    def resolve(self, fragment: Fragment) -> str:
        """The text of the .config that Kconfig makes of a fragment in this tree. Raises BuildError."""
        self.request.write_text(fragment.text(), encoding="utf-8")
        with self.building():
            for argv in self.config_lines(fragment, self.root / "resolved.config"):
                try:
                    run(argv, deadline=Deadline.after(CONFIG_S), cwd=self.tree, env=self.environment())
                except CommandError as error:
                    raise BuildError(f"the tree cannot be configured: {error.message}", hint=f"try it in {self.tree}") from error
        return (self.root / "resolved.config").read_text(encoding="utf-8")

    def config_lines(self, fragment: Fragment, into: Path) -> list[list[str]]:
        """The commands that make a .config of the request. A defconfig takes no KCONFIG_ALLCONFIG: it is appended to."""
        into_words = [f"KCONFIG_CONFIG={into}", *self.variables()]
        if fragment.base.startswith("all"):
            return [["make", "-s", fragment.base, f"KCONFIG_ALLCONFIG={self.request}", *into_words]]
        append = ["sh", "-c", 'cat "$1" >>"$2"', "append", str(self.request), str(into)]
        return [["make", "-s", fragment.base, *into_words], append, ["make", "-s", "olddefconfig", *into_words]]

    def set_config(self, text: str) -> None:
        """Put .config in place; an equal one keeps its time stamp, so that kbuild has nothing to sync."""
        path = self.tree / ".config"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")

    def known_warnings(self) -> tuple[str, ...]:
        """Warnings of the objects as they are: on record, or said by the last make, finished or not; takes in its log."""
        record = self.root / "warnings"
        known = tuple(record.read_text(encoding="utf-8").splitlines()) if record.exists() else ()
        if self.log.exists():
            known = carried_warnings(known, self.log.read_text(encoding="utf-8", errors="backslashreplace").splitlines())
            record.write_text("".join(f"{line}\n" for line in known), encoding="utf-8")
            self.log.unlink()
        return known

    @property
    def holds(self) -> str:
        """Key of the Build whose objects lie here; empty when a make did not come to its end."""
        path = self.root / "holds"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def now_holds(self, key: str) -> None:
        """Note what a make left here; the empty key before it starts."""
        aside = self.root / ".holds.aside"
        aside.write_text(key, encoding="utf-8")
        aside.rename(self.root / "holds")

    @contextmanager
    def building(self) -> Iterator[None]:
        """Around make: if a former make was killed in here, what it left half-written goes first."""
        marker = self.root / "building"
        if marker.exists():
            repair(self.tree)
        marker.touch()
        yield
        marker.unlink()

    def variables(self) -> list[str]:
        """make variables that configuration and build share."""
        return [NO_RUST, *([] if self.cc == "gcc" else [f"CC={self.cc}"])]

    def flags(self) -> list[str]:
        """make variables that keep this slot's path out of what is built."""
        prefix = f"-ffile-prefix-map={self.tree}=."
        return [f"KCFLAGS={prefix}", f"KAFLAGS={prefix}"]

    def environment(self) -> dict[str, str]:
        """For make and vng: an empty HOME (vng's user file overrides flags), ccache in front when there is one."""
        extra = {"HOME": str(self.root / "home"), **FIXED}
        if shutil.which("ccache"):
            extra |= {
                "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
                "CCACHE_DIR": str(self.cache.root / "ccache"),
                "CCACHE_BASEDIR": str(self.tree),  # its name is hashed as -ffile-prefix-map rewrites it, alike in all slots
                "CCACHE_DEPEND": "1",  # the compiler's own dependency list instead of a preprocessor run: cold builds pay less
                "CCACHE_MAXSIZE": "10G",
            }
        return clean_environment(**extra)


def prepared(root: Path, cache: Cache, cc: str, fd: int) -> Slot:
    """The slot with its directories and enough free disk. Raises HostError."""
    fresh = not (root / "tree" / "vmlinux").exists()
    check_free(root, NEW_SLOT_BYTES if fresh else USED_SLOT_BYTES, "a kernel build")
    for name in ("tree", "home", "bin", "ccache"):
        (root / name).mkdir(exist_ok=True)
    if ccache := shutil.which("ccache"):
        _put_in_front(root, Path(cc).name, ccache)
    return Slot(root, cache, cc, fd)


def _put_in_front(root: Path, compiler: str, ccache: str) -> None:
    """Make bin/<compiler>, first in PATH, ccache under the compiler's name, but for sources that it must not keep."""
    link, front = root / "ccache" / compiler, root / "bin" / compiler
    if not (link.is_symlink() and str(link.readlink()) == ccache):
        link.unlink(missing_ok=True)
        link.symlink_to(ccache)
    text = FRONT.format(link=quote([link]))
    if front.is_symlink() or not front.is_file() or front.read_text(encoding="utf-8") != text:
        aside = front.with_name(f".{compiler}.aside")
        aside.write_text(text, encoding="utf-8")
        aside.chmod(0o755)
        aside.rename(front)


def slot_name(kconfig: str, cc: str) -> str:
    """The directory name of a slot."""
    return re.sub(r"[^\w.+-]", "_", f"{kconfig}-{cc}")


@contextmanager
def hold(cache: Cache, kconfig: str, cc: str, emit: Emit) -> Iterator[Slot]:
    """A slot under its lock, which make inherits: it is held as long as any part of a build runs. Raises HostError."""
    name = slot_name(kconfig, cc)
    with cache.lock(
        f"slot-{name}", deadline=Deadline.after(SLOT_WAIT_S), waiting=lambda text: emit(Note(f"build: {text}"))
    ) as fd:
        yield prepared(cache.root / "slots" / name, cache, cc, fd)


def repair(tree: Path) -> list[str]:
    """Remove what a killed make may have left half-written, and name it.

    Kbuild writes `.X.cmd` after X, so an X younger than its .cmd was never finished; a `.X.d` that is still there says the
    same of the .cmd. make would take both for good.
    """
    gone = []
    for directory, _, names in os.walk(tree):
        present = set(names)
        for name in names:
            if not (name.startswith(".") and name.endswith(".cmd")):
                continue
            target, here = name[1:-4], Path(directory)
            cut = f".{target}.d" in present and target.endswith(".o")
            if cut or (target in present and _younger(here / target, here / name)):
                _remove(here, [target, f".{target}.d", *([name] if cut else [])])
                gone.append(str((here / target).relative_to(tree)))
    return gone


def _younger(one: Path, other: Path) -> bool:
    return one.lstat().st_mtime_ns > other.lstat().st_mtime_ns


def _remove(directory: Path, names: Sequence[str]) -> None:
    for name in names:
        (directory / name).unlink(missing_ok=True)


def is_modular(resolved: Mapping[str, str]) -> bool:
    """Whether a .config has modules to build."""
    return "m" in resolved.values()
