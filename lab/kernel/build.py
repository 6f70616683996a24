"""Tree + Kconfig -> Build: never twice for the same inputs, by `vng --build` in a slot."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from lab.cache import Cache, digest
from lab.deadline import Deadline
from lab.errors import BuildError, HostError
from lab.events import Emit, StageFinished, StageLine, StageStarted
from lab.formats.dotconfig import parse_dotconfig
from lab.formats.makelog import BuildFault, carried_warnings, count_compiled, first_fault, host_trouble
from lab.kernel import git
from lab.kernel.foreign import foreign
from lab.kernel.kconfig import requested, verify
from lab.kernel.slot import FIXED, NO_RUST, Slot, hold, is_modular, slot_name
from lab.kernel.tree import commits_of
from lab.model.change import Build, Kconfig, Tree
from lab.model.outcome import Finding
from lab.model.wire import read_json, write_json
from lab.proc import clean_environment, need, quote, run, stream

__all__ = ["build", "foreign", "in_slot", "known_build", "make_line", "rebuilt", "toolchain"]

BUILD_S = 4 * 3600.0
RECIPE = "2"
"""Part of every key: raise it when the way of building changes what comes out."""
OUTPUTS = {"arch/x86/boot/bzImage": "bzImage", "vmlinux": "vmlinux", "System.map": "System.map", ".config": "config"}
NEEDS = {
    "make": "make",
    "gcc": "gcc",
    "ld": "binutils",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "pahole": "dwarves",
    "ccache": "ccache",
    "cpio": "cpio",
    "xz": "xz-utils",
    "/usr/include/libelf.h": "libelf-dev",
    "/usr/include/openssl/ssl.h": "libssl-dev",
}
"""Programs and, as absolute paths, headers that a kernel build needs, each with the Debian package that has it."""


def build(tree: Tree, kconfig: Kconfig, *, cache: Cache, emit: Emit, cc: str = "gcc") -> Build:
    """The kernel of a tree and a kconfig, from the cache or made in the slot.

    Raises KconfigError (an option was lost), BuildError (first compiler error, the patch behind it), HostError.
    """
    need("vng", "build the kernel (virtme-ng; ./inv installs it into .venv)")
    begun, what = time.monotonic(), f"{kconfig.name} {tree.id[:12]}"
    emit(StageStarted("build", what))
    tools = toolchain(cc)
    memo = _memo(tree, kconfig, cc, tools)
    if known := _recall(cache, memo, tree):
        emit(StageFinished("build", what, time.monotonic() - begun, "unchanged: found in the cache, no make run"))
        return known
    with hold(cache, kconfig.name, cc, emit) as slot:
        made = _recall(cache, memo, tree) or _make(slot, tree, kconfig, tools=tools, memo=memo, emit=emit)
    detail = f"{made.objects} objects, {len(made.warnings)} warnings" if not made.reused else "found in the cache, no make run"
    emit(StageFinished("build", what, time.monotonic() - begun, detail))
    return made


def known_build(tree: Tree, kconfig: Kconfig, *, cache: Cache, cc: str = "gcc") -> Build | None:
    """The kernel of a tree and a kconfig if the cache has it. Raises HostError."""
    return _recall(cache, _memo(tree, kconfig, cc, toolchain(cc)), tree)


def rebuilt(before: tuple[Tree, Kconfig], after: tuple[Tree, Kconfig], *, cache: Cache, emit: Emit, cc: str = "gcc") -> int:
    """How many objects make compiles on the way from one kernel to the next; known from then on.

    Where the slot did not just go that way, it is sent there, though both kernels may be in the cache. Raises what `build` does.
    """
    keys = [build(*side, cache=cache, emit=emit, cc=cc).key for side in (before, after)]
    kept = _way(*keys)
    if not cache.find("rebuilt", kept):
        with in_slot(*before, cache=cache, emit=emit, cc=cc) as slot:
            _bring(slot, *after, emit=emit)
    path = cache.get_or_make("rebuilt", kept, _lost)
    return int((path / "objects").read_text(encoding="utf-8"))


@contextmanager
def in_slot(tree: Tree, kconfig: Kconfig, *, cache: Cache, emit: Emit, cc: str = "gcc") -> Iterator[Slot]:
    """The slot, held, with every object of that kernel in place. Raises what `build` does."""
    with hold(cache, kconfig.name, cc, emit) as slot:
        _bring(slot, tree, kconfig, emit=emit)
        yield slot


def _bring(slot: Slot, tree: Tree, kconfig: Kconfig, *, emit: Emit) -> None:
    """Make the slot hold a kernel, though the cache may have it."""
    tools = toolchain(slot.cc)
    memo = _memo(tree, kconfig, slot.cc, tools)
    known = _recall(slot.cache, memo, tree)
    if known is None or slot.holds != known.key:
        _make(slot, tree, kconfig, tools=tools, memo=memo, emit=emit, again=True)


def _way(before: str, after: str) -> str:
    return digest("rebuilt", before, after)


def _lost(directory: Path) -> None:
    raise HostError("another build came between two kernels of the slot", hint="try again")


def toolchain(cc: str) -> tuple[str, ...]:
    """First version lines of compiler, linker and pahole ("no pahole" without). Raises HostError."""
    need(cc, "compile the kernel")
    need("ld", "link the kernel")
    lines = []
    for program in (cc, "ld", "pahole"):
        if program == "pahole" and shutil.which(program) is None:
            lines.append("no pahole")
            continue
        said = run([program, "--version"], deadline=Deadline.after(30)).stdout.splitlines()
        lines.append(f"pahole {said[0]}" if program == "pahole" else said[0])
    return tuple(lines)


def make_line(kconfig: Kconfig, *, repository: Path, commit: str, cache: Cache, cc: str = "gcc") -> str:
    """The git, make and vng lines of a build, ready to paste, for --dry-run."""
    slot = Slot(cache.root / "slots" / slot_name(kconfig.name, cc), cache, cc, -1)
    fragment = requested(kconfig)
    plain = clean_environment()
    settings = ["env", *(f"{name}={value}" for name, value in slot.environment().items() if plain.get(name) != value)]
    index = ["env", f"GIT_INDEX_FILE={slot.root / 'index'}", "git", f"--git-dir={repository}", f"--work-tree={slot.tree}"]
    lines = [
        quote(["mkdir", "-p", slot.tree, slot.root / "home", slot.root / "bin"]),
        quote([*index, "read-tree", "--reset", "-u", commit]),
        f"cat >{quote([slot.request])} <<'END'\n{fragment.text()}END",
        f"cd {quote([slot.tree])}",
        *(quote([*settings, *argv]) for argv in slot.config_lines(fragment, slot.tree / ".config")),
        quote([*settings, *_vng(slot, modules="m" in fragment.requests.values())]),
    ]
    return "\n".join(lines)


def _vng(slot: Slot, *, modules: bool) -> list[str]:
    skip = [] if modules else ["--skip-modules"]
    return ["vng", "--build", "--verbose", *skip, *slot.variables(), *slot.flags()]


def _make(
    slot: Slot, tree: Tree, kconfig: Kconfig, *, tools: tuple[str, ...], memo: str, emit: Emit, again: bool = False
) -> Build:
    """Build it in the slot; `again`: though the cache has it, for what is learned on the way."""
    begun = time.monotonic()
    slot.move(tree.repository, tree.id)
    text = slot.resolve(requested(kconfig))
    resolved = parse_dotconfig(text)
    verify(kconfig, resolved, tree.repository, tree.commit)
    key = digest(RECIPE, tree.id, text, cc_flags(), *tools)
    if not again and (cache_hit := slot.cache.find("build", key)):
        remember(slot.cache, memo, key)
        return _load(cache_hit, tree)
    slot.set_config(text)
    known, before = slot.known_warnings(), slot.holds
    slot.now_holds("")
    lines = _run_vng(slot, tree, modules=is_modular(resolved), emit=emit)
    if (slot.tree / ".config").read_text(encoding="utf-8") != text:
        raise BuildError(
            f"the build changed .config: see `diff {slot.root / 'resolved.config'} {slot.tree / '.config'}`", log=slot.log
        )
    made = Build(
        key=key,
        directory=Path(),
        release=(slot.tree / "include/config/kernel.release").read_text(encoding="utf-8").strip(),
        tree=tree.id,
        kconfig=kconfig.name,
        kconfig_hash=hashlib.sha256(text.encode()).hexdigest(),
        toolchain=tools,
        warnings=carried_warnings(known, lines),
        objects=count_compiled(lines),
        seconds=round(time.monotonic() - begun, 1),
    )
    directory = slot.cache.get_or_make("build", key, lambda aside: _collect(slot, made, aside))
    slot.now_holds(key)
    if before:
        slot.cache.get_or_make("rebuilt", _way(before, key), lambda aside: _count(aside, made.objects))
    remember(slot.cache, memo, key)
    return replace(_load(directory, tree), reused=False)


def _count(directory: Path, objects: int) -> None:
    (directory / "objects").write_text(str(objects), encoding="utf-8")


def cc_flags() -> str:
    """Everything beside tree, .config and toolchain that decides what comes out; part of the key."""
    return " ".join(["-ffile-prefix-map", NO_RUST, *(f"{name}={value}" for name, value in FIXED.items())])


def _run_vng(slot: Slot, tree: Tree, *, modules: bool, emit: Emit) -> list[str]:
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        emit(StageLine("build", line))

    with slot.building():
        status = stream(
            _vng(slot, modules=modules),
            deadline=Deadline.after(BUILD_S),
            log=slot.log,
            on_line=on_line,
            cwd=slot.tree,
            env=slot.environment(),
            pass_fds=[slot.fd],
        )
    if trouble := host_trouble(lines) if status != 0 else "":
        raise HostError(
            f"the kernel build was cut off by this machine: {trouble}", log=slot.log, hint="./inv du; free disk or memory"
        )
    if status != 0:
        raise _failure(first_fault(lines), tree, slot.log)
    return lines


def _failure(fault: BuildFault, tree: Tree, log: Path) -> BuildError:
    blame = _blame(fault, tree)
    message = "\n".join(["the kernel does not build", *(f"  {line}" for line in fault.context), f"  {blame}"])
    title = f"{fault.title} ({blame})"
    finding = Finding(
        "build", title, f"build:{fault.file}:{fault.title.rpartition('error: ')[2]}", (*fault.context, blame), fatal=True
    )
    return BuildError(message, log=log, hint="./inv edit SERIES opens a tree to fix it in", finding=finding)


def _blame(fault: BuildFault, tree: Tree) -> str:
    """Which patch last touched the file with the error, or a file it includes."""
    names = commits_of(tree)
    if not names:
        return "no patch is applied: the source itself or the toolchain is at fault"
    span = f"{tree.commit}~{len(tree.applied)}..{tree.commit}"
    for file in filter(None, (fault.file, *fault.included)):
        commits = git.ask(tree.repository, "rev-list", "-1", span, "--", file).stdout.split()
        if commits:
            return f"last touched by {names[commits[0]]}: {file}"
    return f"no patch touches {fault.file or 'a file that is named there'}; the last one applied is {tree.applied[-1]}"


def _collect(slot: Slot, made: Build, directory: Path) -> None:
    for origin, name in OUTPUTS.items():
        shutil.copyfile(slot.tree / origin, directory / name)
    shutil.copyfile(slot.log, directory / "make.log")
    if is_modular(parse_dotconfig((directory / "config").read_text(encoding="utf-8"))):
        (directory / "modules").mkdir()
        for line in (slot.tree / "modules.order").read_text(encoding="utf-8").split():
            module = (slot.tree / line).with_suffix(".ko")  # the file lists objects or modules, by release
            shutil.copyfile(module, directory / "modules" / module.name)
    write_json(directory / "build.json", made)


def _memo(tree: Tree, kconfig: Kconfig, cc: str, tools: tuple[str, ...]) -> str:
    fragment = requested(kconfig)
    return digest(RECIPE, tree.id, repr(sorted(fragment.wanted.items())), fragment.base, cc, *tools)


def remember(cache: Cache, memo: str, key: str) -> None:
    """Note which Build a memo (tree, options, toolchain) came to, which spares the resolving of a .config."""
    entry = cache.get_or_make("memo", memo, lambda directory: None)
    aside = entry / ".build.aside"
    aside.write_text(key, encoding="utf-8")
    aside.rename(entry / "build")


def _recall(cache: Cache, memo: str, tree: Tree) -> Build | None:
    with suppress(FileNotFoundError):
        key = (cache.root / "memo" / memo / "build").read_text(encoding="utf-8")
        if (directory := cache.find("build", key)) and cache.find("memo", memo):
            known = _load(directory, tree)
            return known if known.tree == tree.id else None  # memos come with archives, too
    return None


def _load(directory: Path, tree: Tree) -> Build:
    """The Build in a cache entry, with the names under which it was asked for this time."""
    kept = read_json(directory / "build.json", Build)
    return replace(kept, directory=directory, applied=tree.applied, labels=tree.labels, reused=True)
