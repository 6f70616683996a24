"""A developer's branch as source and series, with real git; their repository must come out untouched."""

from __future__ import annotations

from pathlib import Path

import pytest
from kerneltree import CLAMP, COMMENT, RENAME, commit, developer_tree, git

from lab.cache import Cache
from lab.errors import SourceError, UsageError
from lab.events import Event, Note, silent
from lab.kernel.git import file_at
from lab.kernel.series import git_range
from lab.kernel.tree import apply


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = developer_tree(tmp_path)
    commit(tree, "fs: [1/2] clamp", CLAMP)
    commit(tree, "[PATCH v7 9/9] fs: use the macro", RENAME)
    return tree


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def snapshot(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


@pytest.mark.parametrize("span", ["base..main", "base..HEAD", "base..", "HEAD~2..HEAD"])
def test_a_range_is_a_series(tree: Path, cache: Cache, span: str) -> None:
    before = snapshot(tree)

    source, series = git_range(tree, span, dirty=False, cache=cache, emit=silent)
    made = apply(source, [series], None, cache, silent)

    assert source.commit == git(tree, "rev-parse", "base").strip()
    assert series.ref == git(tree, "rev-parse", "main").strip()
    assert [patch.files for patch in series.patches] == [("fs/read_write.c",)] * 2
    assert made.id == git(tree, "rev-parse", "main^{tree}").strip()
    assert snapshot(tree) == before


def test_uncommitted_changes_come_last_and_nothing_of_the_user_is_written(tree: Path, cache: Cache) -> None:
    (tree / "init/main.c").write_text("int main(void) { return 7; }\n")
    (tree / "staged.c").write_text("int staged;\n")
    git(tree, "add", "staged.c")
    (tree / "stray.txt").write_text("no\n")
    (tree / "fs" / "junk.o").write_text("ignored\n")
    before, notes = snapshot(tree), list[Event]()

    source, series = git_range(tree, "base..", dirty=True, cache=cache, emit=notes.append)
    made = apply(source, [series], None, cache, silent)

    assert snapshot(tree) == before
    assert series.patches[-1].subject == "Uncommitted changes"
    assert "return 7" in (file_at(source.repository, made.commit, "init/main.c") or "")
    assert file_at(source.repository, made.commit, "staged.c") == "int staged;\n"
    assert file_at(source.repository, made.commit, "stray.txt") is None
    assert any(isinstance(event, Note) and "leaves out 1 untracked files, e.g. stray.txt" in event.text for event in notes)
    assert git_range(tree, "base..", dirty=True, cache=cache, emit=silent)[1].patches == series.patches


def test_dirty_without_changes_says_so(tree: Path, cache: Cache) -> None:
    notes: list[Event] = []

    assert len(git_range(tree, "base..", dirty=True, cache=cache, emit=notes.append)[1].patches) == 2
    assert any(isinstance(event, Note) and "has no uncommitted changes" in event.text for event in notes)


def test_dirty_alone_is_a_series(tree: Path, cache: Cache) -> None:
    (tree / "init/main.c").write_text("int main(void) { return 7; }\n")

    assert [patch.subject for patch in git_range(tree, "HEAD..HEAD", dirty=True, cache=cache, emit=silent)[1].patches] == [
        "Uncommitted changes"
    ]


@pytest.mark.parametrize(
    ("span", "words"),
    [
        ("base", "not a range"),
        ("..main", "not a range"),
        ("base...main", "not a range"),
        ("main..base", "not an ancestor"),
        ("main..main", "holds no commits"),
    ],
)
def test_what_is_no_range(tree: Path, cache: Cache, span: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        git_range(tree, span, dirty=False, cache=cache, emit=silent)


def test_unknown_commits_merges_and_other_tips(tree: Path, cache: Cache) -> None:
    with pytest.raises(SourceError, match="a commit `nope`"):
        git_range(tree, "base..nope", dirty=False, cache=cache, emit=silent)
    with pytest.raises(UsageError, match="not at the tip"):
        git_range(tree, "base..HEAD~", dirty=True, cache=cache, emit=silent)
    git(tree, "checkout", "--quiet", "-b", "side", "base")
    commit(tree, "init: comment", COMMENT)
    git(tree, "merge", "--quiet", "--no-edit", "main")
    with pytest.raises(UsageError, match="holds the merge"):
        git_range(tree, "base..side", dirty=False, cache=cache, emit=silent)


def test_a_users_odd_configuration_does_not_show(
    tree: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".gitconfig").write_text(
        "[diff]\n\tnoprefix = true\n[format]\n\tsignature = me\n\tsubjectPrefix = ODD\n[core]\n\tautocrlf = true\n"
    )
    plain = git_range(tree, "base..", dirty=False, cache=cache, emit=silent)[1].patches
    monkeypatch.setenv("HOME", str(tmp_path))
    git(tree, "config", "diff.noprefix", "true")

    assert git_range(tree, "base..", dirty=False, cache=Cache(tmp_path / "other"), emit=silent)[1].patches == plain
