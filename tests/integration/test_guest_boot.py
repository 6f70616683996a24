from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakeguest import FAKES, fake_plan

from lab.deadline import Deadline
from lab.errors import BootTimeout, GuestError, HostError, LabError, LostGuest
from lab.events import silent
from lab.guest import runtime
from lab.guest.boot import Guest, booted
from lab.model.machine import Image

pytest_plugins = ["guestfixtures"]
pytestmark = pytest.mark.usefixtures("fake_qemu")


def soon() -> Deadline:
    return Deadline.after(60)


@contextmanager
def fake_guest(tmp_path: Path, image: Image, fake: str = "ready") -> Iterator[Guest]:
    with booted(fake_plan(tmp_path, image, fake), silent) as guest:
        yield guest


def failure_of(tmp_path: Path, image: Image, fake: str) -> LabError:
    with pytest.raises(LabError) as caught, fake_guest(tmp_path, image, fake):
        pass
    assert caught.value.log == tmp_path / "job" / "console.log"
    return caught.value


def test_a_guest_takes_commands_and_files_and_ends_cleanly(tmp_path: Path, image: Image) -> None:
    sent = tmp_path / "payload"
    sent.mkdir()
    (sent / "run").write_text('#!/bin/sh\necho "it ran with $1"\nexit 3\n')
    (sent / "run").chmod(0o755)
    with fake_guest(tmp_path, image) as guest:
        guest.shell.push(sent, "/tmp/payload/x", deadline=soon())
        done = guest.shell.run("cd /tmp/payload/x && ./run 'two  words'", deadline=soon())
        guest.shell.pull("/tmp/payload/x/run", tmp_path / "back", deadline=soon())
        assert guest.findings() == ()
        guest.quit(soon())
    assert (done.status, done.stdout) == (3, "it ran with two  words\n")
    assert (tmp_path / "back").read_text() == (sent / "run").read_text()
    assert [milestone.name for milestone in guest.milestones] == ["power-on", "kernel", "init", "ready", "settled", "ssh"]


def test_standard_input_and_error_are_streams_of_their_own(tmp_path: Path, image: Image) -> None:
    with fake_guest(tmp_path, image) as guest:
        done = guest.shell.run("cat; echo wrong >&2", deadline=soon(), stdin=b"in" * 100_000)
    assert (done.status, len(done.stdout), done.stderr) == (0, 200_000, "wrong\n")


def test_qemu_is_gone_when_the_block_ends_by_an_error(tmp_path: Path, image: Image) -> None:
    with pytest.raises(ZeroDivisionError), fake_guest(tmp_path, image) as guest:
        raise ZeroDivisionError
    with pytest.raises(ProcessLookupError):
        os.kill(guest.pid, 0)


@pytest.mark.parametrize(
    ("fake", "expected"),
    [
        ("panic", (GuestError, "panic", "Kernel panic - not syncing: fake panic")),
        ("oops,panic", (GuestError, "panic", "Kernel panic - not syncing: fake panic")),
        ("reset", (GuestError, "reset", "the guest ended itself (guest-reset) without a panic")),
        ("failed", (GuestError, "init", "the guest's init gave up: fake reason")),
        ("spin", (BootTimeout, "stall", "CPU 0 spins in fake_spin() with interrupts off")),
    ],
)
def test_a_bad_kernel_is_named(tmp_path: Path, image: Image, fake: str, expected: tuple[type[LabError], str, str]) -> None:
    error, kind, title = expected
    raised = failure_of(tmp_path, image, fake)
    assert type(raised) is error
    assert raised.finding is not None
    assert (raised.finding.kind, raised.finding.title) == (kind, title)
    assert title in raised.message


def test_a_panic_comes_with_its_decoded_stack(tmp_path: Path, image: Image) -> None:
    assert "fake_panic+0x10/0x20 (kernel/fake.c:7)" in failure_of(tmp_path, image, "panic").message


@pytest.mark.parametrize(
    ("fake", "title"),
    [
        ("blocked", "init (pid 1) is in D state in fake_wait()"),
        ("never", "user land never became ready: init (pid 1) waits in fake_wait(), last milestone: init"),
    ],
)
def test_a_sleeping_guest_is_a_stall(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch, fake: str, title: str
) -> None:
    monkeypatch.setattr("lab.guest.boot.IDLE_S", 1.5)
    raised = failure_of(tmp_path, image, fake)
    assert isinstance(raised, BootTimeout)
    assert raised.finding is not None
    assert raised.finding.title == title


def test_qemu_that_fails_is_the_labs_fault_and_says_why(tmp_path: Path, image: Image) -> None:
    raised = failure_of(tmp_path, image, "die")
    assert isinstance(raised, LostGuest)
    assert "QEMU ended with exit status 1 at boot" in raised.message
    assert "could not do it" in raised.message


def test_a_guest_without_sshd_is_lost(tmp_path: Path, image: Image) -> None:
    assert isinstance(failure_of(tmp_path, image, "nosshd"), LostGuest)


def test_a_killed_qemu_ends_the_command_that_waits(tmp_path: Path, image: Image) -> None:
    with pytest.raises(LostGuest, match="QEMU was killed by SIGKILL while a command ran"), fake_guest(tmp_path, image) as guest:
        threading.Timer(0.3, os.kill, (guest.pid, signal.SIGKILL)).start()
        guest.shell.run("sleep 60", deadline=soon())


def test_a_cut_connection_ends_the_command_that_waits(tmp_path: Path, image: Image) -> None:
    with pytest.raises(LostGuest, match="while the guest still runs"), fake_guest(tmp_path, image, "cut=1.5") as guest:
        guest.shell.run("sleep 60", deadline=soon())


def test_a_panic_ends_the_command_that_waits(tmp_path: Path, image: Image) -> None:
    with pytest.raises(GuestError, match="panic while a command ran"), fake_guest(tmp_path, image, "panic-later") as guest:
        guest.shell.run("panic", deadline=soon())


def test_a_command_that_does_not_end_is_told_with_what_the_guest_does(tmp_path: Path, image: Image) -> None:
    with (
        pytest.raises(GuestError, match="`sleep 60` did not end in time") as caught,
        fake_guest(tmp_path, image, "ready") as guest,
    ):
        guest.shell.run("sleep 60", deadline=Deadline.after(0.5))
    assert caught.value.finding is not None


def test_findings_name_each_splat_once_and_gaps_too(tmp_path: Path, image: Image) -> None:
    with fake_guest(tmp_path, image, "warn,oops,gap") as guest:
        found = guest.findings()
    assert [(item.kind, item.fingerprint) for item in found] == [
        ("warn", "warn:fake_warn:fake_caller"),
        ("oops", "oops:fake_oops:fake_caller"),
        ("log-gap", "log-gap:kmsg"),
        ("taint", "taint:640"),
    ]


@pytest.mark.parametrize(
    ("fake", "found"),
    [("cutlog", ["log-gap:console-end"]), ("nolog", ["log-gap:console"]), ("quiet", []), ("quiet,warn", ["warn", "taint"])],
)
def test_a_console_log_that_lost_something_is_a_finding(tmp_path: Path, image: Image, fake: str, found: list[str]) -> None:
    with fake_guest(tmp_path, image, fake) as guest:
        assert [item.fingerprint if item.kind == "log-gap" else item.kind for item in guest.findings()] == found


def test_a_payload_that_stops_a_cpu_stalls(tmp_path: Path, image: Image) -> None:
    with (
        pytest.raises(BootTimeout, match=r"fake_spin\(\) with interrupts off"),
        fake_guest(tmp_path, image, "spin-later") as guest,
    ):
        guest.shell.run("spin", deadline=soon())


def test_a_place_that_cannot_be_written_is_the_hosts_fault(tmp_path: Path, image: Image) -> None:
    (tmp_path / "job").write_text("a file where the directory should be")
    with pytest.raises(HostError, match="cannot write into"), fake_guest(tmp_path, image):
        pass


def test_quit_says_when_qemu_does_not_obey(tmp_path: Path, image: Image) -> None:
    with pytest.raises(LostGuest, match="QEMU did not quit in time"), fake_guest(tmp_path, image, "noquit") as guest:
        guest.quit(Deadline.after(0.5))


def test_a_strange_host_key_is_refused(tmp_path: Path, image: Image) -> None:
    other = tmp_path / "other.pub"
    other.write_text("ssh-ed25519 AAAAnotthekey\n")
    wrong = Image(image.name, image.hash, image.initrd, image.ssh_key, other)
    assert "its host key is not the image's" in failure_of(tmp_path, wrong, "ready").message


PROGRAM = """
import sys
from pathlib import Path
from fakeguest import FAKES, fake_image, fake_plan
from lab.guest.boot import booted
place = Path(sys.argv[1])
with booted(fake_plan(place, fake_image(place / "cache"), "never"), lambda event: print(event, flush=True)):
    pass
"""


@pytest.mark.parametrize(("number", "leaves"), [(signal.SIGINT, 0), (signal.SIGKILL, 1)])
def test_qemu_goes_with_us_however_we_go(tmp_path: Path, number: signal.Signals, leaves: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(FAKES)}
    words = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as lab:
        assert lab.stdout
        for line in lab.stdout:
            if "init after" in line:
                break
        (qemu,) = (int(word) for word in Path(f"/proc/{lab.pid}/task/{lab.pid}/children").read_text().split())
        gone = os.pidfd_open(qemu)
        lab.send_signal(number)
        lab.wait()
        assert select.select([gone], [], [], 30)[0], "QEMU outlived the lab"
        os.close(gone)
    assert len([path for path in (tmp_path / "lab").iterdir() if path.is_dir()]) == leaves
    assert runtime.living(tmp_path / "lab") == ()
