from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from fakeguest import FAKES, fake_plan
from frames import Seat, ask_address, ask_echo, datagram, received, send

from lab.deadline import Deadline
from lab.errors import HostError
from lab.events import Event, Note, silent
from lab.guest import runtime
from lab.guest.boot import booted
from lab.guest.network import PLAIN, ROOTLESS, Way, address, private_network, tap_refusal
from lab.model.machine import GuestSpec, Image, Nic, Nvme

pytest_plugins = ["guestfixtures"]
ROOT = Path(__file__).parents[2]
PAIR = GuestSpec("pair", nics=(Nic(4), Nic(1)), hosts=2, mode="counts")
REFUSED = ("sh", "-c", "echo no namespaces today; exit 1")


def may(way: Way) -> bool:
    return subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture(params=[pytest.param(PLAIN, id="root"), pytest.param(ROOTLESS, id="rootless")])
def way(request: pytest.FixtureRequest) -> Way:
    """Each way to a namespace that this user has."""
    if not may(request.param):
        pytest.skip(f"`{' '.join(request.param)}` is refused here")
    return tuple(request.param)


def queues_of(ports: tuple[tuple[object, ...], ...]) -> list[list[int]]:
    return [[len(port.fds) for port in host] for host in ports]  # type: ignore[attr-defined]


def test_every_nic_of_every_guest_gets_its_queues_and_an_echo(way: Way) -> None:
    with private_network(PAIR, [way]) as network:
        assert network.note == ""
        assert network.granted(PAIR) == PAIR
        assert queues_of(network.ports) == [[4, 1], [4, 1]]
        for host, ports in enumerate(network.ports, 1):
            for nic, port in enumerate(ports):
                assert {str(Path(f"/proc/self/fd/{fd}").readlink()) for fd in port.fds} == {"/dev/net/tun"}
                assert ask_echo(port, Seat(nic, host), b"are you there?") == b"are you there?"


def test_the_guests_of_a_pair_reach_each_other_and_no_other_nics_network(way: Way) -> None:
    with private_network(PAIR, [way]) as network:
        (first, other), (second, _) = network.ports
        send(second, datagram(Seat(0, 2), Seat(0, 1), 9, b"hello", to=b"\xff" * 6))
        assert any(frame.endswith(b"hello") for frame in received(first))
        assert not select.select(other.fds, [], [], 0.2)[0]


def test_without_namespaces_a_switch_carries_frames_and_it_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with private_network(PAIR, [REFUSED]) as network:
        assert network.note == "no taps, so one queue a NIC: no namespaces today"
        assert network.granted(PAIR).nics == (Nic(1), Nic(1))
        (first, other), (second, _) = network.ports
        assert ask_address(first, Seat(0, 1), Seat(0, 0)) == Seat(0, 0).hardware
        assert ask_echo(other, Seat(1, 1), b"x" * 1400) == b"x" * 1400
        send(first, datagram(Seat(0, 1), Seat(0, 2), 9, b"over there"))
        assert next(received(second)).endswith(b"over there")
        assert not select.select(other.fds, [], [], 0.2)[0]
    assert capfd.readouterr() == ("", "")


def test_each_refusal_is_told_once() -> None:
    with private_network(PAIR, [REFUSED, REFUSED, ("false",)]) as network:
        assert network.note.count("no namespaces today") == 1
        assert network.note.endswith("ended with status 1")


def test_without_ip_there_is_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="`ip` is not on the PATH") as caught, private_network(PAIR):
        pass
    assert "doctor" in caught.value.hint


def test_a_tap_is_tried_and_not_looked_for() -> None:
    assert tap_refusal() == "" or "no taps" in tap_refusal()


def children() -> list[int]:
    return [int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def test_a_holder_that_dies_is_noticed(way: Way) -> None:
    before = set(children())
    with pytest.raises(HostError, match="holder died"), private_network(PAIR, [way]):
        (holder,) = set(children()) - before
        os.kill(holder, signal.SIGKILL)
        os.waitid(os.P_PID, holder, os.WEXITED | os.WNOWAIT)


def test_an_error_inside_is_not_hidden_by_the_network(way: Way) -> None:
    with pytest.raises(ZeroDivisionError), private_network(PAIR, [way]):
        raise ZeroDivisionError
    with private_network(PAIR, [way]) as network:
        assert network.ports, "the names are free again"


# --- with guests ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("fake_qemu")
def test_qemu_inherits_taps_and_disks_in_memory(tmp_path: Path, image: Image, way: Way) -> None:
    spec = replace(PAIR, nvme=(Nvme(64, 4), Nvme(1, 1)))
    plan = replace(fake_plan(tmp_path, image), spec=spec)
    with private_network(spec, [way]) as network, booted(replace(plan, network=network), silent) as guest:
        said = guest.shell.run("inherited", deadline=Deadline.after(30)).stdout.splitlines()
        disks = [line for line in said if line.startswith("disk")]
        assert said[:2] == ["tap: 4 x /dev/net/tun", "tap: 1 x /dev/net/tun"]
        assert len(disks) == 2
        assert all("/memfd:nvme" in line for line in disks)
        assert (guest.spec, guest.note) == (spec, "")


@pytest.mark.usefixtures("fake_qemu")
def test_a_guest_alone_makes_a_network_of_its_own_and_tells_what_it_lacks(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = tmp_path / "bin" / "unshare"
    stub.parent.mkdir()
    stub.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted'\nexit 1\n")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stub.parent}:{os.environ['PATH']}")
    told: list[Event] = []
    plan = replace(fake_plan(tmp_path, image), spec=replace(PAIR, hosts=1))
    with booted(plan, told.append) as guest:
        said = guest.shell.run("inherited", deadline=Deadline.after(30)).stdout
        assert said.count("frames: 1 x socket:") == 2
        assert guest.spec.nics == (Nic(1), Nic(1))
        assert guest.note == "no taps, so one queue a NIC: unshare: unshare failed: Operation not permitted"
    assert [event.text for event in told if isinstance(event, Note)] == [f"guest pair: {guest.note}"]


RUN = """
import os, sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from fakeguest import fake_image, fake_plan
from lab.events import silent
from lab.guest import runtime
from lab.guest.boot import booted
from lab.guest.launch import plans_of_hosts
from lab.guest.network import private_network
from lab.model.machine import GuestSpec, Nic

place = Path(sys.argv[1])
spec = GuestSpec("pair", nics=(Nic(4),), hosts=2, mode="counts")
with private_network(spec, [tuple(sys.argv[2:])]) as network, ExitStack() as stack:
    plan = replace(fake_plan(place, fake_image(place / "cache")), spec=spec, network=network)
    for each in plans_of_hosts(plan):
        stack.enter_context(booted(each, silent))
    print(Path(f"/proc/self/task/{os.getpid()}/children").read_text(), flush=True)
    sys.stdin.read()
"""


def in_namespace(inode: int) -> list[int]:
    """The processes in a network namespace."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns" / "net").stat().st_ino == inode:
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.usefixtures("fake_qemu")
def test_kill_9_in_the_middle_of_a_pair_leaves_nothing(tmp_path: Path, way: Way) -> None:
    links = sorted(Path("/sys/class/net").iterdir())
    here = Path("/proc/self/ns/net").stat().st_ino
    environment = {**os.environ, "PYTHONPATH": f"{FAKES}:{ROOT}"}
    with (
        subprocess.Popen(
            [sys.executable, "-c", RUN, tmp_path, *way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        ) as run,
        ExitStack() as stack,
    ):
        assert run.stdout is not None
        pids = [int(word) for word in run.stdout.readline().split()]
        assert len(pids) == 3, "a holder and two guests"
        fds = [os.pidfd_open(pid) for pid in pids]
        for fd in fds:
            stack.callback(os.close, fd)
        (namespace,) = {Path(f"/proc/{pid}/ns/net").stat().st_ino for pid in pids} - {here}
        run.kill()
        run.wait()
        for fd in fds:
            assert select.select([fd], [], [], 30)[0], "a process is still there"
    assert in_namespace(namespace) == []
    assert sorted(Path("/sys/class/net").iterdir()) == links
    assert runtime.living(tmp_path / "lab") == (), "sockets are there for as long as nobody looks"


def test_addresses_go_by_nic_and_guest() -> None:
    assert [address(0, 0), address(0, 1), address(0, 2), address(3, 2)] == ["10.99.0.1", "10.99.0.2", "10.99.0.3", "10.99.3.3"]
