"""What this host can do: programs, devices, permissions, disk, and the accelerator that really works."""

from __future__ import annotations

import importlib
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lab.cache import Cache
from lab.deadline import Deadline
from lab.errors import HostError
from lab.events import silent
from lab.guest.network import tap_refusal
from lab.model.machine import Accel
from lab.proc import CommandError, contained, run, spawn

if TYPE_CHECKING:
    from lab.campaign.session import Lab
    from lab.report.terminal import Terminal

ROOMS = (
    "lab.cbuild",
    "lab.guest.accel",
    "lab.guest.attach",
    "lab.guest.boot",
    "lab.guest.holder",
    "lab.guest.hub",
    "lab.guest.image",
    "lab.guest.kept",
    "lab.guest.launch",
    "lab.guest.network",
    "lab.guest.owner",
    "lab.guest.paste",
    "lab.guest.qemu",
    "lab.guest.rootfs",
    "lab.guest.ssh",
    "lab.guest.tail",
    "lab.guest.watch",
    "lab.kernel.build",
    "lab.kernel.debuginfo",
    "lab.kernel.git",
    "lab.kernel.patchcheck",
    "lab.kernel.selftests",
    "lab.kernel.source",
    "lab.kernel.symbols",
    "lab.measure.payload",
    "lab.proc",
)
"""Every module that calls programs of the host, each with its NEEDS: program or absolute path -> Debian package."""

SUPPORTED = ("12", "13")
FIRST_RUN_GB = 10.0
"""Source, two build slots and the cache of a first run."""
QEMU_RANGE = ((7, 2), (11, 0))
VERSION_WORDS = {"ip": ("-V",), "mksquashfs": ("-version",), "ssh": ("-V",), "bc": ("--version",)}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `remedy` is empty when there is nothing to do."""

    what: str
    found: str
    ok: bool
    remedy: str = ""


@dataclass(frozen=True)
class Distribution:
    """What /etc/os-release says; `packages`: whether the lab knows this one's package names."""

    name: str
    packages: bool


def examine(lab: Lab, terminal: Terminal, *, install: bool = False) -> int:
    """The doctor verb: prints every check, installs what is missing where that is allowed; exit code. Raises HostError."""
    needs = collect_needs()
    checks = _shown(needs, lab, terminal)
    if missing := missing_programs(needs):
        provide(missing, needs, option=install)
        checks = _shown(needs, lab, terminal)
    return 0 if all(one.ok for one in checks) else HostError.code


def _shown(needs: Mapping[str, str], lab: Lab, terminal: Terminal) -> tuple[Check, ...]:
    checks = check(needs, lab.cache, _accel(lab))
    terminal.print_tables(
        [("", ("what", "found", "", "remedy"), [(c.what, c.found, "ok" if c.ok else "NO", c.remedy) for c in checks])]
    )
    return checks


def ensure(*, option: bool = False) -> None:
    """Before the first verb that works: quick when nothing is missing. Raises HostError with the one command, or runs it."""
    needs = collect_needs()
    if missing := missing_programs(needs):
        provide(missing, needs, option=option)


def collect_needs(rooms: Iterable[str] = ROOMS) -> dict[str, str]:
    """The union of what the rooms call."""
    union: dict[str, str] = {}
    for room in rooms:
        union |= importlib.import_module(room).NEEDS
    return dict(sorted(union.items()))


def missing_programs(needs: Mapping[str, str]) -> list[str]:
    """Programs and paths that are not there."""
    return [name for name in needs if not _where(name)]


def missing_packages(needs: Mapping[str, str]) -> list[str]:
    """The Debian packages that would bring what is not there, each once."""
    return sorted({needs[name] for name in missing_programs(needs) if needs[name]})


def provide(missing: Sequence[str], needs: Mapping[str, str], *, option: bool, here: Distribution | None = None) -> None:
    """Install what is missing where that is allowed. Raises HostError with the command, or off Debian with the programs."""
    packages = missing_packages(needs)
    here = here or distribution()
    if not here.packages or not packages:
        names = ", ".join(missing)
        raise HostError(
            f"missing on this host ({here.name}): {names}",
            hint="install these programs; package names are known for Debian 12 and 13",
        )
    install(packages, consent(packages, option=option, stdin=sys.stdin, stderr=sys.stderr))
    if still := missing_programs(needs):
        raise HostError(f"still missing after `{apt_line(packages)}`: {', '.join(still)}", hint="./inv doctor")


def consent(packages: Sequence[str], *, option: bool, stdin: IO[str], stderr: IO[str], root: bool | None = None) -> str:
    """Why the packages may be installed: root, --install, LAB_INSTALL=1 or a yes on a terminal; empty: they may not."""
    if os.geteuid() == 0 if root is None else root:
        return "root"
    if option:
        return "--install"
    if os.environ.get("LAB_INSTALL") == "1":
        return "LAB_INSTALL=1"
    if not (stdin.isatty() and stderr.isatty()):
        return ""
    stderr.write(f"missing: {' '.join(packages)}; run `{apt_line(packages)}`? [y/N] ")
    stderr.flush()
    return "yes" if stdin.readline().strip().lower() in ("y", "yes") else ""


def apt_line(packages: Sequence[str]) -> str:
    """The one command, ready to paste; the same words as ./inv prints for python3-venv."""
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    return shlex.join([*sudo, "apt-get", "install", "-y", "--no-install-recommends", *packages])


def install(packages: Sequence[str], how: str) -> None:
    """Run the one command, its output on stderr. Raises HostError carrying it when `how` is empty or it fails."""
    line = apt_line(packages)
    if how and line.startswith("sudo ") and not shutil.which("sudo"):
        raise HostError("cannot install packages: not root, and there is no sudo", hint=f"as root: {line.removeprefix('sudo ')}")
    if not how:
        raise HostError(f"missing packages: {' '.join(packages)}", hint=f"{line}   (or LAB_INSTALL=1, or ./inv doctor --install)")
    sys.stderr.write(f"running ({how}): {line}\n")
    words = shlex.split(line)
    update = [*words[: words.index("apt-get") + 1], "update", "-q"]
    for argv in (update, words):
        # not killed with us: dpkg must not be cut in the middle; same session: sudo asks on the terminal
        process = spawn(
            argv, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, stdin=0, stdout=2, stderr=2,
            die_with_parent=False, new_session=False,
        )  # fmt: skip
        if process.wait() != 0:
            raise HostError(f"`{shlex.join(argv)}` failed with exit status {process.returncode}", hint="its output is above")


def check(needs: Mapping[str, str], cache: Cache, accel: Accel | None) -> tuple[Check, ...]:
    """Everything there is to say about this host, programs first."""
    here = distribution()
    programs = [_program(name, package, here) for name, package in sorted(needs.items())]
    return (*programs, _python(), _distribution(here), _kvm(), _taps(), _namespaces(), _disk(cache), _accelerator(accel))


def distribution(text: str | None = None) -> Distribution:
    """What /etc/os-release (or its `text`) says this host is."""
    if text is None:
        text = next((path.read_text(encoding="utf-8") for path in (Path("/etc/os-release"),) if path.is_file()), "")
    facts = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE))
    name = facts.get("PRETTY_NAME", "unknown distribution")
    return Distribution(name, facts.get("ID") == "debian" and facts.get("VERSION_ID") in SUPPORTED)


def _accel(lab: Lab) -> Accel | None:
    from lab.guest.accel import prove  # noqa: PLC0415  # QEMU itself may be what is missing

    try:
        return prove(lab.cache, bzimage=None, image=None, forced="", emit=silent)
    except HostError:
        return None


def _where(name: str) -> str | None:
    if name.startswith("/"):
        return name if Path(name).exists() else None
    return shutil.which(name)


def _program(name: str, package: str, here: Distribution) -> Check:
    if not (path := _where(name)):
        if not package:
            return Check(name, "not there", False, "rm -r .venv; ./inv")
        return Check(name, "not there", False, f"package {package}" if here.packages else f"install {name}")
    version = path if name.startswith("/") else _version(path, VERSION_WORDS.get(name, ("--version",)))
    if name.startswith("qemu-system-") and not _supported_qemu(version):
        return Check(name, version, False, "QEMU 7.2 to 10")
    return Check(name, version, True)


def _version(path: str, words: Sequence[str]) -> str:
    """The first line with a digit that the program says of itself, else where it is."""
    try:
        done = run([path, *words], deadline=Deadline.after(10), check=False)
    except CommandError:
        return path
    lines = (done.stdout + done.stderr).splitlines() if done.status == 0 else []
    return next((line.strip()[:60] for line in lines if re.search(r"\d", line)), path)


def _supported_qemu(version: str) -> bool:
    found = re.search(r"version (\d+)\.(\d+)", version)
    low, high = QEMU_RANGE
    return found is not None and low <= (int(found[1]), int(found[2])) < high


def _python() -> Check:
    ok = sys.version_info >= (3, 11)
    return Check("Python", platform.python_version(), ok, "" if ok else "Python 3.11 or newer")


def _distribution(here: Distribution) -> Check:
    return Check("distribution", here.name, True, "" if here.packages else "packages are named for Debian 12 and 13 only")


def _kvm() -> Check:
    """No must: without KVM there is exact mode."""
    use = "opens, which proves nothing: see accelerator" if _opens("/dev/kvm") else "does not open; not needed for exact mode"
    return Check("/dev/kvm", use, True)


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _taps() -> Check:
    """No must either; tried, since neither a device that opens nor a user's rights tell."""
    try:
        refusal = tap_refusal()
    except HostError as error:
        refusal = error.message
    if not refusal:
        return Check("taps", "a tap of two queues was made", True)
    return Check("taps", refusal[:100], True, "root, or user namespaces: guests with several queues have one each until then")


def _namespaces() -> Check:
    ok = shutil.which("unshare") is not None and contained() != ()
    remedy = "" if ok else "run as root, or: sysctl kernel.unprivileged_userns_clone=1"
    return Check("PID namespaces", "can be made" if ok else "cannot be made: a killed lab would leave make running", ok, remedy)


def _disk(cache: Cache) -> Check:
    there = next(path for path in (cache.root, *cache.root.parents) if path.is_dir())
    free = shutil.disk_usage(there).free / 1e9
    ok = free >= FIRST_RUN_GB or (cache.root.is_dir() and free >= FIRST_RUN_GB / 2)
    return Check("free disk", f"{free:.1f} GB under {there}", ok, "" if ok else "./inv clean, or another XDG_CACHE_HOME")


def _accelerator(accel: Accel | None) -> Check:
    if accel is None:
        return Check("accelerator", "not known: QEMU does not start", False, "install QEMU")
    return Check("accelerator", f"{accel.name} ({accel.evidence})", True)
