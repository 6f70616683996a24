"""checkpatch's part with a fake scripts/checkpatch.pl that speaks as the real one does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from kerneltree import CLAMP, COMMENT, FILES, commit, developer_tree, fake_source, format_patches

from lab.cache import Cache
from lab.errors import SourceError
from lab.kernel.patchcheck import checkpatch
from lab.kernel.series import read_series
from lab.model.change import Series
from lab.model.outcome import Case, Status

pytestmark = pytest.mark.skipif(shutil.which("perl") is None, reason="no perl")

CHECKPATCH = """
my $text = join '', <STDIN>;
exit 9 if $text =~ /crash/;
if ($text =~ /the first function/) {
	print "WARNING:LONG_LINE: line over the limit\\n#21: FILE: init/main.c:1:\\n+/* the first function */\\n\\n";
	print "CHECK:SPACING: odd spaces\\n#22: FILE: init/main.c:2:\\n+x\\n\\n";
	print "total: 0 errors, 1 warnings, 1 checks, 8 lines checked\\n";
	exit 1;
}
print "total: 0 errors, 0 warnings, 0 checks, 8 lines checked\\n";
"""


def check(tmp_path: Path, notes: str = "", body: str = "Because.", files: dict[str, str] | None = None) -> tuple[Case, ...]:
    cache = Cache(tmp_path / "cache")
    source = fake_source(tmp_path, cache, {**FILES, "scripts/checkpatch.pl": CHECKPATCH} if files is None else files)
    return checkpatch(source, series(tmp_path, notes, body), cache)


def series(tmp_path: Path, notes: str, body: str) -> Series:
    tree = developer_tree(tmp_path / "work")
    commit(tree, "fs: clamp", CLAMP)
    commit(tree, "init: comment", COMMENT, body)
    directory = format_patches(tree, tmp_path / "mine")
    (directory / "series.toml").write_text(notes)
    return read_series(directory)


def test_one_case_per_patch_with_the_complaints(tmp_path: Path) -> None:
    clean, bad = check(tmp_path)

    assert clean == Case("checkpatch mine/0001-fs-clamp.patch", Status.PASS)
    assert (bad.name, bad.status) == ("checkpatch mine/0002-init-comment.patch", Status.FAIL)
    assert bad.detail == "WARNING LONG_LINE: line over the limit (init/main.c:1)\nCHECK SPACING: odd spaces (init/main.c:2)"


def test_accepted_exceptions_keep_their_reason_and_accept_nothing_else(tmp_path: Path) -> None:
    _, bad = check(tmp_path, '[checkpatch_exceptions]\nLONG_LINE = "a table reads better"\n')
    assert (bad.status, bad.detail) == (Status.FAIL, "CHECK SPACING: odd spaces (init/main.c:2)")

    shutil.rmtree(tmp_path / "work")
    _, fine = check(tmp_path, '[checkpatch_exceptions]\nLONG_LINE = "a table reads better"\nSPACING = "so it is"\n')
    assert (fine.status, fine.detail) == (Status.PASS, "accepted LONG_LINE: a table reads better\naccepted SPACING: so it is")


def test_a_checkpatch_that_crashes_never_passes(tmp_path: Path) -> None:
    _, odd = check(tmp_path, body="crash")

    assert odd.status is Status.ERROR
    assert "exit 9" in odd.detail


def test_a_tree_without_checkpatch(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no scripts/checkpatch\.pl"):
        check(tmp_path, files=FILES)
