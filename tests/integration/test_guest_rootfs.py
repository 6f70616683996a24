"""Images of Debian packages, made by the real code with a fake archive, mmdebstrap and mksquashfs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from fakearchive import FakeArchive, use_fake_archive

from lab.cache import Cache
from lab.errors import HostError, UsageError
from lab.events import Event, Note, silent
from lab.guest.image import make_image
from lab.guest.packages import resolve
from lab.guest.rootfs import Contents, Rootfs, installed, key_of, make_rootfs


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeArchive:
    return use_fake_archive(monkeypatch, tmp_path)


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    hook = tmp_path / "customize"
    hook.write_text('#!/bin/sh\necho "customized: yes" >>"$1/var/lib/dpkg/status"\n')
    hook.chmod(0o755)
    return Contents(("gadget",), ("tool",), ("/usr/share/man/*",), (), hook)


def made(contents: Contents, tmp_path: Path, told: list[Event] | None = None) -> Rootfs:
    return make_rootfs("toy", contents, Cache(tmp_path / "cache"), silent if told is None else told.append)


def test_it_is_made_of_the_resolved_versions_once(archive: FakeArchive, contents: Contents, tmp_path: Path) -> None:
    root = made(contents, tmp_path)

    assert "--include=base=1,gadget=2:1.0,tool=3" in archive.argv()
    assert {"--dpkgopt=path-exclude=/usr/share/man/*", "--skip=update", f"{archive.directory}/etc/sources.list"} <= {
        *archive.argv()
    }
    assert root.path.read_text().endswith("customized: yes\n")
    assert root.label == ""
    assert sorted(path.name for path in root.path.parent.iterdir()) == ["make.log", "recipe", "resolution.json", "root.squashfs"]

    archive.touch("broken")
    assert made(contents, tmp_path) == root


def test_its_key_changes_with_recipe_packages_and_tools(archive: FakeArchive, contents: Contents, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    resolution = resolve(contents.packages, contents.optional, cache)
    keys = [key_of(contents, resolution)]

    keys.append(key_of(replace(contents, exclude=()), resolution))
    keys.append(key_of(replace(contents, keep=("/usr/share/man/man1/*",)), resolution))
    newer = replace(resolution.packages[1], version="2:1.1")
    keys.append(key_of(contents, replace(resolution, packages=(resolution.packages[0], newer))))
    archive.touch("version", "2")
    keys.append(key_of(contents, resolution))
    assert contents.customize is not None
    contents.customize.write_text("#!/bin/sh\n")
    keys.append(key_of(contents, resolution))

    assert len({*keys}) == len(keys)
    assert key_of(contents, resolution) == keys[-1]


def test_an_optional_package_is_left_out_loudly(archive: FakeArchive, contents: Contents, tmp_path: Path) -> None:
    archive.offer(gadget="1")
    told: list[Event] = []

    root = made(contents, tmp_path, told)

    assert root.label == "IMAGE toy LACKS tool: the archive has none"
    assert Note(root.label) in told


def test_when_the_archive_cannot_be_had_the_older_image_is_used_loudly(
    archive: FakeArchive, contents: Contents, tmp_path: Path
) -> None:
    before = made(contents, tmp_path)
    archive.offer(gadget="3", tool="3")
    archive.touch("broken")
    told: list[Event] = []

    root = made(contents, tmp_path, told)

    assert root.path == before.path
    assert root.label.startswith("IMAGE toy IS NOT CURRENT: made 20")
    assert root.label.endswith("E: it is broken")
    assert Note(root.label) in told
    with pytest.raises(HostError, match="it is broken"):
        made(replace(contents, exclude=()), tmp_path)
    assert [path.name for path in (tmp_path / "cache/rootfs").iterdir()] == [before.key]


def test_without_lists_the_older_image_is_used_and_without_one_the_remedy_is_told(
    archive: FakeArchive, contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    made(contents, tmp_path)
    archive.offer()

    assert "the archive has no gadget" in made(contents, tmp_path).label
    with pytest.raises(HostError, match="the archive has no gadget") as caught:
        make_rootfs("toy", contents, Cache(tmp_path / "another"), silent)
    assert "apt-get update" in caught.value.hint


def test_root_refreshes_the_lists_first(
    archive: FakeArchive, contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    archive.offer()
    archive.touch("renewed", "base 1\ngadget 7\n")

    made(contents, tmp_path)

    assert "--include=base=1,gadget=7" in archive.argv()


def test_root_refreshes_lists_that_name_what_the_archive_has_no_more(
    archive: FakeArchive, contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    made(contents, tmp_path)
    archive.offer(gadget="8", tool="1")
    archive.touch("broken")
    archive.touch("renewed", "base 1\ngadget 9\ntool 1\n")

    assert made(contents, tmp_path).label == ""
    assert "--include=base=1,gadget=9,tool=1" in archive.argv()


def test_an_image_that_holds_something_else_than_its_key_says_is_refused(
    archive: FakeArchive, contents: Contents, tmp_path: Path
) -> None:
    archive.touch("more")

    with pytest.raises(HostError, match="installed other packages than apt resolved: more 1"):
        made(contents, tmp_path)


def test_only_what_is_installed_counts() -> None:
    text = (
        "Package: a\nEssential: yes\nStatus: install ok installed\nVersion: 1\nDescription: x\n Version: 7\n\n"
        "Package: b\nStatus: deinstall ok config-files\nVersion: 2\n\n"
    )

    assert installed(text) == {("a", "1")}


def recipe(tmp_path: Path, text: str) -> Path:
    place = tmp_path / "images" / "toy"
    place.mkdir(parents=True)
    (place / "image.toml").write_text(text)
    (place / "init").write_text("#!/bin/sh\n")
    return place


def test_an_image_has_the_squashfs_beside_its_initramfs(archive: FakeArchive, tmp_path: Path) -> None:
    place = recipe(tmp_path, 'programs = ["busybox"]\npackages = ["gadget"]\n')

    image = make_image(place, Cache(tmp_path / "cache"), silent)

    assert image.disk is not None
    assert "Package: gadget" in image.disk.read_text()
    archive.offer(gadget="9")
    newer = make_image(place, Cache(tmp_path / "cache"), silent)
    assert newer.initrd == image.initrd
    assert newer.hash != image.hash


@pytest.mark.parametrize(
    ("line", "complaint"),
    [('customize = "gone"', "customize: there is no file 'gone'"), ('packges = ["gadget"]', "packges: unknown key")],
)
def test_a_recipe_is_read_strictly(archive: FakeArchive, tmp_path: Path, line: str, complaint: str) -> None:
    place = recipe(tmp_path, f'programs = ["busybox"]\npackages = ["gadget"]\n{line}\n')

    with pytest.raises(UsageError, match=complaint):
        make_image(place, Cache(tmp_path / "cache"), silent)
