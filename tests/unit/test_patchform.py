from __future__ import annotations

import pytest

from lab.formats.patchform import kconfig_complaints, message_complaints, new_options

MAIL = """From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Kernel Lab <lab@localhost>
Date: Wed, 1 Jan 2025 00:00:00 +0000
Subject: [PATCH 2/3] {subject}

{body}
---
 a.c | 1 +
 1 file changed, 1 insertion(+)

diff --git a/a.c b/a.c
--- a/a.c
+++ b/a.c
@@ -1 +1,2 @@
 x
+y
"""


def kinds(subject: str = "fs: count reads", body: str = "Because somebody has to.", *, ours: bool = True) -> list[str]:
    return [one.kind for one in message_complaints(MAIL.format(subject=subject, body=body), ours=ours)]


@pytest.mark.parametrize(
    "subject",
    [
        "fs: count reads", "af_unix: refuse short records", "x86/entry, fs: need one more", "fs/read_write: bring order",
        "Documentation: describe it", "selftests/net: exceed the limit", "af_unix: let listen() wait", "mm: process pages",
    ],
)  # fmt: skip
def test_a_message_in_form_has_no_complaint(subject: str) -> None:
    assert kinds(subject) == []


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        ("count reads", "SUBJECT_PREFIX"),
        ("fs: count " + "reads " * 12, "SUBJECT_LENGTH"),
        ("fs: counted reads", "SUBJECT_FORM"),
        ("fs: counting reads", "SUBJECT_FORM"),
        ("fs: adds reads", "SUBJECT_FORM"),
        ("fs: fixes reads", "SUBJECT_FORM"),
        ("fs: count reads.", "SUBJECT_FORM"),
    ],
)
def test_a_subject_out_of_form_is_seen(subject: str, kind: str) -> None:
    assert kinds(subject) == [kind]


def test_a_patch_without_a_reason_is_seen() -> None:
    assert kinds(body="") == ["NO_BODY"]
    assert kinds(body='Fixes: 123456789abc ("x")\nReported-by: A <a@b>') == ["NO_BODY"]


def test_long_lines_are_seen_unless_nobody_could_break_them() -> None:
    assert kinds(body="word " * 20) == ["BODY_LENGTH"]
    assert kinds(body="    quoted " + "word " * 20 + "\n\nhttps://example.org/" + "x" * 80 + "\n\nBecause.") == []


def test_nobody_signs_for_somebody_else() -> None:
    signed = "Because.\n\nSigned-off-by: {}"

    assert kinds(body=signed.format("Kernel Lab <lab@localhost>"), ours=True) == ["SIGNED"]
    assert kinds(body=signed.format("Kernel Lab <lab@localhost>"), ours=False) == []
    assert kinds(body=signed.format("Jane Doe <jane@example.org>"), ours=False) == ["SIGNED"]


KCONFIG = """diff --git a/{path} b/{path}
--- a/{path}
+++ b/{path}
@@ -1,3 +1,9 @@ config OLD
 config OLD
 \tbool "Old"
+config NEW
+\tbool "New"
{lines}
+\thelp
+\t  default y is what some want.
+
 config NEXT
 \tdefault y
"""


def kconfig(lines: str, path: str = "net/Kconfig") -> list[str]:
    return [one.text for one in kconfig_complaints(KCONFIG.format(lines=lines, path=path))]


def test_new_options_that_are_off_are_fine() -> None:
    assert kconfig("+\tdepends on NET") == []
    assert kconfig("+\tdefault n") == []
    assert kconfig("+\tdefault KUNIT_ALL_TESTS") == []
    assert kconfig("+\tdefault y", "net/other.txt") == []
    assert kconfig_complaints('+++ b/net/Kconfig\n+config N\n+\tint "Number"\n+\tdefault 5\n') == ()


@pytest.mark.parametrize("value", ["y", "m", "y if NET", "NET", "!SMALL"])
def test_new_options_that_are_on_are_named(value: str) -> None:
    assert kconfig(f"+\tdefault {value}") == [f"NEW is not off by default: default {value}"]


def test_options_without_a_prompt_that_are_on_are_named_too() -> None:
    diff = "+++ b/net/Kconfig\n@@ -1 +1,3 @@\n+config HIDDEN\n+\tdef_bool y\n"

    assert [one.kind for one in kconfig_complaints(diff)] == ["KCONFIG_DEFAULT"]


def test_new_options_are_listed_by_name() -> None:
    assert new_options(KCONFIG.format(lines="+\tdepends on NET", path="net/Kconfig")) == ("NEW",)
    assert new_options(KCONFIG.format(lines="+\tdepends on NET", path="net/text")) == ()
