"""Names and layers of executed code: whose instructions they were."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from lab.formats.profile import Profile
from lab.model.profile import Function
from lab.toml import read_toml, strict_keys

MAP = Path(__file__).with_name("layers.toml")
USER, MODULE, OTHER, UNKNOWN = "user", "module", "other", "[unknown]"
ANOTHER = "[another program]"
KERNEL_HALF = 1 << 63


@strict_keys
@dataclass(frozen=True)
class Layer:
    """One `[[layer]]`: glob patterns of function names and source files."""

    name: str
    functions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def holds(self, name: str, source: str) -> bool:
        """Whether a function of that name from that file belongs here."""
        return any(fnmatchcase(name, one) for one in self.functions) or any(fnmatchcase(source, one) for one in self.sources)


@strict_keys
@dataclass(frozen=True)
class Layers:
    """layers.toml."""

    layer: tuple[Layer, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every layer there can be, user code first."""
        return (USER, *dict.fromkeys(layer.name for layer in self.layer), MODULE, OTHER, UNKNOWN)

    def of(self, name: str, source: str) -> str:
        """The layer of a kernel function; `source` may be empty."""
        return next((layer.name for layer in self.layer if layer.holds(name, source)), MODULE if name.endswith("]") else OTHER)


class Known(NamedTuple):
    """What is known of a function of a profile."""

    name: str
    layer: str
    source: str = ""


def read_layers(path: Path = MAP) -> Layers:
    """The map of layers. Raises UsageError."""
    return read_toml(path, Layers)


def parse_functions(text: str) -> tuple[Function, ...]:
    """What cost_instrument() wrote for the plugin: first address, end, name."""
    lines = (line.split(" ", 2) for line in text.splitlines())
    return tuple(Function(int(first, 16), int(end, 16), name) for first, end, name in lines)


def placed(address: int, functions: Sequence[Function]) -> Function | None:
    """The function, of ascending ones, that holds an address."""
    at = bisect.bisect_right(functions, address, key=lambda function: function.first) - 1
    return functions[at] if at >= 0 and address < functions[at].end else None


def know(
    profile: Profile, functions: Sequence[Function], late: Sequence[Function], sources: Mapping[int, str], layers: Layers
) -> dict[int, Known]:
    """Function number -> what it is. `late`: modules and BPF; `sources`: address -> file. The nameless is UNKNOWN, never lost.

    Static functions that share a name get their file behind it.
    """
    found: dict[int, Known] = {}
    for number, address in profile.addresses.items():
        if address is None:
            found[number] = Known(ANOTHER, USER)
            continue
        function = placed(address, functions) or placed(address, late)
        if function is None:
            found[number] = Known(UNKNOWN, USER if address < KERNEL_HALF else UNKNOWN)
        elif address < KERNEL_HALF:
            found[number] = Known(function.name, USER)
        else:
            source = sources.get(address, "")
            found[number] = Known(function.name, layers.of(function.name, source), source)
    shared = _shared(functions)
    return {
        number: one._replace(name=f"{one.name} ({one.source or hex(profile.addresses[number] or 0)})")
        if one.name in shared
        else one
        for number, one in found.items()
    }


def _shared(functions: Sequence[Function]) -> frozenset[str]:
    """Names that several functions of the kernel have."""
    counts = Counter(function.name for function in functions if function.first >= KERNEL_HALF)
    return frozenset(name for name, count in counts.items() if count > 1)
