"""Every dataclass of the model as JSON and back, and the JSON Schema of what other programs read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

T = TypeVar("T")


def to_json(value: object) -> str:
    """A model value as indented JSON. Raises ValueError on NaN and infinities; half a surrogate pair becomes a question mark."""
    # not dump_json: it writes NaN as null and stops at the first surrogate, which file names may hold
    text = json.dumps(TypeAdapter(type(value)).dump_python(value, mode="json"), indent=1, allow_nan=False, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode() + "\n"


def from_json(text: str | bytes, shape: type[T]) -> T:
    """The JSON text as a value of `shape`. Raises ValueError: not JSON or not of that shape, NaN, infinite."""
    value = TypeAdapter(shape).validate_json(text)
    to_json(value)
    return value


def schema_of(shape: type) -> dict[str, Any]:
    """The JSON Schema (2020-12) of what `to_json` writes for `shape`: every field is there."""
    return TypeAdapter(shape).json_schema(mode="serialization", schema_generator=_EveryField)


def write_json(path: Path, value: object) -> None:
    """Write a model value aside and rename: a reader sees the old file or the new one, never half."""
    aside = path.with_name(f".{path.name}.aside")
    aside.write_text(to_json(value), encoding="utf-8")
    aside.replace(path)


def read_json(path: Path, shape: type[T]) -> T:
    """The file as a value of `shape`."""
    return from_json(path.read_bytes(), shape)


class _EveryField(GenerateJsonSchema):
    """pydantic requires only fields without a default; `to_json` leaves none out."""

    def field_is_required(self, *_: Any, **__: Any) -> bool:  # noqa: ANN401  # the signature is pydantic's own business
        return True
