from __future__ import annotations

from pathlib import Path

import pytest

from lab.campaign.hardware import asked
from lab.campaign.settings import guest_spec, read_settings
from lab.model.machine import GuestSpec

SETTINGS = read_settings(Path(__file__).parents[2] / "lab.toml")


def words(name: str) -> tuple[str, ...]:
    return asked(guest_spec(SETTINGS, name))


def test_a_plain_guest_asks_for_nothing_that_needs_proof() -> None:
    assert words("single") == ()


def test_queues_of_each_device_are_asked_for() -> None:
    assert words("mq") == ("net=eth1:8:10.99.0.1", "nvme=nvme0:4")


def test_isolation_is_what_the_command_line_says_without_its_flags() -> None:
    assert words("isolated")[1:] == ("isolated=2-3", "managed_irq=2-3", "nohz_full=2-3", "irqaffinity=0-1")


@pytest.mark.parametrize(
    ("word", "asks"),
    [
        ("isolcpus=2-3", ("isolated=2-3",)),
        ("isolcpus=managed_irq,1,3", ("managed_irq=1,3",)),
        ("isolcpus=nohz,domain,2", ("isolated=2",)),
        ("isolcpus=nohz,2", ()),
        ("quiet", ()),
    ],
)
def test_isolcpus_asks_for_what_its_flags_say(word: str, asks: tuple[str, ...]) -> None:
    assert asked(GuestSpec("g", cpus=4, cmdline=(word,))) == asks


def test_nodes_have_cpus_memory_and_distances_and_the_controller_hangs_on_one() -> None:
    assert words("numa") == ("nvme=nvme0:8", "nvme-node=nvme0:1", "node=0:0-3:512:10,21", "node=1:4-7:512:21,10")
