"""Builds carried in an archive arrive whole or not at all, and only under their own key."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.cache import Cache, digest
from lab.errors import UsageError
from lab.kernel.build import RECIPE, cc_flags, remember
from lab.kernel.carry import FORMAT, MANIFEST, Manifest, export_builds, import_builds
from lab.model.change import Build
from lab.model.wire import from_json, to_json, write_json

CONFIG = "CONFIG_SMP=y\n"
TOOLS = ("gcc 12", "ld 2.40", "pahole v1.24")


def made(cache: Cache, tree: str, modules: bool = False) -> str:
    """A Build of that tree in the cache; its key."""
    key = digest(RECIPE, tree, CONFIG, cc_flags(), *TOOLS)

    def fill(directory: Path) -> None:
        for name in ("bzImage", "vmlinux", "System.map", "make.log"):
            (directory / name).write_bytes(f"{name} of {tree}".encode() * 1000)
        (directory / "config").write_text(CONFIG)
        if modules:
            (directory / "modules").mkdir()
            (directory / "modules" / "fake-1.ko").write_bytes(b"ko")
        sha = hashlib.sha256(CONFIG.encode()).hexdigest()
        write_json(directory / "build.json", Build(key, Path(), "6.12.0-fake", tree, "default", sha, TOOLS))

    cache.get_or_make("build", key, fill)
    remember(cache, digest("memo", tree), key)
    return key


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def here(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "there")


def test_what_goes_out_comes_in_byte_for_byte(tmp_path: Path, here: Cache, there: Cache) -> None:
    keys = [made(here, "tree-a", modules=True), made(here, "tree-b")]
    made(here, "tree-c")
    size = export_builds(here, keys, tmp_path / "builds.tar")

    assert size == (tmp_path / "builds.tar").stat().st_size
    assert import_builds(there, tmp_path / "builds.tar") == (keys, [])
    for key in keys:
        assert content(there.root / "build" / key) == content(here.root / "build" / key)
    assert (there.root / "memo" / digest("memo", "tree-a") / "build").read_text() == keys[0]
    assert not (there.root / "memo" / digest("memo", "tree-c")).exists()


def test_what_is_there_already_stays(tmp_path: Path, here: Cache, there: Cache) -> None:
    one, two = made(here, "tree-a"), made(here, "tree-b")
    made(there, "tree-a")
    export_builds(here, [one, two], tmp_path / "builds.tar")

    assert import_builds(there, tmp_path / "builds.tar") == ([two], [one])


def test_a_build_that_is_not_there_is_named_and_no_archive_is_left(tmp_path: Path, here: Cache) -> None:
    with pytest.raises(UsageError, match="no Build " + "0" * 32):
        export_builds(here, [made(here, "tree-a"), "0" * 32], tmp_path / "builds.tar")
    assert list(tmp_path.glob("*.tar*")) == []


def rewritten(path: Path, change: Callable[[str, bytes], list[tuple[str, bytes]]]) -> None:
    """The archive with each member replaced by what `change` makes of it."""
    with tarfile.open(path) as tar:
        members = [(member.name, reader.read()) for member in tar if (reader := tar.extractfile(member))]
    with tarfile.open(path, "w") as tar:
        for name, raw in (pair for member in members for pair in change(*member)):
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))


def manifest(change: Callable[[Manifest], Manifest]) -> Callable[[str, bytes], list[tuple[str, bytes]]]:
    def both(name: str, raw: bytes) -> list[tuple[str, bytes]]:
        return [(name, to_json(change(from_json(raw, Manifest))).encode() if name == MANIFEST else raw)]

    return both


def flipped(name: str, raw: bytes) -> list[tuple[str, bytes]]:
    return [(name, raw[:-1] + b"!" if name.endswith("vmlinux") else raw)]


def lost(name: str, raw: bytes) -> list[tuple[str, bytes]]:
    return [] if name.endswith("System.map") else [(name, raw)]


def added(name: str, raw: bytes) -> list[tuple[str, bytes]]:
    return [(name, raw), *([("build/x/more", b"")] if name.endswith("bzImage") else [])]


def renamed(name: str, raw: bytes) -> list[tuple[str, bytes]]:
    return [("../../outside" if name.endswith("vmlinux") else name, raw)]


def headless(name: str, raw: bytes) -> list[tuple[str, bytes]]:
    return [] if name == MANIFEST else [(name, raw)]


def nonsense(name: str, raw: bytes) -> list[tuple[str, bytes]]:
    return [(name, b"{}" if name == MANIFEST else raw)]


def under_another_key(name: str, raw: bytes) -> list[tuple[str, bytes]]:
    with_other = raw.replace(digest(RECIPE, "tree-a", CONFIG, cc_flags(), *TOOLS).encode(), b"f" * 32)
    return [
        (name.replace(digest(RECIPE, "tree-a", CONFIG, cc_flags(), *TOOLS), "f" * 32), with_other if name == MANIFEST else raw)
    ]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (flipped, "vmlinux is damaged: its SHA-256 is not the manifest's"),
        (lost, "System.map is missing"),
        (added, "config is missing"),
        (renamed, "vmlinux is missing"),
        (headless, f"does not begin with {MANIFEST}"),
        (nonsense, "its manifest cannot be read"),
        (under_another_key, "Build f+ was made from something else: its key would be"),
        (manifest(lambda m: Manifest(FORMAT + 1, m.recipe, m.builds)), f"it has format {FORMAT + 1}"),
        (manifest(lambda m: Manifest(m.format, "0", m.builds)), "recipe 0"),
        (manifest(lambda m: Manifest(m.format, m.recipe, {"../x": ()})), "'../x' is not a key"),
        (manifest(lambda m: Manifest(m.format, m.recipe, m.builds, {"e" * 32: "d" * 32})), "a memo names d+, which is not in it"),
    ],
)
def test_what_is_not_sound_is_refused_with_the_reason(
    tmp_path: Path, here: Cache, there: Cache, change: Callable[[str, bytes], list[tuple[str, bytes]]], complaint: str
) -> None:
    path = tmp_path / "builds.tar"
    export_builds(here, [made(here, "tree-a")], path)
    rewritten(path, change)

    with pytest.raises(UsageError, match=complaint) as caught:
        import_builds(there, path)

    assert "builds.tar is not a sound archive of Builds" in str(caught.value)
    assert not list((there.root / "build").glob("*"))
    assert not (tmp_path / "outside").exists()


def test_what_follows_a_sound_build_is_refused(tmp_path: Path, here: Cache, there: Cache) -> None:
    path = tmp_path / "builds.tar"
    key = made(here, "tree-a")
    export_builds(here, [key], path)
    rewritten(path, lambda name, raw: [(name, raw), *([("more", b"")] if name.endswith("vmlinux") else [])])

    with pytest.raises(UsageError, match="more is not in its manifest"):
        import_builds(there, path)
    assert content(there.root / "build" / key) == content(here.root / "build" / key)


def test_a_file_name_that_leads_elsewhere_is_refused(tmp_path: Path, here: Cache, there: Cache) -> None:
    path = tmp_path / "builds.tar"
    export_builds(here, [made(here, "tree-a")], path)
    rewritten(path, lambda name, raw: [(name, raw.replace(b'"System.map"', b'"../../../x"') if name == MANIFEST else raw)])

    with pytest.raises(UsageError, match="is not the name of a file of a Build"):
        import_builds(there, path)


def test_what_is_no_archive_or_not_there_is_said(tmp_path: Path, there: Cache) -> None:
    (tmp_path / "text").write_text("hello" * 1000)
    (tmp_path / "empty").touch()

    for name, complaint in (("text", "not a sound archive"), ("empty", "not a sound archive"), ("missing", "No such file")):
        with pytest.raises(UsageError, match=complaint):
            import_builds(there, tmp_path / name)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999))
def test_no_cut_archive_gives_half_a_build(tmp_path: Path, share: float) -> None:
    here, there = Cache(tmp_path / "here"), Cache(tmp_path / f"there-{share}")
    path = tmp_path / "whole.tar"
    keys = [made(here, "tree-a"), made(here, "tree-b")]
    export_builds(here, keys, path)
    with tarfile.open(path) as tar:
        end = max(member.offset_data + member.size for member in tar)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(path.read_bytes()[: int(share * end)])

    with pytest.raises(UsageError):
        import_builds(there, cut)

    for key in keys:
        place = there.root / "build" / key
        assert not place.exists() or content(place) == content(here.root / "build" / key)
