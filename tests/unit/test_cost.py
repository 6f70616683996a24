"""The plugin's output, the symbols it gets, and the interface it is built for."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import HostError
from lab.measure.cost import COUNTED, TOTALS, Lap, parse_cost, places_of, plugin_api

DATA = Path(__file__).parents[1] / "data" / "measure"
GOLDEN = (DATA / "syscall.cost").read_text()


class FakeSymbols:
    """A kernel with the given symbols, sixteen bytes apart."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def address(self, name: str) -> int:
        if name not in self.names:
            raise KeyError(name)
        return 0xFFFFFFFF81000000 + 16 * self.names.index(name)

    def extent(self, name: str) -> tuple[int, int]:
        return self.address(name), self.address(name) + 16

    def decode(self, lines: list[str]) -> list[str]:
        return lines

    def nearest(self, address: int) -> str:
        return hex(address)


NEEDED = (
    *("asm_exc_page_fault", "asm_sysvec_apic_timer_interrupt", "irq_entries_start", "__entry_text_start", "__entry_text_end"),
    *("swapgs_restore_regs_and_return_to_usermode", "__switch_to_asm", "handle_softirqs", "do_idle", "entry_SYSCALL_64"),
    "ret_from_fork_asm",
    "copy_thread",
    "switch_mm_irqs_off",
)


def end(ordinal: int, laps: int, **totals: int) -> str:
    totals = {"own-space": sum(totals.get(name, 0) for name in COUNTED), **totals}
    return f"end {ordinal} laps {laps} " + " ".join(f"{name} {totals.get(name, 0)}" for name in TOTALS) + "\n"


def test_a_real_output() -> None:
    cost = parse_cost(GOLDEN)

    assert cost.problems == ()
    assert [len(section.laps) for section in cost.sections] == [4, 4, 4, 4, 4]
    assert cost.sections[1].laps[1] == Lap(243, 0, 0, 0, 0, 0, 0)
    assert cost.sections[4].laps[1].clock == 9449
    assert cost.sections[3].executed == 2929 + 7601 + 2674 + 5555


def test_truncation_at_any_byte_is_a_problem_or_fewer_sections() -> None:
    whole = len(parse_cost(GOLDEN).sections)

    for cut in range(len(GOLDEN)):
        cost = parse_cost(GOLDEN[:cut])
        assert cost.problems or len(cost.sections) < whole, GOLDEN[:cut][-60:]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "missing"),
        ("lab-cost 1\n", "another version"),
        ("lab-cost 2\nsection 0\nlap 1 0 0 0 0 0 0\n", "section 0 has no end"),
        ("lab-cost 2\nsection 0\n" + end(0, 0), "section 0 has no laps"),
        ("lab-cost 2\nsection 0\nlap 1 0 0 0 0 0 0\n" + end(0, 2), "makes no sense"),
        ("lab-cost 2\nsection 0\nlap 1 0 0 0 0 0\n" + end(0, 1), "makes no sense"),
        ("lab-cost 2\nsection 0\nlap nan 0 0 0 0 0 0\n" + end(0, 1), "makes no sense"),
        ("lab-cost 2\nsection 1\nlap 1 0 0 0 0 0 0\n" + end(1, 1), "makes no sense"),
        ("lab-cost 2\nsection 0\nsection 1\n", "makes no sense"),
        ("lab-cost 2\nlap 1 0 0 0 0 0 0\n", "makes no sense"),
        (
            "lab-cost 2\nsection 0\nlap 1 0 0 0 0 0 0\n" + end(0, 1, task=3, **{"own-space": 2}),
            "2 instructions by address space, 3 by context",
        ),
        ("lab-cost 2\nsection 0\nlap 1 0 0 0 0 0 0\n" + end(0, 1, task=1, anomalies=2), "lost track of the context 2 times"),
        ("lab-cost 2\nsection 0\nlap 1 0 0 0 0 0 0\n" + end(0, 1, task=90, other=10, elsewhere=10), "other vCPUs were busy"),
    ],
)
def test_what_cannot_be_trusted(text: str, problem: str) -> None:
    assert problem in "; ".join(parse_cost(text).problems)


def test_nothing_measured_is_no_problem_of_the_plugin() -> None:
    assert parse_cost("lab-cost 2\n").problems == ()


def test_places_of_a_kernel() -> None:
    places = places_of(FakeSymbols(*NEEDED, "asm_exc_int3", "asm_sysvec_irq_work")).splitlines()

    assert "switch ffffffff81000060 ffffffff81000070" in places
    assert "entry ffffffff81000030 ffffffff81000040" in places
    assert [line.split()[0] for line in places[-2:]] == ["irq", "exception"]


@pytest.mark.parametrize("name", NEEDED)
def test_a_kernel_without_a_needed_symbol_is_refused(name: str) -> None:
    with pytest.raises(HostError, match=name):
        places_of(FakeSymbols(*(other for other in NEEDED if other != name)))


@pytest.mark.parametrize(("version", "api"), [((7, 2), 1), ((8, 2), 1), ((9, 0), 2), ((9, 1), 3), ((10, 0), 3)])
def test_the_interface_of_each_qemu(version: tuple[int, int], api: int) -> None:
    assert plugin_api(version) == api
