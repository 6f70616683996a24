"""A row's layers beside the table that others published of the same operation: shares beside shares, units never mixed."""

from __future__ import annotations

from collections.abc import Sequence

from lab.model.profile import Explanation, FunctionCost
from lab.model.published import Part, Published

Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]


def beside(one: Explanation, published: Published) -> list[Table]:
    """The published parts with the layers that do the same, each with its share of the software; then what has no counterpart."""
    matched = {layer for part in published.parts for layer in part.layers}
    every = tuple(dict.fromkeys(layer.name for layer in _all(one)))
    rest = tuple(name for name in every if name not in matched)
    rows = [_row(part, ", ".join(part.layers) or "(hardware)", one, published) for part in published.parts]
    rows += [_row(Part("(no such part)", 0.0, rest), ", ".join(rest), one, published)] if rest else []
    rows += [_row(Part("all software", published.software, every), "all layers", one, published)]
    columns = ("published part", f">{published.unit}", ">share", "layers here", ">base", ">share", ">patched", ">share")
    return [(_title(one, published), columns, rows)]


def _title(one: Explanation, published: Published) -> str:
    interrupts = [_words(sum(layer.base for layer in one.interrupts)), _words(sum(layer.patched for layer in one.interrupts))]
    return (
        f"{one.payload} {one.metric} beside a published table: {published.title} ({published.source}). There {published.unit} on "
        f"hardware, here instructions, {' and '.join(interrupts)} of them of interrupts (the device's, ticks); shares are of the "
        "software"
    )


def _row(part: Part, layers: str, one: Explanation, published: Published) -> tuple[str, ...]:
    value = f"{part.value:,g}" if part.value else ""
    if not part.layers:
        return (part.name, value, "", layers, "", "", "", "")
    ours = zip(_sums([layer for layer in _all(one) if layer.name in part.layers]), _sums(_all(one)), strict=True)
    cells = [cell for mine, whole in ours for cell in (_words(mine), _share(mine, whole))]
    return (part.name, value, _share(part.value, published.software) if value else "", layers, *cells)


def _all(one: Explanation) -> tuple[FunctionCost, ...]:
    """The operation's layers and those of interrupts."""
    return (*one.layers, *one.interrupts)


def _sums(layers: Sequence[FunctionCost]) -> tuple[float, float]:
    return sum(layer.base for layer in layers), sum(layer.patched for layer in layers)


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else ""


def _words(value: float) -> str:
    return f"{value:,.1f}"
