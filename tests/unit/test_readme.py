"""What the documents promise exists: verbs, options, files, series, payloads."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from invoke import Collection
from invoke.exceptions import ParseError
from invoke.parser import Parser

import tasks

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(path for path in (*ROOT.glob("*.md"), *ROOT.glob("[a-z]*/README.md"), *ROOT.glob("lab/*/README.md")))
FENCE = re.compile(r"^```(?:sh)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(\./inv [^`]+)`")
LINK = re.compile(r"\]\(([^)#:]+)\)")
NAMED = re.compile(r"--(series|payload|kconfig|guest)[ =]([a-z][\w./-]*)")
PLACES = {"series": "patches/{}", "payload": "payloads/{}", "kconfig": "kconfigs/{}.config"}


def command_lines(text: str) -> list[str]:
    """Every `./inv ...` of a document: in fenced blocks (several on a line by `;`, comments cut) and in spans."""
    fenced = [
        part.strip() for block in FENCE.findall(text) for line in block.splitlines() for part in re.split(r"\s#\s.*|;", line)
    ]
    return [line for line in [*fenced, *SPAN.findall(text), *re.findall(r"# then: (.*)", text)] if line.startswith("./inv ")]


def check_line(line: str) -> None:
    """Parse a line as ./inv does. Raises invoke's ParseError, or KeyError for `--help VERB`."""
    words = shlex.split(line)[1:]
    if words[0] == "--help":
        Collection.from_module(tasks)[words[1]]
    elif words[0] != "--list":
        Parser(contexts=Collection.from_module(tasks).to_contexts()).parse_argv(words)


ALL_LINES = [(path.relative_to(ROOT).as_posix(), line) for path in DOCUMENTS for line in command_lines(path.read_text())]


@pytest.mark.parametrize(("document", "line"), ALL_LINES)
def test_every_command_line_in_a_document_is_one(document: str, line: str) -> None:
    check_line(line)


@pytest.mark.parametrize(("document", "line"), ALL_LINES)
def test_what_a_command_line_names_is_here(document: str, line: str) -> None:
    for kind, name in NAMED.findall(line):
        if kind in PLACES and name not in ("x", "path", "all"):
            assert (ROOT / PLACES[kind].format(name)).exists(), f"{document}: {line}"


def test_the_two_commands_are_in_the_readme() -> None:
    lines = command_lines((ROOT / "README.md").read_text())

    assert lines[:2] == ["./inv build boot bench", "./inv test"]
    assert len(lines) > 10


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize(
    "line", ["./inv bench --serious x", "./inv frobnicate", "./inv --help frobnicate", "./inv bench --series"]
)
def test_a_line_that_does_not_exist_is_refused(line: str) -> None:
    with pytest.raises((ParseError, KeyError, ValueError)):
        check_line(line)
