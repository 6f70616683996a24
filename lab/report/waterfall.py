"""A waterfall chart of one row: the value before a series, what each patch adds or takes, the value after; SVG, no scripts."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from lab.model.judgement import Comparison
from lab.model.price import PriceList
from lab.report.bisections import short
from lab.report.prices import steps

ROW, LEFT, WIDTH, PAD = 24, 300, 560.0, 12
GAINED, LOST, WHOLE = "#d9534f", "#4a7bd0", "#7d8590"
ROOM = 1.15
"""How much wider than what changes the axis is, so that labels fit."""


def waterfall_svg(prices: PriceList, row: Comparison) -> str:
    """Bars stand where the value stands; the axis begins near the smallest value, since a change may be a millionth of it."""
    moves = [(f"{patch.k} {short(patch.patch)}", same.base.median, same.patched.median) for patch, same in steps(prices, row)]
    values = [row.base.median, row.patched.median, *(value for _, *pair in moves for value in pair)]
    low, high = min(values), max(values)
    room = (high - low) * (ROOM - 1) or 1.0
    bars = [("before", None, row.base.median), *moves, (f"all {len(prices.patches)} patches", None, row.patched.median)]
    height = (len(bars) + 3) * ROW + 2 * PAD
    scale = WIDTH / (high - low + 2 * room)
    title = f"{prices.series}: {row.payload} {row.metric}, {row.unit}"
    span = f"axis from {low - room:,.6g} to {high + room:,.6g}; red gained, blue lost; kconfig {row.kconfig}, guest {row.guest}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 160 + 2 * PAD:g}" height="{height}" '
        f'font-family="monospace" font-size="12">\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text x="{PAD}" y="{2 * PAD}" font-size="14">{escape(title)}</text>\n'
        f'<text x="{PAD}" y="{2 * PAD + ROW - 6}" fill="#555555">{escape(span)}</text>\n'
    )
    drawn = "".join(_bar(place, bar, low - room, scale) for place, bar in enumerate(bars))
    return f"{head}{drawn}</svg>\n"


def _bar(place: int, bar: tuple[str, float | None, float], origin: float, scale: float) -> str:
    return "".join(_parts(bar, PAD + (place + 2) * ROW, origin, scale))


def _parts(bar: tuple[str, float | None, float], y: float, origin: float, scale: float) -> Iterator[str]:
    """A whole value from the axis on, or the step from one value to the next."""
    name, before, after = bar
    first, last = sorted((origin if before is None else before, after))
    colour = WHOLE if before is None else GAINED if after > before else LOST
    said = f"{after:,.6g}" if before is None else f"{after - before:+,.6g}" if after != before else "0"
    x, width = LEFT + (first - origin) * scale, max((last - first) * scale, 1.0)
    yield f'<text x="{LEFT - 8}" y="{y + ROW - 9:g}" text-anchor="end">{escape(name)}</text>'
    yield f'<rect x="{x:.2f}" y="{y:g}" width="{width:.2f}" height="{ROW - 6}" fill="{colour}">'
    yield f"<title>{escape(f'{name}: {after:,.6g}')}</title></rect>"
    yield f'<text x="{x + width + 4:.2f}" y="{y + ROW - 9:g}">{escape(said)}</text>\n'
