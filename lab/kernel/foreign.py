"""A kernel that somebody else built (`--kernel bzImage`, `--kernel O=DIR`) as a Build."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

from lab.cache import Cache, digest
from lab.errors import UsageError
from lab.model.change import Build
from lab.model.wire import read_json, write_json

IMAGE = Path("arch/x86/boot/bzImage")
MAGIC_AT, MAGIC = 0x202, b"HdrS"
VERSION_AT = 0x20E


def foreign(path: str, cache: Cache | None = None) -> Build:
    """A bzImage, or `O=DIR` (a kernel build directory), copied into the cache with what lies beside it. Raises UsageError.

    Without a System.map nothing can be attributed or decoded; without a .config no option can be looked up.
    """
    files = _files(path)
    raw = files["bzImage"].read_bytes()
    release = release_in(raw, path)
    config = files["config"].read_bytes() if "config" in files else b""
    key = digest("foreign", raw, config, *(str(files[name].stat().st_mtime_ns) for name in sorted(files)))

    def fill(directory: Path) -> None:
        for name in ("vmlinux", "System.map", "config"):
            (directory / name).touch()
        for name, origin in files.items():
            shutil.copyfile(origin, directory / name)
        write_json(directory / "build.json", _described(key, release, path, config, [*files]))

    directory = (cache or Cache.default()).get_or_make("build", key, fill)
    return replace(read_json(directory / "build.json", Build), directory=directory, reused=True)


def release_in(image: bytes, origin: str) -> str:
    """The release a bzImage names: the first word at kernel_version (Documentation/arch/x86/boot.rst). Raises UsageError."""
    if image[MAGIC_AT : MAGIC_AT + len(MAGIC)] != MAGIC:
        raise UsageError(
            f"--kernel {origin}: not a bzImage", hint="give arch/x86/boot/bzImage, or O=DIR for a kernel build directory"
        )
    at = int.from_bytes(image[VERSION_AT : VERSION_AT + 2], "little") + 0x200
    words = image[at : image.find(b"\0", at)].decode("ascii", "backslashreplace").split()
    if not words:
        raise UsageError(f"--kernel {origin}: the image does not say which release it is")
    return words[0]


def _files(path: str) -> dict[str, Path]:
    """What there is, by the name a Build gives it."""
    if path.startswith("O="):
        root = Path(path.removeprefix("O=")).expanduser()
        image = root / IMAGE
        hint = f"build it first: make -C {root} bzImage"
    else:
        image = Path(path).expanduser()
        root = image.resolve().parents[3] if image.resolve().match(str(IMAGE)) else image.parent
        hint = "--kernel takes a bzImage, or O=DIR for a kernel build directory"
    if not image.is_file():
        raise UsageError(f"--kernel {path}: no file {image}", hint=hint)
    found = {"bzImage": image}
    for name, places in {"vmlinux": ("vmlinux",), "System.map": ("System.map",), "config": (".config", "config")}.items():
        for place in places:
            if (root / place).is_file():
                found.setdefault(name, root / place)
    return found


def _described(key: str, release: str, path: str, config: bytes, names: list[str]) -> Build:
    lacking = [name for name in ("vmlinux", "System.map", "config") if name not in names]
    label = f"foreign kernel {path}" + (f", without {', '.join(lacking)}" if lacking else "")
    made_by = re.search(rb'^CONFIG_CC_VERSION_TEXT="(.*)"$', config, re.MULTILINE)
    return Build(
        key=key,
        directory=Path(),
        release=release,
        tree=f"foreign-{key[:12]}",
        kconfig="foreign",
        kconfig_hash=digest(config),
        toolchain=(made_by[1].decode(),) if made_by else (),
        labels=(label,),
    )
