""".config files and the lab's fragments of them: text in, value out.

Format of .config: Documentation/kbuild/kconfig.rst. A fragment adds three kinds of comment that mean something:
`#CHECK# CONFIG_X=v` (assert without setting), `#INCLUDE# name` (another fragment first), `#BASE# target` (the make target below).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

OPTION = re.compile(r'^CONFIG_([A-Za-z0-9_]+)=([ymn]|-?\d+|0[xX][0-9a-fA-F]+|"(?:[^"\\]|\\.)*")$')
UNSET = re.compile(r"^# CONFIG_([A-Za-z0-9_]+) is not set$")
DIRECTIVE = re.compile(r"^#\s*(CHECK|INCLUDE|BASE)\s*#\s*(.*\S)\s*$")
BASES = ("allnoconfig", "alldefconfig", "x86_64_defconfig")
"""make targets that a fragment may be laid over; all of them honour KCONFIG_ALLCONFIG or are merged by olddefconfig."""


class DotconfigError(ValueError):
    """A line that is no option, or two lines that contradict each other."""


@dataclass(frozen=True)
class Fragment:
    """What a fragment, or several merged, asks for; symbols without CONFIG_, `n` for "is not set"."""

    requests: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    includes: tuple[str, ...] = ()
    base: str = ""

    @property
    def wanted(self) -> dict[str, str]:
        """Everything the resolved .config must show."""
        return {**self.checks, **self.requests}

    def text(self) -> str:
        """The requests as a file for KCONFIG_ALLCONFIG, sorted."""
        return "".join(f"{line_of(symbol, value)}\n" for symbol, value in sorted(self.requests.items()))


@dataclass(frozen=True)
class Lost:
    """An option that did not come out as asked."""

    symbol: str
    wanted: str
    got: str
    """`n` when it is not set or unknown to the tree."""


def parse_dotconfig(text: str) -> dict[str, str]:
    """A resolved .config: symbol -> value, strings with their quotes, `n` for "is not set"."""
    values = {}
    for line in text.splitlines():
        if match := UNSET.match(line):
            values[match[1]] = "n"
        elif line.startswith("CONFIG_"):
            symbol, _, value = line.removeprefix("CONFIG_").partition("=")
            values[symbol] = value
    return values


def parse_option(line: str) -> tuple[str, str]:
    """One `CONFIG_X=v` or `# CONFIG_X is not set`. Raises DotconfigError."""
    if match := UNSET.match(line.strip()):
        return match[1], "n"
    if match := OPTION.match(line.strip()):
        return match[1], match[2]
    raise DotconfigError(f'`{line.strip()}` is no option: write CONFIG_X=y, =m, =n, =<number> or ="text"')


def parse_fragment(text: str, origin: str) -> Fragment:
    """A fragment; `origin` names it in errors. Raises DotconfigError with the line number."""
    requests: dict[str, str] = {}
    checks: dict[str, str] = {}
    includes, base = [], ""
    for number, line in enumerate(text.splitlines(), 1):
        match = DIRECTIVE.match(line)
        try:
            if match and match[1] == "CHECK":
                _add(checks, *parse_option(match[2]))
            elif match and match[1] == "INCLUDE":
                includes.append(match[2])
            elif match:
                base = _base(match[2])
            elif UNSET.match(line) or not re.match(r"\s*(#|$)", line):
                _add(requests, *parse_option(line))
        except DotconfigError as error:
            raise DotconfigError(f"{origin}:{number}: {error}") from error
    if both := sorted(symbol for symbol in requests.keys() & checks.keys() if requests[symbol] != checks[symbol]):
        raise DotconfigError(f"{origin}: CONFIG_{both[0]} is set to one value and checked for another")
    return Fragment(requests, checks, tuple(includes), base)


def _base(name: str) -> str:
    if name not in BASES:
        raise DotconfigError(f"unknown base `{name}`; allowed: {', '.join(BASES)}")
    return name


def _add(values: dict[str, str], symbol: str, value: str) -> None:
    if values.get(symbol, value) != value:
        raise DotconfigError(f"CONFIG_{symbol}={value} contradicts an earlier line, CONFIG_{symbol}={values[symbol]}")
    values[symbol] = value


def merge(fragments: Iterable[Fragment]) -> Fragment:
    """Fragments laid over each other: a later line replaces an earlier one and what was checked of the same symbol."""
    requests: dict[str, str] = {}
    checks: dict[str, str] = {}
    base = ""
    for one in fragments:
        for symbol, value in one.requests.items():
            requests[symbol] = value
            checks.pop(symbol, None)
        for symbol, value in one.checks.items():
            requests.pop(symbol, None)
            checks[symbol] = value
        base = one.base or base
    return Fragment(requests, checks, (), base or BASES[0])


def lost(fragment: Fragment, resolved: Mapping[str, str]) -> tuple[Lost, ...]:
    """Every request and check that the resolved .config does not show."""
    return tuple(
        Lost(symbol, value, resolved.get(symbol, "n"))
        for symbol, value in sorted(fragment.wanted.items())
        if not _same(value, resolved.get(symbol, "n"))
    )


def _same(wanted: str, got: str) -> bool:
    if wanted == got:
        return True
    try:
        return int(wanted, 0) == int(got, 0)
    except ValueError:
        return False


def delta(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Lines of `after` that differ from `before`, sorted."""
    changed = sorted(symbol for symbol in before.keys() | after.keys() if before.get(symbol, "n") != after.get(symbol, "n"))
    return tuple(line_of(symbol, after.get(symbol, "n")) for symbol in changed)


def line_of(symbol: str, value: str) -> str:
    """An option as .config writes it."""
    return f"# CONFIG_{symbol} is not set" if value == "n" else f"CONFIG_{symbol}={value}"
