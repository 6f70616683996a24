from __future__ import annotations

from pathlib import Path

import pytest

from lab.cache import Cache
from lab.errors import UsageError
from lab.kernel.foreign import foreign, release_in

IMAGE = (
    bytes(0x202) + b"HdrS" + bytes(8) + (0x300).to_bytes(2, "little") + bytes(0x500 - 0x210) + b"6.12.1-mine (me@here) #1\0tail"
)


def build_directory(root: Path) -> Path:
    (root / "arch/x86/boot").mkdir(parents=True)
    (root / "arch/x86/boot/bzImage").write_bytes(IMAGE)
    (root / "vmlinux").write_text("elf")
    (root / "System.map").write_text("0000000000000001 T x\n")
    (root / ".config").write_text('CONFIG_CC_VERSION_TEXT="gcc 99"\n')
    return root


def test_a_build_directory_brings_everything(tmp_path: Path) -> None:
    root, cache = build_directory(tmp_path / "k"), Cache(tmp_path / "cache")

    build = foreign(f"O={root}", cache)

    assert (build.release, build.kconfig, build.toolchain, build.reused) == ("6.12.1-mine", "foreign", ("gcc 99",), True)
    assert build.bzimage.read_bytes() == IMAGE
    assert build.vmlinux.read_text() == "elf"
    assert build.labels == (f"foreign kernel O={root}",)
    assert foreign(str(root / "arch/x86/boot/bzImage"), cache).config.read_bytes() == build.config.read_bytes()


def test_a_lone_image_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(IMAGE)

    build = foreign(str(tmp_path / "vmlinuz"), Cache(tmp_path / "cache"))

    assert "without vmlinux, System.map, config" in build.labels[0]
    assert build.system_map.read_text() == ""


def test_a_rebuilt_kernel_is_another_build(tmp_path: Path) -> None:
    root, cache = build_directory(tmp_path / "k"), Cache(tmp_path / "cache")
    first = foreign(f"O={root}", cache)
    (root / "arch/x86/boot/bzImage").write_bytes(IMAGE.replace(b"mine", b"ours"))

    assert foreign(f"O={root}", cache).key != first.key


def test_what_is_no_kernel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    for path, words in {
        str(tmp_path / "text"): "not a bzImage",
        str(tmp_path / "gone"): "no file",
        f"O={tmp_path}": "no file",
    }.items():
        with pytest.raises(UsageError, match=words):
            foreign(path, Cache(tmp_path / "cache"))
    with pytest.raises(UsageError, match="does not say which release"):
        release_in(IMAGE.replace(b"6.12.1-mine (me@here) #1", b""), "x")
