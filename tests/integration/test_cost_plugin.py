"""The plugin in the real QEMU, on a guest whose instructions can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cache import Cache
from lab.cbuild import shared_object
from lab.deadline import Deadline
from lab.measure.cost import PLUGIN, QEMU, Lap, Sections, parse_cost, plugin_api, qemu_version
from lab.proc import run

GUEST = Path(__file__).parents[1] / "data" / "measure" / "marks.S"
QUIT = 33
"""What isa-debug-exit makes of the guest's 16."""


def qemu(plugin: Path, arguments: str, directory: Path, *more: str) -> int:
    """Assemble the guest and run it to its end; the exit status."""
    words = ["-m32", "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x100000", "-Wl,--build-id=none"]
    run(["gcc", *words, "-o", str(directory / "guest"), str(GUEST)], deadline=Deadline.after(60))
    devices = ["-nodefaults", "-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4"]
    counted = ["-accel", "tcg,thread=single", "-icount", "shift=0", *more, "-plugin", f"{plugin},{arguments}"]
    argv = [QEMU, "-m", "16M", *devices, *counted, "-kernel", str(directory / "guest")]
    return run(argv, deadline=Deadline.after(60), check=False).status


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_object(Cache(tmp_path_factory.mktemp("cache")), PLUGIN, [f"-DLAB_API={plugin_api(qemu_version())}"])


@pytest.fixture(scope="module")
def counted(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Sections:
    directory = tmp_path_factory.mktemp("guest")
    (directory / "symbols").write_text("irq ffffffff81000000 ffffffff81000010\n")

    status = qemu(plugin, f"symbols={directory}/symbols,out={directory}/out", directory)

    assert status == QUIT
    return parse_cost((directory / "out").read_text())


def test_every_instruction_counts_once_and_a_rep_instruction_too(counted: Sections) -> None:
    first = [(lap.work, lap.rep) for lap in counted.sections[0].laps]

    assert first == [(1, 0), (1, 0), (6, 0), (22, 0), (5, 100), (3, 0), (12, 14)]


def test_a_second_section_starts_from_nothing(counted: Sections) -> None:
    assert counted.sections[1].laps == (Lap(8, 0, 0, 0, 0, 0, 0),)
    assert counted.sections[1].executed == 9  # the lap mark before the stop belongs to no lap


def test_a_guest_without_task_switches_is_doubted(counted: Sections) -> None:
    assert all("lost track of the context" in problem for problem in counted.problems)
    assert len(counted.problems) == 2


@pytest.mark.parametrize(
    "arguments", ["out={0}/out", "symbols={0}/none,out={0}/out", "symbols={0}/symbols", "symbols={0}/symbols,out={0}"]
)
def test_qemu_does_not_start_with_a_plugin_that_lacks_its_files(plugin: Path, tmp_path: Path, arguments: str) -> None:
    (tmp_path / "symbols").write_text("irq ffffffff81000000 ffffffff81000010\n")

    assert qemu(plugin, arguments.format(tmp_path), tmp_path) == 1
