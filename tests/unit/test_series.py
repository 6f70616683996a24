from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.kernel.series import combine, find_series, list_series, read_notes, read_series, stack

DIFF = """diff --git a/{file} b/{file}
--- a/{file}
+++ b/{file}
@@ -1 +1 @@
-a
+b
"""
NOTES = """summary = "s"
requires = ["base"]
options = ["CONFIG_X=y"]
[checkpatch_exceptions]
TABS = "because"
"""


def mail(title: str, file: str = "fs/x.c", tags: str = "PATCH") -> str:
    origin = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\nFrom: A <a@example.org>\n"
    return f"{origin}Date: Wed, 1 Jan 2025 00:00:00 +0000\nSubject: [{tags}] {title}\n\nBecause.\n---\n{DIFF.format(file=file)}"


def make(directory: Path, files: dict[str, str]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


def test_a_directory_of_format_patch_files(tmp_path: Path) -> None:
    one = make(
        tmp_path / "one",
        {
            "0000-cover-letter.patch": "Subject: [PATCH 0/2] x\n\nwhy\n",
            "0002-second.patch": mail("second", "fs/y.c", "PATCH 2/2"),
            "0001-first.patch": mail("first", tags="PATCH 1/2"),
            "series.toml": NOTES,
        },
    )

    series = read_series(one)

    assert (series.name, series.summary, series.requires, series.options) == ("one", "s", ("base",), ("CONFIG_X=y",))
    assert [(patch.name, patch.subject, patch.files) for patch in series.patches] == [
        ("0001-first.patch", "first", ("fs/x.c",)),
        ("0002-second.patch", "second", ("fs/y.c",)),
    ]
    assert read_notes(one).checkpatch_exceptions == {"TABS": "because"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no patches"),
        ({"0000-cover-letter.patch": "x"}, "a cover letter and no patches"),
        ({"0001-a.patch": mail("a"), "0003-c.patch": mail("c")}, "0002 is missing"),
        ({"0002-b.patch": mail("b")}, "0001 is missing"),
        ({"0001-a.patch": mail("a"), "0001-b.patch": mail("b")}, "0001 is there more than once"),
        ({"fix.patch": mail("a")}, "fix.patch has no number"),
        ({"v2-0001-a.patch": mail("a"), "v3-0002-b.patch": mail("b")}, "mixes revisions: v2, v3"),
        (
            {"0001-a.patch": mail("a", tags="PATCH v2"), "0002-b.patch": mail("b", tags="PATCH v3")},
            "mixes revisions of a series: v2, v3",
        ),
        (
            {"0001-a.patch": mail("a", tags="PATCH 1/3"), "0002-b.patch": mail("b", tags="PATCH 2/3")},
            "is patch 1/3, but it is 1 of 2",
        ),
        ({"0001-a.patch": mail("a", tags="PATCH 2/2"), "0002-b.patch": mail("b", tags="PATCH 1/2")}, "says it is patch 2/2"),
        ({"0001-a.patch": "Subject: [PATCH] no diff\n\nx\n"}, "changes no file"),
        ({"0001-a.patch": mail("a").replace("@@ -1 +1 @@", "@@ -1,9 +1,9 @@") + "junk\n"}, "is not a whole patch"),
        ({"0001-a.patch": mail("a"), "series.toml": "summery = 1\n"}, "summery: unknown key"),
        ({"series": "a.patch\n"}, "names a.patch, which is not there"),
        ({"series": "# nothing\n"}, "names no patches"),
        ({"series": "a.patch -p0\n", "a.patch": mail("a")}, "only -p1"),
        ({"a.mbx": mail("a"), "b.mbx": mail("b")}, "holds 2 mailboxes"),
        ({"a.mbx": "From: nobody\n\nhello\n"}, "holds no patches"),
        ({"a.mbx": mail("a", tags="PATCH 1/2") + mail("a", tags="PATCH 1/2")}, "says it is patch 1/2, but it is 2 of 2"),
    ],
)
def test_what_is_no_series_is_refused_with_the_reason(tmp_path: Path, files: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_series(make(tmp_path / "bad", files))


def test_a_mailbox_in_any_order_with_cover_letter_and_replies(tmp_path: Path) -> None:
    text = (
        mail("second", tags="PATCH v2 2/2")
        + "From x Mon Sep 17 00:00:00 2001\nSubject: [PATCH v2 0/2] cover\n\nwhy\n\n"
        + mail("first", tags="PATCH v2 1/2").replace("Subject: [", "Subject: Re: [")
        + mail("first", tags="PATCH v2 1/2")
    )
    box = make(tmp_path, {"v2.mbx": text}) / "v2.mbx"

    series = read_series(box)

    assert series.name == "v2"
    assert [(patch.name, patch.subject) for patch in series.patches] == [("v2.mbx#1", "first"), ("v2.mbx#2", "second")]
    assert read_series(tmp_path).patches == series.patches


def test_a_quilt_stack(tmp_path: Path) -> None:
    files = {
        "series": "# order\nb.patch\nsub-a.patch -p1 # comment\n",
        "b.patch": "Do b\n\nwhy\n" + DIFF.format(file="b"),
        "sub-a.patch": mail("a"),
    }

    series = read_series(make(tmp_path / "quilt", files))

    assert [(patch.name, patch.subject) for patch in series.patches] == [("b.patch", "Do b"), ("sub-a.patch", "a")]


def test_bytes_that_are_no_utf8_survive(tmp_path: Path) -> None:
    raw = mail("latin").encode() + b"\xe9\n"
    (tmp_path / "0001-a.patch").write_bytes(raw)

    assert read_series(tmp_path).patches[0].text.encode("utf-8", "surrogateescape") == raw


def tree_of_series(tmp_path: Path) -> Path:
    for name, requires in {
        "base": [],
        "agent": ["base"],
        "both": ["agent", "other"],
        "other": ["base"],
        "busted/panics": [],
    }.items():
        make(tmp_path / name, {"0001-a.patch": mail(name), "series.toml": f"requires = {requires!r}\n"})
    (tmp_path / "not-a-series").mkdir()
    return tmp_path


def test_series_are_found_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patches = tree_of_series(tmp_path / "patches")
    elsewhere = make(tmp_path / "mine", {"0001-a.patch": mail("mine")})

    assert list_series(patches) == ("agent", "base", "both", "busted/panics", "other")
    assert find_series(patches, "busted/panics").name == "busted/panics"
    assert find_series(patches, str(patches / "busted/panics")).name == "busted/panics"
    assert find_series(patches, str(elsewhere)).name == "mine"
    monkeypatch.chdir(tmp_path)
    assert find_series(patches, "mine").name == "mine"
    assert find_series(patches, "patches/base").name == "base"


def test_an_unknown_series_names_what_there_is_and_the_closest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_series(tree_of_series(tmp_path), "agnet")

    assert "agent, base, both, busted/panics, other" in caught.value.message
    assert caught.value.hint == "did you mean agent?"


def test_requirements_come_first_each_after_its_own(tmp_path: Path) -> None:
    patches = tree_of_series(tmp_path)

    names = [one.name for one in stack(patches, find_series(patches, "both"))]

    assert names == ["base", "agent", "other", "both"]
    assert [one.name for one in stack(patches, find_series(patches, "both"), ["base", "other", "agent"])] == [
        "base",
        "other",
        "agent",
        "both",
    ]


def test_series_are_combined_in_the_total_order_on_what_they_all_require(tmp_path: Path) -> None:
    patches, order = tree_of_series(tmp_path), ["base", "other", "agent", "both"]

    def names(asked: str, order: list[str] = order) -> tuple[list[str], list[str]]:
        required, named = combine(patches, asked, order)
        return [one.name for one in required], [one.name for one in named]

    assert names("agent+other") == (["base"], ["other", "agent"])
    assert names("both+agent") == (["base", "other"], ["agent", "both"])
    assert names("both") == (["base", "other", "agent"], ["both"])
    assert names("both", []) == (["base", "agent", "other"], ["both"])
    with pytest.raises(UsageError, match="does not name other"):
        names("agent+other", ["base", "agent"])
    with pytest.raises(UsageError, match="no series `gone`"):
        names("agent+gone")


def test_a_path_may_hold_a_plus(tmp_path: Path) -> None:
    elsewhere = make(tmp_path / "a+b", {"0001-a.patch": mail("mine")})

    assert [one.name for one in combine(tree_of_series(tmp_path / "patches"), str(elsewhere), [])[1]] == ["a+b"]


def test_cycles_unknown_requirements_and_bad_orders_are_refused(tmp_path: Path) -> None:
    patches = tree_of_series(tmp_path)
    make(patches / "base", {"series.toml": 'requires = ["both"]\n'})
    with pytest.raises(UsageError, match="both -> agent -> base -> both"):
        stack(patches, find_series(patches, "both"))

    make(patches / "base", {"series.toml": 'requires = ["gone"]\n'})
    with pytest.raises(UsageError, match="no series `gone`"):
        stack(patches, find_series(patches, "both"))

    make(patches / "base", {"series.toml": ""})
    with pytest.raises(UsageError, match="does not name other"):
        stack(patches, find_series(patches, "both"), ["base", "agent"])
    with pytest.raises(UsageError, match="puts agent before base"):
        stack(patches, find_series(patches, "both"), ["agent", "base", "other"])
