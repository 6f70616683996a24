from __future__ import annotations

import select
from pathlib import Path

import pytest

from lab.guest import tail
from lab.guest.tail import Tail


def test_growth_wakes_whoever_waits_and_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"")
    reader = Tail(path)
    with path.open("ab") as log:
        log.write(b"one")
        log.flush()
        assert select.select([reader.fd], [], [], 10)[0]
        assert reader.read() == b"one"
        assert not select.select([reader.fd], [], [], 0)[0]
        assert reader.read() == b""
        log.write(b"two")
        log.flush()
        assert reader.read() == b"two"
    assert (reader.heard, reader.last(4), reader.last(100)) == (6, b"etwo", b"onetwo")
    reader.close()


def test_only_the_end_of_a_long_log_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "KEPT_BYTES", 4)
    (tmp_path / "log").write_bytes(b"0123456789")
    reader = Tail(tmp_path / "log")
    reader.read()
    assert (reader.heard, reader.last(100)) == (10, b"456789")
    reader.close()


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot watch"):
        Tail(tmp_path / "absent")
