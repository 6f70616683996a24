"""The numbers of a payload: `# sample <metric> <value> <unit>` among its KTAP diagnostics. Text in, values out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

SAMPLE = re.compile(r"sample (?P<metric>\S+) (?P<value>\S+) (?P<unit>\S+)$")
SECTION = re.compile(r"section (?P<ordinal>\d+) (?P<name>\S+) laps (?P<laps>\d+)(?P<apart> apart)?$")


@dataclass(frozen=True)
class Series:
    """The samples of one metric, in order."""

    metric: str
    unit: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class SectionLine:
    """`# section <ordinal> <name> laps <n> [apart]`: what the marks bracketed, for whoever counted there."""

    ordinal: int
    name: str
    laps: int
    apart: bool = False
    """Whether something that is not counted goes on between the laps."""


@dataclass(frozen=True)
class Samples:
    """Everything among the diagnostics that is not prose, the prose, and what was not well formed."""

    series: tuple[Series, ...]
    sections: tuple[SectionLine, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]

    def of(self, metric: str) -> tuple[float, ...]:
        """The values of a metric; none if it did not occur."""
        return next((series.values for series in self.series if series.metric == metric), ())


def parse_samples(diagnostics: tuple[str, ...]) -> Samples:
    """Sort diagnostics (without their `#`) into samples, sections and notes. Malformed, NaN, infinite: a problem."""
    values: dict[str, list[float]] = {}
    units: dict[str, str] = {}
    sections, notes, problems = [], [], []
    for line in diagnostics:
        if line.startswith("sample "):
            match = SAMPLE.match(line)
            value = _number(match["value"]) if match else None
            if match is None or value is None:
                problems.append(f"not a sample: `{line}`")
            elif units.setdefault(match["metric"], match["unit"]) != match["unit"]:
                problems.append(f"{match['metric']} comes in {units[match['metric']]} and in {match['unit']}")
            else:
                values.setdefault(match["metric"], []).append(value)
        elif line.startswith("section "):
            if match := SECTION.match(line):
                sections.append(SectionLine(int(match["ordinal"]), match["name"], int(match["laps"]), bool(match["apart"])))
            else:
                problems.append(f"not a section: `{line}`")
        else:
            notes.append(line)
    series = tuple(Series(metric, units[metric], tuple(found)) for metric, found in values.items())
    return Samples(series, tuple(sections), tuple(notes), tuple(problems))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
