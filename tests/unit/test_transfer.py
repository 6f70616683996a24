from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.guest.transfer import check_sources, check_wanted, named, strays


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, link
    return found


def test_names_are_separated_by_commas() -> None:
    assert named("") == ()
    assert named("a,b c, d ,") == ("a", "b c", "d")


def test_files_and_directories_can_be_sent(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").touch()

    assert check_sources([f"{tmp_path}/dir/", f"{tmp_path}/file"]) == (tmp_path / "dir", tmp_path / "file")


@pytest.mark.parametrize(
    ("names", "complaint"),
    [(["missing"], "is no file and no directory"), (["file", "dir/file"], "a second 'file'"), (["/"], "a second ''")],
)
def test_what_cannot_be_sent_is_refused(tmp_path: Path, names: list[str], complaint: str) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "dir/file").touch()

    with pytest.raises(UsageError, match=complaint):
        check_sources([str(tmp_path / name) for name in names])


@pytest.mark.parametrize("name", ["/", ".", "..", "out/..", ""])
def test_what_has_no_name_cannot_be_pulled(name: str) -> None:
    with pytest.raises(UsageError, match="no name of a file"):
        check_wanted([name])


@pytest.mark.parametrize(
    ("found", "astray"),
    [
        (member("./out/a"), False),
        (member("out"), False),
        (member("out/link", tarfile.SYMTYPE, "../out/a"), False),
        (member("out/hard", tarfile.LNKTYPE, "./out/a"), False),
        (member("other"), True),
        (member("out/../other"), True),
        (member("/etc/passwd"), True),
        (member("out/link", tarfile.SYMTYPE, "../../x"), True),
        (member("out/link", tarfile.SYMTYPE, "/etc"), True),
        (member("out/hard", tarfile.LNKTYPE, "../x"), True),
    ],
)
def test_a_guest_writes_nowhere_else(found: tarfile.TarInfo, *, astray: bool) -> None:
    assert strays(found, "out") is astray
