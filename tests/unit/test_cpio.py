from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.guest import cpio

ENTRIES = [
    cpio.directory("bin"),
    cpio.regular("bin/tool", b"#!/bin/sh\n", 0o755),
    cpio.symlink("bin/sh", "tool"),
    cpio.regular("empty", b""),
]


def test_the_same_entries_in_any_order_give_the_same_bytes() -> None:
    assert cpio.archive(ENTRIES) == cpio.archive(reversed(ENTRIES))


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not on this host")
def test_cpio_itself_reads_the_archive_back(tmp_path: Path) -> None:
    subprocess.run(["cpio", "-i", "--quiet"], input=cpio.archive(ENTRIES), cwd=tmp_path, check=True)
    assert (tmp_path / "bin" / "tool").read_text() == "#!/bin/sh\n"
    assert (tmp_path / "bin" / "tool").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "bin" / "sh").readlink() == Path("tool")
    assert (tmp_path / "empty").read_bytes() == b""


def test_members_carry_owner_root_and_no_date() -> None:
    head = cpio.archive([cpio.regular("x", b"data")])
    fields = [int(head[6 + 8 * at : 14 + 8 * at], 16) for at in range(13)]
    assert head[:6] == b"070701"
    assert fields[2:4] == [0, 0], "uid and gid"
    assert fields[5] == 0, "mtime"
    assert fields[6] == 4, "size"


def test_a_device_keeps_its_numbers() -> None:
    head = cpio.archive([cpio.character_device("dev/console", 5, 1)])
    assert [int(head[6 + 8 * at : 14 + 8 * at], 16) for at in (9, 10)] == [5, 1]
