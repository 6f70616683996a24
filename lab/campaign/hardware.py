"""What a GuestSpec asks of hardware and command line, as the words that the payload `hardware` proves by effect: pure."""

from __future__ import annotations

from lab.model.machine import GuestSpec, Node

PROOF = "hardware"
"""The payload that takes these words; payloads/README.md says what it does with each."""
ECHO = "10.99.{nic}.1"
"""The host's end of the private network of a NIC."""


def asked(spec: GuestSpec) -> tuple[str, ...]:
    """One word an ask; empty: nothing that the kernel's own files would not tell."""
    return (*_nics(spec), *_nvme(spec), *_isolation(spec.cmdline), *_nodes(spec))


def _nics(spec: GuestSpec) -> list[str]:
    # eth0 is the one that SSH comes through
    return [f"net=eth{number + 1}:{nic.queues}:{ECHO.format(nic=number)}" for number, nic in enumerate(spec.nics)]


def _nvme(spec: GuestSpec) -> list[str]:
    words = []
    for number, nvme in enumerate(spec.nvme):
        words.append(f"nvme=nvme{number}:{nvme.queues}")
        if nvme.node is not None:
            words.append(f"nvme-node=nvme{number}:{nvme.node}")
    return words


def _isolation(cmdline: tuple[str, ...]) -> list[str]:
    """isolcpus by its flags (Documentation/admin-guide/kernel-parameters.txt); nohz_full and irqaffinity as they are."""
    given = dict(word.split("=", 1) for word in cmdline if "=" in word)
    parts = [part for part in given.get("isolcpus", "").split(",") if part]
    cpus = ",".join(part for part in parts if part[0].isdigit())
    flags = [part for part in parts if not part[0].isdigit()] or ["domain"]
    words = [f"isolated={cpus}"] if cpus and "domain" in flags else []
    words += [f"managed_irq={cpus}"] if cpus and "managed_irq" in flags else []
    return words + [f"{name}={given[name]}" for name in ("nohz_full", "irqaffinity") if given.get(name)]


def _nodes(spec: GuestSpec) -> list[str]:
    def word(number: int, node: Node) -> str:
        return f"node={number}:{node.cpus}:{node.memory_mib}:{','.join(map(str, node.distances))}"

    return [word(number, node) for number, node in enumerate(spec.nodes)]
