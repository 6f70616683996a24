"""The plugin's profile in the real QEMU, on a guest whose calls can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from bareguest import PROFILED, boot, built, events, paths, profiled

from lab.formats.profile import Profile, parse_profile
from lab.kernel.symbols import functions_of
from lab.measure.cost import parse_cost, plugin_api, qemu_version
from lab.measure.profiled import identity
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


def test_the_median_lap_is_told_by_function_however_rare_its_kind_is(tmp_path: Path) -> None:
    kinds = {kind.work: kind.laps for kind in profiled(built(tmp_path, "kinds")).sections[0].kinds}

    assert len(kinds) <= 9
    assert kinds[11] == 1


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


def misses(place: Path, d1: str) -> dict[str, tuple[int, ...]]:
    """Function -> misses of I1, D1 and LL, with caches of 64-byte lines: I1 4 sets of 1 way, LL 4 sets of 4."""
    found = events(place, profiled(place, f"caches=256:1:64:{d1}:64:1024:4:64"))
    return {name: tuple(seen.get(f"{level}-misses", 0) for level in ("i1", "d1", "ll")) for name, seen in found.items()}


def test_cache_misses_are_those_counted_by_hand(tmp_path: Path) -> None:
    assert misses(built(tmp_path, "caches"), "256:2") == {
        "recent": (1, 4, 4),
        "across": (1, 2, 3),
        "loop": (6, 0, 1),
        "away": (5, 0, 1),
        "bytes": (1, 4, 5),
        "end": (1, 0, 1),
    }


def test_one_more_way_keeps_what_two_push_out(tmp_path: Path) -> None:
    assert misses(built(tmp_path, "caches"), "512:4")["recent"] == (1, 3, 4)


@pytest.mark.parametrize(
    "shapes", ["256:1:64", "256:1:64:256:2:64:1024:4:60", "192:1:64:256:2:64:1024:4:64", "256:0:64:256:2:64:1024:4:64"]
)
def test_qemu_does_not_start_with_caches_that_cannot_be(tmp_path: Path, shapes: str) -> None:
    place = built(tmp_path, "caches")

    assert boot(place, f"{PROFILED},caches={shapes}") == 1
    assert boot(place, "symbols={0}/symbols,out={0}/out,caches=256:1:64:256:2:64:1024:4:64") == 1


@pytest.mark.parametrize("guest", ["calls", "events", "caches"])
def test_instructions_by_address_add_up_to_those_by_function(tmp_path: Path, guest: str) -> None:
    place = built(tmp_path, guest)
    (tree,) = profiled(place, "addresses=on").sections

    assert sum(tree.spots.values()) == sum(node.operation for node in tree.nodes) > 0


@pytest.mark.parametrize(
    ("kind", "expected", "operation"),
    [
        ("exception", {"/long_mode/tlb/handler": 2, "/long_mode/interrupts/handler": 4}, 75),
        ("fault", {"/long_mode/tlb/handler": 2, "/long_mode/interrupts/handler": 4}, 75),
        ("irq", {"/handler": 6}, 69),
    ],
)
def test_an_exception_goes_on_from_where_it_came_an_interrupt_does_not(
    tmp_path: Path, kind: str, expected: dict[str, int], operation: int
) -> None:
    place = built(tmp_path, "events")
    handler = next(one for one in functions_of(place / "guest") if one.name == "handler")
    extent = f"{handler.first:x} {handler.end:x}"
    (place / "symbols").write_text(f"{kind} {extent}\nentry {extent}\n")

    profile = profiled(place, "addresses=on")

    (tree,) = profile.sections
    assert {path: sum(node.counts) for path, node in paths(place, profile) if path.endswith("handler")} == expected
    assert sum(tree.spots.values()) == sum(node.operation for node in tree.nodes) == operation


def test_an_instruction_counts_where_it_lies(tmp_path: Path) -> None:
    place = built(tmp_path, "calls")
    spots = profiled(place, "addresses=on").sections[0].spots
    inner, tail = (next(one for one in functions_of(place / "guest") if one.name == name) for name in ("inner", "tail"))

    assert {at: count for at, count in spots.items() if at and inner.first <= at < tail.end} == {
        inner.first: 3,  # from both calls of outer, and behind the jump
        inner.first + 1: 3,
        tail.first: 2,
        tail.first + 1: 2,
    }


def test_a_second_vcpu_has_a_path_of_its_own(tmp_path: Path) -> None:
    if plugin_api(qemu_version()) > 1:
        pytest.skip("this QEMU's plugins cannot tell several vCPUs apart: test_cost_plugin sees them refused")
    place = built(tmp_path, "beside")
    profile = profiled(place, more=("-smp", "2"))
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
