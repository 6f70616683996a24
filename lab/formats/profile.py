"""The plugin's profile: executed instructions by call path, context and event (format: head of measure/cost_plugin.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

HEADER = "lab-profile 1"
CONTEXTS = ("task", "peer", "softirq", "other", "hardirq", "tail", "idle")
OPERATION = 3
"""The first so many contexts are the operation's own."""
MISSES = ("i1-misses", "d1-misses", "ll-misses")
"""Lines that the operation did not find in the model's caches; 0 without one."""
EVENTS = ("locked", "rdmsr", "wrmsr", "wrcr3", "invlpg", "iret", "rep-steps", "rep-bytes", *MISSES)
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


class Kind(NamedTuple):
    """Laps of one section that executed the same number of instructions in their operation."""

    laps: int
    work: int
    """Instructions of each."""
    counts: dict[int, int]
    """Node number -> instructions executed there in all these laps."""


class Tree(NamedTuple):
    """One section; parents stand before their children. `kinds` are the commonest ones of its laps."""

    nodes: tuple[Node, ...]
    kinds: tuple[Kind, ...]
    spots: dict[int | None, int]
    """Address -> how often the operation executed the instruction there; None: FOREIGN code's. Empty unless asked for."""

    def kind(self, work: int) -> Kind | None:
        """The laps of so many instructions, if they are among the commonest."""
        return next((kind for kind in self.kinds if kind.work == work), None)


@dataclass(frozen=True)
class Profile:
    """All sections in order of their ordinals."""

    sections: tuple[Tree, ...]
    addresses: dict[int, int | None]
    """Function number -> its address; None: FOREIGN."""
    problems: tuple[str, ...]


def parse_profile(text: str) -> Profile:
    """Parse a profile. Anything unexpected, a section without its end or laps that do not add up included, is a problem."""
    lines = text.splitlines()
    if not lines or lines[0] != HEADER:
        return Profile((), {}, ("the profile is missing or of another version",))
    problems = [] if text.endswith("\n") else ["the profile is cut off"]
    reader = _Reader()
    for line in lines[1:]:
        try:
            reader.take(line.split(" "))
        except ValueError:
            problems.append(f"the profile has the line `{line[:80]}` where it makes no sense")
            break
    if reader.inside:
        problems.append(f"section {len(reader.sections)} of the profile has no end")
    return Profile(tuple(reader.sections), reader.addresses, tuple(problems))


class _Reader:
    """Takes line after line; what makes no sense is a ValueError."""

    def __init__(self) -> None:
        self.sections: list[Tree] = []
        self.addresses: dict[int, int | None] = {}
        self.inside = False
        self.nodes: dict[int, Node] = {}
        self.kinds: list[Kind] = []
        self.spots: dict[int | None, int] = {}

    def take(self, words: list[str]) -> None:
        if self.inside == (words[0] == "section"):
            raise ValueError
        takers = {"section": self._section, "function": self._function, "node": self._node, "end": self._end}
        takers |= {"laps": self._laps, "in": self._in, "at": self._at}
        if words[0] not in takers:
            raise ValueError
        takers[words[0]](words[1:])

    def _section(self, words: list[str]) -> None:
        if words != [str(len(self.sections))]:
            raise ValueError
        self.inside, self.nodes, self.kinds, self.spots = True, {}, [], {}

    def _function(self, words: list[str]) -> None:
        number, address = words
        self.addresses[int(number)] = None if address == FOREIGN else int(address, 16)

    def _node(self, words: list[str]) -> None:
        numbers = [int(word) for word in words]
        cut = 4 + len(CONTEXTS)
        if len(numbers) != cut + len(EVENTS) or min(numbers) < 0:
            raise ValueError
        number, parent, function, calls = numbers[:4]
        node = Node(number, parent, function, calls, tuple(numbers[4:cut]), tuple(numbers[cut:]))
        if (
            node.function not in self.addresses
            or node.number in self.nodes
            or not (node.parent == ROOT or node.parent in self.nodes)
        ):
            raise ValueError
        self.nodes[node.number] = node

    def _laps(self, words: list[str]) -> None:
        laps, work = (int(word) for word in words)
        self.kinds.append(Kind(laps, work, {}))

    def _in(self, words: list[str]) -> None:
        node, count = (int(word) for word in words)
        if not self.kinds or node not in self.nodes or node in self.kinds[-1].counts or count <= 0:
            raise ValueError
        self.kinds[-1].counts[node] = count

    def _at(self, words: list[str]) -> None:
        address = None if words[0] == FOREIGN else int(words[0], 16)
        if len(words) != 2 or address in self.spots:
            raise ValueError
        self.spots[address] = int(words[1])

    def _end(self, words: list[str]) -> None:
        if words != [str(len(self.sections)), "nodes", str(len(self.nodes))]:
            raise ValueError
        if any(sum(kind.counts.values()) != kind.laps * kind.work for kind in self.kinds):
            raise ValueError
        if self.spots and sum(self.spots.values()) != sum(node.operation for node in self.nodes.values()):
            raise ValueError
        self.sections.append(Tree(tuple(self.nodes.values()), tuple(self.kinds), self.spots))
        self.inside = False
