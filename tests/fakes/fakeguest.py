"""Plans for guests that the fake QEMU boots: the real image, the real worker code, no kernel."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from processes import hear_interrupts

from lab.cache import Cache
from lab.events import silent
from lab.guest.boot import BootPlan
from lab.guest.image import make_image
from lab.model.machine import Accel, GuestSpec, Image

FAKES = Path(__file__).parent
ROOT = FAKES.parents[1]


class FakeSymbols:
    """One function, `fake_spin`, at the address where the fake CPU spins."""

    def address(self, name: str) -> int:
        if name == "fake_spin":
            return 0xFFFFFFFF81000000
        raise KeyError(name)

    def extent(self, name: str) -> tuple[int, int]:
        return self.address(name), self.address(name) + 0x200

    def decode(self, lines: list[str]) -> list[str]:
        return [f"{line} (kernel/fake.c:7)" if "+0x10/0x20" in line else line for line in lines]

    def nearest(self, address: int) -> str:
        return f"fake_spin+{address - 0xFFFFFFFF81000000:#x}"


def use_fake_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put the fake QEMU in front of the PATH and the sockets of guests under /tmp, away from the user's."""
    hear_interrupts()
    monkeypatch.setenv("PATH", f"{FAKES}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # a killed fake leaves its scratch directory


def fake_image(cache: Path) -> Image:
    """The real tiny image."""
    return make_image(ROOT / "images" / "tiny", Cache(cache), silent)


def fake_plan(
    tmp_path: Path, image: Image, fake: str = "ready", *, stall_budget_s: float = 1.0, boot_budget_s: float = 60.0
) -> BootPlan:
    """A boot of the fake QEMU that behaves as `fake` says (see fakeqemu.py)."""
    kernel = tmp_path / "bzImage"
    kernel.write_text(f"fake={fake}\n")
    return BootPlan(
        spec=GuestSpec("fake", mode="counts"),
        bzimage=kernel,
        image=image,
        accel=Accel("tcg", proven=True, evidence="fake", qemu_version="7.2.22"),
        directory=tmp_path / "job",
        symbols=FakeSymbols(),
        stall_budget_s=stall_budget_s,
        boot_budget_s=boot_budget_s,
    )


def children_of(pid: int) -> list[int]:
    """The processes that this one started and that are there."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
