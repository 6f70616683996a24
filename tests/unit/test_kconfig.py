from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.kernel.kconfig import find_kconfig, list_kconfigs, requested


def make(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        (directory / f"{name}.config").write_text(text)
    return directory


def test_a_kconfig_with_includes_and_single_options(tmp_path: Path) -> None:
    make(tmp_path, default="CONFIG_SMP=y\nCONFIG_HZ=100\n#CHECK# CONFIG_KASAN=n\n", debug="#INCLUDE# default\nCONFIG_KASAN=y\n")

    kconfig = find_kconfig(tmp_path, "debug", ["CONFIG_HZ=1000", "CONFIG_SMP=n"])

    assert list_kconfigs(tmp_path) == ("debug", "default")
    assert [path.name for path in kconfig.fragments] == ["default.config", "debug.config"]
    assert kconfig.sets == ("CONFIG_HZ=1000", "# CONFIG_SMP is not set")
    assert requested(kconfig).wanted == {"SMP": "n", "HZ": "1000", "KASAN": "y"}


@pytest.mark.parametrize(
    ("name", "sets", "words"),
    [
        ("defualt", [], "no kconfig `defualt`; there are: bad, circle, default, dangling, round"),
        ("../default", [], "no kconfig"),
        ("default", ["SMP=y"], "--set: `SMP=y` is no option"),
        ("default", ["CONFIG_SMP=yes"], "--set: `CONFIG_SMP=yes` is no option"),
        ("bad", [], "bad.config:1: `nonsense` is no option"),
        ("circle", [], "include each other: circle -> round -> circle"),
        ("dangling", [], "includes `gone`, which is not there"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, sets: list[str], words: str) -> None:
    make(
        tmp_path,
        default="CONFIG_SMP=y\n",
        bad="nonsense\n",
        circle="#INCLUDE# round\n",
        round="#INCLUDE# circle\n",
        dangling="#INCLUDE# gone\n",
    )

    with pytest.raises(UsageError) as caught:
        find_kconfig(tmp_path, name, sets)

    assert all(word in caught.value.message for word in words.split(", ")) or words in caught.value.message
