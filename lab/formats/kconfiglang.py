"""Kconfig files, as far as it takes to say why an option was lost: text in, value out.

Format: Documentation/kbuild/kconfig-language.rst.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BLOCKS = {*["config", "menuconfig", "if", "endif", "menu", "endmenu", "choice", "endchoice", "source", "comment", "mainmenu"]}
"""Words that end the entry before them."""


@dataclass(frozen=True)
class Entry:
    """A `config X` of a Kconfig file: what it says itself and what encloses it in that file."""

    symbol: str
    prompt: bool
    """Without a prompt an option can only be selected."""
    depends: tuple[str, ...]
    """Expressions, all of which must hold."""


def find_entries(kconfig: str, symbol: str) -> list[Entry]:
    """The entries of one symbol in a Kconfig file's text. Format: Documentation/kbuild/kconfig-language.rst."""
    entries: list[Entry] = []
    blocks: list[tuple[str, list[str]]] = []
    current: list[str] | None = None  # where `depends on` lines belong: an entry, a menu or a choice
    prompt, inside = False, False
    for line in [*_logical(kconfig), ("config", "")]:
        word, rest = line
        if word in BLOCKS:
            if inside and current is not None:
                enclosing = [expression for _, expressions in blocks for expression in expressions]
                entries.append(Entry(symbol, prompt, (*enclosing, *current)))
            inside = word in ("config", "menuconfig") and rest == symbol
            current, prompt = [], False
            _enter(word, rest, blocks, current)
        elif word == "depends" and current is not None:
            current.append(rest.removeprefix("on").strip())
        elif (word in ("bool", "tristate", "int", "hex", "string") and rest.startswith(('"', "'"))) or word == "prompt":
            prompt = True
    return entries


def _enter(word: str, rest: str, blocks: list[tuple[str, list[str]]], current: list[str]) -> None:
    """Keep the stack of enclosing blocks; a menu's or choice's own `depends on` lines go to `current`, which it shares."""
    if word == "if":
        blocks.append((word, [rest]))
    elif word in ("menu", "choice"):
        blocks.append((word, current))
    elif word in ("endif", "endmenu", "endchoice") and blocks:
        blocks.pop()


def _logical(kconfig: str) -> Sequence[tuple[str, str]]:
    """Lines as (first word, rest), continued ones joined, comments and help texts left out."""
    lines: list[tuple[str, str]] = []
    help_indent: int | None = None
    for raw in re.sub(r"\\\n", " ", kconfig).expandtabs().splitlines():
        indent = len(raw) - len(raw.lstrip())
        if not raw.strip():
            continue
        if help_indent is not None:
            if help_indent < 0:
                help_indent = indent or -1
            if indent and indent >= help_indent > 0:
                continue
            help_indent = None
        word, _, rest = raw.strip().partition(" ")
        if word in ("help", "---help---"):
            help_indent = -1
        elif not word.startswith("#"):
            lines.append((word, re.sub(r"\s+#.*$", "", rest).strip()))
    return lines


def unmet(expression: str, values: Mapping[str, str]) -> list[str]:
    """The symbols of a dependency with the values they have, e.g. `NET is not set`; numbers and y, m, n are not symbols."""
    names = re.findall(r"\b(?!\d|[ymn]\b)\w+", re.sub(r'"[^"]*"|\$\([^)]*\)', "", expression))
    return [f"{name} is not set" if values.get(name, "n") == "n" else f"{name}={values[name]}" for name in dict.fromkeys(names)]
