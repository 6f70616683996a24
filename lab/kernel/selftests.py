"""The tree's own self-tests (tools/testing/selftests), built from a Tree and installed as its runner wants them.

A test that does not build is data: its name and the compiler's first error. What builds is run.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.cache import Cache, Entry, digest
from lab.deadline import Deadline
from lab.errors import HostError
from lab.events import Emit, StageFinished, StageLine, StageStarted
from lab.formats.makelog import host_trouble
from lab.formats.selftestlog import why_unbuilt
from lab.kernel import git
from lab.kernel.build import toolchain
from lab.kernel.slot import Slot, hold, slot_name
from lab.model.change import Build, Tree
from lab.model.wire import read_json, write_json
from lab.proc import CommandError, contained, need, quote, run, stream

NEEDS = {"make": "make", "gcc": "gcc", "rsync": "rsync", "strip": "binutils", "/usr/include/sys/capability.h": "libcap-dev"}
"""What many targets take; what a single one takes beside it (clang, libnuma-dev) is named when it does not build."""
WHERE = Path("tools/testing/selftests")
INCLUDES = Path("/usr/include")
RUNNER = Path(__file__).with_name("kselftest.sh")
HELPERS = ("ktap_helpers.sh", "ksft.py", "module.sh", "prefix.pl", "runner.sh")
"""Files of kselftest/ that the Makefile of all targets installs and tests source."""
RECIPE = "1"
SLOT = "selftests"
BUILD_S = 3600.0
ASK_S = 120.0
ALL = "*"
LIST = (
    "lab-list:;@printf 'program %s\\n' $(notdir $(TEST_GEN_PROGS) $(TEST_CUSTOM_PROGS)); "
    "printf 'script %s\\n' $(notdir $(TEST_PROGS))"
)
DEPENDENCIES = "lab-list:;@echo $(INSTALL_DEP_TARGETS)"
ELF = b"\x7fELF"


@dataclass(frozen=True)
class Want:
    """A target (a directory under tools/testing/selftests) and the tests of it; none: all of them."""

    target: str
    tests: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ",".join(f"{self.target}:{test}" for test in self.tests) or self.target


@dataclass(frozen=True)
class Selftests:
    """What one side has of the tests that were wanted, each as TARGET:TEST."""

    directory: Path
    """What is sent to the guest: the runner, a directory for each target, kselftest/."""
    key: str
    tests: tuple[str, ...]
    """Built and installed, in the tree's order."""
    unbuilt: dict[str, str] = field(default_factory=dict)
    """In the tree and not built; the first line is the compiler's first error, then what surrounds it."""
    reused: bool = field(default=False, compare=False)

    def timeout(self, target: str) -> int | None:
        """Seconds that the target's `settings` give each of its tests; None: it has none."""
        settings = self.directory / target / "settings"
        lines = settings.read_text(encoding="utf-8").splitlines() if settings.is_file() else []
        values = [line.partition("=")[2] for line in lines if line.startswith("timeout=")]
        return int(values[-1]) if values and values[-1].isdigit() else None

    def options(self, target: str) -> tuple[str, ...]:
        """The CONFIG_X=y lines that the target's `config` asks of the kernel."""
        config = self.directory / target / "config"
        lines = config.read_text(encoding="utf-8").split() if config.is_file() else []
        return tuple(line for line in lines if line.startswith("CONFIG_"))


@dataclass(frozen=True)
class _Place:
    """A slot with the tree in it, where the tests are built and installed."""

    slot: Slot
    payload: Path
    emit: Emit
    btf: Path
    lines: list[str]

    @property
    def out(self) -> Path:
        return self.slot.root / "out"

    def make(self, *words: str | Path) -> list[str | Path]:
        """A make line in the tree's selftests."""
        include = f"KHDR_INCLUDES=-isystem {self.slot.tree / 'usr/include'}"
        cc = [] if self.slot.cc == "gcc" else [f"CC={self.slot.cc}"]
        return ["make", "--no-print-directory", *words, include, f"VMLINUX_BTF={self.btf}", *cc]

    def target(self, name: str, *words: str | Path) -> list[str | Path]:
        """A make line of one target."""
        return self.make("-C", WHERE / name, f"OUTPUT={self.out / name}", *words)

    def stream(self, argv: Sequence[str | Path]) -> int:
        """Run make in the slot; its status."""

        def on_line(line: str) -> None:
            self.lines.append(line)
            self.emit(StageLine("selftests", line))

        slot = self.slot
        return stream(
            argv, deadline=Deadline.after(BUILD_S), log=slot.log, on_line=on_line, cwd=slot.tree, env=slot.environment(),
            pass_fds=[slot.fd],
        )  # fmt: skip

    def ask(self, argv: Sequence[str | Path]) -> str:
        """What make prints. Raises CommandError."""
        return run([*contained(), *argv], deadline=Deadline.after(ASK_S), cwd=self.slot.tree, env=self.slot.environment()).stdout


def build_selftests(tree: Tree, wants: Sequence[Want], kernel: Build, *, cache: Cache, emit: Emit, cc: str = "gcc") -> Selftests:
    """The wanted tests of a tree, from the cache or made in a slot of their own. `kernel`: the tree's, for its BTF.

    What does not build is in `unbuilt`, and then looked at again next time: a package of the host may have been missing.
    Raises HostError.
    """
    need("rsync", "install kernel self-tests")
    begun, what = time.monotonic(), " ".join(map(str, wants))
    emit(StageStarted("selftests", what))
    btf = kernel.key if any(_needs_btf(tree, want.target) for want in wants) else ""
    clang = run(["clang", "--version"], deadline=Deadline.after(30)).stdout if shutil.which("clang") else ""
    key = digest(RECIPE, tree.id, what, btf, clang, repr(_libraries()), RUNNER.read_bytes(), *toolchain(cc))
    if (found := cache.find("selftests", key)) and _load(found).unbuilt:
        cache.remove(Entry("selftests", key, found, 0, 0.0))
    reused = cache.find("selftests", key) is not None

    def fill(aside: Path) -> None:
        with hold(cache, SLOT, cc, emit) as slot, slot.building():
            _fill(aside, _Place(slot, aside / "payload", emit, kernel.vmlinux, []), tree, wants)

    directory = cache.get_or_make("selftests", key, fill)
    made = replace(_load(directory), directory=directory / "payload", key=key, reused=reused)
    detail = "unchanged: found in the cache" if reused else f"{len(made.tests)} tests, {len(made.unbuilt)} do not build"
    emit(StageFinished("selftests", what, time.monotonic() - begun, detail))
    return made


def make_lines(tree: Tree, wants: Sequence[Want], *, cache: Cache, vmlinux: Path, cc: str = "gcc") -> str:
    """The git and make lines of a build, ready to paste, for --dry-run. `vmlinux`: where the tree's kernel was built."""
    slot = Slot(cache.root / "slots" / slot_name(SLOT, cc), cache, cc, -1)
    place = _Place(slot, slot.root / "payload", lambda _: None, vmlinux, [])
    index = ["env", f"GIT_INDEX_FILE={slot.root / 'index'}", "git", f"--git-dir={tree.repository}", f"--work-tree={slot.tree}"]
    lines: list[Sequence[str | Path]] = [
        ["mkdir", "-p", slot.tree, *(place.out / want.target for want in wants)],
        [*index, "read-tree", "--reset", "-u", tree.commit],
        ["cd", slot.tree],
        ["make", "-s", "headers"],
    ]
    for want in wants:
        lines.append(place.target(want.target, *_build_words(place, want.target, want.tests)))
        lines.append(place.target(want.target, *_install_words(place, want.target)))
    return "\n".join(map(quote, lines))


def _load(directory: Path) -> Selftests:
    return read_json(directory / "selftests.json", Selftests)


def _libraries() -> list[str]:
    """What Makefiles build a test, or leave it out, by: whether libcap-dev, libnuma-dev and others are installed."""
    return sorted(path.name for path in INCLUDES.glob("*"))


def _needs_btf(tree: Tree, target: str) -> bool:
    return "VMLINUX_BTF" in (git.file_at(tree.repository, tree.commit, str(WHERE / target / "Makefile")) or "")


def _fill(aside: Path, place: _Place, tree: Tree, wants: Sequence[Want]) -> None:
    slot, payload = place.slot, place.payload
    slot.log.unlink(missing_ok=True)
    slot.move(tree.repository, tree.id)
    shutil.rmtree(place.out, ignore_errors=True)
    (payload / "kselftest").mkdir(parents=True)
    shutil.copy(RUNNER, payload / RUNNER.name)
    for name in HELPERS:
        if (helper := slot.tree / WHERE / "kselftest" / name).is_file():
            shutil.copy(helper, payload / "kselftest" / name)
    if place.stream(["make", "-s", "headers"]):
        raise HostError("`make headers` fails, which no self-test can do without", log=slot.log)
    found = [_build_target(place, want) for want in wants]
    _strip(payload)
    shutil.copyfile(slot.log, aside / "make.log")
    shutil.rmtree(place.out, ignore_errors=True)
    tests = tuple(test for one in found for test in one.tests)
    unbuilt = {test: why for one in found for test, why in one.unbuilt.items()}
    write_json(aside / "selftests.json", Selftests(payload, "", tests, unbuilt))


def _build_target(place: _Place, want: Want) -> Selftests:
    """Build and install what is wanted of one target, as far as it goes."""
    target = want.target
    if not (place.slot.tree / WHERE / target / "Makefile").is_file():
        return Selftests(place.payload, "", ())
    (place.out / target).mkdir(parents=True, exist_ok=True)  # some Makefiles go there to look at the host
    try:
        programs, scripts = _listed(place, target)
    except CommandError as error:
        names = want.tests or (ALL,)
        return Selftests(place.payload, "", (), {f"{target}:{name}": error.output.strip() or error.message for name in names})
    chosen = [name for name in (*programs, *scripts) if not want.tests or name in want.tests]
    single = bool(want.tests) and not set(chosen) & set(scripts)
    for name in [] if single else _dependencies(place, target):
        _make_and_install(place, name, ())
    said = _make_and_install(place, target, chosen if single else ()) if chosen else []
    built = [name for name in chosen if (place.payload / target / name).is_file()]
    unbuilt = {f"{target}:{name}": why_unbuilt(said, name) for name in chosen if name not in built}
    return Selftests(place.payload, "", tuple(f"{target}:{name}" for name in built), unbuilt)


def _listed(place: _Place, target: str) -> tuple[list[str], list[str]]:
    """The target's programs that are built, and its scripts, which take all of the target."""
    words = [line.split() for line in place.ask(place.target(target, "-s", f"--eval={LIST}", "lab-list")).splitlines()]
    kinds = {kind: [word[1] for word in words if word[:1] == [kind] and len(word) > 1] for kind in ("program", "script")}
    return kinds["program"], kinds["script"]


def _dependencies(place: _Place, target: str) -> list[str]:
    """Targets that must be installed beside this one, as the Makefile of all targets says."""
    words = ("-s", "-C", WHERE, f"TARGETS={target}", "SKIP_TARGETS=", f"--eval={DEPENDENCIES}", "lab-list")
    return place.ask(place.make(*words)).split()


def _make_and_install(place: _Place, target: str, tests: Sequence[str]) -> list[str]:
    """make as much as goes of a target (only `tests` when given) and install what there is; what make said."""
    before = len(place.lines)
    (place.out / target).mkdir(parents=True, exist_ok=True)
    place.stream(place.target(target, *_build_words(place, target, tests)))
    said = place.lines[before:]
    if trouble := host_trouble(said):
        raise HostError(f"the build of {target} was cut off by this machine: {trouble}", log=place.slot.log, hint="./inv du")
    place.stream(place.target(target, *_install_words(place, target)))
    return said


def _build_words(place: _Place, target: str, tests: Sequence[str]) -> list[str | Path]:
    """--keep-going, and each rule's output in one piece, so that an error can be told from its neighbour's."""
    jobs = f"-j{len(os.sched_getaffinity(0))}"
    return ["--keep-going", jobs, "--output-sync=target", *(place.out / target / name for name in tests)]


def _install_words(place: _Place, target: str) -> list[str | Path]:
    """What is there, without building the rest: errors are ignored, `all` counts as done."""
    where = place.slot.tree / WHERE
    paths = [f"INSTALL_PATH={place.payload / target}", f"SRC_PATH={where}", f"OBJ_PATH={place.payload}"]
    return ["--ignore-errors", "--silent", "--old-file=all", *paths, "install"]


def _strip(payload: Path) -> None:
    """Leave debug information at home: the guest's connection is slow."""
    programs = [path for path in payload.rglob("*") if _is_program(path)]
    if programs:
        run(["strip", "--strip-debug", *programs], deadline=Deadline.after(ASK_S), check=False)


def _is_program(path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or path.suffix in (".o", ".ko") or not os.access(path, os.X_OK):
        return False
    with path.open("rb") as stream_:
        return stream_.read(4) == ELF


def arguments_variable(test: str) -> str:
    """Where the words for TARGET:TEST are looked for (the tree's tools/testing/selftests/kselftest/runner.sh)."""
    name = re.sub(r"[^0-9A-Za-z_]", "_", test.rpartition(":")[2])
    return f"KSELFTEST_{name.upper()}_ARGS"


def parse_wants(text: str) -> tuple[Want, ...]:
    """`net:tls,net:tun futex` as wants: one for each target, in order; a target without a test means all of it."""
    found: dict[str, list[str]] = {}
    whole = set()
    for word in re.split(r"[,\s]+", text.strip()):
        target, _, test = word.strip("/").partition(":")
        found.setdefault(target, [])
        if test and test not in found[target]:
            found[target].append(test)
        elif not test:
            whole.add(target)
    return tuple(Want(target, () if target in whole else tuple(tests)) for target, tests in found.items() if target)
