"""Which Debian packages apt would install on an empty machine, by the host's own lists and settings; the network is not asked."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from lab.cache import Cache, digest
from lab.deadline import Deadline
from lab.errors import HostError
from lab.model.wire import read_json, write_json
from lab.proc import CommandError, need, run

WHY = "make an image of Debian packages"
ASK_S = 120.0
UPDATE_S = 600.0
EMPTY_MACHINE = (
    "Dir::State::status=/dev/null",
    "Dir::Cache::archives=/nonexistent",  # what apt has downloaded already counts too
    "pkgCacheGen::ForceEssential=,",  # apt counts itself among the essential packages
    "APT::Architecture=amd64",
    "APT::Architectures=amd64",
    "APT::Install-Recommends=0",
    "Acquire::ForceHash=sha256",
    "Debug::NoLocking=1",
)
PLACES = {
    "LISTS": "Dir::State::lists/d",
    "ETC": "Dir::Etc/d",
    "LIST": "Dir::Etc::sourcelist/f",
    "PARTS": "Dir::Etc::sourceparts/d",
}
FILES = {"netrc": "auth.conf", "netrcparts": "auth.conf.d/", "preferences": "preferences", "preferencesparts": "preferences.d/"}
"""apt.conf(5)'s names of files that decide whether and what may be downloaded, below /etc/apt."""
URI = re.compile(r"^'[^']*' ([^_\s]+)_([^_\s]+)_[a-z0-9]+\.deb (\d+) SHA256:([0-9a-f]{64})$")
"""A line of `apt-get --print-uris`: 'URI' file size hash (apt-get(8)); the colon of an epoch is written %3a."""
MISSING = re.compile(r"^E: (?:Unable to locate package (\S+)|Package '(\S+)' has no installation candidate)", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """One .deb of the archive."""

    name: str
    version: str
    bytes: int
    sha256: str

    @property
    def pinned(self) -> str:
        """Its name as apt takes it, in just this version."""
        return f"{self.name}={self.version}"


@dataclass(frozen=True)
class Resolution:
    """Everything that is to be installed, sorted by name, and the optional packages the archive does not have."""

    packages: tuple[Package, ...]
    left_out: tuple[str, ...] = ()

    @property
    def megabytes(self) -> float:
        """To download, 10^6 bytes."""
        return sum(package.bytes for package in self.packages) / 1e6


def parse_uris(text: str) -> tuple[Package, ...]:
    """The packages of `apt-get --print-uris`, sorted by name. Raises ValueError for a line about a .deb that does not read."""
    found = []
    for line in text.splitlines():
        if line.startswith("'"):
            match = URI.match(line)
            if match is None:
                raise ValueError(line)
            found.append(Package(match[1], unquote(match[2]), int(match[3]), match[4]))
    return tuple(sorted(found, key=lambda package: package.name))


def resolve(wanted: Sequence[str], optional: Sequence[str], cache: Cache) -> Resolution:
    """The essential packages, `wanted`, those of `optional` that there are, and what they depend on.

    Kept until apt's lists or settings change: asking takes seconds. Raises HostError when apt's lists do not have them.
    """
    key = digest("\n".join(wanted), "\n".join(optional), *EMPTY_MACHINE, _state_of_apt())
    if place := cache.find("packages", key):
        return read_json(place / "resolution.json", Resolution)
    have = _candidates(optional) if optional else set()
    # in mmdebstrap's two steps, which can take another alternative than one step would
    essential = [package.pinned for package in _asked(["?essential"])]
    found = Resolution(_asked([*essential, *wanted, *sorted(have)]), tuple(name for name in optional if name not in have))
    place = cache.get_or_make("packages", key, lambda aside: write_json(aside / "resolution.json", found))
    return read_json(place / "resolution.json", Resolution)


def update() -> None:
    """Refresh apt's lists. Raises HostError where we are not root, CommandError when the archive cannot be reached."""
    if os.geteuid() != 0:
        raise HostError("apt's package lists are missing or old, and only root may refresh them", hint="sudo apt-get update")
    run(["apt-get", "update", "-q"], deadline=Deadline.after(UPDATE_S))


def sources() -> tuple[Path, ...]:
    """The files that say where packages come from: the host's sources.list and sources.list.d. Raises HostError."""
    places = _places()
    parts = Path(places["PARTS"])
    named = sorted(parts.iterdir()) if parts.is_dir() else []
    files = [Path(places["LIST"]), *(path for path in named if path.suffix in (".list", ".sources"))]
    found = tuple(path for path in files if path.is_file() and path.read_text(encoding="utf-8").strip())
    if not found:
        raise HostError(f"{places['LIST']} and {parts} name no source of packages", hint="apt needs one")
    return found


def lists() -> Path:
    """Where apt keeps its package lists."""
    return Path(_places()["LISTS"])


def settings() -> str:
    """The host's settings that downloads need, as apt.conf(5): proxies, checks, credentials, pins."""
    dump = run(["apt-config", "dump"], deadline=Deadline.after(ASK_S)).stdout
    transport = re.findall(r"^Acquire::(?:https?|Check|Allow|Retries|Force|Queue)\S* .*;$", dump, re.MULTILINE)
    etc = _places()["ETC"].rstrip("/")
    files = {
        "netrc": "auth.conf",
        "netrcparts": "auth.conf.d/",
        "preferences": "preferences",
        "preferencesparts": "preferences.d/",
    }
    return "\n".join([*transport, *(f'Dir::Etc::{name} "{etc}/{file}";' for name, file in files.items()), ""])


def _apt(*words: str) -> str:
    options = [word for setting in EMPTY_MACHINE for word in ("-o", setting)]
    return run([need(words[0], WHY), *options, *words[1:]], deadline=Deadline.after(ASK_S)).stdout


def _asked(wanted: Sequence[str]) -> tuple[Package, ...]:
    try:
        return parse_uris(_apt("apt-get", "--print-uris", "--yes", "install", *wanted))
    except CommandError as error:
        names = [one or other for one, other in MISSING.findall(error.output)]
        what = f"the archive has no {', '.join(names)}" if names else f"apt cannot resolve the image's packages:\n{error.message}"
        raise HostError(what, hint="apt-get update, or change the image's recipe") from error
    except ValueError as error:
        raise HostError(f"apt-get --print-uris says what the lab does not understand: {error}") from error


def _candidates(names: Sequence[str]) -> set[str]:
    """Those the archive has; apt-cache is silent about a name it never heard of."""
    said = _apt("apt-cache", "policy", *names)
    return set(re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (?!\(none\))", said, re.MULTILINE))


def _places() -> dict[str, str]:
    words = [word for pair in PLACES.items() for word in pair]
    said = run([need("apt-config", WHY), "shell", *words], deadline=Deadline.after(ASK_S)).stdout
    return dict(re.findall(r"^([A-Z]+)='(.*)'$", said, re.MULTILINE))


def _state_of_apt() -> str:
    """Changes when apt's answer may: name, size and time of every list and of every file of settings."""
    places = _places()
    files = [path for place in ("LISTS", "ETC") for path in sorted(Path(places[place]).rglob("*"))]
    stats = [(path, path.stat()) for path in files if path.is_file() and path.name != "lock"]
    return "\n".join(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats)
