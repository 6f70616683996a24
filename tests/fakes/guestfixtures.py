"""What several files of integration tests stand on: the fake QEMU with the real image, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakeguest import fake_image, use_fake_qemu

from lab.guest import kept
from lab.model.machine import Image


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The real tiny image, made once: no test writes to it."""
    return fake_image(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def fake_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Guests are the fake QEMU's, and their runtime directories are gone afterwards."""
    use_fake_qemu(monkeypatch, tmp_path)
    yield
    assert [path.name for path in (tmp_path / "lab").glob("*")] in ([], ["lock"]), "a runtime directory was left behind"


@pytest.fixture
def kept_guests(fake_qemu: None) -> Iterator[None]:
    """Kept guests of the fake QEMU, stopped at the end if the test did not."""
    yield
    for guest in kept.kept():
        kept.stop(guest)
