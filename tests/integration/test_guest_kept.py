from __future__ import annotations

import os
import select
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from fakeguest import children_of, fake_plan

from lab.deadline import Deadline
from lab.errors import GuestError, UsageError
from lab.events import Event, StageLine, silent
from lab.guest import kept
from lab.guest.accel import NoSymbols
from lab.guest.boot import BootPlan
from lab.model.machine import Image

pytest_plugins = ["guestfixtures"]
pytestmark = pytest.mark.usefixtures("kept_guests")


def plain_plan(tmp_path: Path, image: Image, fake: str = "ready") -> BootPlan:
    """Symbols that the owner, a process of its own, can load."""
    return replace(fake_plan(tmp_path, image, fake), symbols=NoSymbols())


def ended(pid: int) -> None:
    """Wait until a process that is not ours is gone."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(fd):
        assert select.select([fd], [], [], 30)[0], f"process {pid} is still there"


def test_a_kept_guest_is_known_takes_commands_and_stops(tmp_path: Path, image: Image, capfd: pytest.CaptureFixture[str]) -> None:
    told: list[Event] = []
    guest = kept.keep(plain_plan(tmp_path, image), "dev", told.append)
    assert [known.name for known in kept.kept()] == ["dev"]
    assert (guest.release, guest.guest, guest.log) == ("6.12.0-fake", "fake", tmp_path / "job" / "console.log")
    assert kept.exec_words(kept.find(), ["sh", "-c", 'echo "$0|$1"; echo wrong >&2; exit 7', "two  words", "$HOME 'q'"]) == 7
    assert capfd.readouterr() == ("two  words|$HOME 'q'\n", "wrong\n")
    with kept.shell(guest) as shell:
        assert shell.run("uname -r", deadline=Deadline.after(30)).stdout == "6.12.0-fake\n"
    (qemu,) = children_of(guest.pid)
    kept.stop(guest)
    assert kept.kept() == ()
    ended(qemu)
    assert any(isinstance(event, StageLine) and event.text.startswith("ready after") for event in told)


def test_nothing_survives_a_killed_owner(tmp_path: Path, image: Image) -> None:
    guest = kept.keep(plain_plan(tmp_path, image), "dev", silent)
    (qemu,) = children_of(guest.pid)
    os.kill(guest.pid, signal.SIGKILL)
    ended(guest.pid)
    ended(qemu)
    assert kept.kept() == ()
    assert not guest.directory.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", guest.port), timeout=5)


def test_a_guest_that_ends_is_no_longer_kept(tmp_path: Path, image: Image) -> None:
    guest = kept.keep(plain_plan(tmp_path, image, "panic-later"), "dev", silent)
    with pytest.raises(GuestError), kept.shell(guest) as shell:
        shell.run("panic", deadline=Deadline.after(30))
    ended(guest.pid)
    assert kept.kept() == ()


def test_a_kernel_that_panics_fails_as_it_does_elsewhere(tmp_path: Path, image: Image) -> None:
    with pytest.raises(GuestError, match="fake panic") as caught:
        kept.keep(plain_plan(tmp_path, image, "panic"), "dev", silent)
    assert caught.value.finding is not None
    assert caught.value.finding.kind == "panic"
    assert kept.kept() == ()


def test_two_of_a_name_are_told_apart_and_asking_for_neither_lists_both(tmp_path: Path, image: Image) -> None:
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        kept.keep(plain_plan(tmp_path / place, image), "dev", silent)
    assert [guest.name for guest in kept.kept()] == ["dev", "dev.2"]
    with pytest.raises(UsageError, match="several guests are up; there are: dev, dev"):
        kept.find()
    with pytest.raises(UsageError, match="no guest is named 'x'"):
        kept.find("x")
    assert kept.find("dev.2").name == "dev.2"


def test_without_a_guest_the_remedy_is_told() -> None:
    with pytest.raises(UsageError) as caught:
        kept.find()
    assert "boot --keep" in caught.value.hint


def test_the_ssh_line_knows_the_guests_key(tmp_path: Path, image: Image) -> None:
    guest = kept.keep(plain_plan(tmp_path, image), "dev", silent)
    if not Path("/usr/bin/ssh").exists():
        return
    line = kept.ssh_command(guest)
    assert line[-3:] == ("-p", str(guest.port), "root@127.0.0.1")
    assert (guest.directory / "known_hosts").read_text().split()[:2] == [f"[127.0.0.1]:{guest.port}", "ssh-ed25519"]


def test_gdb_can_attach_before_the_guest_runs(tmp_path: Path, image: Image) -> None:
    guest = kept.keep(replace(plain_plan(tmp_path, image, "mute"), gdb=True), "dev", silent)
    assert kept.gdb_line(guest) == f"gdb -ex 'target remote {guest.directory}/gdb'"


def test_a_guest_without_a_stub_says_so(tmp_path: Path, image: Image) -> None:
    with pytest.raises(UsageError, match="without a gdb stub"):
        kept.gdb_line(kept.keep(plain_plan(tmp_path, image), "dev", silent))


# --- files in and out -----------------------------------------------------------------------------------------------------


def test_files_are_there_before_the_command_and_come_back_after_it(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    guest = kept.keep(plain_plan(tmp_path, image), "dev", silent)
    (tmp_path / "tree/below").mkdir(parents=True)
    (tmp_path / "tree/below/data").write_bytes(bytes(range(256)) * 4096)
    script = tmp_path / "it's a script"
    lines = ("#!/bin/sh", "mkdir -p out", "cp tree/below/data out/", "ln -s data out/link", "echo hi >'a b'", "chmod 755 'a b'")
    script.write_text("\n".join([*lines, "exit 5\n"]))
    script.chmod(0o755)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    status = kept.exec_words(guest, ["./it's a script"], push=(script, tmp_path / "tree"), pull=("out", "./a b"))

    assert (status, capfd.readouterr().err) == (5, "")
    assert (tmp_path / "here/out/data").read_bytes() == (tmp_path / "tree/below/data").read_bytes()
    assert (tmp_path / "here/out/link").readlink() == Path("data")
    assert (tmp_path / "here/a b").read_text() == "hi\n"
    assert os.access(tmp_path / "here/a b", os.X_OK)
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["a b", "out"]


def test_what_cannot_come_back_is_an_error_unless_the_command_failed_already(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    guest = kept.keep(plain_plan(tmp_path, image), "dev", silent)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(GuestError, match="cannot read no-such-file on the guest"):
        kept.exec_words(guest, ["true"], pull=("no-such-file",))
    assert kept.exec_words(guest, ["sh", "-c", "exit 3"], pull=("no-such-file",)) == 3
    assert "cannot read no-such-file on the guest" in capfd.readouterr().err
