from __future__ import annotations

import ast
import importlib
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab import doctor
from lab.cache import Cache
from lab.doctor import Check, Distribution, check, collect_needs, consent, distribution, install, missing_packages, provide
from lab.errors import HostError
from lab.model.machine import Accel

LAB = Path(doctor.__file__).parent
DEBIAN = Distribution("Debian GNU/Linux 12 (bookworm)", packages=True)
FEDORA = Distribution("Fedora Linux 41", packages=False)
ACCEL = Accel("tcg", True, "booted in 4.1 s; /dev/kvm hung for 20 s", "7.2.22")


def found(checks: tuple[Check, ...], what: str) -> Check:
    return next(one for one in checks if one.what == what)


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Makes a shell script that is the first of its name on the PATH."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")

    def make(name: str, body: str) -> Path:
        path = directory / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return make


def test_every_module_that_declares_needs_is_collected() -> None:
    declaring = set()
    for path in LAB.rglob("*.py"):
        names = [
            node.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        ]
        if "NEEDS" in names:
            declaring.add(".".join(path.relative_to(LAB.parent).with_suffix("").parts))

    assert set(doctor.ROOMS) == declaring


@pytest.mark.parametrize("room", doctor.ROOMS)
def test_needs_are_programs_and_packages(room: str) -> None:
    for name, package in importlib.import_module(room).NEEDS.items():
        assert name.startswith("/") or "/" not in name
        assert package == "" or package.replace("-", "").replace(".", "").replace("+", "").isalnum()


def test_two_rooms_do_not_disagree_on_a_package() -> None:
    union = collect_needs()

    assert all(importlib.import_module(room).NEEDS.items() <= union.items() for room in doctor.ROOMS)


def test_a_program_is_shown_with_its_version(program: Callable[[str, str], Path], tmp_path: Path) -> None:
    program("gadget", "echo; echo gadget 1.2")

    assert found(check({"gadget": "gadget"}, Cache(tmp_path), ACCEL), "gadget") == Check("gadget", "gadget 1.2", True)


def test_a_program_that_does_not_say_its_version_is_still_found(program: Callable[[str, str], Path], tmp_path: Path) -> None:
    path = program("gadget", "exit 1")

    assert found(check({"gadget": "gadget"}, Cache(tmp_path), ACCEL), "gadget") == Check("gadget", str(path), True)


def test_what_is_missing_is_named_with_its_package_on_debian_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {"no-such-program": "gadget", "/no/such/header.h": "libgadget-dev"}
    for here, remedy in ((DEBIAN, "package gadget"), (FEDORA, "install no-such-program")):
        monkeypatch.setattr(doctor, "distribution", lambda here=here: here)

        checks = check(needs, Cache(tmp_path), ACCEL)

        assert found(checks, "no-such-program") == Check("no-such-program", "not there", False, remedy)
        assert not found(checks, "/no/such/header.h").ok


def test_what_comes_with_the_lab_is_mended_by_the_lab(tmp_path: Path) -> None:
    assert found(check({"no-such-program": ""}, Cache(tmp_path), ACCEL), "no-such-program").remedy == "rm -r .venv; ./inv"


def test_missing_packages_are_named_once() -> None:
    needs = {"sh": "dash", "no-such-a": "gadget", "no-such-b": "gadget", "/no/such": "another", "no-such-c": ""}

    assert missing_packages(needs) == ["another", "gadget"]


@pytest.mark.parametrize(
    ("version", "ok"), [("7.2.22", True), ("9.2.0", True), ("10.0.2", True), ("7.1.0", False), ("11.0.0", False), ("what", False)]
)
def test_qemu_7_2_to_10(program: Callable[[str, str], Path], tmp_path: Path, version: str, *, ok: bool) -> None:
    program("qemu-system-x86_64", f"echo 'QEMU emulator version {version} (Debian)'")

    assert found(check({"qemu-system-x86_64": "qemu-system-x86"}, Cache(tmp_path), ACCEL), "qemu-system-x86_64").ok is ok


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n', True),
        ('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n', True),
        ('PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nID=debian\nVERSION_ID="11"\n', False),
        ('PRETTY_NAME="Ubuntu 24.04"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', False),
        ("", False),
    ],
)
def test_distribution(text: str, *, packages: bool) -> None:
    assert distribution(text).packages is packages


def test_the_accelerators_evidence_is_shown(tmp_path: Path) -> None:
    assert found(check({}, Cache(tmp_path), ACCEL), "accelerator").found == "tcg (booted in 4.1 s; /dev/kvm hung for 20 s)"
    assert not found(check({}, Cache(tmp_path), None), "accelerator").ok


@pytest.mark.parametrize("refusal", ["", "no taps, so one queue a NIC: unshare: unshare failed: Operation not permitted"])
def test_whether_taps_can_be_made_is_tried_and_told(refusal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "tap_refusal", lambda: refusal)
    seen = found(check({}, Cache(tmp_path), ACCEL), "taps")
    assert seen.ok, "guests of one queue are good without"
    assert (seen.found, bool(seen.remedy)) == (refusal or "a tap of two queues was made", bool(refusal))


def test_taps_without_ip_are_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise HostError("`ip` is not on the PATH")

    monkeypatch.setattr(doctor, "tap_refusal", missing)
    assert "`ip` is not" in found(check({}, Cache(tmp_path), ACCEL), "taps").found


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FIRST_RUN_GB", 1e9)

    assert not found(check({}, Cache(tmp_path / "not" / "yet"), ACCEL), "free disk").ok


def test_root_and_the_option_and_the_variable_may_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_INSTALL", raising=False)
    pipe = io.StringIO("yes\n")

    assert consent(["x"], option=False, stdin=pipe, stderr=pipe, root=True) == "root"
    assert consent(["x"], option=True, stdin=pipe, stderr=pipe, root=False) == "--install"
    assert consent(["x"], option=False, stdin=pipe, stderr=pipe, root=False) == ""
    monkeypatch.setenv("LAB_INSTALL", "1")
    assert consent(["x"], option=False, stdin=pipe, stderr=pipe, root=False) == "LAB_INSTALL=1"
    monkeypatch.setenv("LAB_INSTALL", "0")
    assert consent(["x"], option=False, stdin=pipe, stderr=pipe, root=False) == ""


@pytest.mark.parametrize(("answer", "how"), [("y\n", "yes"), ("YES\n", "yes"), ("\n", ""), ("n\n", ""), ("", "")])
def test_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch, answer: str, how: str) -> None:
    monkeypatch.delenv("LAB_INSTALL", raising=False)
    stderr = Tty()

    assert consent(["gadget"], option=False, stdin=Tty(answer), stderr=stderr, root=False) == how
    assert "apt-get install -y --no-install-recommends gadget" in stderr.getvalue()


def test_without_leave_the_error_carries_the_one_command() -> None:
    with pytest.raises(HostError) as caught:
        install(["gadget", "libgadget-dev"], "")

    assert caught.value.code == 3
    assert "apt-get install -y --no-install-recommends gadget libgadget-dev" in caught.value.hint


def test_off_debian_programs_are_named_and_nothing_is_run() -> None:
    with pytest.raises(HostError, match="no-such-program") as caught:
        provide(["no-such-program"], {"no-such-program": "gadget"}, option=True, here=FEDORA)

    assert "gadget" not in str(caught.value)


def test_installing_runs_update_and_the_one_command(
    program: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    program("apt-get", f'echo "$DEBIAN_FRONTEND $*" >>{tmp_path}/log')

    install(["gadget"], "root")

    assert (tmp_path / "log").read_text().splitlines() == [
        "noninteractive update -q",
        "noninteractive install -y --no-install-recommends gadget",
    ]


def test_others_go_through_sudo(program: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    program("sudo", f'echo "$*" >>{tmp_path}/log')

    install(["gadget"], "yes")

    assert (tmp_path / "log").read_text().splitlines()[1] == "apt-get install -y --no-install-recommends gadget"


def test_without_sudo_the_command_is_named_for_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(HostError, match="no sudo") as caught:
        install(["gadget"], "--install")

    assert caught.value.hint == "as root: apt-get install -y --no-install-recommends gadget"


def test_a_failing_apt_get_is_an_error(program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    program("apt-get", "exit 100")

    with pytest.raises(HostError, match="exit status 100"):
        install(["gadget"], "root")


def test_a_package_that_does_not_bring_its_program_is_an_error(
    program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    program("apt-get", "exit 0")

    with pytest.raises(HostError, match="still missing"):
        provide(["no-such-program"], {"no-such-program": "gadget"}, option=False, here=DEBIAN)


class Shown:
    """Stands for the Terminal."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = []

    def print_tables(self, tables: Any) -> None:
        self.rows = [tuple(row) for _, _, rows in tables for row in rows]


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], tuple[int, Shown]]:
    """Runs the doctor verb on a host with these needs, as nobody who may install."""
    monkeypatch.setattr(doctor, "_accel", lambda lab: ACCEL)
    monkeypatch.setattr(doctor, "consent", lambda packages, **_: "")
    monkeypatch.setattr(doctor, "distribution", lambda: DEBIAN)

    def run(needs: dict[str, str]) -> tuple[int, Shown]:
        monkeypatch.setattr(doctor, "collect_needs", lambda: needs)
        lab, terminal = SimpleNamespace(cache=Cache(tmp_path)), Shown()
        return doctor.examine(cast("Any", lab), cast("Any", terminal)), terminal

    return run


def test_a_good_host_is_exit_0(shown: Callable[[dict[str, str]], tuple[int, Shown]]) -> None:
    code, terminal = shown({"sh": "dash"})

    assert code == 0
    assert all(row[2] == "ok" for row in terminal.rows)


def test_a_missing_package_stops_with_the_command(shown: Callable[[dict[str, str]], tuple[int, Shown]]) -> None:
    with pytest.raises(HostError) as caught:
        shown({"no-such-program": "gadget"})

    assert "gadget" in caught.value.hint


def test_after_an_install_the_host_is_looked_at_again(
    shown: Callable[[dict[str, str]], tuple[int, Shown]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "gadget.h"
    monkeypatch.setattr(doctor, "install", lambda packages, how: there.touch())
    monkeypatch.setattr(doctor, "_accel", lambda lab: ACCEL if there.exists() else None)

    code, terminal = shown({str(there): "libgadget-dev"})

    assert code == 0
    assert all(row[2] == "ok" for row in terminal.rows)


def test_what_no_package_mends_is_exit_3(
    shown: Callable[[dict[str, str]], tuple[int, Shown]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "FIRST_RUN_GB", 1e9)

    assert shown({"sh": "dash"})[0] == 3


def test_before_a_verb_nothing_is_said_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "collect_needs", lambda: {"sh": "dash"})
    doctor.ensure()

    monkeypatch.setattr(doctor, "collect_needs", lambda: {"no-such-program": "gadget"})
    monkeypatch.setattr(doctor, "consent", lambda packages, **_: "")
    monkeypatch.setattr(doctor, "distribution", lambda: DEBIAN)
    with pytest.raises(HostError, match="gadget"):
        doctor.ensure()
