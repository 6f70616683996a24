"""A squashfs of Debian packages: mmdebstrap unpacks them into memory, mksquashfs packs that up; same inputs, same bytes."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab.cache import Cache, check_free, digest
from lab.deadline import Deadline
from lab.errors import HostError
from lab.events import Emit, Note, StageFinished, StageLine, StageStarted
from lab.guest import packages
from lab.guest.packages import Resolution
from lab.model.wire import write_json
from lab.proc import CommandError, clean_environment, need, run, stream

NEEDS = {"mmdebstrap": "mmdebstrap", "mksquashfs": "squashfs-tools", "newuidmap": "uidmap"}
SQUASHFS, RESOLUTION, RECIPE, LOG = "root.squashfs", "resolution.json", "recipe", "make.log"
BUILD_S = 3600.0
DISK_BYTES = 1_000_000_000
EPOCH = 1767139200
"""2025-12-31, the day before the guest's clock starts: no file is from the future, which make would mind."""
PRIVATE = ("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
BORROWED_ROOT = (PRIVATE[0], "--user", "--map-root-user", "--map-auto", *PRIVATE[1:])
"""For who is not root: root of a user namespace that has the user's subordinate ids (/etc/subuid)."""
SCRIPT = """\
set -eu
mount -t tmpfs -o mode=755 tmpfs scratch
export TMPDIR="$PWD/scratch"
{ "$@" || touch failed; } |
mksquashfs - root.squashfs -tar -noappend -comp zstd -Xcompression-level 9 -no-xattrs -processors 1 -quiet -no-progress
[ ! -e failed ]
umount scratch
"""
"""The unpacked root is in memory that goes with the mount namespace, so a kill leaves nothing of it, whoever owns its files."""
SKIPPED = ("--skip=update", "--skip=cleanup/apt", "--skip=cleanup/mmdebstrap")
"""The lists are the host's; apt's and mmdebstrap's own files are removed by the recipe's script."""
HOOK_LISTS = 'cp "{lists}"/*_* "$1/var/lib/apt/lists/"'
HOOK_STATUS = 'cp "$1/var/lib/dpkg/status" "{aside}/status"'


@dataclass(frozen=True)
class Contents:
    """What a recipe says about its squashfs."""

    packages: tuple[str, ...]
    optional: tuple[str, ...]
    exclude: tuple[str, ...]
    """Paths that are not unpacked, dpkg's patterns (dpkg(1), --path-exclude)."""
    keep: tuple[str, ...]
    """Paths that are unpacked all the same."""
    customize: Path | None
    """A script that gets the unpacked root as its argument."""

    @property
    def key(self) -> str:
        """Of the recipe alone, whatever the archive offers."""
        hook = self.customize.read_bytes() if self.customize else b""
        return digest(*("\n".join(words) for words in (self.packages, self.optional, self.exclude, self.keep)), hook)


@dataclass(frozen=True)
class Rootfs:
    """A finished squashfs."""

    key: str
    path: Path
    label: str = ""
    """What is not as asked: packages left out, or an older image because the archive could not be asked."""


def make_rootfs(name: str, contents: Contents, cache: Cache, emit: Emit) -> Rootfs:
    """The squashfs of `contents` with the versions apt resolves now, made once per recipe, versions and tools.

    Where they cannot be resolved or had, the newest one of this recipe is used, with a label. Raises HostError.
    """
    try:
        return _made(name, contents, cache, emit)
    except (HostError, CommandError) as error:
        if not (old := _newest(contents, cache)):
            raise
        made = datetime.fromtimestamp((old / SQUASHFS).stat().st_mtime, UTC).date()
        label = f"IMAGE {name} IS NOT CURRENT: made {made}, since: {error.message.splitlines()[0]}"
        emit(Note(label))
        return Rootfs(old.name, old / SQUASHFS, label)


def _made(name: str, contents: Contents, cache: Cache, emit: Emit) -> Rootfs:
    """As make_rootfs without its second best; root refreshes lists that are missing, or name what the archive has no more."""
    resolution: Resolution | None = None
    try:
        resolution = packages.resolve(contents.packages, contents.optional, cache)
        return _of(resolution, name, contents, cache, emit)
    except HostError as error:
        if os.geteuid() != 0:
            raise
        emit(Note(f"image {name}: {error.message.splitlines()[0]}; refreshing apt's lists"))
        packages.update()
        newer = packages.resolve(contents.packages, contents.optional, cache)
        if newer == resolution:
            raise
    return _of(newer, name, contents, cache, emit)


def _of(resolution: Resolution, name: str, contents: Contents, cache: Cache, emit: Emit) -> Rootfs:
    key = key_of(contents, resolution)
    label = f"IMAGE {name} LACKS {', '.join(resolution.left_out)}: the archive has none" if resolution.left_out else ""
    if label:
        emit(Note(label))
    place = cache.get_or_make("rootfs", key, lambda aside: _fill(aside, name, contents, resolution, emit))
    return Rootfs(key, place / SQUASHFS, label)


def key_of(contents: Contents, resolution: Resolution) -> str:
    """Changes with anything that decides about the bytes: recipe, packages, tools, and how we call them."""
    versions = [f"{package.pinned} {package.sha256}" for package in resolution.packages]
    how = [*mmdebstrap_argv(Contents((), (), contents.exclude, contents.keep, None), (), (), Path()), SCRIPT, str(EPOCH)]
    return digest(contents.key, "\n".join(versions), "\n".join(how), *(_version(tool) for tool in ("mmdebstrap", "mksquashfs")))


def _version(tool: str) -> str:
    words = {"mksquashfs": ["-version"]}.get(tool, ["--version"])
    said = run([need(tool, "make an image of Debian packages"), *words], deadline=Deadline.after(20), check=False).stdout
    return said.strip().partition("\n")[0]


def _newest(contents: Contents, cache: Cache) -> Path | None:
    """The newest squashfs of this recipe, if any."""
    made = [path.parent for path in (cache.root / "rootfs").glob(f"[!.]*/{RECIPE}") if path.read_text() == contents.key]
    return max(made, key=lambda place: (place / SQUASHFS).stat().st_mtime, default=None)


def mmdebstrap_argv(contents: Contents, pinned: Sequence[str], hooks: Sequence[str], settings: Path, *from_: Path) -> list[str]:
    """mmdebstrap's words: every package in its resolved version, from lists that are there; the root comes out as a tar."""
    words = ["mmdebstrap", "--mode=root", "--variant=essential", "--format=tar", *SKIPPED, f"--aptopt={settings}"]
    words += [f"--dpkgopt=path-exclude={path}" for path in contents.exclude]
    words += [f"--dpkgopt=path-include={path}" for path in contents.keep]
    words += [f"--include={','.join(pinned)}", *hooks]
    words += [f"--customize-hook={contents.customize}"] if contents.customize else []
    return [*words, "", "-", *(str(path) for path in from_)]


def _fill(aside: Path, name: str, contents: Contents, resolution: Resolution, emit: Emit) -> None:
    began = time.monotonic()
    check_free(aside, DISK_BYTES, f"the image {name}")
    emit(StageStarted("rootfs", name))
    emit(Note(f"image {name}: {len(resolution.packages)} packages, {resolution.megabytes:.0f} MB to download"))
    (aside / "scratch").mkdir()
    settings = aside / "apt.conf"
    settings.write_text(packages.settings(), encoding="utf-8")
    hooks = [
        "--setup-hook=" + HOOK_LISTS.format(lists=str(packages.lists()).rstrip("/")),
        "--customize-hook=" + HOOK_STATUS.format(aside=aside),
    ]
    pinned = [package.pinned for package in resolution.packages]
    argv = mmdebstrap_argv(contents, pinned, hooks, settings, *packages.sources())
    _run(["sh", "-c", SCRIPT, "sh", *argv], aside, emit)
    _check(aside, resolution)
    write_json(aside / RESOLUTION, resolution)
    (aside / RECIPE).write_text(contents.key)
    (aside / "scratch").rmdir()
    for leftover in ("apt.conf", "status"):
        (aside / leftover).unlink()
    size = (aside / SQUASHFS).stat().st_size
    emit(StageFinished("rootfs", name, time.monotonic() - began, f"{len(pinned)} packages, {size / 1e6:.0f} MB"))


def _run(argv: Sequence[str], aside: Path, emit: Emit) -> None:
    env = clean_environment(SOURCE_DATE_EPOCH=str(EPOCH), PYTHONHASHSEED="0", DEBIAN_FRONTEND="noninteractive", TZ="UTC")
    inside = PRIVATE if os.geteuid() == 0 else BORROWED_ROOT
    log = aside / LOG

    def line(text: str) -> None:
        emit(StageLine("rootfs", text))

    status = stream(argv, deadline=Deadline.after(BUILD_S), log=log, on_line=line, cwd=aside, env=env, inside=inside)
    if status != 0:
        said = log.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
        tail = "\n".join(f"    {text}" for text in said[-20:])
        why = next((text for text in reversed(said) if text.startswith("E: ")), f"exit status {status}")
        raise HostError(f"mmdebstrap does not make the image: {why}\n{tail}", hint="apt-get update; ./inv doctor")


def installed(status: str) -> set[tuple[str, str]]:
    """Name and version of every package that is installed, by the text of dpkg's status file (deb822)."""
    stanzas = [dict(re.findall(r"^([A-Z][a-z-]*): (.*)$", stanza, re.MULTILINE)) for stanza in status.split("\n\n")]
    return {(one["Package"], one["Version"]) for one in stanzas if one.get("Status") == "install ok installed"}


def _check(aside: Path, resolution: Resolution) -> None:
    """What was installed is what was resolved, or the key would lie. Raises HostError."""
    found = installed((aside / "status").read_text(encoding="utf-8"))
    asked = {(package.name, package.version) for package in resolution.packages}
    if found != asked:
        odd = ", ".join(f"{name} {version}" for name, version in sorted(found ^ asked)[:10])
        raise HostError(f"mmdebstrap installed other packages than apt resolved: {odd}", hint="apt-get update, then again")
