"""Named kconfigs: fragments found, merged and, once resolved, verified option by option."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import KconfigError, UsageError
from lab.formats.dotconfig import (
    DotconfigError,
    Fragment,
    Lost,
    line_of,
    lost,
    merge,
    parse_fragment,
    parse_option,
)
from lab.formats.kconfiglang import Entry, find_entries, unmet
from lab.kernel import git
from lab.model.change import Kconfig
from lab.model.outcome import Finding

SUFFIX = ".config"


def find_kconfig(kconfigs: Path, name: str, sets: Sequence[str] = ()) -> Kconfig:
    """The kconfig `kconfigs/<name>.config` with what it includes, plus single options. Raises UsageError."""
    path = kconfigs / f"{name}{SUFFIX}"
    if not path.is_file() or "/" in name:
        known = list_kconfigs(kconfigs)
        close = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            f"no kconfig `{name}`; there are: {', '.join(known) or 'none'}", hint=f"did you mean {close[0]}?" if close else ""
        )
    kconfig = Kconfig(name, _with_includes(kconfigs, name, ()), tuple(_checked(option) for option in sets))
    requested(kconfig)
    return kconfig


def list_kconfigs(kconfigs: Path) -> tuple[str, ...]:
    """Names of the kconfigs there are."""
    return tuple(sorted(path.stem for path in kconfigs.glob(f"*{SUFFIX}")))


def requested(kconfig: Kconfig) -> Fragment:
    """Everything a kconfig asks for, merged. Raises UsageError."""
    fragments = [_read(path) for path in kconfig.fragments]
    options = dict(parse_option(option) for option in kconfig.sets)
    return merge([*fragments, Fragment(options)])


def verify(kconfig: Kconfig, resolved: Mapping[str, str], repository: Path, commit: str) -> None:
    """Hold every request and check against the resolved .config. Raises KconfigError naming each lost one and why."""
    missing = lost(requested(kconfig), resolved)
    if not missing:
        return
    lines = [line for one in missing for line in _explained(one, resolved, repository, commit)]
    count = f"{len(missing)} option{'s' if len(missing) > 1 else ''}"
    names = " ".join(f"CONFIG_{one.symbol}" for one in missing)
    raise KconfigError(
        "\n".join([f"kconfig {kconfig.name}: {count} did not come out as asked", *lines]),
        hint=f"set what they depend on too, or take them out of {kconfig.fragments[-1]} (or --set)",
        finding=Finding("kconfig", f"kconfig {kconfig.name} lost {names}", f"kconfig:{names}", tuple(lines), fatal=False),
    )


def _explained(one: Lost, resolved: Mapping[str, str], repository: Path, commit: str) -> list[str]:
    lines = [f"  CONFIG_{one.symbol}: asked for {one.wanted}, got {one.got}"]
    places = _places(repository, commit, one.symbol)
    if not places:
        return [*lines, "    no Kconfig file of this tree has such an option"]
    for path, entry in places:
        lines += [
            f"    {path}: depends on {expression}: {', '.join(unmet(expression, resolved)) or 'nothing that can be set'}"
            for expression in entry.depends
        ]
        if not entry.prompt:
            lines.append(f"    {path}: has no prompt here: other options select it")
        if not entry.depends and entry.prompt:
            lines.append(f"    {path}: depends on nothing there: what encloses it, a choice or a range decides")
    return lines


def _places(repository: Path, commit: str, symbol: str) -> list[tuple[str, Entry]]:
    """The Kconfig files of a tree that have an option, and what they say."""
    words = ("grep", "-l", "-E", f"^[[:space:]]*(menu)?config[[:space:]]+{symbol}[[:space:]]*$", commit, "--", "*Kconfig*")
    found = git.ask(repository, *words).stdout.splitlines()
    paths = [line.partition(":")[2] for line in found]
    return [(path, entry) for path in paths for entry in find_entries(git.file_at(repository, commit, path) or "", symbol)]


def _with_includes(kconfigs: Path, name: str, above: tuple[str, ...]) -> tuple[Path, ...]:
    path = kconfigs / f"{name}{SUFFIX}"
    if name in above:
        raise UsageError(f"kconfigs include each other: {' -> '.join([*above, name])}", hint=f"edit #INCLUDE# in {path}")
    if not path.is_file():
        raise UsageError(f"{kconfigs / above[-1]}{SUFFIX} includes `{name}`, which is not there")
    below = [one for include in _read(path).includes for one in _with_includes(kconfigs, include, (*above, name))]
    return tuple(dict.fromkeys([*below, path]))


def _read(path: Path) -> Fragment:
    try:
        return parse_fragment(path.read_text(encoding="utf-8"), str(path))
    except DotconfigError as error:
        raise UsageError(str(error), hint=f"edit {path}") from error


def _checked(option: str) -> str:
    try:
        return line_of(*parse_option(option))
    except DotconfigError as error:
        raise UsageError(f"--set: {error}") from error
