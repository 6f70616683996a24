"""The plugin in the real QEMU, on guests whose instructions can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from bareguest import QUIT, boot, built

from lab.cache import Cache
from lab.cbuild import shared_object
from lab.kernel.symbols import functions_of
from lab.measure.cost import PLUGIN, SPACES, Lap, Sections, parse_cost, plugin_api, qemu_version

COUNTED = "symbols={0}/symbols,out={0}/out"


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Sections:
    place = built(tmp_path_factory.mktemp("guest"), "marks")

    assert boot(place, COUNTED) == QUIT
    return parse_cost((place / "out").read_text())


def test_every_instruction_counts_once_and_a_rep_instruction_too(counted: Sections) -> None:
    first = [(lap.work, lap.rep) for lap in counted.sections[0].laps]

    assert first == [(1, 0), (1, 0), (6, 0), (22, 0), (5, 100), (3, 0), (12, 14)]


def test_a_second_section_starts_from_nothing(counted: Sections) -> None:
    assert counted.sections[1].laps[0] == Lap(8, 0, 0, 0, 0, 0, 0)


def test_a_forgotten_lap_is_none_and_what_the_task_does_in_it_counts_as_idle(counted: Sections) -> None:
    last = counted.sections[1]

    assert last.laps == (Lap(8, 0, 0, 0, 0, 0, 0), Lap(3, 0, 0, 0, 0, 0, 0))
    assert last.totals["idle"] == 3  # the mark itself, REP without a step, nop
    assert last.executed == 8 + 2 + 3 + 1  # of the forgotten lap what came before; the lap mark before the stop is in no lap


def test_a_guest_without_task_switches_is_doubted(counted: Sections) -> None:
    assert all("lost track of the context" in problem for problem in counted.problems)
    assert len(counted.problems) == 2


@pytest.mark.parametrize("arguments", ["out={0}/out", "symbols={0}/none,out={0}/out", "symbols={0}/symbols", f"{COUNTED}/none"])
def test_qemu_does_not_start_with_a_plugin_that_lacks_its_files(tmp_path: Path, arguments: str) -> None:
    assert boot(built(tmp_path, "marks"), arguments) == 1


@pytest.mark.parametrize("api", sorted({plugin_api((major, minor)) for major in range(7, 12) for minor in range(3)}))
def test_the_plugin_compiles_for_every_interface_there_is(tmp_path: Path, api: int) -> None:
    assert shared_object(Cache(tmp_path), PLUGIN, [f"-DLAB_API={api}"]).is_file()


# --- page faults ----------------------------------------------------------------------------------------------------------

UPPER = 0xFFFFFF80_00000000


@pytest.fixture(scope="module")
def faulting(tmp_path_factory: pytest.TempPathFactory) -> Sections:
    """Laps with one page fault each, of an instruction or on the way to the next; its handler lies where a kernel would."""
    place = built(tmp_path_factory.mktemp("guest"), "faults")
    lies = {one.name: one for one in functions_of(place / "guest")}
    handler, to_user = lies["handler"], lies["to_user"]
    places = {"fault": handler, "touser": to_user, "entry": to_user}
    lines = [f"{name} {UPPER + one.first:x} {UPPER + one.end:x}" for name, one in places.items()]
    (place / "symbols").write_text("\n".join(lines) + "\n")

    assert boot(place, COUNTED) == QUIT
    return parse_cost((place / "out").read_text())


def test_an_instruction_that_faults_counts_twice_and_one_whose_own_page_is_missing_once(faulting: Sections) -> None:
    handler = 14
    laps = [(lap.work - handler, lap.rep, lap.faults) for lap in faulting.sections[0].laps[1:]]

    assert laps == [(4, 0, 1), (3, 0, 1), (3, 0, 0), (7, 0, 0), (6, 0, 1), (4, 41, 1), (4, 10, 1), (6, 9, 0), (1 - handler, 0, 0)]


# --- address spaces -------------------------------------------------------------------------------------------------------


def test_what_runs_in_another_address_space_is_told_apart(tmp_path: Path) -> None:
    place = built(tmp_path, "spaces")
    load = next(one for one in functions_of(place / "guest") if one.name == "load")
    (place / "symbols").write_text(f"space {load.first:x} {load.end:x}\n")

    assert boot(place, COUNTED) == QUIT
    totals = parse_cost((place / "out").read_text()).sections[0].totals
    # the start mark, nop, xchg, call, bts | btr, ret, nop, nop, xchg, call, bts | btr, ret, call, bts, btr, ret, and the lap mark
    assert {name: totals[name] for name in SPACES} == {"own-space": 5 + 7, "other-spaces": 7, "space-loads": 1}


# --- another vCPU ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Sections:
    """Two sections of a guest with two vCPUs: the other one halted, then looping."""
    if plugin_api(qemu_version()) > 1:
        pytest.skip("this QEMU's plugins cannot tell several vCPUs apart; the next test sees them refused")
    place = built(tmp_path_factory.mktemp("guest"), "beside")

    assert boot(place, COUNTED, "-smp", "2") == QUIT
    return parse_cost((place / "out").read_text())


def test_several_vcpus_are_counted_or_refused(tmp_path: Path) -> None:
    refused = plugin_api(qemu_version()) > 1

    assert boot(built(tmp_path, "marks"), COUNTED, "-smp", "2") == (1 if refused else QUIT)


def test_a_vcpu_that_halts_is_idle(beside: Sections) -> None:
    assert beside.sections[0].totals["elsewhere"] == 0
    assert not any("section 0: other vCPUs" in problem for problem in beside.problems)


def test_a_vcpu_that_is_busy_voids_the_section(beside: Sections) -> None:
    busy = beside.sections[1].totals["elsewhere"]

    assert busy > 0
    assert f"section 1: other vCPUs were busy ({busy} instructions); exact needs one" in beside.problems
