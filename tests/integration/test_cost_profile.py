"""The plugin's profile in the real QEMU, on a guest whose calls can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from bareguest import boot, built, events, paths, profiled

from lab.formats.profile import Profile, parse_profile
from lab.measure.cost import parse_cost, plugin_api, qemu_version
from lab.measure.explain import identity
from lab.model.outcome import Status


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the guest ran to its end with the profile on."""
    place = built(tmp_path_factory.mktemp("guest"), "calls")
    profiled(place)
    return place


@pytest.fixture
def profile(directory: Path) -> Profile:
    return parse_profile((directory / "profile").read_text())


def test_every_instruction_is_in_one_function_and_every_function_on_its_path(profile: Profile, directory: Path) -> None:
    found = {path: (sum(node.counts), node.calls) for path, node in paths(directory, profile)}

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


def test_events_and_bytes_count_in_the_function_they_happen_in(tmp_path: Path) -> None:
    place = built(tmp_path, "events")

    assert events(place, profiled(place)) == {
        "locks": {"locked": 5},  # and not the same instructions without a lock
        "msrs": {"rdmsr": 3, "wrmsr": 2},  # RDTSC is their neighbour
        "tlb": {"wrcr3": 2, "invlpg": 4},  # reads of CR3, other control registers, SIDT and SWAPGS are none
        "interrupts": {"iret": 1},
        "handler": {"iret": 3},
        "bytes": {"rep-steps": 5 + 3 + 7 + 4 + 6, "rep-bytes": 5 + 3 * 2 + 7 * 4 + 4 * 8 + 6},
    }


def test_a_second_vcpu_has_a_path_of_its_own(tmp_path: Path) -> None:
    if plugin_api(qemu_version()) > 1:
        pytest.skip("this QEMU's plugins cannot tell several vCPUs apart: test_cost_plugin sees them refused")
    place = built(tmp_path, "beside")
    profile = profiled(place, "-smp", "2")
    counted = parse_cost((place / "out").read_text())

    assert [sum(map(sum, (node.counts for node in tree.nodes))) for tree in profile.sections] == [
        section.executed for section in counted.sections
    ]
    assert counted.sections[1].totals["elsewhere"] > 0


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

    assert boot(directory, f"symbols={{0}}/symbols,out={{0}}/out,{arguments}") == 1
    (directory / "out").write_text(before)
