"""Every dataclass of the model as JSON and back, and the JSON Schema of what other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def to_json(value: object) -> str:
    """A model value as indented JSON; NaN and infinities are refused."""
    return TypeAdapter(type(value)).dump_json(value, indent=1).decode() + "\n"


def from_json(text: str | bytes, shape: type[T]) -> T:
    """The JSON text as a value of `shape`. Raises pydantic.ValidationError."""
    return TypeAdapter(shape).validate_json(text)


def schema_of(shape: type) -> dict[str, Any]:
    """The JSON Schema (2020-12) of `shape`."""
    return TypeAdapter(shape).json_schema()


def write_json(path: Path, value: object) -> None:
    """Write a model value aside and rename: a reader sees the old file or the new one, never half."""
    aside = path.with_name(f".{path.name}.aside")
    aside.write_text(to_json(value), encoding="utf-8")
    aside.replace(path)


def read_json(path: Path, shape: type[T]) -> T:
    """The file as a value of `shape`."""
    return from_json(path.read_bytes(), shape)
