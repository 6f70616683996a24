from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fakeqemu import read_archive

from lab.cache import Cache
from lab.errors import HostError, UsageError
from lab.events import silent
from lab.guest.image import host_files, make_image

IMAGES = Path(__file__).parents[2] / "images"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    shutil.copytree(IMAGES, tmp_path / "images")
    return tmp_path / "images" / "tiny"


def test_an_image_is_made_once_and_holds_what_a_guest_needs(recipe: Path, tmp_path: Path) -> None:
    image = make_image(recipe, Cache(tmp_path / "cache"), silent)
    files = read_archive(image.initrd.read_bytes())
    assert {"init", "lab/guest.sh", "bin/busybox", "bin/dropbear", "etc/dropbear/host_key", "dev/console"} <= files.keys()
    assert files["root/.ssh/authorized_keys"].startswith(b"ssh-ed25519 ")
    assert image.host_key.read_text().startswith("ssh-ed25519 ")
    assert image.ssh_key.stat().st_mode & 0o077 == 0, "ssh refuses a key that others can read"
    assert make_image(recipe, Cache(tmp_path / "cache"), silent) == image


def test_keys_are_made_with_the_image_and_are_nobody_elses(recipe: Path, tmp_path: Path) -> None:
    one, other = (make_image(recipe, Cache(tmp_path / name), silent) for name in ("one", "other"))
    assert one.hash == other.hash
    assert one.host_key.read_text() != other.host_key.read_text()


def test_a_changed_init_is_another_image(recipe: Path, tmp_path: Path) -> None:
    before = make_image(recipe, Cache(tmp_path / "cache"), silent)
    (recipe / "init").write_text("#!/bin/busybox sh\nexec sh\n")
    assert make_image(recipe, Cache(tmp_path / "cache"), silent).hash != before.hash


def test_a_changed_file_outside_the_recipe_is_another_image(recipe: Path, tmp_path: Path) -> None:
    before = make_image(recipe, Cache(tmp_path / "cache"), silent)
    (recipe / "../include/guest.sh").write_text("# nothing\n")
    assert make_image(recipe, Cache(tmp_path / "cache"), silent).hash != before.hash


def test_libraries_lie_where_the_loader_looks() -> None:
    names = host_files(("dropbear",))
    assert any(name.startswith("lib64/ld-linux") or "ld-" in name for name in names)
    assert any("libc.so.6" in name for name in names)


def test_a_missing_program_is_named_with_the_remedy() -> None:
    with pytest.raises(HostError, match="no-such-program") as caught:
        host_files(("no-such-program",))
    assert "doctor --install" in caught.value.hint


def test_a_recipe_with_a_typo_names_file_and_key(recipe: Path, tmp_path: Path) -> None:
    (recipe / "image.toml").write_text('program = ["busybox"]\n')
    with pytest.raises(UsageError, match=r"image.toml: program: unknown key"):
        make_image(recipe, Cache(tmp_path), silent)


@pytest.mark.parametrize("name", ["init", "../include/guest.sh"])
def test_a_recipe_without_one_of_its_files_is_refused(recipe: Path, tmp_path: Path, name: str) -> None:
    (recipe / name).unlink()
    with pytest.raises(UsageError, match=f"there is no file '{name}'"):
        make_image(recipe, Cache(tmp_path), silent)
