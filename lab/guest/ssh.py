"""The one door to SSH: one connection per guest, one exec per command."""

from __future__ import annotations

import io
import signal
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

import paramiko

from lab.deadline import Deadline
from lab.errors import GuestError, LabError, LostGuest
from lab.model.machine import Image
from lab.model.ports import Completed
from lab.proc import decode

NEEDS: dict[str, str] = {}
USER = "root"
CHUNK = 1 << 16
CIPHERS = ("aes128-ctr",)
"""Cheapest for an emulated CPU; nobody listens on the host's loopback."""
OVERDUE = "did not end in time"
Read = Callable[[int], bytes]
Write = Callable[[bytes], object]
Explain = Callable[[str], LabError]
"""Turns `the connection broke` into what really happened to the guest."""


def lost(what: str) -> LabError:
    """The explanation when nothing more is known."""
    return LostGuest(f"the SSH connection to the guest broke: {what}")


class SshShell:
    """A `Shell` over one SSH connection."""

    def __init__(self, transport: paramiko.Transport, explain: Explain = lost, beat: Callable[[], None] = lambda: None) -> None:
        self._transport = transport
        self._explain = explain
        self._beat = beat

    def run(self, command: str, *, deadline: Deadline, stdin: bytes = b"") -> Completed:
        """Run `command` in the guest's sh. Raises GuestError when it does not end in time, LostGuest when the guest goes away."""
        status, out, errors = self._collect(command, deadline, stdin)
        return Completed(status, decode(out), decode(errors))

    def _collect(self, command: str, deadline: Deadline, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
        out, errors = io.BytesIO(), io.BytesIO()
        status = self.stream(
            command, deadline=deadline, read_stdin=io.BytesIO(stdin).read, write_stdout=out.write, write_stderr=errors.write
        )
        return status, out.getvalue(), errors.getvalue()

    def stream(self, command: str, *, deadline: Deadline, read_stdin: Read, write_stdout: Write, write_stderr: Write) -> int:
        """Run `command` with its three streams connected; its exit status, 128 + n when signal n ended it."""
        shown = command.strip().partition("\n")[0][:100]
        try:
            with self._session(command, deadline) as channel, _closed_at(channel, deadline) as late:
                _pump(lambda: _feed(channel, read_stdin))
                complaints = _pump(lambda: self._drain(channel.recv_stderr, write_stderr))
                self._drain(channel.recv, write_stdout)
                status = channel.recv_exit_status()
                complaints.join()
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._explain(f"{type(error).__name__} {error}".strip()) from error
        if late():
            raise self._explain(f"`{shown}` {OVERDUE}")
        if status >= 0:
            return status
        if not self._transport.is_active():
            raise self._explain(f"`{shown}` ended without an exit status")
        return 128 + signal.SIGKILL  # the shell itself was killed; paramiko does not tell by what

    @contextmanager
    def _session(self, command: str, deadline: Deadline) -> Iterator[paramiko.Channel]:
        channel = self._transport.open_session(timeout=max(1.0, deadline.remaining))
        try:
            # a shell killed by a signal has no exit status for paramiko; its child's is 128 + n
            channel.exec_command(f"{{ {command}\n}}; exit $?")
            yield channel
        finally:
            channel.close()

    def push(self, directory: Path, target: str, *, deadline: Deadline) -> None:
        """Stream the files under a host directory into `target`. Raises GuestError when the guest's tar fails."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            tar.add(directory, arcname=".", filter=owned_by_root)
        done = self.run(f"mkdir -p {quote(target)} && tar x -C {quote(target)}", deadline=deadline, stdin=packed.getvalue())
        if done.status != 0:
            raise GuestError(f"cannot copy {directory} to {target} on the guest: {done.stderr.strip()}")

    def pull(self, path: str, target: Path, *, deadline: Deadline) -> None:
        """Copy one file of the guest to the host. Raises GuestError when it cannot be read."""
        status, data, errors = self._collect(f"cat {quote(path)}", deadline)
        if status != 0:
            raise GuestError(f"cannot read {path} on the guest: {decode(errors).strip()}")
        target.write_bytes(data)

    def _drain(self, receive: Read, write: Write) -> None:
        while data := receive(CHUNK):
            self._beat()
            write(data)

    def close(self) -> None:
        """Cut the connection; whoever waits on it wakes up."""
        self._transport.close()


def connect(
    port: int,
    image: Image,
    *,
    deadline: Deadline,
    explain: Explain = lost,
    on_socket: Callable[[socket.socket], None] = lambda _: None,
    beat: Callable[[], None] = lambda: None,
) -> SshShell:
    """Log into the guest behind 127.0.0.1:`port`, whose host key must be the image's. Raises what `explain` says.

    `on_socket` is given the socket before the handshake, so that a watcher can cut it; `beat` is called when output comes.
    """
    transport: paramiko.Transport | None = None
    try:
        link = socket.create_connection(("127.0.0.1", port), timeout=max(0.1, deadline.remaining))
        on_socket(link)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # without it each command costs 50 ms
        transport = paramiko.Transport(link)
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = max(1.0, deadline.remaining)
        transport.get_security_options().ciphers = CIPHERS
        transport.start_client(timeout=max(1.0, deadline.remaining))
        if not transport.initial_kex_done:  # start_client() comes back without a word when its time is over
            raise paramiko.SSHException("the guest took the connection and exchanged no keys in time")
        _check_host_key(transport, image)
        transport.auth_publickey(USER, paramiko.Ed25519Key.from_private_key_file(str(image.ssh_key)))
    except (paramiko.SSHException, OSError, EOFError) as error:
        if transport is not None:
            transport.close()
        raise explain(f"{type(error).__name__} {error}".strip()) from error
    return SshShell(transport, explain, beat)


def _check_host_key(transport: paramiko.Transport, image: Image) -> None:
    known = image.host_key.read_text(encoding="ascii").split()[1]
    if transport.get_remote_server_key().get_base64() != known:
        raise paramiko.SSHException("somebody else answers on the guest's port: its host key is not the image's")


def owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A filter for tarfile.add: nothing of the host's user, and no time the guest's clock has not reached."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return member


def _pump(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _feed(channel: paramiko.Channel, read: Read) -> None:
    try:
        while data := read(CHUNK):
            channel.sendall(data)
        channel.shutdown_write()
    except (OSError, EOFError, paramiko.SSHException):
        return  # the command does not read its input to the end; its status says what that means


class _closed_at:  # noqa: N801  (reads as a phrase in the with statement)
    """Closes a channel when a deadline passes: its reader is blocked in a read."""

    def __init__(self, channel: paramiko.Channel, deadline: Deadline) -> None:
        self._late = False
        self._channel = channel
        self._timer = threading.Timer(deadline.remaining, self._close)
        self._timer.daemon = True

    def __enter__(self) -> Callable[[], bool]:
        self._timer.start()
        return lambda: self._late

    def _close(self) -> None:
        self._late = True
        self._channel.close()

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()
