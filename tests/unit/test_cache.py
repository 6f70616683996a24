from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from lab.cache import Cache, check_free, digest, digest_files
from lab.deadline import Deadline
from lab.errors import HostError


def eight_kib(directory: Path) -> None:
    (directory / "thing").write_bytes(b"x" * 8192)


def test_makes_once_and_hands_out_the_same(tmp_path: Path) -> None:
    cache, made = Cache(tmp_path), []

    def fill(directory: Path) -> None:
        made.append(directory)
        (directory / "thing").write_text("x")

    first, second = cache.get_or_make("kind", "key", fill), cache.get_or_make("kind", "key", fill)

    assert first == second == tmp_path / "kind" / "key"
    assert len(made) == 1


def test_a_failed_fill_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def fill(directory: Path) -> None:
        (directory / "half").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.get_or_make("kind", "key", fill)

    assert list((tmp_path / "kind").iterdir()) == []
    assert cache.find("kind", "key") is None


def test_what_a_killed_process_left_aside_is_removed(tmp_path: Path) -> None:
    aside = tmp_path / "kind" / ".key.aside"
    aside.mkdir(parents=True)
    (aside / "half").write_text("x")

    path = Cache(tmp_path).get_or_make("kind", "key", lambda directory: (directory / "whole").touch())

    assert [item.name for item in path.iterdir()] == ["whole"]
    assert not aside.exists()


def test_a_full_disk_is_a_host_error_with_a_remedy(tmp_path: Path) -> None:
    def fill(directory: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(HostError, match="No space left") as caught:
        Cache(tmp_path).get_or_make("kind", "key", fill)

    assert "./inv du" in caught.value.hint


def test_a_held_lock_times_out_and_says_so(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    said: list[str] = []
    (tmp_path / "locks").mkdir()
    held = os.open(tmp_path / "locks" / "name", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)

    with (
        pytest.raises(HostError, match="not free in time"),
        cache.lock("name", deadline=Deadline.after(0.1), waiting=said.append),
    ):
        pass

    os.close(held)
    assert said == ["waiting for name, held by another run"]
    with cache.lock("name", deadline=Deadline.after(0.1)) as fd:
        assert fd > 0


def test_prune_by_age_then_by_size(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for number, name in enumerate(("old", "middle", "new")):
        path = cache.get_or_make("kind", name, eight_kib)
        when = time.time() - (1000, 20, 10)[number]
        os.utime(path, (when, when))

    assert [entry.key for entry in cache.prune(older_than_s=100, keep_bytes=10**9)] == ["old"]
    assert [entry.key for entry in cache.prune(older_than_s=100, keep_bytes=12000)] == ["middle"]
    assert cache.find("kind", "new")


def test_keys_do_not_collide_by_joining() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a") == digest(b"a")


def test_a_files_key_sees_name_bytes_and_executable_bit(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    first = digest_files(tmp_path)
    (tmp_path / "a").chmod(0o755)
    second = digest_files(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")

    assert len({first, second, digest_files(tmp_path)}) == 3


def test_too_little_disk_says_how_much_is_needed(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"a build needs 1000000\.0 GB"):
        check_free(tmp_path, 10**15, "a build")

    check_free(tmp_path, 1, "a build")
