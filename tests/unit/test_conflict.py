from __future__ import annotations

from lab.kernel.conflict import Earlier, explain
from lab.model.change import Patch


def patch(name: str, body: str, file: str = "fs/x.c", old: str = "") -> Patch:
    header = f"diff --git a/{file} b/{file}\n--- {old or 'a/' + file}\n+++ b/{file}\n"
    return Patch(name, name, f"Subject: [PATCH] {name}\n\nx\n---\n{header}{body}", (file,))


WANTS = patch("0002-use.patch", "@@ -1,3 +1,3 @@ int f(void)\n int a;\n-int b = one();\n+int b = two();\n int c;\n")
MOVED = patch("0001-move.patch", "@@ -1,3 +1,3 @@\n int a;\n-int b = one();\n+int b = three();\n int c;\n")
OTHER = patch("0001-other.patch", "@@ -8,1 +8,2 @@\n int z;\n+int y;\n")


def read(path: str) -> str | None:
    return "int a;\nint b = three();\nint c;\n" if path == "fs/x.c" else None


def test_names_patch_file_hunk_lines_and_who_moved_them() -> None:
    error = explain(
        "s/0002-use.patch",
        WANTS,
        "git's words",
        read,
        [Earlier("s/0001-move.patch", MOVED), Earlier("r/0001-other.patch", OTHER)],
    )

    assert error.message == (
        "s/0002-use.patch does not apply\n"
        "  file fs/x.c\n"
        "  hunk @@ -1,3 +1,3 @@ int f(void)\n"
        "  expected:\n"
        "    | int b = one();\n"
        "  found (nearest place, line 2):\n"
        "    | int b = three();\n"
        "  moved by s/0001-move.patch (@@ -1,3 +1,3 @@)"
    )
    assert error.finding is not None
    assert (error.finding.kind, error.finding.title) == ("patch", "s/0002-use.patch does not apply")
    assert error.code == 1


def test_without_a_telling_line_the_last_patch_on_that_file_is_named() -> None:
    assert "last changed by r/0001-other.patch" in explain("s/2", WANTS, "", read, [Earlier("r/0001-other.patch", OTHER)]).message


def test_without_any_the_source_is_another_one() -> None:
    assert "no earlier patch of the stack touches this file" in explain("s/2", WANTS, "", read, []).message


def test_a_missing_file_and_one_that_is_there_already() -> None:
    gone = patch("p", "@@ -1 +1 @@\n-a\n+b\n", file="gone.c")
    new = patch("p", "@@ -0,0 +1 @@\n+a\n", old="/dev/null")

    assert "file gone.c: is not in the tree" in explain("s/p", gone, "", read, []).message
    assert "file fs/x.c: the patch creates it, but it is there already" in explain("s/p", new, "", read, []).message


def test_what_cannot_be_explained_is_said_in_gits_words() -> None:
    fits = patch("p", "@@ -1 +1 @@\n-int a;\n+int A;\n")

    assert "git says: error: odd" in explain("s/p", fits, "error: odd", read, []).message


def test_long_hunks_are_cut() -> None:
    lines = "".join(f"-line number {number}\n" for number in range(30))
    error = explain("s/p", patch("p", f"@@ -1,30 +0,0 @@\n{lines}"), "", read, [])

    assert "... 18 more" in error.message
