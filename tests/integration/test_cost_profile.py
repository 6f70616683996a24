"""The plugin's profile in the real QEMU, on a guest whose calls can be counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.cbuild import shared_object
from lab.deadline import Deadline
from lab.formats.profile import EVENTS, Node, Profile, parse_profile
from lab.kernel.symbols import functions_of
from lab.measure.cost import PLUGIN, QEMU, parse_cost, plugin_api, qemu_version
from lab.measure.explain import identity
from lab.model.outcome import Status
from lab.proc import run

GUEST = Path(__file__).parents[1] / "data" / "measure" / "calls.S"
QUIT = 33
"""What isa-debug-exit makes of the guest's 16."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the guest ran to its end with the profile on."""
    place = tmp_path_factory.mktemp("guest")
    words = ["-m32", "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x100000", "-Wl,--build-id=none"]
    run(["gcc", *words, "-o", place / "guest", GUEST], deadline=Deadline.after(60))
    functions = functions_of(place / "guest")
    (place / "functions").write_text("".join(f"{one.first:x} {one.end:x} {one.name}\n" for one in functions))
    assert qemu(place, f"functions={place}/functions,profile={place}/profile") == QUIT
    return place


def qemu(place: Path, arguments: str) -> int:
    plugin = shared_object(Cache(place / "cache"), PLUGIN, [f"-DLAB_API={plugin_api(qemu_version())}"])
    (place / "symbols").write_text("irq ffffffff81000000 ffffffff81000010\n")
    devices = ["-nodefaults", "-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4"]
    instrument = f"{plugin},symbols={place}/symbols,out={place}/out,{arguments}"
    counted = ["-accel", "tcg,thread=single", "-icount", "shift=0", "-plugin", instrument]
    argv = [QEMU, "-m", "16M", *devices, *counted, "-kernel", str(place / "guest")]
    return run(argv, deadline=Deadline.after(60), check=False).status


@pytest.fixture
def profile(directory: Path) -> Profile:
    return parse_profile((directory / "profile").read_text())


def paths(profile: Profile, directory: Path) -> Iterator[tuple[str, Node]]:
    names = {one.first: one.name for one in functions_of(directory / "guest")}
    known: dict[int, str] = {0: ""}
    for node in profile.sections[0].nodes:
        known[node.number] = f"{known[node.parent]}/{names[profile.addresses[node.function] or 0]}"
        yield known[node.number], node


def test_every_instruction_is_in_one_function_and_every_function_on_its_path(profile: Profile, directory: Path) -> None:
    assert profile.problems == ()

    found = {path: (sum(node.counts), node.calls) for path, node in paths(profile, directory)}

    assert found == {
        "/_start": (15, 1),  # START, four LAPs, four calls, three moves, rep, lock, xchg
        "/_start/outer": (6, 2),
        "/_start/outer/inner": (4, 2),
        "/_start/tail": (4, 2),  # a tail call takes its caller's place
        "/_start/leaves": (1, 1),
        "/_start/leaves/deep": (3, 1),
        "/_start/inner": (2, 1),  # behind the jump out of two functions
    }


def test_the_functions_add_up_to_what_was_counted(profile: Profile, directory: Path) -> None:
    executed = parse_cost((directory / "out").read_text()).sections[0].executed

    assert sum(sum(node.counts) for node in profile.sections[0].nodes) == executed


def test_laps_of_one_length_add_up(profile: Profile) -> None:
    kinds = {kind.work: kind.laps for kind in profile.sections[0].kinds}

    assert kinds == {1: 1, 17: 1, 9: 1, 7: 1}


def test_events_and_bytes_count_where_they_happen(profile: Profile, directory: Path) -> None:
    (start,) = (node for path, node in paths(profile, directory) if path == "/_start")

    assert dict(zip(EVENTS, start.events, strict=True)) == dict.fromkeys(EVENTS, 0) | {
        "locked": 2,
        "rep-steps": 3,
        "rep-bytes": 6,
    }


def test_a_profile_that_lost_an_instruction_is_an_error(directory: Path) -> None:
    text, cost = (directory / "profile").read_text(), (directory / "out").read_text().replace("anomalies 1", "anomalies 0")

    assert identity(text, cost).status is Status.PASS
    node = next(line for line in text.splitlines() if line.startswith("node"))
    words = node.split(" ")
    words[5] = str(int(words[5]) + 1)
    wrong = identity(text.replace(node, " ".join(words)), cost)
    assert wrong.status is Status.ERROR
    assert "by function" in wrong.detail


@pytest.mark.parametrize("arguments", ["profile={0}/other", "functions={0}/functions", "functions={0}/none,profile={0}/other"])
def test_qemu_does_not_start_with_half_a_profile(directory: Path, arguments: str) -> None:
    before = (directory / "out").read_text()

    assert qemu(directory, arguments.format(directory)) == 1
    (directory / "out").write_text(before)
