"""A row's layers beside the table that others published of the same operation: shares beside shares, units never mixed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from lab.model.profile import Explanation, FunctionCost
from lab.model.published import Part, Published

Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
ALONE = "(no such part)"
WIDTH, LEFT, BAR, STEP = 900, 150, 44, 66
COLOURS = ("#8fb8de", "#f2c57c", "#7fb685", "#c9a0dc", "#ef8a80", "#c7c0b0")


def beside(one: Explanation, published: Published) -> list[Table]:
    """The published parts with the layers that do the same, each with its share of the software; then what has no counterpart."""
    rows = [_row(part, ", ".join(part.layers) or "(hardware)", one, published) for part in _parts(one, published)]
    every = tuple(dict.fromkeys(layer.name for layer in _all(one)))
    rows += [_row(Part("all software", published.software, every), "all layers", one, published)]
    columns = ("published part", f">{published.unit}", ">share", "layers here", ">base", ">share", ">patched", ">share")
    return [(_title(one, published), columns, rows)]


def bars_svg(one: Explanation, published: Published) -> str:
    """The shares of `beside` as three bars, one above the other: theirs, ours of the base, ours of the patched kernel."""
    parts = [part for part in _parts(one, published) if part.layers]
    ours = [_sums([layer for layer in _all(one) if layer.name in part.layers]) for part in parts]
    bars = [(f"published, {published.unit}", [part.value for part in parts])]
    bars += [(f"{name}, insn", [both[at] for both in ours]) for at, name in enumerate(("base", "patched"))]
    height = STEP * (len(bars) + 2)
    drawn = "".join(box for number, (label, values) in enumerate(bars) for box in _bar(number, label, values))
    legend = "".join(
        f'<rect x="{LEFT + 120 * at}" y="{height - STEP + 8}" width="12" height="12" fill="{COLOURS[at % len(COLOURS)]}"/>'
        f'<text x="{LEFT + 120 * at + 16}" y="{height - STEP + 18}">{escape(part.name)}</text>\n'
        for at, part in enumerate(parts)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 10}" height="{height}" font-family="monospace" '
        f'font-size="11">\n<rect width="100%" height="100%" fill="#ffffff"/>\n<text x="10" y="20" font-size="14">'
        f"{escape(f'{one.payload} {one.metric}')} beside {escape(published.title)}</text>\n"
        f'<text x="10" y="38" fill="#555555">shares of the software; {escape(published.source)}</text>\n{drawn}{legend}</svg>\n'
    )


def _bar(number: int, label: str, values: Sequence[float]) -> Iterator[str]:
    x, y, whole = float(LEFT), STEP * (number + 1), sum(values) or 1.0
    yield f'<text x="10" y="{y + BAR // 2 + 4}">{escape(label)}</text>\n'
    for at, value in enumerate(values):
        width = WIDTH * value / whole
        yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{COLOURS[at % len(COLOURS)]}"/>'
        yield f'<text x="{x + 3:.1f}" y="{y + BAR // 2 + 4}">{_share(value, whole) if width > BAR else ""}</text>\n'
        x += width


def _parts(one: Explanation, published: Published) -> list[Part]:
    """The published ones, then one for the layers that none of them has."""
    matched = {layer for part in published.parts for layer in part.layers}
    rest = tuple(dict.fromkeys(layer.name for layer in _all(one) if layer.name not in matched))
    return [*published.parts, *([Part(ALONE, 0.0, rest)] if rest else [])]


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
