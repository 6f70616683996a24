"""One boot with a profile: whether it adds up, whose its functions are, what an operation cost in each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median_low

from lab.deadline import Deadline
from lab.errors import LabError
from lab.formats.ktap import parse_ktap
from lab.formats.profile import CONTEXTS, EVENTS, MISSES, Kind, Node, Profile, Tree, parse_profile
from lab.formats.samples import parse_samples
from lab.measure.collect import EMPTY, PLACE
from lab.measure.cost import SPACES, Section, parse_cost
from lab.measure.layers import KERNEL_HALF, UNKNOWN, USER, Known, Layers, know, parse_functions
from lab.model.outcome import Case, Status
from lab.model.ports import Shell
from lab.model.profile import PLAIN, Function, Profiling

CASE = "profile"
LATE = f"cat {PLACE}/symbols; grep ']$' /proc/kallsyms"
"""What the payload told while it ran (payloads/include/symbols.h), and what is there still."""
PENALTIES = {"i1-misses": 10, "d1-misses": 10, "ll-misses": 100}
"""Cycles of a miss beside the instruction's one: callgrind's Cycle Estimation (Valgrind's manual); one in LL missed before."""
INTERRUPTS = ("hardirq", "tail")
Key = tuple[str, str]
"""A function's name and its layer, or the function it is inlined in."""


def ask_symbols(shell: Shell, deadline: Deadline) -> None:
    """Have the payload that runs next tell what is loaded while it measures. Raises what the shell raises."""
    shell.run(f"mkdir -p {PLACE} && : >{PLACE}/symbols", deadline=deadline)


def late_symbols(shell: Shell, deadline: Deadline) -> str:
    """The lines of /proc/kallsyms for what came at run time: modules, BPF programs, also those that left; none is no error."""
    return shell.run(LATE, deadline=deadline).stdout


def identity(profile_text: str, cost_text: str) -> Case:
    """Whether the functions add up to what was executed, context by context and section by section, REP steps included.

    That the sections in turn are what the guest's clock saw, is the crosscheck of every counted boot.
    """
    profile, cost = parse_profile(profile_text), parse_cost(cost_text)
    problems = [*profile.problems, *cost.problems]
    if len(profile.sections) != len(cost.sections) or not profile.sections:
        problems.append(f"{len(profile.sections)} sections have a profile, {len(cost.sections)} were counted")
    for number, (tree, section) in enumerate(zip(profile.sections, cost.sections, strict=False)):
        problems += [f"section {number}: {text}" for text in _differences(tree.nodes, section)]
    if problems:
        return Case(CASE, Status.ERROR, "; ".join(problems[:3]))
    executed = sum(section.executed for section in cost.sections)
    return Case(CASE, Status.PASS, f"{len(profile.sections)} sections, {executed} instructions, each in one function")


def _differences(nodes: Sequence[Node], section: Section) -> list[str]:
    sums = {name: sum(node.counts[at] for node in nodes) for at, name in enumerate(CONTEXTS)}
    sums["rep"] = sum(node.rep_steps for node in nodes)
    return [
        f"{name}: {found} by function, {section.totals[name]} in all"
        for name, found in sums.items()
        if found != section.totals[name]
    ]


@dataclass(frozen=True)
class Profiled:
    """One boot with a profile, its functions known."""

    profile: Profile
    known: Mapping[int, Known]
    laps: Mapping[str, int]
    """Section name -> operations, in the order of the sections."""
    headlines: Mapping[str, int]
    """Section name -> instructions of its median lap, the bracket's included."""
    bracket: int
    profiling: Profiling = PLAIN
    spaces: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Section name -> the SPACES of all its operations."""
    inlined: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Address -> the functions it belongs to, the innermost first; for `spots`."""

    def nodes(self, section: str) -> tuple[Node, ...]:
        """The call tree of a section. Raises LabError when the boot has none of that name."""
        return self._tree(section).nodes

    def typical(self, section: str) -> Kind | None:
        """The laps as long as the median one; None when they are not among the commonest."""
        return self._tree(section).kind(self.headlines[section])

    def _tree(self, section: str) -> Tree:
        try:
            return self.profile.sections[list(self.laps).index(section)]
        except (ValueError, IndexError):
            raise LabError(f"the boot with the profile has no section `{section}`") from None

    def operations(self, section: str, *, typical: bool) -> int:
        """How many laps are looked at: those as long as the median one, or all."""
        kind = self.typical(section) if typical else None
        return kind.laps if kind else self.laps[section]

    def without(self, section: str) -> Profiled:
        """The boot with a section that its kernel cannot run as one of no lap: all that the other side executes there is new."""
        nothing = Tree((), (Kind(0, 0, {}),), {})
        return replace(
            self,
            profile=replace(self.profile, sections=(*self.profile.sections[: len(self.laps)], nothing)),
            laps={**self.laps, section: 0},
            headlines={**self.headlines, section: 0},
            spaces={**self.spaces, section: dict.fromkeys(SPACES, 0)},
        )

    def _each(self, section: str, count: float) -> float:
        return count / self.laps[section] if count else 0.0

    def mean(self, section: str) -> float:
        """All of the operation's instructions, tick or no tick, divided by the laps."""
        return self._each(section, sum(node.operation for node in self.nodes(section)))

    def events(self, section: str, name: str) -> float:
        """How often an event happened per operation, in the operation and beside it."""
        return self._each(section, sum(node.events[EVENTS.index(name)] for node in self.nodes(section)))

    def context(self, section: str, name: str) -> float:
        """Instructions per operation in a context."""
        return self._each(section, sum(node.counts[CONTEXTS.index(name)] for node in self.nodes(section)))

    def space(self, section: str, name: str) -> float:
        """One of SPACES per operation."""
        return self._each(section, self.spaces[section][name])

    def costs(self, section: str, *, typical: bool) -> dict[Key, float]:
        """(Name, layer) -> instructions of the operation per lap, callees' left out; of the median lap or of all."""
        kind = self.typical(section) if typical else None
        if kind is None:
            return self._by_function(section, {node.number: node.operation for node in self.nodes(section)}, self.laps[section])
        return self._by_function(section, kind.counts, kind.laps)

    def interrupts(self, section: str) -> dict[Key, float]:
        """(Name, layer) -> instructions of INTERRUPTS per lap, of all."""
        places = [CONTEXTS.index(name) for name in INTERRUPTS]
        counts = {node.number: sum(node.counts[place] for place in places) for node in self.nodes(section)}
        return self._by_function(section, counts, self.laps[section])

    def stalls(self, section: str) -> dict[Key, float]:
        """(Name, layer) -> estimated cycles that cache misses cost per operation, by PENALTIES."""
        prices = [(EVENTS.index(name), PENALTIES[name]) for name in MISSES]
        cycles = {node.number: sum(node.events[at] * price for at, price in prices) for node in self.nodes(section)}
        return self._by_function(section, cycles, self.laps[section])

    def _by_function(self, section: str, counts: Mapping[int, int], laps: int) -> dict[Key, float]:
        totals: defaultdict[Key, float] = defaultdict(float)
        for node in self.nodes(section):
            known = self.known[node.function]
            totals[known.name, known.layer] += counts.get(node.number, 0)
        return {key: count / laps for key, count in totals.items() if count}

    def spots(self, sections: Sequence[str]) -> list[int]:
        """The kernel's instructions that were executed in these sections, if that was recorded."""
        found = {spot for section in sections for spot in self._tree(section).spots}
        return sorted(spot for spot in found if spot is not None and spot >= KERNEL_HALF)

    def by_inline(self, section: str) -> dict[Key, float]:
        """(Function, the one it is inlined in) -> instructions of the operation per lap; all user code is one."""
        totals: defaultdict[Key, float] = defaultdict(float)
        for spot, count in self._tree(section).spots.items():
            chain = self.inlined.get(spot, (UNKNOWN,)) if spot is not None and spot >= KERNEL_HALF else (USER,)
            totals[chain[0], chain[-1]] += count / self.laps[section]
        return dict(totals)


@dataclass(frozen=True)
class Texts:
    """What a boot with a profile left, beside the profile."""

    stdout: str
    """The payload's."""
    cost: str
    """cost.out."""
    functions: str
    """What the plugin was given."""
    late: tuple[Function, ...]
    """Modules and BPF programs at the end."""
    waiting: frozenset[str]
    """Metrics whose operation waits: only laps with idle time are theirs."""
    profiling: Profiling = PLAIN


def kernel_addresses(profile: Profile) -> list[int]:
    """Where the kernel functions of a profile lie: what a source file is asked for."""
    return sorted(address for address in profile.addresses.values() if address is not None and address >= KERNEL_HALF)


def profiled(texts: Texts, profile: Profile, sources: Mapping[int, str], layers: Layers) -> Profiled:
    """A boot's profile with names. `sources`: address of a function -> its file."""
    laps = {line.name: line.laps for line in parse_samples(parse_ktap(texts.stdout).diagnostics).sections}
    counted = dict(zip(laps, parse_cost(texts.cost).sections, strict=False))
    bracket = median_low([lap.work for lap in counted[EMPTY].laps]) if EMPTY in counted else 0
    headlines = {name: _headline(section, waits=name in texts.waiting) for name, section in counted.items()}
    known = know(profile, parse_functions(texts.functions), texts.late, sources, layers)
    spaces = {name: {one: section.totals[one] for one in SPACES} for name, section in counted.items()}
    return Profiled(profile, known, laps, headlines, bracket, texts.profiling, spaces)


def _headline(section: Section, *, waits: bool) -> int:
    return median_low([lap.work for lap in section.laps if lap.idle or not waits] or [0])
