"""Sources from a tar, a package and a user's repository, with real git; apt-get and friends are fakes."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from kerneltree import FILES, commit, developer_tree, fake_source, git, tarball

from lab.cache import Cache
from lab.errors import SourceError
from lab.events import StageFinished, StageStarted, silent
from lab.kernel.git import file_at
from lab.kernel.source import from_git, import_tar, obtain, release_of
from lab.model.change import SourceSpec


def names(repository: Path, commit_id: str) -> list[str]:
    return git(repository, "ls-tree", "-r", "--name-only", commit_id).split()


def snapshot(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def test_a_tar_becomes_one_commit(tmp_path: Path) -> None:
    source = fake_source(tmp_path, Cache(tmp_path / "cache"))

    assert source.release == "6.12.99"
    assert names(source.repository, source.commit) == sorted([*FILES, "include/link.h"])
    assert git(source.repository, "rev-list", "--all", "--count").strip() == "1"
    modes = git(source.repository, "ls-tree", "-r", source.commit)
    assert "100755 blob" in next(line for line in modes.splitlines() if line.endswith("scripts/conf"))
    assert "120000 blob" in next(line for line in modes.splitlines() if line.endswith("include/link.h"))
    assert "/*" not in (file_at(source.repository, source.commit, ".gitignore") or "").split()


def test_the_same_input_gives_the_same_commit_anywhere(tmp_path: Path) -> None:
    one, two = (fake_source(tmp_path, Cache(tmp_path / name)) for name in ("a", "b"))

    assert (one.commit, one.tree) == (two.commit, two.tree)


def test_it_is_made_once(tmp_path: Path) -> None:
    spec, cache, seen = tarball(tmp_path / "x.tar"), Cache(tmp_path / "cache"), list[object]()
    first = obtain(spec, cache, seen.append)
    Path(spec.location).unlink()

    assert obtain(spec, cache, seen.append) == first
    assert [type(event) for event in seen] == [StageStarted, StageFinished]


@pytest.mark.parametrize(
    ("location", "sha256", "words"),
    [
        ("", "", "has no sha256"),
        ("", "0" * 64, "is not what [source] pins"),
        ("/nowhere.tar", "0" * 64, "no file /nowhere.tar"),
        ("http://127.0.0.1:9/x.tar", "0" * 64, "cannot download"),
    ],
)
def test_bad_tars_are_refused_and_leave_nothing(tmp_path: Path, location: str, sha256: str, words: str) -> None:
    cache, spec = Cache(tmp_path / "cache"), tarball(tmp_path / "x.tar")

    with pytest.raises(SourceError) as caught:
        obtain(replace(spec, location=location or spec.location, sha256=sha256), cache, silent)

    assert words in caught.value.message
    assert caught.value.hint
    assert not list((cache.root / "source").glob("*"))


def test_a_tar_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    spec = tarball(tmp_path / "x.tar")
    path = Path(spec.location)
    path.write_bytes(gzip.compress(path.read_bytes())[:-200])
    with pytest.raises(SourceError, match="is not what"):
        obtain(spec, Cache(tmp_path / "cache"), silent)

    cut = replace(spec, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(SourceError, match="cannot be unpacked"):
        obtain(cut, Cache(tmp_path / "cache"), silent)


def test_unsafe_names_are_refused(tmp_path: Path) -> None:
    spec = tarball(tmp_path / "x.tar", {**FILES, "../evil": "x"})

    with pytest.raises(SourceError, match="unsafe name"):
        obtain(spec, Cache(tmp_path / "cache"), silent)
    assert not (tmp_path / "evil").exists()


def fakes(directory: Path, monkeypatch: pytest.MonkeyPatch, offered: Sequence[str]) -> None:
    """apt-get, apt-cache and dpkg-deb that know one package, whose content is a tar beside them."""
    scripts = {
        "apt-cache": "".join(f"echo 'linux-source-6.12 | {version} | somewhere'\n" for version in offered),
        "apt-get": '[ "$1" = update ] && exit 0\nfor word; do :; done\ncp "$FAKES/package" "linux-source_${word#*=}.deb"\n',
        "dpkg-deb": 'mkdir -p "$3/usr/src"\ncp "$2" "$3/usr/src/linux-source-6.12.tar.xz"\n',
    }
    directory.mkdir()
    for name, text in scripts.items():
        (directory / name).write_text(f"#!/bin/sh\nset -e\n{text}")
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourceSpec:
    """A pinned package whose newest offered version is another one unless a test says so."""
    tar = tarball(tmp_path / "package")
    sh = tmp_path / "fakes"
    fakes(sh, monkeypatch, ["6.12.99-2", "6.12.99-1", "6.1.5-1"])
    apt = sh / "apt-get"
    apt.write_text(apt.read_text().replace("$FAKES", str(tmp_path)))
    return SourceSpec("debian", package="linux-source-6.12", version="6.12.99-1", sha256=tar.sha256)


def test_a_package_is_downloaded_and_compared(tmp_path: Path, package: SourceSpec) -> None:
    source = obtain(package, Cache(tmp_path / "cache"), silent)

    assert (source.release, source.label) == ("6.12.99", "")
    with pytest.raises(SourceError, match="is not what"):
        obtain(replace(package, sha256="1" * 64), Cache(tmp_path / "other"), silent)


def test_a_version_that_is_gone_gives_the_newest_with_a_loud_label(tmp_path: Path, package: SourceSpec) -> None:
    source = obtain(replace(package, version="6.12.50-1", sha256="1" * 64), Cache(tmp_path / "cache"), silent)

    assert source.label.startswith("SOURCE IS NOT THE PINNED ONE: linux-source-6.12 6.12.99-2 instead of 6.12.50-1")
    assert "hash is not pinned" in source.label


def test_an_archive_without_that_series_is_an_error(tmp_path: Path, package: SourceSpec) -> None:
    with pytest.raises(SourceError, match=r"does not offer linux-source-6.12 6.99.1-1, only 6.12.99-2, 6.12.99-1, 6.1.5-1"):
        obtain(replace(package, version="6.99.1-1"), Cache(tmp_path / "cache"), silent)


def test_a_users_repository_is_borrowed_from_and_never_written(tmp_path: Path) -> None:
    tree = developer_tree(tmp_path)
    commit(tree, "more", {"new.c": ("", "int x;\n")})
    before = snapshot(tree)

    source = from_git(tree, "base", Cache(tmp_path / "cache"), silent)
    again = obtain(SourceSpec("git", location=str(tree), ref="HEAD"), Cache(tmp_path / "cache"), silent)

    assert source.commit == git(tree, "rev-parse", "base").strip()
    assert "new.c" in names(again.repository, again.commit)
    assert source.release == "6.12.99"
    assert snapshot(tree) == before


def test_a_linked_work_tree_and_a_subdirectory_will_do(tmp_path: Path) -> None:
    tree = developer_tree(tmp_path)
    git(tree, "worktree", "add", "--quiet", str(tmp_path / "linked"), "base")

    for place in (tmp_path / "linked", tree / "fs"):
        assert from_git(place, "HEAD", Cache(tmp_path / "cache"), silent).release == "6.12.99"


def test_a_shallow_repository_will_do(tmp_path: Path) -> None:
    tree = developer_tree(tmp_path)
    commit(tree, "more", {"new.c": ("", "int x;\n")})
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{tree}", "shallow")

    source = from_git(tmp_path / "shallow", "HEAD", Cache(tmp_path / "cache"), silent)

    assert git(source.repository, "rev-list", "--count", source.commit).strip() == "1"


@pytest.mark.parametrize("ref", ["nope", "--all", "HEAD:Makefile"])
def test_no_such_commit(tmp_path: Path, ref: str) -> None:
    with pytest.raises(SourceError, match="not a git repository with a commit"):
        from_git(developer_tree(tmp_path), ref, Cache(tmp_path / "cache"), silent)


def test_no_repository_at_all(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a git repository"):
        from_git(tmp_path, "HEAD", Cache(tmp_path / "cache"), silent)


def test_a_tree_without_a_version_is_called_by_its_commit(tmp_path: Path) -> None:
    tree = developer_tree(tmp_path, {"README": "hello\n"})
    source = from_git(tree, "HEAD", Cache(tmp_path / "cache"), silent)

    assert source.release == source.commit[:12]
    assert release_of(source.repository, source.commit) == source.release


def test_tars_with_a_dot_in_front(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    (tmp_path / "linux").mkdir()
    (tmp_path / "linux" / "Makefile").write_text(FILES["Makefile"])
    with tarfile.open(path, "w") as tar:
        tar.add(tmp_path / "linux", arcname="./linux")
    spec = SourceSpec("tarball", location=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    source = obtain(spec, Cache(tmp_path / "cache"), silent)

    assert names(source.repository, source.commit) == ["Makefile"]


def test_a_disk_that_fills_up_is_said_in_gits_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "source.tar"
    tarball(archive, {**FILES, "big": "x" * 4_000_000})
    repository = tmp_path / "repository.git"
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'fatal: write error. Out of diskspace' >&2\nexit 128\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=":")

    with pytest.raises(SourceError, match="Out of diskspace"):
        import_tar(archive, repository, "source")
