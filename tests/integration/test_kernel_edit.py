"""edit and export on a toy tree with real git: byte-stable, and no work is ever lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from kerneltree import CLAMP, COMMENT, RENAME, commit, developer_tree, fake_source, format_patches, git

from lab.cache import Cache
from lab.errors import UsageError
from lab.events import Event, Note, silent
from lab.kernel.edit import edit, export
from lab.kernel.series import find_series, stack
from lab.model.change import Source


class Desk:
    """A cache, a source, and one series that requires another."""

    def __init__(self, root: Path, *words: str) -> None:
        self.root = root
        self.cache = Cache(root / "cache")
        self.source: Source = fake_source(root, self.cache)
        self.patches = root / "patches"
        self.notes: list[Event] = []
        work = developer_tree(root / "required")
        commit(work, "init: comment", COMMENT)
        format_patches(work, self.patches / "required")
        git(work, "tag", "--force", "base")
        commit(work, "fs: clamp", CLAMP)
        commit(work, "fs: use the macro", RENAME)
        self.directory = format_patches(work, self.patches / "mine", *(words or ("--no-numbered",)))
        (self.directory / "series.toml").write_text('requires = ["required"]\n')

    def edit(self) -> Path:
        series = find_series(self.patches, "mine")
        return edit(self.source, stack(self.patches, series), series, self.cache, silent)

    def export(self) -> list[Path]:
        series = find_series(self.patches, "mine")
        return export(self.source, stack(self.patches, series), series, self.cache, self.notes.append)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.directory.iterdir())}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_nothing_edited_nothing_changed(desk: Desk) -> None:
    before = desk.files()
    place = desk.edit()

    assert git(place, "log", "--format=%s", "refs/lab/base..").split("\n")[:2] == ["fs: use the macro", "fs: clamp"]
    assert "the first function" in (place / "init/main.c").read_text()
    assert desk.export() == []
    assert desk.files() == before


@pytest.mark.parametrize(
    "words", [("-n", "--cover-letter"), ("--full-index", "--subject-prefix=RFC PATCH net"), ("-v2", "--numbered")]
)
def test_whatever_the_style(tmp_path: Path, words: tuple[str, ...]) -> None:
    desk = Desk(tmp_path, *words)
    before = desk.files()
    place = desk.edit()
    assert desk.export() == []
    assert desk.files() == before

    commit(place, "more", {"mm/new.c": ("", "int x;\n")})
    git(place, "reset", "--quiet", "--hard", "HEAD~")
    commit(place, "other", {"mm/new.c": ("", "int y;\n")})
    git(place, "reset", "--quiet", "--hard", "HEAD~")
    assert desk.export() == []


def test_only_the_amended_patch_is_written(desk: Desk) -> None:
    before, place = desk.files(), desk.edit()
    (place / "fs/read_write.c").write_text((place / "fs/read_write.c").read_text().replace("clamp(count)", "clamp_t(int, count)"))
    git(place, "commit", "--quiet", "--all", "--amend", "--no-edit")

    assert [path.name for path in desk.export()] == ["0002-fs-use-the-macro.patch"]

    after = desk.files()
    assert "clamp_t" in after["0002-fs-use-the-macro.patch"].decode()
    assert {name for name in after if after[name] != before[name]} == {"0002-fs-use-the-macro.patch"}
    assert after["0002-fs-use-the-macro.patch"].splitlines()[:4] == before["0002-fs-use-the-macro.patch"].splitlines()[:4], (
        "From, Date"
    )
    assert desk.export() == []
    assert desk.edit() == place


def test_an_earlier_patch_edited_by_rebase(desk: Desk) -> None:
    before, place = desk.files(), desk.edit()
    git(place, "checkout", "--quiet", "HEAD~")
    (place / "README").write_text("new\n")
    git(place, "add", "README")
    git(place, "commit", "--quiet", "--amend", "--no-edit")
    git(place, "rebase", "--quiet", "--onto", "HEAD", "series~", "series")

    assert [path.name for path in desk.export()] == ["0001-fs-clamp.patch"]
    assert desk.files()["0002-fs-use-the-macro.patch"] == before["0002-fs-use-the-macro.patch"]


def test_added_reordered_and_dropped_patches(desk: Desk) -> None:
    place = desk.edit()
    commit(place, "mm: new", {"mm/new.c": ("", "int x;\n")})
    assert [path.name for path in desk.export()] == ["0003-mm-new.patch"]

    git(place, "reset", "--quiet", "--hard", "refs/lab/base")
    commit(place, "mm: new", {"mm/new.c": ("", "int x;\n")})
    desk.export()

    assert sorted(desk.files()) == ["0001-mm-new.patch", "series.toml"]


def test_a_cover_letter_stays_and_is_spoken_of(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "--cover-letter")
    cover, place = (desk.directory / "0000-cover-letter.patch").read_bytes(), desk.edit()
    commit(place, "mm: new", {"mm/new.c": ("", "int x;\n")})

    desk.export()

    assert (desk.directory / "0000-cover-letter.patch").read_bytes() == cover
    assert any(isinstance(event, Note) and "see what its cover letter says" in event.text for event in desk.notes)
    assert b"[PATCH 3/3]" in (desk.directory / "0003-mm-new.patch").read_bytes()


def test_uncommitted_changes_are_refused_with_the_remedy(desk: Desk) -> None:
    place = desk.edit()
    (place / "new.c").write_text("int x;\n")

    with pytest.raises(UsageError, match=r"uncommitted changes:\n    \?\? new.c") as caught:
        desk.export()
    assert "git commit --amend" in caught.value.hint


def test_what_cannot_be_exported(desk: Desk) -> None:
    with pytest.raises(UsageError, match="is not open for editing"):
        desk.export()
    place = desk.edit()
    git(place, "checkout", "--quiet", "refs/lab/base")
    with pytest.raises(UsageError, match="no commits on top of the base"):
        desk.export()
    git(place, "checkout", "--quiet", "refs/lab/base~")
    with pytest.raises(UsageError, match="not built on the series' base"):
        desk.export()
    git(place, "checkout", "--quiet", "series")
    git(place, "merge", "--quiet", "-s", "ours", "--no-ff", "--allow-unrelated-histories", "-m", "odd", orphan(place))
    with pytest.raises(UsageError, match="is a merge"):
        desk.export()
    (place / ".git" / "rebase-merge").mkdir()
    with pytest.raises(UsageError, match="rebase or merge is under way"):
        desk.export()


def orphan(place: Path) -> str:
    return git(place, "commit-tree", "-m", "orphan", git(place, "rev-parse", "HEAD^{tree}").strip()).strip()


def test_patches_that_changed_meanwhile_are_not_overwritten(desk: Desk) -> None:
    desk.edit()
    path = desk.directory / "0002-fs-use-the-macro.patch"
    path.write_text(path.read_text().replace("Because.", "For a reason."))

    with pytest.raises(UsageError, match="changed since"):
        desk.export()


def test_edit_again_takes_up_changed_patches_when_no_work_is_lost(desk: Desk) -> None:
    place = desk.edit()
    path = desk.directory / "0002-fs-use-the-macro.patch"
    path.write_text(path.read_text().replace("Because.", "For a reason."))

    assert desk.edit() == place
    assert "For a reason." in git(place, "log", "-1", "--format=%B")
    assert desk.export() == []


@pytest.mark.parametrize("work", ["committed", "uncommitted"])
def test_edit_again_never_loses_work(desk: Desk, work: str) -> None:
    place = desk.edit()
    (place / "README").write_text("new\n")
    if work == "committed":
        git(place, "add", "README")
        git(place, "commit", "--quiet", "-m", "new")
    assert desk.edit() == place, "the same patches: left as it is"
    path = desk.directory / "0002-fs-use-the-macro.patch"
    path.write_text(path.read_text().replace("Because.", "For a reason."))

    with pytest.raises(UsageError, match="holds work that was not exported"):
        desk.edit()
    assert (place / "README").read_text() == "new\n"


def test_a_series_of_the_same_name_elsewhere_is_told_apart(desk: Desk) -> None:
    desk.edit()
    shutil.copytree(desk.directory, desk.root / "mine")
    series = find_series(desk.patches, str(desk.root / "mine"))

    with pytest.raises(UsageError, match="holds the series of"):
        edit(desk.source, stack(desk.patches, series), series, desk.cache, silent)


def test_the_work_survives_the_source(desk: Desk) -> None:
    place = desk.edit()
    commit(place, "mm: new", {"mm/new.c": ("", "int x;\n")})
    for entry in desk.cache.entries():
        desk.cache.remove(entry)  # what `clean` may take: edit trees are not among it
    desk.source = fake_source(desk.root, desk.cache)

    assert git(place, "status", "--porcelain") == ""
    assert [path.name for path in desk.export()] == ["0003-mm-new.patch"]


def test_a_mailbox_is_not_written_back(desk: Desk) -> None:
    box = desk.root / "box.mbox"
    box.write_bytes(b"".join(content for name, content in desk.files().items() if name.endswith(".patch")))
    series = find_series(desk.patches, str(box))
    required = find_series(desk.patches, "required")
    edit(desk.source, (required, series), series, desk.cache, silent)

    with pytest.raises(UsageError, match="no directory of format-patch files"):
        export(desk.source, (required, series), series, desk.cache, silent)
