"""The series agent-local: its own tests reach its lines, and each mutant of it fails the test that has to see it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import ROOT, inv
from coverage import ROW, Coverage, Row, coverage, executed, rows
from plugins import body, delays, plugin_argument, span

from lab.cache import Cache

SERIES = "agent-local"
ON = "CONFIG_NET_AGENT_LOCAL=y"
"""For both sides: the baseline of a mutant is the series itself, switched on."""
FILES = ("agent_lo.c", "agent_lo_pair.c", "agent_lo_recv.c", "agent_lo_ring.c", "agent_lo_send.c", "agent_lo_sysctl.c")
MUTANTS = sorted(path.parent.name for path in (ROOT / "patches" / "agent-local-mutants").glob("*/series.toml"))
ENOUGH = 85.0
EVERYTHING = "full"
"""The kconfig with all that the tests can ask for: nf_tables, fault injection, 32-bit programs, sockets destroyed by ss."""


PREEMPTIBLE = "CONFIG_PREEMPT_VOLUNTARY=n CONFIG_PREEMPT=y CONFIG_INET_DIAG=y CONFIG_INET_DIAG_DESTROY=y"
"""Full preemption, and what one of the race tests asks for."""
TIMES = 25
"""As many rounds as the race tests have by themselves: 1,000,000 of waking up, 10,000 to a ring and back, 7,500 of storm."""


def lines_of_the_series(*words: str) -> list[Row]:
    """The line table of the patched kernel of these words, as far as the series added the file."""
    built = inv("build", "--series", SERIES, *words)
    (key,) = {build["key"] for build in built.results["builds"] if build["role"] == "patched"}
    return rows(Cache.default().root / "build" / key / "vmlinux", FILES)


def test_a_row_of_the_line_table_is_understood() -> None:
    match = ROW.match("agent_lo.c                                   131  0xffffffff816300a9      26       x")

    assert match
    assert (match["file"], match["line"], match["address"]) == ("agent_lo.c", "131", "ffffffff816300a9")
    assert match["statement"]
    assert ROW.match("agent_lo.h            130  0xffffffff81631b5e")
    assert not ROW.match("net/ipv4/agent_lo_send.c:")


def test_lines_that_did_not_run_are_named(tmp_path: Path) -> None:
    table = [Row("a.c", 1, 0x10, True), Row("a.c", 2, 0x20, True), Row("a.c", 2, 0x30, True), Row("a.c", 3, 0x40, False)]
    (tmp_path / "1.addresses").write_text("10\n30\n20")  # the last line may be cut off

    assert executed(tmp_path) == {0x10, 0x30}
    assert coverage(table, executed(tmp_path)) == [Coverage("a.c", frozenset({1, 2}), frozenset({1, 2}))]
    (half,) = coverage(table, frozenset({0x10, 0x40}))
    assert (half.percent, half.missing) == (50.0, [2])


def test_what_runs_together_is_found_by_its_rows() -> None:
    table = [Row("a.c", 1, 0x5000, True), Row("a.c", 2, 0x5010, True), Row("a.c", 3, 0x100, True), Row("a.c", 4, 0x9000, True)]

    assert span(table) == (0x100, 0x9001)
    assert body(table) == (0x5000, 0x5011)


def test_the_plugins_compile(tmp_path: Path) -> None:
    for name in ("coverage", "delay"):
        assert plugin_argument(name, 0x10, 0x20, tmp_path, one_in=9).endswith(f"low=10,high=20,into={tmp_path},one_in=9")


def test_there_are_ten_mutants() -> None:
    assert len(MUTANTS) == 10


@pytest.mark.full
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_fails_the_test_that_has_to_see_it(name: str) -> None:
    line = inv("kselftest", "own", "--series", f"agent-local-mutants/{name}", "--set", ON)

    verdicts = {row["verdict"] for row in line.results["tests"] if row["whole"]}
    assert line.code == 1, line.text[-3000:]
    assert verdicts == {"REGRESSED"}


@pytest.mark.full
def test_own_tests_reach_most_lines_of_the_series(tmp_path: Path) -> None:
    table = lines_of_the_series("--kconfig", EVERYTHING)
    plugin = plugin_argument("coverage", *span(table), tmp_path)

    line = inv("kselftest", "own", "--series", SERIES, "--kconfig", EVERYTHING, "--qemu-arg", plugin)

    assert line.code == 0, line.text[-3000:]
    found = coverage(table, executed(tmp_path))
    for one in found:
        sys.stdout.write(f"{one.file}: {one.percent:.1f} % of {len(one.lines)} lines; not: {one.missing}\n")
    assert {one.file for one in found} == set(FILES)
    assert [one.file for one in found if one.percent < ENOUGH] == []


@pytest.mark.full
def test_races_on_four_vcpus_that_stand_still_now_and_then(tmp_path: Path) -> None:
    table = lines_of_the_series("--set", PREEMPTIBLE)
    plugin = plugin_argument("delay", *body(table), tmp_path, one_in=3000, most_us=400)
    words = ["--set", PREEMPTIBLE, "--cpus", "4", "--words", str(TIMES), "--timeout", "3600", "--qemu-arg", plugin]

    line = inv("kselftest", "net/agent_local:race", "--series", SERIES, *words)

    assert line.code == 0, line.text[-3000:]
    sys.stdout.write(f"each vCPU stood still so often: {delays(tmp_path)}\n")
    assert len(delays(tmp_path)) >= 4
