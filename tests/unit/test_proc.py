from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import hear_interrupts

from lab.deadline import Deadline
from lab.errors import HostError
from lab.proc import CommandError, clean_environment, contained, decode, interactive, quote, run, spawn, stop, stream


def soon() -> Deadline:
    return Deadline.after(20)


def test_run_keeps_output_and_status() -> None:
    done = run(["sh", "-c", "cat; echo err >&2; exit 3"], deadline=soon(), stdin=b"in", check=False)

    assert (done.status, done.stdout, done.stderr) == (3, "in", "err\n")


def test_a_bad_status_names_command_status_and_last_lines() -> None:
    with pytest.raises(CommandError, match=r"`sh -c 'echo why; exit 3'` ended with exit status 3:\n    why"):
        run(["sh", "-c", "echo why; exit 3"], deadline=soon())


def test_a_signal_is_named() -> None:
    with pytest.raises(CommandError, match="was killed by SIGKILL"):
        run(["sh", "-c", "kill -9 $$"], deadline=soon())


def test_out_of_time_is_an_error_and_the_program_is_gone() -> None:
    with pytest.raises(CommandError, match="ran out of time"):
        run(["sleep", "60"], deadline=Deadline.after(0.05))


def test_a_missing_program_is_the_hosts_fault() -> None:
    with pytest.raises(HostError, match="`no-such-program` is not on the PATH"):
        run(["no-such-program"], deadline=soon())


def test_stream_logs_and_relays_every_line(tmp_path: Path) -> None:
    lines: list[str] = []

    status = stream(["sh", "-c", "echo one; echo two >&2; exit 4"], deadline=soon(), log=tmp_path / "log", on_line=lines.append)

    assert (status, sorted(lines)) == (4, ["one", "two"])
    assert (tmp_path / "log").read_text().split() == lines


def test_stream_out_of_time_takes_every_descendant_along(tmp_path: Path) -> None:
    script = f"(sleep 300 & echo $! > {tmp_path}/pid; wait) & wait"
    if not contained():
        pytest.fail("no PID namespaces here: descendants of a build cannot be contained")

    with pytest.raises(CommandError, match="ran out of time"):
        stream(["sh", "-c", script], deadline=Deadline.after(0.3), log=tmp_path / "log", on_line=lambda _: None)

    marker = f"{tmp_path}/pid"
    assert not [path for path in Path("/proc").glob("[0-9]*") if marker in _cmdline(path)]


def _cmdline(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    code = f"""
from lab.proc import spawn
import sys
p = spawn(["sleep", "300"])
open({str(tmp_path / "pid")!r}, "w").write(str(p.pid))
sys.stdout.write("up\\n"); sys.stdout.flush()
p.wait()
"""
    parent = spawn([sys.executable, "-c", code], stdout=-1)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    pidfd = os.pidfd_open(int((tmp_path / "pid").read_text()))
    parent.kill()
    parent.wait()

    import select

    ended, _, _ = select.select([pidfd], [], [], 20)
    assert ended == [pidfd]


def test_stop_asks_before_it_kills(tmp_path: Path) -> None:
    process = spawn(
        ["sh", "-c", f"trap 'echo asked > {tmp_path}/asked; exit 0' TERM; echo up; while :; do sleep 0.01; done"], stdout=-1
    )
    assert process.stdout is not None
    process.stdout.readline()
    stop(process, grace_s=20)

    assert process.returncode == 0
    assert (tmp_path / "asked").exists()


def test_stop_kills_what_does_not_obey() -> None:
    process = spawn(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done"], stdout=-1)
    assert process.stdout is not None
    process.stdout.readline()
    stop(process, grace_s=0.05)

    assert process.returncode == -signal.SIGKILL


def test_interactive_hands_the_status_back() -> None:
    assert interactive(["sh", "-c", "exit 7"]) == 7


@pytest.mark.parametrize("ours", [signal.default_int_handler, signal.SIG_IGN], ids=["terminal", "background job"])
def test_an_interrupt_that_reached_us_alone_is_handed_on(tmp_path: Path, ours: Callable[..., None]) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt(number)

    signal.signal(signal.SIGINT, ours)
    signal.signal(signal.SIGUSR1, interrupt)
    waits = "until [ $(cat /proc/$PPID/wchan) = do_wait ]; do :; done"
    child = f"trap 'echo told >{tmp_path}/told; exit 0' INT; {waits}; kill -USR1 $PPID; for i in $(seq 999); do sleep 0.01; done"

    with pytest.raises(KeyboardInterrupt):
        interactive(["sh", "-c", child])
    hear_interrupts()

    assert (tmp_path / "told").exists()


def test_the_environment_is_small_and_in_the_c_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-j99")
    monkeypatch.setenv("LC_ALL", "de_DE")

    assert "MAKEFLAGS" not in clean_environment()
    assert clean_environment(X="1")["X"] == "1"
    assert clean_environment()["LC_ALL"] == "C.UTF-8"


def test_texts_are_decoded_without_loss() -> None:
    assert decode(b"a\xff") == "a\\xff"
    assert quote(["a b", Path("c")]) == "'a b' c"
