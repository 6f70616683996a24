from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import HostError
from lab.guest.attach import attach

PROGRAM = "import sys; from pathlib import Path; from lab.guest.attach import attach; attach(Path(sys.argv[1]), 'hello')"


def test_keys_and_text_pass_until_the_key_that_leaves(tmp_path: Path) -> None:
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(tmp_path / "console"))
    door.listen(1)
    pipe = subprocess.PIPE
    with (
        door,
        subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path / "console"], stdin=pipe, stdout=pipe, stderr=pipe) as terminal,
    ):
        assert terminal.stdin and terminal.stdout
        link, _ = door.accept()
        link.sendall(b"login: ")
        assert terminal.stdout.read(7) == b"login: "
        terminal.stdin.write(b"root\n\x1dnot sent")
        terminal.stdin.flush()
        with link, link.makefile("rb") as sent:
            assert sent.read() == b"root\n"
        out, err = terminal.communicate()
    assert (out, err, terminal.returncode) == (b"", b"hello\r\n", 0)


def test_a_guest_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot attach"):
        attach(tmp_path / "absent", "")
