from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.errors import HostError
from lab.guest import runtime


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return runtime.root()


def test_a_directory_lives_as_long_as_its_lock_is_held(place: Path) -> None:
    directory, fd = runtime.claim(place)
    assert runtime.living(place) == (directory,)
    os.close(fd)
    assert runtime.living(place) == ()
    assert not directory.exists()


def test_a_name_is_given_once_even_before_anybody_is_up(place: Path) -> None:
    claimed = [runtime.claim(place, "dev") for _ in range(3)]
    assert [(directory / runtime.NAME).read_text() for directory, _ in claimed] == ["dev", "dev.2", "dev.3"]
    os.close(claimed[1][1])
    runtime.living(place)
    again, _ = runtime.claim(place, "dev")
    assert (again / runtime.NAME).read_text() == "dev.2", "the name of a dead one is free"


def test_scratch_is_gone_after_an_error_too(place: Path) -> None:
    with pytest.raises(ZeroDivisionError), runtime.scratch() as directory:
        raise ZeroDivisionError
    assert not directory.exists()


def test_only_the_user_may_look(place: Path) -> None:
    assert place.stat().st_mode & 0o077 == 0


def test_a_path_too_long_for_sockets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with pytest.raises(HostError, match="too long"):
        runtime.root()


def test_without_a_runtime_directory_it_is_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "absent"))
    assert runtime.root() == Path(f"/tmp/lab-{os.getuid()}")
