from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakearchive import FakeArchive, use_fake_archive

from lab.cache import Cache
from lab.errors import HostError
from lab.guest import packages
from lab.guest.packages import Package, parse_uris, resolve

HASH = "f1cc45bf505a8457340dc3c36f3a01a1835aaf564d73d9d394afb8ccfb6595a0"
NAME = "redis-server_5%3a7.0.15-1~deb12u10_amd64.deb"
LINE = f"'http://archive/pool/r/redis-server_7.0.15-1%7edeb12u10_amd64.deb' {NAME} 73908 SHA256:{HASH}"


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeArchive:
    return use_fake_archive(monkeypatch, tmp_path)


def test_the_lines_of_print_uris_are_read() -> None:
    (found,) = parse_uris(f"Reading package lists...\n{LINE}\nNeed to get 73.9 kB\n")

    assert found == Package("redis-server", "5:7.0.15-1~deb12u10", 73908, HASH)
    assert found.pinned == "redis-server=5:7.0.15-1~deb12u10"


def test_a_line_that_does_not_read_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="MD5Sum"):
        parse_uris(LINE.replace("SHA256", "MD5Sum"))


def test_packages_are_resolved_with_what_is_essential_and_without_what_is_not_there(archive: FakeArchive, tmp_path: Path) -> None:
    found = resolve(["gadget"], ["tool", "perf"], Cache(tmp_path))

    assert [package.pinned for package in found.packages] == ["base=1", "gadget=2:1.0", "tool=3"]
    assert found.left_out == ("perf",)
    assert found.megabytes == 3


def test_apt_is_asked_again_only_when_its_lists_or_settings_changed(archive: FakeArchive, tmp_path: Path) -> None:
    before = resolve(["gadget"], [], Cache(tmp_path))
    asked = archive.asked()

    assert resolve(["gadget"], [], Cache(tmp_path)) == before
    assert archive.asked() == asked

    archive.offer(gadget="9")
    assert [package.version for package in resolve(["gadget"], [], Cache(tmp_path)).packages] == ["1", "9"]
    asked = archive.asked()
    (archive.directory / "etc/preferences").write_text("Package: *\n")
    resolve(["gadget"], [], Cache(tmp_path))
    assert archive.asked() > asked


def test_a_package_that_is_not_there_is_named(archive: FakeArchive, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="the archive has no missing"):
        resolve(["gadget", "missing"], [], Cache(tmp_path))


def test_only_root_may_refresh_the_lists(archive: FakeArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(HostError, match="only root") as caught:
        packages.update()

    assert caught.value.hint == "sudo apt-get update"


def test_what_downloads_need_of_the_hosts_settings_goes_along(archive: FakeArchive) -> None:
    text = packages.settings()

    assert 'Acquire::http::Proxy "http://proxy:1";' in text
    assert "IndexTargets" not in text
    assert f'Dir::Etc::netrc "{archive.directory}/etc/auth.conf";' in text


def test_a_host_without_a_source_of_packages_says_so(archive: FakeArchive) -> None:
    assert packages.sources() == (archive.directory / "etc/sources.list",)

    (archive.directory / "etc/sources.list").unlink()
    with pytest.raises(HostError, match="name no source of packages"):
        packages.sources()
