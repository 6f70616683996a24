from __future__ import annotations

from pathlib import Path

import pytest
from fakeguest import fake_image, use_fake_qemu

from lab.cache import Cache
from lab.errors import HostError, UsageError
from lab.events import silent
from lab.guest import accel
from lab.guest.accel import prove
from lab.model.machine import Accel, Image


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_fake_qemu(monkeypatch, tmp_path)
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accel, "KVM", device)
    monkeypatch.setattr(accel, "PROOF_S", 2.0)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return fake_image(tmp_path_factory.mktemp("cache"))


def proof(tmp_path: Path, image: Image | None = None, fake: str = "ready", forced: str = "") -> Accel:
    kernel = tmp_path / "bzImage"
    kernel.write_text(f"fake={fake}\n")
    return prove(Cache(tmp_path / "cache"), bzimage=kernel if image else None, image=image, forced=forced, emit=silent)


def test_a_kernel_that_boots_proves_kvm(tmp_path: Path, image: Image) -> None:
    found = proof(tmp_path, image)
    assert (found.name, found.proven) == ("kvm", True)
    assert "booted with KVM" in found.evidence


@pytest.mark.parametrize(
    ("fake", "evidence"),
    [("mute", "came to power-on after 0.0 s and then hung for 2 s"), ("die", "QEMU ended: "), ("panic", "QEMU ended")],
)
def test_a_kvm_that_opens_and_does_not_boot_is_no_kvm(tmp_path: Path, image: Image, fake: str, evidence: str) -> None:
    found = proof(tmp_path, image, fake)
    assert (found.name, found.proven) == ("tcg", True)
    assert evidence in found.evidence


def test_the_proof_is_kept_with_its_evidence(tmp_path: Path, image: Image) -> None:
    assert proof(tmp_path, image, "die") == proof(tmp_path) == proof(tmp_path, image, "ready")


def test_without_a_kernel_nothing_is_proven_and_nothing_kept(tmp_path: Path, image: Image) -> None:
    assert not proof(tmp_path).proven
    assert "opens, not proven" in proof(tmp_path).evidence
    assert proof(tmp_path, image).name == "kvm"


def test_no_device_is_no_kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "KVM", tmp_path / "absent")
    assert "No such file" in proof(tmp_path).evidence
    with pytest.raises(HostError, match="No such file"):
        proof(tmp_path, forced="kvm")


def test_a_forced_accelerator_is_taken_and_said_to_be(tmp_path: Path) -> None:
    assert proof(tmp_path, forced="tcg").name == "tcg"
    assert (proof(tmp_path, forced="kvm").name, proof(tmp_path, forced="kvm").proven) == ("kvm", False)
    with pytest.raises(UsageError, match="there are kvm and tcg"):
        proof(tmp_path, forced="hvf")
