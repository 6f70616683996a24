"""The one door to other programs. Children are held by things the kernel takes back: pdeathsig, a PID namespace, fds."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from lab.deadline import Deadline
from lab.errors import HostError, LabError
from lab.model.ports import Completed

Argv = Sequence[str | Path]
Process = subprocess.Popen[bytes]
PIPE = subprocess.PIPE
STDOUT = subprocess.STDOUT

NEEDS = {"setpriv": "util-linux", "unshare": "util-linux", "flock": "util-linux"}
"""Programs this module and lab.cache call, each with the Debian package that has it."""
TAIL_LINES = 20
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "TMPDIR", "USER", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME")


class CommandError(LabError):
    """A program ended with a status it should not have, or not at all."""

    def __init__(self, argv: Argv, status: int | None, output: str, *, log: Path | None = None) -> None:
        what = "ran out of time" if status is None else _meaning(status)
        tail = "\n".join(f"    {line}" for line in output.rstrip().splitlines()[-TAIL_LINES:])
        super().__init__(f"`{quote(argv)}` {what}" + (f":\n{tail}" if tail else ""), log=log)
        self.argv = tuple(str(word) for word in argv)
        self.status = status
        self.output = output


def quote(argv: Argv) -> str:
    """The command as one line, ready to paste."""
    return shlex.join(str(word) for word in argv)


def decode(raw: bytes) -> str:
    """Bytes of a guest or a program as text; what is not UTF-8 stays visible as escapes."""
    return raw.decode("utf-8", "backslashreplace")


def clean_environment(**extra: str) -> dict[str, str]:
    """The few variables a child needs, in the C locale, plus `extra`: results must not depend on the user's shell."""
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8", **extra}


def need(program: str, why: str) -> str:
    """The path of `program`. Raises HostError naming what it is needed for."""
    path = shutil.which(program)
    if path is None:
        raise HostError(f"`{program}` is not on the PATH; it is needed to {why}", hint="./inv doctor --install")
    return path


def run(
    argv: Argv,
    *,
    deadline: Deadline,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    check: bool = True,
) -> Completed:
    """Run a short program to its end and keep its output. Raises CommandError (status, when `check`; out of time), HostError."""
    with spawn(argv, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            out, err = process.communicate(stdin, timeout=deadline.remaining)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise CommandError(argv, None, decode(out + err)) from None
        except BaseException:
            process.kill()
            raise
    done = Completed(process.returncode, decode(out), decode(err))
    if check and done.status != 0:
        raise CommandError(argv, done.status, done.stdout + done.stderr)
    return done


def stream(
    argv: Argv,
    *,
    deadline: Deadline,
    log: Path,
    on_line: Callable[[str], None],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    inside: Sequence[str] | None = None,
) -> int:
    """Run a long program and all it starts in a PID namespace of its own; each output line goes to `log` and `on_line`.

    Returns the exit status; raises CommandError when the deadline passes. Whatever ends the caller, kill -9 included, ends
    every descendant: the namespace's first process dies with its parent. An inherited fd (`pass_fds`, a held lock) is kept
    until the last descendant is gone. `inside`: other words than `contained()` that make such a namespace, and more.
    """
    words = [*(contained() if inside is None else inside), *argv]
    with (
        log.open("ab", buffering=0) as sink,
        spawn(words, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=pass_fds) as process,
        _killed_at(process, deadline) as out_of_time,
    ):
        assert process.stdout is not None
        try:
            for raw in process.stdout:
                sink.write(raw)
                on_line(decode(raw).rstrip("\n"))
            process.wait()
        except BaseException:
            process.kill()
            raise
    if out_of_time():
        raise CommandError(argv, None, decode(log.read_bytes()[-4000:]), log=log)
    return process.returncode


def spawn(
    argv: Argv,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
    die_with_parent: bool = True,
    new_session: bool = True,
) -> Process:
    """Start a program that is killed when the calling thread's process dies. Call it from a main thread: pdeathsig is per thread.

    Raises HostError when the program does not exist.
    """
    words = [str(word) for word in argv]
    need(words[0], f"run `{quote(words)}`")
    try:
        return subprocess.Popen(
            [*(bound() if die_with_parent else ()), *words],
            cwd=cwd,
            env=clean_environment() if env is None else dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            start_new_session=new_session,
        )
    except OSError as error:
        raise HostError(f"cannot start `{quote(words)}`: {error.strerror}", hint="./inv doctor") from error


def interactive(argv: Argv, *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> int:
    """Run a program on the user's own terminal, to its end; its exit status. Ctrl-C reaches it as it reaches us.

    A KeyboardInterrupt with a signal's number reached us alone, so it is handed on as Ctrl-C: to a program that listens, though a
    shell's background jobs ignore it.
    """
    need(str(argv[0]), f"run `{quote(argv)}`")
    words = [*bound(), "env", "--default-signal=INT", *(str(word) for word in argv)]
    with subprocess.Popen(words, env=None if env is None else dict(env), cwd=cwd) as process:
        try:
            return process.wait()
        except KeyboardInterrupt as interrupt:
            if interrupt.args:
                process.send_signal(signal.SIGINT)
            process.wait()
            raise


def ended(process: Process, deadline: Deadline) -> bool:
    """Wait for a process to end by itself; whether it did."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(deadline.remaining)
    return process.poll() is not None


def stop(process: Process, grace_s: float = 0.0) -> None:
    """Make sure a process is gone: SIGTERM and up to `grace_s` to obey, then SIGKILL; reaps it."""
    if process.poll() is None and grace_s > 0:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    if process.poll() is None:
        process.kill()
    process.wait()


def bound() -> tuple[str, ...]:
    """The words in front of a command that bind its life to the caller's; a caller that died before the binding is noticed."""
    return ("setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid()))


@functools.cache
def contained() -> tuple[str, ...]:
    """The words in front of a command that put it and its descendants into a PID namespace which dies with its parent."""
    plain = ("unshare", "--pid", "--fork", "--kill-child=KILL")
    for words in (plain, ("unshare", "--user", "--map-root-user", *plain[1:])):
        with suppress(OSError):
            if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
                return words
    return ()


class _killed_at:  # noqa: N801  (reads as a phrase in the with statement)
    """Kills a process when a deadline passes, from an interval timer of a helper: the main thread may be inside a read."""

    def __init__(self, process: Process, deadline: Deadline) -> None:
        self.process = process
        self.deadline = deadline
        self.late = False

    def __enter__(self) -> Callable[[], bool]:
        self.timer = threading.Timer(self.deadline.remaining, self._kill)
        self.timer.daemon = True
        self.timer.start()
        return lambda: self.late

    def _kill(self) -> None:
        if self.process.poll() is None:
            self.late = True
            self.process.kill()

    def __exit__(self, *exception: object) -> None:
        self.timer.cancel()


def _meaning(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"
