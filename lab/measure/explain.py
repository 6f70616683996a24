"""Where the instructions of a row are executed: one boot a side with the plugin's profile on, by function and by layer."""

from __future__ import annotations

from collections.abc import Sequence

from lab.deadline import Deadline
from lab.formats.profile import CONTEXTS, Node, parse_profile
from lab.measure.cost import Section, parse_cost
from lab.model.outcome import Case, Status
from lab.model.ports import Shell

CASE = "profile"
LATE = "grep ']$' /proc/kallsyms"


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
    for number, (nodes, section) in enumerate(zip(profile.sections, cost.sections, strict=False)):
        problems += [f"section {number}: {text}" for text in _differences(nodes, section)]
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
