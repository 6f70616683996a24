"""What is built: source, series, tree, kconfig, build."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class SourceSpec:
    """`[source]` of lab.toml, or what --kernel / --git stands for.

    kind debian: `package`, `version`, `sha256` (of the .deb). tarball: `location` (URL or path), `sha256`.
    git: `location` (a repository, never written to), `ref`.
    """

    kind: Literal["debian", "tarball", "git"]
    package: str = ""
    version: str = ""
    location: str = ""
    ref: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Source:
    """A git repository with the base commit that series are applied to."""

    repository: Path
    commit: str
    tree: str
    release: str
    """What the source calls itself, e.g. 6.12.117."""
    label: str = ""
    """Loud text when this is not the pinned source; part of every result's environment."""


@dataclass(frozen=True)
class Patch:
    """One patch file of a series."""

    name: str
    """File name, or `<mbox>#<n>`."""
    subject: str
    text: str
    """The patch in mail form, as `git am` takes it."""
    files: tuple[str, ...]


@dataclass(frozen=True)
class Series:
    """An ordered directory of patches with what series.toml says of it."""

    name: str
    directory: Path
    patches: tuple[Patch, ...]
    requires: tuple[str, ...] = ()
    """Names of series that must be applied before; their result is this series' baseline."""
    kconfigs: tuple[str, ...] = ()
    payloads: tuple[str, ...] = ()
    summary: str = ""
    options: tuple[str, ...] = ()
    """CONFIG_X=y lines set on the patched side only."""
    selftests: tuple[str, ...] = ()
    """TARGET or TARGET:TEST words: what `kselftest own` runs."""
    kunit: tuple[str, ...] = ()
    """CONFIG_X=y lines of its KUnit suites, set on the patched side by `kunit`."""
    ref: str = ""
    """For a git range: the repository's tip commit; the patches then come from `git format-patch`."""


@dataclass(frozen=True)
class Tree:
    """Source with patches applied as commits of fixed committer and date: same input, same tree id."""

    repository: Path
    commit: str
    id: str
    """The git tree object's id."""
    applied: tuple[str, ...]
    """`<series>/<patch name>` in order."""
    labels: tuple[str, ...] = ()
    """Loud texts: reduced context used, already applied, unpinned source."""


@dataclass(frozen=True)
class Kconfig:
    """Fragments merged over allnoconfig, in order, plus single options from the command line."""

    name: str
    fragments: tuple[Path, ...]
    sets: tuple[str, ...] = ()
    """`CONFIG_X=y` lines of --set and of the series."""


@dataclass(frozen=True)
class Build:
    """A kernel that was built: everything later stages need, in one directory of the cache."""

    key: str
    directory: Path
    """Holds bzImage, vmlinux, System.map, config, make.log, build.json."""
    release: str
    tree: str
    """Tree id it was built from."""
    kconfig: str
    kconfig_hash: str
    """SHA-256 of the resolved .config."""
    toolchain: tuple[str, ...]
    """First version lines of cc, ld, pahole."""
    warnings: tuple[str, ...] = ()
    objects: int = 0
    """Objects compiled when it was made."""
    seconds: float = 0.0
    applied: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    reused: bool = field(default=False, compare=False)
    """Whether this run found it in the cache; no make ran then."""

    @property
    def bzimage(self) -> Path:
        """The bootable image."""
        return self.directory / "bzImage"

    @property
    def vmlinux(self) -> Path:
        """The ELF file with symbols and DWARF."""
        return self.directory / "vmlinux"

    @property
    def system_map(self) -> Path:
        """Link-time addresses; run-time ones too, since guests boot with nokaslr."""
        return self.directory / "System.map"

    @property
    def config(self) -> Path:
        """The resolved .config."""
        return self.directory / "config"

    @property
    def modules(self) -> Path:
        """A flat directory of the *.ko files of a kconfig with modules; absent otherwise."""
        return self.directory / "modules"
