"""What others published of an operation that a payload does too: shown beside ours, never merged with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A line of a published table."""

    name: str
    value: float
    layers: tuple[str, ...] = ()
    """Our layers that do what this part does; none: hardware, which executes no instructions of the kernel."""


@dataclass(frozen=True)
class Published:
    """A published table of one operation by parts."""

    row: str
    """Ours that it stands beside."""
    title: str
    source: str
    unit: str
    parts: tuple[Part, ...]

    @property
    def software(self) -> float:
        """What the parts that are software add up to."""
        return sum(part.value for part in self.parts if part.layers)
