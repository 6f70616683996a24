"""Samples and sections among the diagnostics."""

from __future__ import annotations

import pytest

from lab.formats.samples import SectionLine, Series, parse_samples


def test_samples_sections_and_prose_are_told_apart() -> None:
    said = parse_samples(("warm-up discarded", "section 0 empty laps 4", "sample rtt 12 ns", "sample rtt 12.5 ns"))

    assert said.series == (Series("rtt", "ns", (12.0, 12.5)),)
    assert said.sections == (SectionLine(0, "empty", 4),)
    assert said.notes == ("warm-up discarded",)
    assert said.of("rtt") == (12.0, 12.5)
    assert said.of("none") == ()
    assert said.problems == ()


@pytest.mark.parametrize(
    "line",
    [
        "sample rtt nan ns",
        "sample rtt inf ns",
        "sample rtt 12",
        "sample rtt twelve ns",
        "sample ",
        "section 0 empty laps",
        "section x",
    ],
)
def test_what_is_malformed_is_a_problem(line: str) -> None:
    said = parse_samples((line,))

    assert len(said.problems) == 1
    assert not said.series


def test_a_metric_has_one_unit() -> None:
    assert parse_samples(("sample rtt 1 ns", "sample rtt 1 us")).problems == ("rtt comes in ns and in us",)
