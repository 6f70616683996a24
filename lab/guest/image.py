"""A guest root file system from a recipe and the host's own programs: a RAM disk, never the host's root, never on disk."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Cache, digest, digest_files
from lab.deadline import Deadline
from lab.errors import HostError, UsageError
from lab.events import Emit, StageFinished, StageStarted
from lab.guest import cpio
from lab.guest.rootfs import Contents, make_rootfs
from lab.model.machine import Image
from lab.proc import CommandError, run
from lab.toml import read_toml, strict_keys

NEEDS = {
    "busybox": "busybox-static",
    "dropbear": "dropbear-bin",
    "dropbearkey": "dropbear-bin",
    "dropbearconvert": "dropbear-bin",
    "ldd": "libc-bin",
}
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
LIBRARY = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
DIRECTORIES = ("bin", "dev", "etc", "etc/dropbear", "lab", "proc", "run", "share", "sys", "tmp", "usr", "var", "var/log")
ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shells": "/bin/sh\n",
    "etc/hostname": "lab\n",
}


@strict_keys
@dataclass(frozen=True)
class Recipe:
    """images/<name>/image.toml: what goes into the image, by name of the host's programs."""

    programs: tuple[str, ...]
    init: str = "init"
    """File of the recipe's directory that becomes /init."""
    include: tuple[str, ...] = ()
    """More files, relative to the recipe's directory, put into /lab."""
    packages: tuple[str, ...] = ()
    """Debian packages of a squashfs beside the initramfs, besides the essential ones and what they depend on; empty: none."""
    optional: tuple[str, ...] = ()
    """More of them, left out with a label where the archive has none."""
    exclude: tuple[str, ...] = ()
    """Paths that are not unpacked: dpkg(1), --path-exclude."""
    keep: tuple[str, ...] = ()
    """Paths that are, all the same."""
    customize: str = ""
    """File of the recipe's directory that mmdebstrap runs on the unpacked root."""
    summary: str = ""


def make_image(directory: Path, cache: Cache, emit: Emit) -> Image:
    """The image of the recipe in `directory`, made once per content of recipe, programs and libraries.

    Raises HostError when a program or library is missing, UsageError for a recipe that does not read.
    """
    recipe = read_toml(directory / "image.toml", Recipe)
    scripts = _scripts(directory, recipe)
    files = host_files(recipe.programs)
    root = make_rootfs(directory.name, _contents(directory, recipe), cache, emit) if recipe.packages else None
    key = digest(digest_files(directory, *scripts.values(), Path(cpio.__file__), Path(__file__)), *_bytes(files))
    emit(StageStarted("image", directory.name))
    found = cache.find("image", key)
    place = cache.get_or_make("image", key, lambda aside: _fill(aside, scripts, files))
    emit(StageFinished("image", directory.name, 0.0, "in the cache" if found else "made"))
    return Image(
        name=directory.name,
        hash=digest(key, root.key) if root else key,
        initrd=place / "initrd.cpio",
        ssh_key=place / "ssh_key",
        host_key=place / "host_key.pub",
        disk=root.path if root else None,
        label=root.label if root else "",
    )


def _contents(directory: Path, recipe: Recipe) -> Contents:
    customize = _beside(directory, "customize", recipe.customize) if recipe.customize else None
    return Contents(recipe.packages, recipe.optional, recipe.exclude, recipe.keep, customize)


def _beside(directory: Path, key: str, name: str) -> Path:
    if not (directory / name).is_file():
        raise UsageError(f"{directory / 'image.toml'}: {key}: there is no file {name!r} beside it")
    return directory / name


def _scripts(directory: Path, recipe: Recipe) -> dict[str, Path]:
    """Path in the initramfs to the file of the lab that goes there. Raises UsageError for one that is not there."""
    more = {f"lab/{Path(name).name}": _beside(directory, "include", name) for name in recipe.include}
    return {"init": _beside(directory, "init", recipe.init), **more}


def host_files(programs: tuple[str, ...]) -> dict[str, Path]:
    """Path in the image to path on the host: each program under bin/, its libraries where its loader looks for them."""
    found: dict[str, Path] = {}
    for name in programs:
        program = _locate(name)
        found[f"bin/{name}"] = program
        found.update({library.lstrip("/"): Path(library) for library in _libraries(program)})
    return found


def _locate(name: str) -> Path:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
    if path is None:
        raise HostError(f"`{name}` is not on this host; the guest image is made of it", hint="./inv doctor --install")
    return Path(path).resolve()


def _libraries(program: Path) -> list[str]:
    """Absolute paths of the shared objects a program is loaded with, the loader among them; none when it is static."""
    listing = run(["ldd", program], deadline=Deadline.after(20), check=False)
    if "not found" in listing.stdout:
        raise HostError(f"{program} lacks a library on this host:\n{listing.stdout}", hint="./inv doctor --install")
    return LIBRARY.findall(listing.stdout)


def _bytes(files: dict[str, Path]) -> list[str | bytes]:
    return [part for name, path in sorted(files.items()) for part in (name, path.read_bytes())]


def _fill(aside: Path, scripts: dict[str, Path], files: dict[str, Path]) -> None:
    host_private, host_public = _new_key(aside / "host_key")
    client_private, client_public = _new_key(aside / "client_key")
    run(["dropbearconvert", "dropbear", "openssh", client_private, aside / "ssh_key"], deadline=Deadline.after(20))
    (aside / "ssh_key").chmod(0o600)
    (aside / "host_key.pub").write_text(host_public + "\n")
    entries = _tree(scripts, files, host_private.read_bytes(), client_public)
    (aside / "initrd.cpio").write_bytes(cpio.archive(entries))
    host_private.unlink()
    client_private.unlink()


def _new_key(path: Path) -> tuple[Path, str]:
    """A fresh ed25519 key in dropbear's format, and its public half as one OpenSSH line without the comment."""
    said = run(["dropbearkey", "-t", "ed25519", "-f", path], deadline=Deadline.after(20))
    public = re.search(r"^(ssh-ed25519 \S+)", said.stdout, re.MULTILINE)
    if public is None:
        raise CommandError(["dropbearkey"], 0, said.stdout + said.stderr)
    return path, public.group(1)


def _tree(scripts: dict[str, Path], files: dict[str, Path], host_key: bytes, authorized: str) -> list[cpio.Entry]:
    parents = {str(parent) for name in files for parent in Path(name).parents if str(parent) != "."}
    return [
        *(cpio.directory(name) for name in {*DIRECTORIES, *parents}),
        cpio.directory("root", 0o700),
        cpio.directory("root/.ssh", 0o700),
        cpio.symlink("sbin", "bin"),
        cpio.symlink("usr/bin", "../bin"),
        cpio.symlink("usr/sbin", "../bin"),
        cpio.symlink("bin/sh", "busybox"),
        cpio.character_device("dev/console", 5, 1),
        cpio.regular("etc/dropbear/host_key", host_key, 0o600),
        cpio.regular("root/.ssh/authorized_keys", authorized.encode() + b"\n", 0o600),
        *(cpio.regular(name, text.encode()) for name, text in ACCOUNTS.items()),
        *(cpio.regular(name, path.read_bytes(), 0o755) for name, path in (files | scripts).items()),
    ]
