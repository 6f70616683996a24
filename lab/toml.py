"""The one door to TOML: a file in, a frozen dataclass out, and errors that name file, key, allowed values and remedy."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from pydantic_core import ErrorDetails

from lab.errors import UsageError

T = TypeVar("T")

strict_keys = with_config(ConfigDict(extra="forbid"))
"""Decorator for a dataclass read from TOML: an unknown key is an error, since it is most often a typo."""


def parse_toml(text: str, shape: type[T], origin: str) -> T:
    """`text` as a value of the dataclass `shape`; `origin` names the file in errors. Raises UsageError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{origin}: not TOML: {error}") from error
    return from_table(table, shape, origin)


def from_table(table: dict[str, Any], shape: type[T], origin: str) -> T:
    """An already parsed table as a value of the dataclass `shape`. Raises UsageError."""
    try:
        return TypeAdapter(shape).validate_python(table)
    except ValidationError as error:
        lines = [f"{origin}: {_place(item['loc'])}: {_complaint(item, shape)}" for item in error.errors()]
        raise UsageError("\n".join(lines), hint=f"edit {origin}") from error


def read_toml(path: Path, shape: type[T]) -> T:
    """The file at `path` as a value of the dataclass `shape`. Raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    return parse_toml(text, shape, str(path))


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "(top level)"


def _complaint(item: ErrorDetails, shape: type) -> str:
    if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = ", ".join(sorted(getattr(shape, "__dataclass_fields__", {})))
        return f"unknown key (top level allows: {known})" if len(item["loc"]) == 1 else "unknown key"
    return f"{item['msg']}, got {item['input']!r}"
