"""Where the instructions of a row are executed: one boot a side with the plugin's profile on, by function and by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low

from lab.deadline import Deadline
from lab.errors import LabError
from lab.formats.ktap import parse_ktap
from lab.formats.profile import CONTEXTS, EVENTS, OPERATION, Kind, Node, Profile, Tree, parse_profile
from lab.formats.samples import parse_samples
from lab.measure.collect import EMPTY
from lab.measure.cost import Section, parse_cost
from lab.measure.layers import KERNEL_HALF, Known, Layers, know, parse_functions
from lab.model.judgement import Comparison, Verdict
from lab.model.outcome import Case, Status
from lab.model.ports import Shell
from lab.model.profile import Explanation, Function, FunctionCost, Happened
from lab.model.published import Published

CASE = "profile"
INTERRUPTS = ("hardirq", "tail")
LATE = "grep ']$' /proc/kallsyms"
DIFFERS = 0.05
"""Instructions per operation from which on a function is listed for its difference."""
MOST_DIFFERENT, MOST_EXPENSIVE = 25, 10
"""How many functions are listed for either reason."""


def late_symbols(shell: Shell, deadline: Deadline) -> str:
    """The lines of /proc/kallsyms for what came at run time: modules, BPF programs; none is no error."""
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

    def events(self, section: str, name: str) -> float:
        """How often an event happened per operation, in the operation and beside it."""
        return sum(node.events[EVENTS.index(name)] for node in self.nodes(section)) / self.laps[section]

    def context(self, section: str, name: str) -> float:
        """Instructions per operation in a context."""
        return sum(node.counts[CONTEXTS.index(name)] for node in self.nodes(section)) / self.laps[section]


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


def kernel_addresses(profile: Profile) -> list[int]:
    """Where the kernel functions of a profile lie: what a source file is asked for."""
    return sorted(address for address in profile.addresses.values() if address is not None and address >= KERNEL_HALF)


def profiled(texts: Texts, profile: Profile, sources: Mapping[int, str], layers: Layers) -> Profiled:
    """A boot's profile with names. `sources`: address of a function -> its file."""
    laps = {line.name: line.laps for line in parse_samples(parse_ktap(texts.stdout).diagnostics).sections}
    counted = dict(zip(laps, parse_cost(texts.cost).sections, strict=False))
    bracket = median_low([lap.work for lap in counted[EMPTY].laps]) if EMPTY in counted else 0
    headlines = {name: _headline(section, waits=name in texts.waiting) for name, section in counted.items()}
    return Profiled(
        profile, know(profile, parse_functions(texts.functions), texts.late, sources, layers), laps, headlines, bracket
    )


def _headline(section: Section, *, waits: bool) -> int:
    return median_low([lap.work for lap in section.laps if lap.idle or not waits] or [0])


def worth(rows: Sequence[Comparison], named: Sequence[str]) -> tuple[Comparison, ...]:
    """The rows to be explained: those that --row named, else every counted one that is not EQUAL."""
    if named:
        return tuple(row for row in rows if row.metric in named)
    return tuple(row for row in rows if row.kind == "exact" and row.verdict is not Verdict.EQUAL)


def explain(
    row: Comparison, base: Profiled, patched: Profiled, layers: Layers, *, asked: bool, published: Published | None = None
) -> Explanation:
    """One row's instructions per operation by function and by layer, and where the sides differ. Raises LabError."""
    metric = row.metric
    typical = all(side.typical(metric) for side in (base, patched))
    sides = [own_costs(side, metric, typical=typical) for side in (base, patched)]
    functions = [_cost(name, layer, *(side.get((name, layer), 0.0) for side in sides)) for name, layer in sides[0] | sides[1]]
    listed = _listed(functions)
    rest = [one for one in functions if one not in listed]
    return Explanation(
        a=row.a,
        b=row.b,
        payload=row.payload,
        kconfig=row.kconfig,
        guest=row.guest,
        metric=metric,
        operations=(_operations(base, metric, typical=typical), _operations(patched, metric, typical=typical)),
        typical=typical,
        mean=_happened("mean of all operations", base, patched, metric),
        base=sum(sides[0].values()),
        patched=sum(sides[1].values()),
        bracket=base.bracket,
        functions=tuple(listed),
        others=len(rest),
        largest=max((one.delta for one in rest), key=abs, default=0.0),
        layers=_by_layer(functions, layers),
        beside=tuple(
            Happened(name, base.context(metric, name), patched.context(metric, name)) for name in CONTEXTS[OPERATION:-1]
        ),
        interrupts=_by_layer(_interrupts(base, patched, metric), layers),
        events=tuple(Happened(name, base.events(metric, name), patched.events(metric, name)) for name in EVENTS),
        asked=asked,
        published=published,
    )


def _by_layer(functions: Sequence[FunctionCost], layers: Layers) -> tuple[FunctionCost, ...]:
    sums = [_sum(layer, [one for one in functions if one.layer == layer]) for layer in layers.names]
    return tuple(one for one in sums if one.base or one.patched)


def _interrupts(base: Profiled, patched: Profiled, metric: str) -> list[FunctionCost]:
    """Instructions of INTERRUPTS per operation, by function."""
    places = [CONTEXTS.index(name) for name in INTERRUPTS]
    sides = []
    for side in (base, patched):
        found: defaultdict[tuple[str, str], float] = defaultdict(float)
        for node in side.nodes(metric):
            known = side.known[node.function]
            found[known.name, known.layer] += sum(node.counts[place] for place in places) / side.laps[metric]
        sides.append(found)
    return [_cost(name, layer, *(side.get((name, layer), 0.0) for side in sides)) for name, layer in sides[0] | sides[1]]


def _operations(side: Profiled, metric: str, *, typical: bool) -> int:
    kind = side.typical(metric) if typical else None
    return kind.laps if kind else side.laps[metric]


def _happened(name: str, base: Profiled, patched: Profiled, metric: str) -> Happened:
    """All of the operation's instructions, tick or no tick, divided by the laps."""
    sums = [sum(node.operation for node in side.nodes(metric)) / side.laps[metric] for side in (base, patched)]
    return Happened(name, sums[0], sums[1])


def own_costs(side: Profiled, section: str, *, typical: bool) -> dict[tuple[str, str], float]:
    """(Name, layer) -> instructions of the operation per lap, callees' left out; of the median lap or of all."""
    kind = side.typical(section) if typical else None
    laps = _operations(side, section, typical=typical)
    totals: defaultdict[tuple[str, str], float] = defaultdict(float)
    for node in side.nodes(section):
        known = side.known[node.function]
        totals[known.name, known.layer] += kind.counts.get(node.number, 0) if kind else node.operation
    return {key: count / laps for key, count in totals.items() if count}


def _cost(name: str, layer: str, base: float, patched: float) -> FunctionCost:
    return FunctionCost(name, layer, base, patched, patched - base)


def _sum(layer: str, functions: Sequence[FunctionCost]) -> FunctionCost:
    return _cost(layer, layer, sum(one.base for one in functions), sum(one.patched for one in functions))


def _listed(functions: Sequence[FunctionCost]) -> list[FunctionCost]:
    different = sorted((one for one in functions if abs(one.delta) >= DIFFERS), key=lambda one: (-abs(one.delta), one.name))
    alike = sorted((one for one in functions if abs(one.delta) < DIFFERS), key=lambda one: (-one.patched, one.name))
    return [*different[:MOST_DIFFERENT], *alike[:MOST_EXPENSIVE]]
