"""Guests with real queues, nodes and isolated CPUs: accepted by what they do, refused when they do it not."""

from __future__ import annotations

import pytest
from conftest import Line, inv

GUESTS = {
    "disk": {"guest.nvme.nvme0"},
    "mq": {"guest.net.eth1", "guest.nvme.nvme0"},
    "isolated": {"guest.isolated", "guest.nohz_full", "guest.irqaffinity", "guest.nvme.nvme0"},
    "numa": {"guest.node.0", "guest.node.1", "guest.nvme.nvme0", "guest.nvme-node.nvme0"},
    "pair": {"guest.net.eth1", "peer.guest.net.eth1"},
}


@pytest.mark.parametrize("name", GUESTS)
def test_a_guest_is_what_was_asked_for_by_effect(name: str, default_run: Line) -> None:
    line = inv("boot", "--guest", name)

    assert line.code == 0, line.text[-3000:]
    (job,) = line.results["jobs"]
    found = {case["name"]: case["status"] for case in job["cases"]}
    assert GUESTS[name] <= found.keys()
    assert set(found.values()) == {"PASS"}


def test_a_guest_that_is_not_what_was_asked_for_is_refused(default_run: Line) -> None:
    line = inv("boot", "--guest", "isolated", "--append", "nohz=off")

    assert line.code == 1
    assert "guest.nohz_full" in line.text
