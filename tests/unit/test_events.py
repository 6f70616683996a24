from __future__ import annotations

import json

import pytest

from lab.events import Event, JobFinished, JobStarted, Note, StageFinished, StageLine, StageStarted, as_line, from_line


@pytest.mark.parametrize(
    "event",
    [
        Note('two\nlines, "quoted"'),
        StageStarted("build", "default 0123", 31.5),
        StageLine("build", "  CC      init/main.o"),
        StageFinished("build", "default 0123", 31.5, "2 objects", ok=False),
        JobStarted("boot.r01"),
        JobFinished("boot.r01", "PASS", 4.0),
    ],
)
def test_an_event_passes_through_a_line(event: Event) -> None:
    line = as_line(event)

    assert "\n" not in line
    assert from_line(line) == event


@pytest.mark.parametrize("line", ["Traceback (most recent call last):", "", "{", "[1]", '{"event": "Exit"}', '{"event": "Note"}'])
def test_anything_else_is_a_note(line: str) -> None:
    assert from_line(line) == Note(line)


def test_more_stands_in_front() -> None:
    assert list(json.loads(as_line(Note("x"), at=1.5))) == ["at", "event", "text"]
