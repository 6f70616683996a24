"""Payloads: what payload.toml declares, built for a guest."""

from __future__ import annotations

import difflib
import itertools
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from lab.cache import Cache
from lab.cbuild import NEEDS as BUILD_NEEDS
from lab.cbuild import make_directory
from lab.errors import UsageError
from lab.measure.layers import read_layers
from lab.measure.published import FILE, read_published
from lab.model.judgement import Metric
from lab.model.run import PayloadSpec
from lab.toml import read_toml, strict_keys

NEEDS = {**BUILD_NEEDS, "/sbin/mke2fs": "e2fsprogs"}
"""Makefiles of payloads make file systems too."""
DECLARATION = "payload.toml"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*$")
TOOL = re.compile(r"[\w-]+/[\w.-]+$")
OPTION = re.compile(r"CONFIG_[A-Za-z0-9_]+=\S+$")
TOTAL = ".total"
"""Suffix of the second headline of a counted metric: everything that was executed, idle excluded, per operation."""
TOTAL_SUMMARY = "all that was executed, idle excluded, per operation"


@strict_keys
@dataclass(frozen=True)
class DeclaredMetric(Metric):
    """One `[[metrics]]` table: a Metric that takes no unknown key."""


@strict_keys
@dataclass(frozen=True)
class Declaration:
    """payload.toml. Metric names may hold `{variant}` fields: one metric for every combination of `variants`."""

    summary: str
    command: tuple[str, ...]
    metrics: tuple[DeclaredMetric, ...] = ()
    variants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kind: Literal["test", "bench"] = "bench"
    options: tuple[str, ...] = ()
    """CONFIG_X=y lines the kernel must have."""
    guests: tuple[str, ...] = ()
    """Guests it suits, the one a bench takes first; empty: any."""
    peer: tuple[str, ...] = ()
    """argv on the second guest of a pair; ends when its service is up."""
    timeout_s: float = 300.0
    article: str = ""
    instrument: bool = True
    tools: tuple[str, ...] = ()
    """Files made under the tree's own tools/, as DIRECTORY/FILE."""
    leaks: dict[str, str] = field(default_factory=dict)
    """Row -> what leaks into its count, for rows that are known to wobble between boots of one kernel."""


def list_payloads(payloads: Path) -> tuple[str, ...]:
    """Names of the payloads under `payloads`, sorted."""
    return tuple(sorted(path.parent.name for path in payloads.glob(f"*/{DECLARATION}")))


def read_payload(payloads: Path, name: str, cache: Cache) -> PayloadSpec:
    """The payload `name`, built. Raises UsageError (unknown name, wrong declaration), PayloadError (does not compile)."""
    declared = read_declaration(payloads, name)
    metrics = tuple(expand(declared))
    counted = [metric.name for metric in metrics if metric.kind == "exact"]
    published = read_published(payloads / name / FILE, counted, read_layers().names)
    built = make_directory(cache, payloads / name, payloads / "include")
    return PayloadSpec(
        name=name,
        summary=declared.summary,
        directory=built,
        hash=built.name,
        command=declared.command,
        metrics=metrics,
        kind=declared.kind,
        options=declared.options,
        guests=declared.guests,
        peer=declared.peer,
        timeout_s=declared.timeout_s,
        article=declared.article,
        instrument=declared.instrument,
        tools=declared.tools,
        leaks=declared.leaks,
        published=published,
    )


def read_declaration(payloads: Path, name: str) -> Declaration:
    """What the payload `name` says of itself. Raises UsageError (unknown name, wrong declaration)."""
    known = list_payloads(payloads)
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"payloads: {', '.join(known) or 'none'}"
        raise UsageError(f"there is no payload `{name}` under {payloads}", hint=hint)
    path = payloads / name / DECLARATION
    declared = read_toml(path, Declaration)
    check_declaration(declared, name, str(path))
    return declared


def check_declaration(declared: Declaration, name: str, origin: str) -> None:
    """What the types cannot say. Raises UsageError naming file and key."""
    problems = []
    if not NAME.match(name):
        problems.append(f"the directory's name `{name}` is not lower-case letters, digits, - and _")
    if not declared.command:
        problems.append("command: is empty")
    if declared.kind == "bench" and not declared.metrics:
        problems.append("metrics: a bench declares at least one; kind = 'test' needs none")
    problems += [f"options: `{option}` is not CONFIG_NAME=value" for option in declared.options if not OPTION.match(option)]
    if declared.timeout_s <= 0:
        problems.append(f"timeout_s: {declared.timeout_s:g} is not a time")
    try:
        names = [metric.name for metric in expand(declared)]
    except (KeyError, IndexError, ValueError) as error:
        problems.append(f"metrics: a name holds a field that is not under [variants]: {error}")
    else:
        problems += [f"leaks: there is no metric `{item}`" for item in declared.leaks if item not in names]
        twice = sorted({item for item in names if names.count(item) > 1})
        problems += [f"metrics: `{item}` is declared twice" for item in twice]
    problems += [f"tools: `{tool}` is not DIRECTORY/FILE" for tool in declared.tools if not TOOL.match(tool)]
    problems += [f"metrics: `{metric.name}`: {why}" for metric in declared.metrics for why in _contradictions(metric)]
    wild = [metric.name for metric in declared.metrics if not 0 <= metric.min_effect < 1]
    problems += [f"metrics: `{item}`: min_effect is not a fraction" for item in wild]
    if problems:
        raise UsageError("\n".join(f"{origin}: {problem}" for problem in problems), hint=f"edit {origin}; payloads/README.md")


def _contradictions(metric: Metric) -> Iterator[str]:
    """What a metric says of itself that cannot be."""
    if metric.kind != "exact" and (metric.waits or metric.per != 1 or metric.net_of):
        yield "only an exact row waits, is of one of several operations (per) or net of another section (net_of)"
    if metric.per < 1:
        yield f"per: {metric.per} is no number of operations"
    if metric.waits and metric.net_of:
        yield "a row that waits is net of nothing but the bracket"


def expand(declared: Declaration) -> Iterator[Metric]:
    """Every metric of every variant, each counted one followed by its total. Raises KeyError for an unknown field.

    A metric varies by the fields its name holds; those that hold the same ones stay together.
    """
    for fields, together in itertools.groupby(declared.metrics, key=lambda metric: _fields(metric.name)):
        metrics = tuple(together)
        keys = tuple(key for key in declared.variants if key in fields)
        for values in itertools.product(*(declared.variants[key] for key in keys)):
            for metric in metrics:
                held = dict(zip(keys, values, strict=True))
                named = {"name": metric.name.format(**held), "net_of": metric.net_of.format(**held)}
                row = Metric(**{**vars(metric), **named})
                yield row
                if declared.instrument and row.kind == "exact":
                    yield replace(row, name=row.name + TOTAL, kind="info", summary=TOTAL_SUMMARY, waits=False, per=1, net_of="")


def _fields(name: str) -> frozenset[str]:
    return frozenset(field for _, field, _, _ in string.Formatter().parse(name) if field is not None)


def missing_options(spec: PayloadSpec, config_text: str) -> tuple[str, ...]:
    """The CONFIG_X=v lines the payload needs that a resolved .config does not hold."""
    held = {line.strip() for line in config_text.splitlines()}
    return tuple(option for option in spec.options if option not in held)
