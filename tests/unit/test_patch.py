from __future__ import annotations

import base64
import quopri
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.formats.patch import Hunk, MalformedPatchError, as_mail, files_of, hunks_of, mismatch, parse_mail, split_mbox

DIFF = """diff --git a/fs/read_write.c b/fs/read_write.c
index 1111111..2222222 100644
--- a/fs/read_write.c
+++ b/fs/read_write.c
@@ -10,5 +10,5 @@ int vfs_read(struct file *file)
 \tint ret;
\x20
-\tcount = min_t(count);
+\tcount = min(count);
\x20
 \treturn ret;
"""
MAIL = f"""From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001
From: A Developer <dev@example.org>
Date: Wed, 1 Jan 2025 00:00:00 +0000
Subject: [PATCH v2 3/7] fs: read a very long thing that does not fit
 one line

Because.

---
 fs/read_write.c | 2 +-

{DIFF}--{" "}
2.39.5
"""


def test_a_mail_says_what_it_is() -> None:
    mail = parse_mail(MAIL)

    assert (mail.title, mail.tags) == ("fs: read a very long thing that does not fit one line", "PATCH v2 3/7")
    assert (mail.revision, mail.number, mail.total, mail.reply) == (2, 3, 7, False)
    assert mail.message.strip() == "Because."
    assert files_of(mail.diff) == ("fs/read_write.c",)


@pytest.mark.parametrize(
    ("subject", "revision", "number", "title"),
    [
        ("[PATCH] x", 1, None, "x"),
        ("[RFC PATCH net-next v12 01/10] [tag] x", 12, 1, "x"),
        ("[PATCHv3 2/2] x", 3, 2, "x"),
        ("x: use 3/4 of it", 1, None, "x: use 3/4 of it"),
        ("=?utf-8?q?=5BPATCH_1/2=5D_caf=C3=A9?=", 1, 1, "café"),
    ],
)
def test_subjects(subject: str, revision: int, number: int | None, title: str) -> None:
    mail = parse_mail(f"Subject: {subject}\n\nx\n---\n{DIFF}")

    assert (mail.revision, mail.number, mail.title) == (revision, number, title)


def test_replies_are_told_apart() -> None:
    assert parse_mail(f"Subject: Re: [PATCH 1/2] x\n\n{DIFF}").reply


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_encoded_mails_are_decoded(encoding: str) -> None:
    raw = f"Why: café\n---\n{DIFF}".encode()
    body = base64.encodebytes(raw) if encoding == "base64" else quopri.encodestring(raw)
    mail = parse_mail(
        f"Subject: [PATCH] x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n\n{body.decode()}"
    )

    assert "café" in mail.message
    assert files_of(mail.diff) == ("fs/read_write.c",)


def test_a_mailbox_is_split_at_from_lines_only() -> None:
    second = MAIL.replace("3/7", "4/7").replace("Because.", "From here on\nit is better.")

    assert split_mbox(MAIL + second) == [MAIL, second]
    assert split_mbox("From: no mailbox\n\nx") == []


def test_a_quilt_patch_becomes_a_mail() -> None:
    mail = parse_mail(as_mail("fix.patch", f"Read better\n\nIt was bad.\n{DIFF}"))

    assert (mail.title, mail.message.strip()) == ("Read better", "It was bad.")
    assert parse_mail(as_mail("fix.patch", DIFF)).title == "fix.patch"
    assert as_mail("fix.patch", MAIL) == MAIL


def test_files_of_new_removed_renamed_and_binary() -> None:
    diff = """diff --git a/old.c b/new.c
similarity index 100%
rename from old.c
rename to new.c
diff --git a/made.c b/made.c
new file mode 100644
index 0000000..1111111
--- /dev/null
+++ b/made.c
@@ -0,0 +1 @@
+int x;
diff --git a/gone.c b/gone.c
deleted file mode 100644
index 1111111..0000000
--- a/gone.c
+++ /dev/null
@@ -1 +0,0 @@
-int x;
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
"""
    assert files_of(diff) == ("old.c", "new.c", "made.c", "gone.c", "run.sh")


def test_a_cut_off_hunk_is_no_patch() -> None:
    with pytest.raises(MalformedPatchError):
        files_of(DIFF.replace("@@ -10,5 +10,5 @@", "@@ -10,9 +10,9 @@") + "nonsense\n")


def hunk() -> Hunk:
    return hunks_of(DIFF)[0]


def test_hunks_have_their_lines() -> None:
    assert hunk().header == "@@ -10,5 +10,5 @@ int vfs_read(struct file *file)"
    assert (hunk().start, hunk().removed, hunk().added) == (10, ("\tcount = min_t(count);",), ("\tcount = min(count);",))
    assert hunk().old == ("\tint ret;", "", "\tcount = min_t(count);", "", "\treturn ret;")


def test_a_hunk_fits_at_any_offset() -> None:
    assert mismatch(hunk(), [*["filler"] * 40, *hunk().old]) is None


def test_a_mismatch_names_only_what_differs() -> None:
    there = [
        "filler",
        "\tint ret;",
        "",
        "\tif (count > MAX)",
        "\t\tcount = MAX;",
        "",
        "\treturn ret;",
        "}",
        "",
        "int other(void)",
    ]
    wrong = mismatch(hunk(), there)

    assert wrong is not None
    assert wrong.line == 4
    assert wrong.expected == ("\tcount = min_t(count);",)
    assert wrong.found == ("\tif (count > MAX)", "\t\tcount = MAX;")


def test_a_file_without_any_of_the_lines() -> None:
    wrong = mismatch(hunk(), ["one", "two"])

    assert wrong is not None
    assert wrong.expected == hunk().old
    assert mismatch(hunk(), []) is not None


@given(
    st.lists(st.sampled_from(["\tint ret;", "", "\tcount = min_t(count);", "\treturn ret;", "}"]), max_size=12),
    st.integers(0, 30),
)
def test_mismatch_says_no_exactly_when_the_lines_are_not_there(lines: list[str], start: int) -> None:
    one = replace(hunk(), start=start)
    there = any(tuple(lines[at : at + len(one.old)]) == one.old for at in range(len(lines)))

    assert (mismatch(one, lines) is None) == there
