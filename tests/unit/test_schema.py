from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from report_samples import COSTLY, EQUAL, MORE, WOBBLE, failing, results, spread

from lab.model.run import Results
from lab.model.wire import from_json, to_json
from lab.report.schema import FILE, schema_text


def refuse(word: str) -> Any:
    raise ValueError(word)


def strict(text: str) -> Any:
    return json.loads(text, parse_constant=refuse)


VALIDATOR = jsonschema.Draft202012Validator(json.loads(schema_text()))


def test_the_committed_schema_is_the_models() -> None:
    assert FILE.read_text(encoding="utf-8") == schema_text(), "the model changed; run: .venv/bin/python -m lab.report.schema"


def test_the_schema_is_itself_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


@pytest.mark.parametrize(
    "run", [results(comparisons=(EQUAL, MORE, COSTLY, WOBBLE)), failing(), results(accel=None, jobs=(), comparisons=())]
)
def test_what_is_written_validates_and_reads_back(run: Results) -> None:
    text = to_json(run)

    VALIDATOR.validate(strict(text))
    assert from_json(text, Results) == run


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("status",), "GREEN"),
        (("jobs", 0, "status"), "pass"),
        (("comparisons", 0, "verdict"), "FASTER"),
        (("comparisons", 0, "base", "median"), "14833"),
        (("comparisons", 0, "base", "values_by_boot", 0), None),
        (("exit",), None),
    ],
)
def test_the_schema_refuses(path: tuple[str | int, ...], value: object) -> None:
    document = strict(to_json(results()))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("field", ["schema", "comparisons", "jobs", "status"])
def test_the_schema_wants_every_field(field: str) -> None:
    document = strict(to_json(results()))
    del document[field]

    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_neither_written_nor_read(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json(results(comparisons=(replace(EQUAL, base=spread(value)),)))

    text = to_json(results(seconds=81.25))
    for word in (str(value).replace("nan", "NaN").replace("inf", "Infinity"), f'"{value}"'):
        with pytest.raises(ValueError, match="JSON"):
            from_json(text.replace("81.25", word), Results)


def test_a_file_name_that_is_not_utf_8_does_not_lose_the_run() -> None:
    assert from_json(to_json(results(command="./inv bench --series /tmp/\udcff")), Results).command.endswith("/tmp/?")
