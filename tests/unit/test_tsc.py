from __future__ import annotations

from pathlib import Path

import pytest

from lab.cache import Cache
from lab.errors import HostError
from lab.guest import tsc
from lab.guest.tsc import tsc_khz


def test_the_counter_is_measured_once_per_host_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    first = tsc_khz(cache)

    monkeypatch.setattr(tsc, "shared_object", None)  # nothing is compiled again
    assert first > 100_000
    assert tsc_khz(cache) == first


def test_without_a_compiler_it_is_said_what_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="gcc"):
        tsc_khz(Cache(tmp_path))
