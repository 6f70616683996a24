"""The plugin's profile: executed instructions by call path, context and event (format: head of measure/cost_plugin.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

HEADER = "lab-profile 1"
CONTEXTS = ("task", "peer", "softirq", "other", "hardirq", "tail", "idle")
OPERATION = 3
"""The first so many contexts are the operation's own."""
EVENTS = ("locked", "wrmsr", "wrcr3", "invlpg", "iret", "rep-steps", "rep-bytes")
ROOT = 0
FOREIGN = "foreign"
"""The address of user code that is not of the payload's program."""


class Node(NamedTuple):
    """A function reached on one path; `parent` is the node it was entered from, ROOT for none."""

    number: int
    parent: int
    function: int
    calls: int
    """How often it was entered at its first instruction."""
    counts: tuple[int, ...]
    """Executed instructions by context, without those of functions it called."""
    events: tuple[int, ...]

    @property
    def operation(self) -> int:
        """Instructions of the operation itself."""
        return sum(self.counts[:OPERATION])

    @property
    def rep_steps(self) -> int:
        """Further steps of REP string instructions, in any context."""
        return self.events[EVENTS.index("rep-steps")]


@dataclass(frozen=True)
class Profile:
    """All sections in order of their ordinals; parents stand before their children."""

    sections: tuple[tuple[Node, ...], ...]
    addresses: dict[int, int | None]
    """Function number -> its address; None: FOREIGN."""
    problems: tuple[str, ...]


def parse_profile(text: str) -> Profile:
    """Parse a profile. Anything unexpected, a section without its end included, is a problem."""
    lines = text.splitlines()
    if not lines or lines[0] != HEADER:
        return Profile((), {}, ("the profile is missing or of another version",))
    problems = [] if text.endswith("\n") else ["the profile is cut off"]
    sections: list[tuple[Node, ...]] = []
    addresses: dict[int, int | None] = {}
    nodes: dict[int, Node] | None = None
    for line in lines[1:]:
        words = line.split(" ")
        try:
            if words[0] == "node" and nodes is not None:
                node = _node(words)
                if node.function not in addresses or (node.parent != ROOT and node.parent not in nodes) or node.number in nodes:
                    raise ValueError
                nodes[node.number] = node
            elif words[0] == "function" and nodes is not None:
                _, number, address = words
                addresses[int(number)] = None if address == FOREIGN else int(address, 16)
            elif words[0] == "section" and nodes is None and words[1:] == [str(len(sections))]:
                nodes = {}
            elif words[0] == "end" and nodes is not None and words[1:] == [str(len(sections)), "nodes", str(len(nodes))]:
                sections.append(tuple(nodes.values()))
                nodes = None
            else:
                raise ValueError
        except ValueError:
            problems.append(f"the profile has the line `{line[:80]}` where it makes no sense")
            break
    if nodes is not None:
        problems.append(f"section {len(sections)} of the profile has no end")
    return Profile(tuple(sections), addresses, tuple(problems))


def _node(words: list[str]) -> Node:
    numbers = [int(word) for word in words[1:]]
    if len(numbers) != 4 + len(CONTEXTS) + len(EVENTS) or min(numbers) < 0:
        raise ValueError
    cut = 4 + len(CONTEXTS)
    return Node(*numbers[:4], tuple(numbers[4:cut]), tuple(numbers[cut:]))
