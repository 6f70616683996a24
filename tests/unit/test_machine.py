from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.campaign.settings import changed_guest, guest_spec, read_settings
from lab.errors import UsageError
from lab.model.machine import GuestSpec, Nic, Node, Nvme, cpulist, unfit

SETTINGS = read_settings(Path(__file__).parents[2] / "lab.toml")
NUMA = guest_spec(SETTINGS, "numa")
PLAIN = GuestSpec("plain")


@pytest.mark.parametrize(
    ("text", "cpus"), [("0", (0,)), ("0-3", (0, 1, 2, 3)), ("1,4-5", (1, 4, 5)), ("0-2,6,8-9", (0, 1, 2, 6, 8, 9))]
)
def test_a_cpulist_reads_as_the_kernels_own(text: str, cpus: tuple[int, ...]) -> None:
    assert cpulist(text) == cpus


@pytest.mark.parametrize("name", list(SETTINGS.guest))
def test_the_committed_guests_fit(name: str) -> None:
    assert unfit(guest_spec(SETTINGS, name)) == ""


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (replace(PLAIN, nics=(Nic(0),)), "nics: queues is 0"),
        (replace(PLAIN, nics=(Nic(129),)), "nics: queues is 129, not 1 to 128"),
        (replace(PLAIN, nvme=(Nvme(64, 0),)), "nvme: queues is 0"),
        (replace(PLAIN, nvme=(Nvme(0, 1),)), "nvme: size_mib 0"),
        (replace(PLAIN, nvme=(Nvme(64, 1, node=0),)), "on node 0, of 0 nodes"),
        (replace(PLAIN, hosts=3, nics=(Nic(),)), "hosts is 3"),
        (replace(PLAIN, hosts=2), "without a NIC"),
        (replace(PLAIN, nics=(Nic(),) * 10), "nics are 10"),
        (replace(NUMA, cpus=4), "CPUs 0-3, 4-7, but the guest has 4"),
        (replace(NUMA, memory_mib=2048), "1024 MiB, but the guest has 2048"),
        (replace(NUMA, nvme=(Nvme(64, 8, node=2),)), "on node 2, of 2 nodes"),
        (replace(NUMA, nodes=(Node("0-3", 512, (10, 21)), Node("3-7", 512, (21, 10)))), "nodes have the CPUs 0-3, 3-7"),
        (replace(NUMA, nodes=(Node("0-3", 512, (10, 21)), Node("4-", 512, (21, 10)))), "cpus is no list such as 0-3,6"),
        (replace(NUMA, nodes=(Node("0-3", 512, (10, 21)), Node("4-7", 512, (10, 21)))), "distances of node 1"),
        (replace(NUMA, nodes=(Node("0-3", 512, (10,)), Node("4-7", 512, (21, 10)))), "distances of node 0"),
        (replace(NUMA, nodes=(Node("0-3", 512, (10, 255)), Node("4-7", 512, (21, 10)))), "distances of node 0"),
    ],
)
def test_a_specification_that_cannot_be_had_says_why(spec: GuestSpec, why: str) -> None:
    assert why in unfit(spec)


def test_the_command_line_cannot_take_a_guests_nodes_apart() -> None:
    with pytest.raises(UsageError, match=r"guest numa: nodes have the CPUs 0-3, 4-7, but the guest has 4"):
        changed_guest(NUMA, {"cpus": "4"})
