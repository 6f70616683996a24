"""The committed JSON Schema of results.json; `python -m lab.report.schema` writes it again after a change to the model."""

from __future__ import annotations

import json
from pathlib import Path

from lab.model.run import Results
from lab.model.wire import schema_of

FILE = Path(__file__).with_name("results.schema.json")


def schema_text() -> str:
    """The JSON Schema of Results: sorted and indented, so that a change to the model is a readable diff."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema_of(Results)}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema_text(), encoding="utf-8")
