"""./inv with a fake python3, pip, sudo and apt-get: no network, real shells, real locks."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.doctor import apt_line

INV = Path(__file__).resolve().parents[2] / "inv"
TOOLS = ("sh", "cat", "cmp", "dirname", "env", "flock", "mkdir", "readlink", "rm", "cp", "true")
SHELLS = [[shell] for shell in ("dash", "bash") if shutil.which(shell)] + [["busybox", "sh"]] * bool(shutil.which("busybox"))

PYTHON = """#!/bin/sh
# stands for the system's python3: knows `-c` and `-m venv`
case $1 in
-c) exit 0 ;;
--version) echo Python 3.99.0 ;;
-m) mkdir -p "$3/bin" "$3/lib/python3.99/site-packages" && cp "$FAKES/venv-python3" "$3/bin/python3" ;;
esac
"""
VENV_PYTHON = """#!/bin/sh
# stands for the .venv's python3: knows `-m pip` and the lab itself
case "$*" in
*pip*)
	echo pip >>"$FAKES/log"
	[ ! -p "$FAKES/gate" ] || cat "$FAKES/gate" >/dev/null
	[ ! -e "$FAKES/no-network" ] || { echo 'no route to host' >&2; exit 1; } ;;
*)
	flock -w 5 "$FAKES/../check out/.venv.lock" true || echo 'the lock is still held'
	[ "${4:-}" != path ] || echo "$PATH"
	for word; do echo "<$word>"; done ;;
esac
"""
APT = """#!/bin/sh
echo "apt-get $*" >>"$FAKES/log"
[ "$1" = update ] || cp "$FAKES/python3" "$FAKES/bin/python3"
"""


@dataclass(frozen=True)
class World:
    """A checkout with a space in its path, and a PATH on which everything is ours."""

    root: Path

    @property
    def checkout(self) -> Path:
        return self.root / "check out"

    @property
    def fakes(self) -> Path:
        return self.root / "fakes"

    @property
    def log(self) -> list[str]:
        path = self.fakes / "log"
        return path.read_text().splitlines() if path.exists() else []

    def program(self, name: str, text: str) -> None:
        path = self.fakes / name
        path.write_text(text)
        path.chmod(0o755)

    def os_release(self, text: str) -> None:
        (self.fakes / "os-release").write_text(text)

    def environment(self, **extra: str) -> dict[str, str]:
        return {
            "PATH": str(self.fakes / "bin"),
            "FAKES": str(self.fakes),
            "LAB_OS_RELEASE": str(self.fakes / "os-release"),
            **extra,
        }

    def start(self, *words: str, shell: list[str] | None = None, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*(shell or []), str(self.checkout / "inv"), *words],
            env=self.environment(**(env or {})), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=self.root, start_new_session=True,
        )  # fmt: skip

    def inv(self, *words: str, shell: list[str] | None = None, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        process = self.start(*words, shell=shell, env=env)
        out, err = process.communicate()
        return process.returncode, out, err


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.checkout.mkdir()
    shutil.copy(INV, made.checkout / "inv")
    (made.checkout / "requirements.lock").write_text("rich==15 --hash=x\n")
    (made.fakes / "bin").mkdir(parents=True)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (made.fakes / "bin" / tool).symlink_to(found)
    made.program("python3", PYTHON)
    made.program("venv-python3", VENV_PYTHON)
    made.program("bin/apt-get", APT)
    made.program("bin/sudo", '#!/bin/sh\necho sudo >>"$FAKES/log"\nexec "$@"\n')
    made.program("bin/id", "#!/bin/sh\necho 1000\n")
    made.os_release('ID=debian\nVERSION_ID="12"\n')
    shutil.copy(made.fakes / "python3", made.fakes / "bin" / "python3")
    return made


@pytest.mark.parametrize("shell", SHELLS, ids="-".join)
def test_it_makes_the_venv_once_and_hands_the_words_on(world: World, shell: list[str]) -> None:
    shell = [str(shutil.which(shell[0])), *shell[1:]]

    first = world.inv("exec", "--", "a b", "$HOME", "", shell=shell)
    second = world.inv("--list", shell=shell)

    assert first[0] == 0
    assert first[1].splitlines() == ["<-P>", "<-m>", "<lab>", "<exec>", "<-->", "<a b>", "<$HOME>", "<>"]
    assert "making .venv" in first[2]
    assert second == (0, "<-P>\n<-m>\n<lab>\n<--list>\n", "")
    assert world.log == ["pip"]
    assert next(world.checkout.glob(".venv/lib/*/site-packages/lab.pth")).read_text() == f"{world.checkout}\n"


def test_a_changed_lock_file_or_place_or_python_makes_it_again(world: World) -> None:
    world.inv()
    (world.checkout / "requirements.lock").write_text("rich==16 --hash=y\n")
    world.inv()
    assert world.log == ["pip"] * 2

    shutil.copytree(world.checkout, world.root / "moved", symlinks=True)
    moved = World(world.root)
    shutil.rmtree(world.checkout)
    (world.root / "moved").rename(world.checkout)
    moved.inv()
    assert world.log == ["pip"] * 2  # the same place again

    (world.checkout / ".venv/bin/python3").unlink()  # the system's Python went away under it
    moved.inv()
    assert world.log == ["pip"] * 3


def test_a_symlink_to_it_and_a_cdpath_find_the_checkout(world: World) -> None:
    (world.root / "link").symlink_to(world.checkout / "inv")
    process = subprocess.run(
        [world.root / "link", "x"], env=world.environment(CDPATH="/"), capture_output=True, text=True, check=False, cwd="/"
    )

    assert process.returncode == 0
    assert (world.checkout / ".venv").is_dir()


def test_programs_are_found_in_the_venv_first_and_in_sbin_last(world: World) -> None:
    path = world.inv("path")[1].splitlines()[0]

    assert path == f"{world.checkout}/.venv/bin:{world.fakes}/bin:/usr/sbin:/sbin"


def test_a_failing_pip_is_exit_3_and_the_next_start_tries_again(world: World) -> None:
    (world.fakes / "no-network").touch()
    code, out, err = world.inv()
    assert (code, out) == (3, "")
    assert "no route to host" in err
    assert "pip could not install requirements.lock" in err

    (world.fakes / "no-network").unlink()
    assert world.inv()[0] == 0
    assert world.log == ["pip"] * 2


def test_a_killed_bootstrap_starts_over(world: World) -> None:
    os.mkfifo(world.fakes / "gate")
    process = world.start()
    with (world.fakes / "gate").open("w"):  # opens when pip is there to read
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    (world.fakes / "gate").unlink()

    code, _, err = world.inv()

    assert code == 0
    assert "making .venv" in err
    assert world.log == ["pip"] * 2


def test_two_at_once_make_it_once_and_none_keeps_the_lock(world: World) -> None:
    os.mkfifo(world.fakes / "gate")
    first = world.start()
    with (world.fakes / "gate").open("w"):
        second = world.start()
        assert second.stderr is not None
        assert second.stderr.readline() == "inv: waiting for another ./inv that makes .venv\n"

    for process in (first, second):
        out, _ = process.communicate()
        assert (process.returncode, out) == (0, "<-P>\n<-m>\n<lab>\n")
    assert world.log == ["pip"]


def test_a_checkout_that_cannot_be_written_is_said(world: World) -> None:
    in_it = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$1/inv"'
    unshare = [
        "/usr/bin/unshare",
        *([] if os.geteuid() == 0 else ["-Ur"]),
        "--mount",
        "/bin/sh",
        "-c",
        in_it,
        "sh",
        str(world.checkout),
    ]
    env = world.environment() | {"PATH": f"{world.fakes / 'bin'}:/usr/bin:/bin"}

    done = subprocess.run(unshare, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 3
    assert (
        done.stderr
        == f"inv: cannot write to {world.checkout}, where .venv and reports/ belong; clone the lab to a place of your own\n"
    )


def test_without_python_the_one_command_is_named_as_doctor_names_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.fakes / "bin" / "python3").unlink()
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    code, _, err = world.inv("build")

    assert code == 3
    assert apt_line(["python3", "python3-venv"]) in err
    assert world.log == []


def test_a_step_that_cannot_start_is_no_verdict_for_git_bisect_run(world: World) -> None:
    (world.fakes / "bin" / "python3").unlink()

    assert world.inv("step", "--git", ".")[0] == 131


def test_elsewhere_programs_are_named_not_packages(world: World) -> None:
    (world.fakes / "bin" / "python3").unlink()
    for text in ("ID=fedora\nVERSION_ID=41\n", "ID=debian\nVERSION_ID=11\n", ""):
        world.os_release(text)

        code, _, err = world.inv("build", env={"LAB_INSTALL": "1"})

        assert code == 3
        assert "Python 3.11" in err
        assert "apt-get" not in err
    assert world.log == []


@pytest.mark.parametrize(
    ("words", "env", "uid", "how"),
    [
        (["doctor", "--install"], {}, 1000, "--install"),
        (["x"], {"LAB_INSTALL": "1"}, 1000, "LAB_INSTALL=1"),
        (["x"], {}, 0, "root"),
    ],
)
def test_with_leave_the_one_command_is_run(world: World, words: list[str], env: dict[str, str], uid: int, how: str) -> None:
    (world.fakes / "bin" / "python3").unlink()
    world.program("bin/id", f"#!/bin/sh\necho {uid}\n")

    code, out, err = world.inv(*words, env=env)

    assert code == 0
    assert out.splitlines()[-1] == f"<{words[-1]}>"
    assert f"running ({how}): " in err
    sudo = ["sudo"] if uid else []
    install = "apt-get install -y --no-install-recommends python3 python3-venv"
    assert world.log == [*sudo, "apt-get update -q", *sudo, install, "pip"]


def test_without_sudo_the_command_is_named_for_root(world: World) -> None:
    (world.fakes / "bin" / "python3").unlink()
    (world.fakes / "bin" / "sudo").unlink()

    code, _, err = world.inv("doctor", "--install")

    assert code == 3
    assert "as root, run: apt-get install -y --no-install-recommends python3 python3-venv\n" in err
    assert world.log == []


def test_an_install_meant_for_the_guest_is_not_leave(world: World) -> None:
    (world.fakes / "bin" / "python3").unlink()

    assert world.inv("exec", "--", "--install")[0] == 3
    assert world.log == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("Yes\n", 0), ("\n", 3), ("n\n", 3), ("\x04", 3)])
def test_on_a_terminal_it_asks(world: World, answer: str, code: int) -> None:
    (world.fakes / "bin" / "python3").unlink()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [world.checkout / "inv"],
        env=world.environment(),
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(theirs)
    seen = ""
    while "[y/N]" not in seen:
        seen += os.read(ours, 4096).decode()
    os.write(ours, answer.encode())

    process.communicate()
    os.close(ours)

    assert process.returncode == code
    assert ("pip" in world.log) is (code == 0)


def test_an_old_python_is_said(world: World) -> None:
    world.program("bin/python3", "#!/bin/sh\ncase $1 in -c) exit 1 ;; --version) echo Python 3.9.2 ;; esac\n")

    assert world.inv()[::2] == (3, "inv: needs Python 3.11 or newer, found Python 3.9.2\n")
