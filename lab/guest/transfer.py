"""Files into a guest and out of it: tar streams over its SSH connection, spooled on the host's disk and not in memory."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from posixpath import dirname, join, normpath
from shlex import quote
from typing import IO

from lab.deadline import Deadline
from lab.errors import GuestError, UsageError
from lab.guest.ssh import SshShell, owned_by_root
from lab.proc import decode


def named(text: str) -> tuple[str, ...]:
    """The names in a list separated by commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def check_sources(names: Sequence[str]) -> tuple[Path, ...]:
    """Files and directories of the host that can be sent, absolute. Raises UsageError: not there, or of one name."""
    found = tuple(Path(name).expanduser().resolve() for name in names)
    for name, path in zip(names, found, strict=True):
        if not path.is_file() and not path.is_dir():
            raise UsageError(f"--push {name}: {path} is no file and no directory")
        if not path.name or [other.name for other in found].count(path.name) > 1:
            raise UsageError(f"--push {name}: a second {path.name!r} would overwrite the first in the guest")
    return found


def check_wanted(names: Sequence[str]) -> tuple[str, ...]:
    """Paths of the guest that have a name of their own to be kept under. Raises UsageError."""
    for name in names:
        if PurePosixPath(name).name in ("", ".."):
            raise UsageError(f"--pull {name}: that is no name of a file or directory")
    return tuple(names)


def send(shell: SshShell, sources: Sequence[Path], *, deadline: Deadline) -> None:
    """Copy files and directories into the guest's working directory, each under its own name. Raises GuestError, LostGuest."""
    with tempfile.TemporaryFile() as spool:
        with tarfile.open(fileobj=spool, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for source in sources:
                tar.add(source, arcname=source.name, filter=owned_by_root)
        spool.seek(0)
        status, _, errors = _stream(shell, "tar x -f -", deadline, spool, io.BytesIO())
    if status != 0:
        names = ", ".join(str(source) for source in sources)
        raise GuestError(f"cannot copy {names} to the guest: {errors}")


def fetch(shell: SshShell, path: str, into: Path, *, deadline: Deadline) -> Path:
    """Copy a file or directory of the guest into a directory of the host, under its own name; returns the copy.

    A file is read to its end whatever size it claims, as those in /proc and /sys need. Raises GuestError, LostGuest.
    """
    name = PurePosixPath(path).name
    status, said, errors = _stream(shell, f"stat -L -c '%a %F' -- {quote(path)}", deadline, io.BytesIO(), io.BytesIO())
    if status != 0:
        raise GuestError(f"cannot read {path} on the guest: {errors}")
    mode, _, kind = decode(said).strip().partition(" ")
    with tempfile.TemporaryFile(dir=into) as spool:
        if kind == "directory":
            _copied(
                shell, f"cd {quote(str(PurePosixPath(path).parent))} && tar c -f - {quote('./' + name)}", path, deadline, spool
            )
            _unpack(spool, into, name)
        else:
            _copied(shell, f"cat -- {quote(path)}", path, deadline, spool)
            _keep(spool, into / name, int(mode, 8))
    return into / name


def _copied(shell: SshShell, command: str, path: str, deadline: Deadline, spool: IO[bytes]) -> None:
    status, _, errors = _stream(shell, command, deadline, io.BytesIO(), spool)
    if status != 0:
        raise GuestError(f"cannot read {path} on the guest: {errors}")
    spool.seek(0)


def _stream(shell: SshShell, command: str, deadline: Deadline, stdin: IO[bytes], stdout: IO[bytes]) -> tuple[int, bytes, str]:
    errors = io.BytesIO()
    status = shell.stream(command, deadline=deadline, read_stdin=stdin.read, write_stdout=stdout.write, write_stderr=errors.write)
    said = stdout.getvalue() if isinstance(stdout, io.BytesIO) else b""
    return status, said, decode(errors.getvalue()).strip()


def _keep(spool: IO[bytes], target: Path, mode: int) -> None:
    aside = target.with_name(f".{target.name}.aside")
    with aside.open("wb") as sink:
        while data := spool.read(1 << 20):
            sink.write(data)
    aside.chmod(mode & 0o777 | 0o600)
    aside.replace(target)


def _unpack(spool: IO[bytes], into: Path, name: str) -> None:
    """Write what is below `name` and nothing else; links last, so that none leads a file astray. Raises GuestError."""
    with tarfile.open(fileobj=spool, mode="r:") as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)  # Debian 12's Python may have none
        members = sorted(tar.getmembers(), key=lambda member: member.islnk() or member.issym())
        for member in members:
            if strays(member, name):
                raise GuestError(f"the guest's {member.name} leads out of {name}; it is not copied")
            if member.isfile() or member.isdir() or member.islnk() or member.issym():
                tar.extract(member, into, numeric_owner=True)


def strays(member: tarfile.TarInfo, name: str) -> bool:
    """Whether a member of an archive, or what it links to, lies elsewhere than below `name`."""
    places = [member.name]
    if member.islnk():
        places.append(member.linkname)
    if member.issym():
        places.append(join(dirname(member.name), member.linkname))
    return any(PurePosixPath(normpath(place)).parts[:1] != (name,) for place in places)
