"""Patches on a toy tree with real git: fits, merges, reduced context, conflicts, already in; the memo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from kerneltree import CLAMP, COMMENT, RENAME, commit, developer_tree, fake_source, format_patches, git

from lab.cache import Cache
from lab.errors import PatchError, UsageError
from lab.events import Event, StageFinished, silent
from lab.kernel.git import file_at
from lab.kernel.series import read_series
from lab.kernel.tree import apply, commits_of
from lab.model.change import Series, Source

Changes = dict[str, tuple[str, str]]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def source(tmp_path: Path, cache: Cache) -> Source:
    return fake_source(tmp_path, cache)


Make = Callable[..., Series]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a series of commits on a fresh developer's tree."""

    def series(name: str, *changes: Changes, prepare: Changes | None = None, words: tuple[str, ...] = ()) -> Series:
        tree = developer_tree(tmp_path / f"work-{name}")
        if prepare:
            commit(tree, "prepare", prepare)
            git(tree, "tag", "--force", "base")
        for number, change in enumerate(changes, 1):
            commit(tree, f"{name}: step {number}", change)
        return read_series(format_patches(tree, tmp_path / name, *words))

    return series


def text(source: Source, commit_id: str, path: str = "fs/read_write.c") -> str:
    return file_at(source.repository, commit_id, path) or ""


def test_commits_on_commits(source: Source, cache: Cache, make: Make) -> None:
    one = make("one", CLAMP, RENAME)

    tree = apply(source, [one], None, cache, silent)

    assert "clamp(count)" in text(source, tree.commit)
    assert tree.applied == ("one/0001-one-step-1.patch", "one/0002-one-step-2.patch")
    assert list(commits_of(tree).values()) == list(tree.applied)
    shown = git(source.repository, "log", "--format=%an|%ae|%at|%cn|%ct|%B", "-1", tree.commit)
    assert shown.startswith("A Developer|dev@example.org|1600000000|kernel lab|1577836800|one: step 2\n\nBecause.")
    assert tree.labels == ()


def test_upto_takes_the_first_of_the_last_series(source: Source, cache: Cache, make: Make) -> None:
    one, two = make("one", COMMENT), make("two", CLAMP, RENAME)

    assert apply(source, [], None, cache, silent).id == source.tree
    assert apply(source, [two], 0, cache, silent).id == source.tree
    assert apply(source, [one, two], 1, cache, silent).applied == ("one/0001-one-step-1.patch", "two/0001-two-step-1.patch")
    for bad in (-1, 3):
        with pytest.raises(UsageError, match="two has 2 patches"):
            apply(source, [one, two], bad, cache, silent)


def test_the_same_input_gives_the_same_ids_in_another_cache(source: Source, cache: Cache, make: Make, tmp_path: Path) -> None:
    one = make("one", CLAMP, RENAME)
    other = Cache(tmp_path / "other")

    first = apply(source, [one], None, cache, silent)
    second = apply(fake_source(tmp_path, other), [one], None, other, silent)

    assert (first.commit, first.id) == (second.commit, second.id)


def test_steps_are_memoised(source: Source, cache: Cache, make: Make) -> None:
    one, seen = make("one", CLAMP, RENAME), list[Event]()

    for upto in (1, None, None):
        apply(source, [one], upto, cache, seen.append)

    details = [event.detail for event in seen if isinstance(event, StageFinished)]
    assert details == ["1 patches, 1 applied now", "2 patches, 1 applied now", "2 patches, 0 applied now"]


def test_a_three_way_merge_is_labelled(source: Source, cache: Cache, make: Make) -> None:
    # both change neighbouring lines: the context of the second is gone, but the blob it names is known
    near = {"fs/read_write.c": ("\tint ret;\n", "\tint ret = 0;\n")}
    one = make("one", {"fs/read_write.c": ("#define MAX_RW_COUNT 4096\n", "#define MAX_RW_COUNT 8192\n")})
    two = make("two", near, words=("-U12", "--full-index"))

    tree = apply(source, [one, two], None, cache, silent)

    assert tree.labels == ("two/0001-two-step-1.patch: applied by a three-way merge",)
    assert "8192" in text(source, tree.commit)
    assert "ret = 0" in text(source, tree.commit)


def test_reduced_context_is_loud(source: Source, cache: Cache, make: Make) -> None:
    elsewhere = {"fs/read_write.c": ("\tif (!file->mode)\n", "\tif (file->mode == 0)\n")}
    one = make("one", {"fs/read_write.c": ("\tif (count > MAX_RW_COUNT)\n", "\tif (count >= MAX_RW_COUNT)\n")}, prepare=elsewhere)

    tree = apply(source, [one], None, cache, silent)

    assert len(tree.labels) == 1
    assert "APPLIED WITH REDUCED CONTEXT" in tree.labels[0]
    assert "Context reduced to" in tree.labels[0]
    assert apply(source, [one], None, cache, silent).labels == tree.labels, "the memo keeps labels"


def test_a_conflict_names_patch_hunk_and_culprit(source: Source, cache: Cache, make: Make) -> None:
    one = make("one", CLAMP)
    two = make("two", {"fs/read_write.c": ("\tif (count > MAX_RW_COUNT)\n", "\tif (count >= MAX_RW_COUNT)\n")})

    with pytest.raises(PatchError) as caught:
        apply(source, [one, two], None, cache, silent)

    message = caught.value.message
    assert message.startswith("two/0001-two-step-1.patch does not apply\n  file fs/read_write.c\n  hunk @@ -")
    assert "    | \tif (count > MAX_RW_COUNT)" in message
    assert "    | \tcount = count > MAX_RW_COUNT ? MAX_RW_COUNT : count;" in message
    assert "moved by one/0001-one-step-1.patch" in message
    assert caught.value.finding is not None
    assert caught.value.finding.kind == "patch"
    assert apply(source, [one], None, cache, silent).applied, "what came before is kept"


def test_a_file_that_is_not_there(source: Source, cache: Cache, make: Make) -> None:
    one = make("one", {"mm/new.c": ("int x;", "int y;")}, prepare={"mm/new.c": ("", "int x;\n")})

    with pytest.raises(PatchError, match=r"file mm/new.c: is not in the tree"):
        apply(source, [one], None, cache, silent)


def test_a_patch_that_is_in_is_never_skipped(source: Source, cache: Cache, make: Make) -> None:
    one, two = make("one", CLAMP), make("two", CLAMP)
    full = make("full", CLAMP, words=("--full-index",))

    for again in (two, full):
        with pytest.raises(PatchError, match="is already in the tree"):
            apply(source, [one, again], None, cache, silent)


def test_a_patch_that_is_partly_in_is_loud(source: Source, cache: Cache, make: Make) -> None:
    one = make("one", CLAMP)
    both = make("both", {**CLAMP, **COMMENT}, words=("--full-index",))

    tree = apply(source, [one, both], None, cache, silent)

    assert any("ALREADY IN, NOTHING LEFT TO CHANGE: fs/read_write.c" in label for label in tree.labels)


def test_new_removed_renamed_executable_and_binary_files(source: Source, cache: Cache, tmp_path: Path) -> None:
    work = developer_tree(tmp_path / "work")
    (work / "blob").write_bytes(bytes(range(256)))
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    git(work, "mv", "init/main.c", "init/start.c")
    git(work, "rm", "--quiet", "include/file.h")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "-m", "all sorts")
    one = read_series(format_patches(work, tmp_path / "sorts", "--full-index"))

    tree = apply(source, [one], None, cache, silent)

    listing = git(source.repository, "ls-tree", "-r", tree.commit)
    assert "init/start.c" in listing
    assert "include/file.h" not in listing
    assert "100755" in next(line for line in listing.splitlines() if line.endswith("run.sh"))
    assert tree.labels == ()


def test_an_odd_mail_keeps_its_bytes(source: Source, cache: Cache, make: Make) -> None:
    one = make("one", COMMENT)
    raw = one.patches[0].text.replace("the first function", "l'\udce9t\udce9").replace("A Developer", "=?utf-8?q?Ren=C3=A9?=")
    path = one.directory / one.patches[0].name
    path.write_bytes(raw.encode("utf-8", "surrogateescape"))

    tree = apply(source, [read_series(one.directory)], None, cache, silent)

    assert git(source.repository, "log", "-1", "--format=%an", tree.commit).strip() == "René"
    assert "\\xe9" in text(source, tree.commit, "init/main.c"), "one byte, not two"


def test_a_source_made_again_does_not_believe_an_old_memo(cache: Cache, make: Make, tmp_path: Path) -> None:
    one = make("one", CLAMP)
    first = apply(fake_source(tmp_path, cache), [one], None, cache, silent)
    for entry in cache.entries():
        cache.remove(entry)

    second = apply(fake_source(tmp_path, cache), [one], None, cache, silent)

    assert second == first
    assert "MAX_RW_COUNT ?" in text(fake_source(tmp_path, cache), second.commit)


def test_an_unpinned_sources_label_stays_with_the_tree(source: Source, cache: Cache, make: Make) -> None:

    tree = apply(replace(source, label="SOURCE IS NOT THE PINNED ONE"), [make("one", CLAMP)], None, cache, silent)

    assert tree.labels == ("SOURCE IS NOT THE PINNED ONE",)
