from __future__ import annotations

import os
import select
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from fakeguest import children_of, fake_plan

from lab.deadline import Deadline
from lab.errors import BootTimeout, GuestError, UsageError
from lab.events import silent
from lab.guest import kept
from lab.guest.accel import NoSymbols
from lab.guest.launch import BootPlan, plans_of_hosts
from lab.model.machine import GuestSpec, Image, Nic

pytest_plugins = ["guestfixtures"]
pytestmark = pytest.mark.usefixtures("kept_guests")

PAIR = GuestSpec("pair", nics=(Nic(2),), hosts=2, mode="counts")


def pair_plan(tmp_path: Path, image: Image, fake: str = "ready") -> BootPlan:
    return replace(fake_plan(tmp_path, image, fake), spec=PAIR, symbols=NoSymbols())


def said_by(guest: kept.Kept, command: str) -> str:
    with kept.shell(guest) as shell:
        return shell.run(command, deadline=Deadline.after(30)).stdout


def test_a_guest_alone_has_one_plan_and_a_pair_has_two_apart(tmp_path: Path, image: Image) -> None:
    plan = replace(pair_plan(tmp_path, image), runtime=tmp_path, gdb=True)
    assert plans_of_hosts(replace(plan, spec=replace(PAIR, hosts=1))) == (replace(plan, spec=replace(PAIR, hosts=1)),)
    first, second = plans_of_hosts(plan)
    assert first == plan
    assert (second.host, second.gdb, second.directory, second.runtime) == (2, False, plan.directory / "peer", tmp_path / "peer")


def test_a_kept_pair_is_two_guests_of_one_owner_and_ends_as_one(tmp_path: Path, image: Image) -> None:
    guest = kept.keep(pair_plan(tmp_path, image), "dev", silent)
    (second,) = kept.peers(guest)
    assert [known.name for known in kept.kept()] == ["dev", "dev.peer"]
    assert (second.pid, second.host, second.log) == (guest.pid, 2, tmp_path / "job" / "peer" / "console.log")
    assert kept.peers(second) == (guest,)
    assert kept.find() == guest, "without a name it is the first"
    assert kept.find("dev.peer") == second
    assert guest.port != second.port
    assert [said_by(each, "inherited") for each in (guest, second)] == ["tap: 2 x /dev/net/tun\n"] * 2
    assert (guest.spec, guest.note) == (PAIR, "")
    assert len(children_of(guest.pid)) == 3, "the holder of the network and two guests"
    kept.stop(second)
    assert kept.kept() == ()


def test_two_pairs_are_told_apart(tmp_path: Path, image: Image) -> None:
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        kept.keep(pair_plan(tmp_path / place, image), "dev", silent)
    assert [guest.name for guest in kept.kept()] == ["dev", "dev.peer", "dev.2", "dev.2.peer"]
    with pytest.raises(UsageError, match=r"several guests are up; there are: dev, dev\.peer, dev\.2, dev\.2\.peer"):
        kept.find()


def test_nothing_of_a_pair_survives_a_killed_owner(tmp_path: Path, image: Image) -> None:
    guest = kept.keep(pair_plan(tmp_path, image), "dev", silent)
    fds = [os.pidfd_open(pid) for pid in (guest.pid, *children_of(guest.pid))]
    os.kill(guest.pid, signal.SIGKILL)
    for fd in fds:
        assert select.select([fd], [], [], 30)[0], "a process is still there"
        os.close(fd)
    assert len(fds) == 4
    assert kept.kept() == ()
    assert not guest.directory.exists()


def test_a_pair_that_does_not_boot_leaves_nothing(tmp_path: Path, image: Image) -> None:
    with pytest.raises(BootTimeout):
        kept.keep(replace(pair_plan(tmp_path, image, "never"), boot_budget_s=3.0), "dev", silent)
    assert kept.kept() == ()


def test_a_pair_is_over_when_one_of_it_is(tmp_path: Path, image: Image) -> None:
    guest = kept.keep(pair_plan(tmp_path, image, "panic-later"), "dev", silent)
    owner = os.pidfd_open(guest.pid)
    (second,) = kept.peers(guest)
    with pytest.raises(GuestError), kept.shell(second) as shell:
        shell.run("panic", deadline=Deadline.after(30))
    assert select.select([owner], [], [], 30)[0], "its owner is still there"
    os.close(owner)
    assert kept.kept() == ()


def test_gdb_waits_for_the_first_and_the_second_waits_for_that(tmp_path: Path, image: Image) -> None:
    guest = kept.keep(replace(pair_plan(tmp_path, image, "mute"), gdb=True), "dev", silent)
    assert [known.name for known in kept.kept()] == ["dev"]
    assert str(guest.directory / "gdb") in kept.gdb_line(guest)
