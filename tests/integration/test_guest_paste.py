from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lab.guest.network import PLAIN, ROOTLESS, Way
from lab.guest.paste import dry_run
from lab.model.machine import Accel, GuestSpec, Nic, Nvme

TCG = Accel("tcg", proven=True, evidence="", qemu_version="7.2.22")
PLAIN_GUEST = GuestSpec("plain", cpus=2, mode="counts")
QEMU = """#!/bin/sh
second=$(echo "$@" | grep -c logfile=peer)
{ echo "$@"; ls *.img; ip -brief link; ip -brief address show dev br0; } >said.$second 2>&1
test -p told || exit 0
if [ $second = 1 ]; then echo $$ >told; exec sleep 60; else read -r pid <told; echo $pid >peer.pid; fi
"""


def lines(spec: GuestSpec, way: Way = PLAIN) -> str:
    return dry_run(spec, TCG, bzimage=Path("my bzImage"), initrd=Path("i"), way=way)


@pytest.fixture
def pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to paste in, and a QEMU that notes what it sees."""
    program = tmp_path / "bin" / "qemu-system-x86_64"
    program.parent.mkdir()
    program.write_text(QEMU)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path


def paste(text: str, place: Path) -> None:
    subprocess.run(["sh", "-e"], input=text, text=True, cwd=place, check=True, timeout=60)


def test_a_plain_guest_is_one_line_without_descriptors() -> None:
    text = lines(PLAIN_GUEST)
    assert "\n" not in text
    assert "'my bzImage'" in text
    assert "fd=" not in text


@pytest.mark.parametrize("way", [PLAIN, ROOTLESS])
def test_the_lines_of_a_pair_make_its_network_and_disks(pasted: Path, way: Way) -> None:
    if subprocess.run([*way, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"`{' '.join(way)}` is refused here")
    spec = replace(PLAIN_GUEST, nics=(Nic(4),), nvme=(Nvme(3, 1),), hosts=2)
    os.mkfifo(pasted / "told")  # the shell waits for the first, and that for the second, which is in the background
    paste(lines(spec, way), pasted)
    said = (pasted / "said.0").read_text()
    assert "-netdev tap,id=net1,ifname=tap0-1,script=no,downscript=no,vhost=off,queues=4" in said
    assert "file.filename=nvme0-1.img" in said
    assert "10.99.0.1/24" in said
    assert {"br0", "tap0-1", "tap0-2"} <= {line.split()[0] for line in said.splitlines()}
    assert "ifname=tap0-2" in (pasted / "said.1").read_text()
    assert [(path.name, path.stat().st_size) for path in sorted(pasted.glob("*.img"))] == [
        ("nvme0-1.img", 3 << 20),
        ("nvme0-2.img", 3 << 20),
    ]
    assert (pasted / "peer").is_dir()
    assert not Path("/proc", (pasted / "peer.pid").read_text().strip()).exists(), "the second ends with the first"


def test_what_the_network_refuses_stops_the_paste(pasted: Path) -> None:
    broken = lines(replace(PLAIN_GUEST, nics=(Nic(4),)), ROOTLESS).replace("type bridge", "type nosuch")
    with pytest.raises(subprocess.CalledProcessError):
        paste(broken, pasted)
    assert not (pasted / "said.0").exists()
