"""published.toml beside a payload.toml: what others measured of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UsageError
from lab.model.published import Part, Published
from lab.toml import read_toml, strict_keys

FILE = "published.toml"


@strict_keys
@dataclass(frozen=True)
class PartTable(Part):
    """One `[[table.parts]]`."""


@strict_keys
@dataclass(frozen=True)
class PublishedTable(Published):
    """One `[[table]]`."""

    parts: tuple[PartTable, ...]


@strict_keys
@dataclass(frozen=True)
class File:
    """published.toml."""

    table: tuple[PublishedTable, ...]


def read_published(path: Path, rows: Collection[str], layers: Collection[str]) -> tuple[Published, ...]:
    """The tables of a payload with these counted rows; none when there is no file. Raises UsageError naming what is wrong."""
    if not path.is_file():
        return ()
    tables = read_toml(path, File).table
    problems = [problem for table in tables for problem in _wrong(table, layers)]
    problems += [f"there is no counted row `{table.row}`" for table in tables if table.row not in rows]
    problems += [f"`{row}` has two tables" for row, count in Counter(table.row for table in tables).items() if count > 1]
    if problems:
        raise UsageError("\n".join(f"{path}: {problem}" for problem in problems), hint=f"edit {path}; payloads/README.md")
    return tuple(_plain(table) for table in tables)


def _wrong(table: Published, layers: Collection[str]) -> list[str]:
    used = Counter(layer for part in table.parts for layer in part.layers)
    problems = [f"{table.row}: no part is software (has layers)"] * (not used)
    problems += [
        f"{table.row}: there is no layer `{layer}`; there are: {', '.join(layers)}" for layer in used if layer not in layers
    ]
    problems += [f"{table.row}: layer `{layer}` is in two parts" for layer, count in used.items() if count > 1]
    return problems + [f"{table.row}: `{part.name}` is not above 0" for part in table.parts if not part.value > 0]


def _plain(table: Published) -> Published:
    parts = tuple(Part(part.name, part.value, part.layers) for part in table.parts)
    return Published(table.row, table.title, table.source, table.unit, parts)
