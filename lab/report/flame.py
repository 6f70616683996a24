"""Folded stacks and flame graphs: who called whom, as wide as what was executed there; gained is red, lost is blue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from lab.model.profile import Stacks

WIDTH, ROW, PAD, LETTER = 1600.0, 17, 10, 6.6
NARROWEST = 0.5
"""Pixels below which a box is not drawn; what it holds is in the box under it."""
LEAST = 0.5
"""Instructions per operation below which a change has no colour."""
SATURATED = 0.25
"""Change, relative to the box, at which its colour is full."""


def folded_text(stacks: Stacks) -> str:
    """`context;outermost;...;innermost count`, a line a stack, sorted: what flamegraph.pl and speedscope read."""
    return "".join(f"{';'.join(name.replace(';', ':') for name in path)} {count}\n" for path, count in sorted(stacks.items()))


@dataclass
class _Box:
    """A function on one path: instructions per operation below and in it, on both sides."""

    name: str
    base: float = 0.0
    patched: float = 0.0
    callees: dict[str, _Box] = field(default_factory=dict)

    @property
    def width(self) -> float:
        """The mean of both sides, so that what only one side has is seen too."""
        return (self.base + self.patched) / 2

    @property
    def delta(self) -> float:
        return self.patched - self.base


def flame_svg(title: str, base: Stacks, patched: Stacks, operations: tuple[int, int]) -> str:
    """A differential flame graph as one SVG file without scripts; a box says its numbers when pointed at."""
    root = _Box("all")
    for stacks, laps, first in ((base, operations[0], True), (patched, operations[1], False)):
        for path, count in stacks.items():
            _add(root, path, count / laps, first=first)
    scale = WIDTH / (root.width or 1.0)
    depth = _depth(root, scale)
    height = (depth + 1) * ROW + 4 * PAD + ROW
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 2 * PAD:g}" height="{height}" '
        f'viewBox="0 0 {WIDTH + 2 * PAD:g} {height}" font-family="monospace" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text x="{PAD}" y="{2 * PAD}" font-size="14">{escape(title)}</text>\n'
        f'<text x="{PAD}" y="{2 * PAD + ROW}" fill="#555555">instructions per operation: '
        f"{root.base:,.2f} and {root.patched:,.2f} "
        f"({root.delta:+,.2f}); red gained, blue lost</text>\n"
    )
    boxes = "".join(_draw(root, float(PAD), height - PAD - ROW, scale))
    return f"{head}{boxes}</svg>\n"


def _add(box: _Box, path: tuple[str, ...], cost: float, *, first: bool) -> None:
    for name in ("", *path):
        box = box.callees.setdefault(name, _Box(name)) if name else box
        if first:
            box.base += cost
        else:
            box.patched += cost


def _depth(box: _Box, scale: float) -> int:
    return 1 + max((_depth(one, scale) for one in box.callees.values() if one.width * scale >= NARROWEST), default=0)


def _draw(box: _Box, x: float, y: float, scale: float) -> Iterator[str]:
    width = box.width * scale
    if width < NARROWEST:
        return
    said = f"{box.name}: {box.base:,.2f} and {box.patched:,.2f} ({box.delta:+,.3f})"
    letters = int((width - 4) / LETTER)
    label = box.name if len(box.name) <= letters else f"{box.name[: letters - 2]}.." if letters > 3 else ""
    yield f'<g><title>{escape(said)}</title><rect x="{x:.2f}" y="{y:g}" width="{width:.2f}" height="{ROW - 1}" '
    yield f'fill="{_colour(box)}" rx="1"/>'
    yield (f'<text x="{x + 3:.2f}" y="{y + ROW - 5:g}">{escape(label)}</text>' if label else "") + "</g>\n"
    for callee in sorted(box.callees.values(), key=lambda one: one.name):
        yield from _draw(callee, x, y - ROW, scale)
        x += callee.width * scale


def _colour(box: _Box) -> str:
    """Grey: the same to a thousandth, itself and with all it calls; else from pale to full red or blue."""
    own = box.width - sum(callee.width for callee in box.callees.values())
    gained = box.delta - sum(callee.delta for callee in box.callees.values())
    shares = [delta / width for delta, width in ((box.delta, box.width), (gained, own)) if width > LEAST]
    share = max(shares, key=abs, default=0.0)
    if abs(share) < 0.001:
        return "#e4e0d8"
    pale = round(225 * (1 - min(abs(share) / SATURATED, 1.0)))
    return f"#ff{pale:02x}{pale:02x}" if share > 0 else f"#{pale:02x}{pale:02x}ff"
