"""Output and counts of one boot: what passes, and everything that must not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.deadline import Deadline
from lab.measure.collect import Collected, _disagreeing, collect, outcome
from lab.measure.cost import TOTALS, Lap
from lab.model.judgement import Metric
from lab.model.outcome import Outcome, Status, worst
from lab.model.ports import Completed
from lab.model.run import PayloadSpec

DATA = Path(__file__).parents[1] / "data" / "measure"
KTAP = (DATA / "syscall.ktap").read_text()
COST = (DATA / "syscall.cost").read_text()
ROWS = ("getpid", "read-zero.64", "write-null.64", "page-fault")
METRICS = tuple(metric for name in ROWS for metric in (Metric(name, "insn", "exact"), Metric(f"{name}.total", "insn", "info")))
SPEC = PayloadSpec("syscall", "", Path("/built"), "hash", ("./syscall", "two words"), METRICS)
GOOD = Collected(0, KTAP, "")


def status(said: Outcome) -> Status:
    return worst([case.status for case in said.cases])


def details(said: Outcome) -> str:
    return "; ".join(f"{case.name}: {case.detail}" for case in said.cases if case.status is not Status.PASS)


def test_a_good_boot() -> None:
    said = outcome(GOOD, COST, SPEC)
    rows = {row.metric: row for row in said.rows}

    assert status(said) is Status.PASS
    assert [row.metric for row in said.rows] == [metric.name for metric in METRICS]
    assert rows["getpid"].values == (228, 227, 227, 227)
    assert rows["getpid"].kind == "exact"
    assert rows["write-null.64"].values == (339, 1841, 338, 338)
    assert rows["write-null.64.total"].values == ((2929 + 7601 + 2674 + 5555) / 4 - 16,)
    assert "net of 16 instructions of an empty section (4 laps)" in said.notes
    assert "getpid: 50 warm-up operations discarded, 0 operations failed" in said.notes


def test_every_lap_is_checked_against_the_clock() -> None:
    said = outcome(GOOD, COST, SPEC)
    wrong = outcome(replace(GOOD, stdout=KTAP.replace("clock.getpid 243", "clock.getpid 244", 1)), COST, SPEC)

    assert [case.detail for case in said.cases if case.name == "crosscheck page-fault"] == ["3 laps equal to the instruction"]
    assert details(wrong) == "crosscheck getpid: 1 of 3 laps differ, the first: 243 executed, 244 by the clock"


def test_a_faulting_payload_is_wrong_by_each_restart_that_was_not_taken_off() -> None:
    last = "lap 5225 0 0 4225 0 1 0\nend 4"
    wrong = outcome(GOOD, COST.replace(last, last.replace(" 1 0", " 0 0")), SPEC)

    assert status(wrong) is Status.FAIL
    assert details(wrong) == "crosscheck page-fault: 1 of 3 laps differ, the first: 9450 executed, 9449 by the clock"


def lap(work: int, beside: int = 0, idle: int = 0) -> Lap:
    return Lap(work, 0, 0, 0, beside, 0, idle)


@pytest.mark.parametrize(
    ("laps", "wrong"),
    [
        ([(lap(16), 16), (lap(16), 16)], 0),
        ([(lap(16), 8832), (lap(16, beside=8816), 16), (lap(16), 16)], 0),  # a tick between the mark and the clock
        ([(lap(16), 8832), (lap(16), 16)], 1),  # nothing took it back
        ([(lap(16), 8832), (lap(16, beside=8815), 17)], 2),  # it took back less
        ([(lap(16), 17), (lap(17), 16)], 2),  # no interrupt was there to be misplaced
        ([(lap(16), 15), (lap(16, beside=1), 18)], 2),  # the clock cannot lag
        ([(lap(16), 8832)], 1),
        ([(lap(16, idle=5), 99), (lap(16), 16)], 0),
        ([(lap(16, idle=5), 21), (lap(16), 16)], 0),  # woken at once: no idle time beyond the instructions
        ([(lap(16, idle=5), 20), (lap(16), 16)], 1),  # executed more than the clock saw
        ([(lap(16, idle=5), 99), (lap(16, beside=50, idle=5), 21)], 0),  # the interrupt fell between the mark and the clock
        ([(lap(16, idle=5), 99), (lap(16, beside=50), 16)], 0),
        ([(lap(16, idle=5), 99), (lap(16), 15)], 1),  # no interrupt was there to be misplaced
        ([(lap(16), 66), (lap(16, beside=50, idle=5), 21)], 0),
        ([(lap(16), 66), (lap(16, beside=50, idle=5), 20)], 2),
    ],
)
def test_an_interrupt_between_mark_and_clock_is_in_the_next_lap(laps: list[tuple[Lap, float]], wrong: int) -> None:
    assert len(_disagreeing(laps)) == wrong


WAITING = replace(SPEC, metrics=(Metric("read", "insn", "exact", waits=True), Metric("read.total", "insn", "info")))


def device_read(laps: list[Lap], seen: list[int], spec: PayloadSpec = WAITING, apart: str = "") -> Outcome:
    """A boot in which `read` had these laps by the plugin and these by the clock."""
    empty = [Lap(16, 0, 0, 0, 0, 0, 0)] * 2
    said = ["KTAP version 1", "1..1"]
    counted = ["lab-cost 2"]
    for number, (name, part, clock) in enumerate((("empty", empty, [16, 16]), ("read", laps, seen))):
        head = f"# section {number} {name} laps {len(part)}{apart if name == 'read' else ''}"
        said += [head, *(f"# sample clock.{name} {value} ns" for value in clock)]
        totals = dict.fromkeys(TOTALS, 0) | {"task": sum(item.task for item in part), "idle": sum(item.idle for item in part)}
        totals["own-space"] = totals["task"]
        end = " ".join(f"{key} {value}" for key, value in totals.items())
        counted += [
            f"section {number}",
            *("lap " + " ".join(map(str, item)) for item in part),
            f"end {number} laps {len(part)} {end}",
        ]
    return outcome(Collected(0, "\n".join([*said, "ok 1 read", ""]), ""), "\n".join([*counted, ""]), spec)


AT_ONCE = replace(WAITING, metrics=(Metric("read", "insn", "exact"), Metric("read.total", "insn", "info")))


@pytest.mark.parametrize(
    ("laps", "seen", "right"),
    [
        ([lap(16), lap(16), lap(16, beside=2000)], [16, 16, 16], True),  # a tick before the look at the clock that begins a lap
        ([lap(16), lap(16), lap(16, beside=2000)], [16, 16, 15], False),  # its interrupts cannot hold so much
        ([lap(16), lap(16), lap(16, beside=200)], [16, 216, 216], True),  # a tick behind the lap's mark
        ([lap(16), lap(16), lap(16, beside=200)], [16, 217, 216], False),  # no interrupt of this section takes so long
        ([lap(16), lap(16), lap(16), lap(16, beside=200)], [16, 216, 216, 216], False),  # two of three are no accident
    ],
)
def test_an_interrupt_at_the_edge_of_a_lap_apart_is_none_of_the_payloads(laps: list[Lap], seen: list[int], right: bool) -> None:
    said = device_read(laps, seen, AT_ONCE, " apart")
    assert [case.status is Status.PASS for case in said.cases if case.name == "crosscheck read"] == [right]

    assert "differ" in details(device_read(laps, seen, AT_ONCE))  # where the next lap would have told


def of_parts(*metrics: Metric) -> Outcome:
    """The golden boot, some of whose rows are declared otherwise."""
    names = {metric.name for metric in metrics} | {metric.net_of for metric in metrics}
    kept = [metric for metric in METRICS if metric.name.removesuffix(".total") not in names]
    totals = [Metric(f"{metric.name}.total", "insn", "info") for metric in metrics]
    return outcome(GOOD, COST, replace(SPEC, metrics=(*kept, *metrics, *totals)))


def test_a_row_net_of_another_section_is_of_what_it_does_more_and_that_section_is_no_row() -> None:
    said = of_parts(Metric("write-null.64", "insn", "exact", per=2, net_of="getpid"))
    rows = {row.metric: row for row in said.rows}

    assert status(said) is Status.PASS
    assert "getpid" not in rows
    assert rows["write-null.64"].values == tuple((value - 227) / 2 for value in (339, 1841, 338, 338))
    assert len(rows["write-null.64.total"].values) == 1


def test_a_row_of_several_operations_is_of_one() -> None:
    rows = {row.metric: row for row in of_parts(Metric("getpid", "insn", "exact", per=4)).rows}

    assert rows["getpid"].values == (228 / 4, 227 / 4, 227 / 4, 227 / 4)


def test_a_row_whose_other_section_did_not_come_is_missing() -> None:
    said = of_parts(Metric("getpid", "insn", "exact", net_of="begin"))

    assert "declared and did not come: getpid" in details(said)


def test_a_row_that_waits_takes_the_laps_that_waited_with_their_interrupts() -> None:
    early, waited = lap(3459, beside=1145), lap(5244, beside=2442, idle=300)

    said = device_read([early, waited, early, waited], [4604, 90000, 4604, 7986])

    assert status(said) is Status.PASS
    assert [row.values for row in said.rows] == [(5228, 5228), (7670, 7670)]
    assert "1 laps equal to the instruction, 2 with idle time not above the clock" in [case.detail for case in said.cases]


def test_a_row_that_waits_may_wait_in_every_lap_and_says_so() -> None:
    waited = lap(5244, beside=2442, idle=300)

    said = device_read([waited] * 3, [90000] * 3)

    assert status(said) is Status.PASS
    assert "0 laps equal to the instruction, 2 with idle time not above the clock" in [case.detail for case in said.cases]


@pytest.mark.parametrize(
    ("laps", "seen", "complaint"),
    [
        ([lap(16)] * 3, [16] * 3, "read has no usable value"),
        ([lap(5244, idle=300)] * 3, [90000, 90000, 5543], "1 of 2 laps differ, the first: 5544 executed, 5543 by the clock"),
        ([lap(5244, idle=300), lap(16), lap(16)], [90000, 16, 17], "1 of 2 laps differ"),
    ],
)
def test_a_row_that_waits_can_fail(laps: list[Lap], seen: list[int], complaint: str) -> None:
    said = device_read(laps, seen)

    assert status(said) is Status.FAIL
    assert complaint in details(said)


def test_idle_time_in_every_lap_of_a_row_that_does_not_wait_is_a_failure() -> None:
    plain = replace(SPEC, metrics=(Metric("read", "insn", "exact"), Metric("read.total", "insn", "info")))

    assert "every one holds idle time" in details(device_read([lap(5244, idle=300)] * 3, [90000] * 3, plain))


def test_truncating_the_output_at_any_byte_never_passes() -> None:
    assert not [cut for cut in range(len(KTAP)) if status(outcome(replace(GOOD, stdout=KTAP[:cut]), COST, SPEC)) is Status.PASS]


def test_truncating_the_counts_at_any_byte_never_passes() -> None:
    assert not [cut for cut in range(len(COST)) if status(outcome(GOOD, COST[:cut], SPEC)) is Status.PASS]


def test_dropping_any_line_of_the_counts_never_passes() -> None:
    lines = COST.splitlines(keepends=True)
    cut = ["".join(lines[:at] + lines[at + 1 :]) for at in range(len(lines))]

    assert not [text for text in cut if status(outcome(GOOD, text, SPEC)) is Status.PASS]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("ok 2 read-zero.64", "not ok 2 read-zero.64", "read-zero.64"),
        ("1..4", "1..5", "planned 5 results and gave 4"),
        ("# section 1 getpid laps 4", "# section 1 getpid laps 5", "section 1 has 4 laps, the payload says 5"),
        ("# section 1 getpid laps 4\n", "", "the plugin saw 5 sections, the payload names 4"),
        ("section 1 getpid", "section 1 getppid", "declared and did not come: getpid, getpid.total"),
        ("section 1 getpid", "section 1 getppid", "getppid is not declared"),
        ("section 0 empty", "section 0 void", "the bracket has no one price"),
        ("section 1 getpid", "section 1 page-fault", "two sections share a name"),
        ("sample clock.getpid 243 ns", "sample clock.getpid nan ns", "not a sample"),
        ("# sample clock.getpid 243 ns\n", "", "3 clock samples for 4 laps"),
        ("1..4\n", "1..4\n# sample retries 3 packets\n", "retries is not declared"),
        ("ok 4 page-fault\n", "", "planned 4 results and gave 3"),
        ("ok 4 page-fault\n", "ok 4 page-fault\nBail out! no memory\n", "Bail out!"),
    ],
)
def test_what_must_not_pass(old: str, new: str, complaint: str) -> None:
    assert old in KTAP
    said = outcome(replace(GOOD, stdout=KTAP.replace(old, new, 1)), COST, SPEC)

    assert status(said) in (Status.FAIL, Status.ERROR)
    assert complaint in details(said)


@pytest.mark.parametrize("text", ["", "lab-cost 2\n", "nonsense\n"])
def test_no_counts_is_an_error(text: str) -> None:
    said = outcome(GOOD, text, SPEC)

    assert status(said) is Status.ERROR
    assert not said.rows


def test_a_lost_context_is_an_error() -> None:
    assert "lost track" in details(outcome(GOOD, COST.replace("anomalies 0", "anomalies 1", 1), SPEC))


def test_without_the_plugin_nothing_is_claimed_and_it_is_said() -> None:
    said = outcome(GOOD, None, SPEC)

    assert status(said) is Status.PASS
    assert said.rows == ()
    assert any("not counted" in note for note in said.notes)


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        (Collected(139, KTAP, "line\nSegmentation fault\n"), "exit: the payload ended with status 139: Segmentation fault"),
        (Collected(1, KTAP, ""), "exit: the payload ended with status 1: nothing on standard error"),
        (Collected(-1, "", ""), "no KTAP output"),
    ],
)
def test_an_exit_status_that_does_not_fit(raw: Collected, want: str) -> None:
    assert want in details(outcome(raw, None, SPEC))


def test_many_missing_rows_are_one_complaint_with_their_number() -> None:
    wanted = replace(SPEC, metrics=tuple(Metric(f"row{number}", "events", "count") for number in range(9)))

    said = details(outcome(Collected(0, "KTAP version 1\n1..1\nok 1 a\n", ""), None, wanted))

    assert said == "metrics: declared and did not come: row0, row1, row2, row3, row4 (and 4 more)"


def test_a_skipped_payload_may_exit_with_four() -> None:
    said = outcome(Collected(4, "KTAP version 1\n1..0 # SKIP no NVMe\n", ""), None, replace(SPEC, metrics=()))

    assert [(case.status, case.detail) for case in said.cases] == [(Status.SKIP, "no NVMe")]


def test_a_payloads_own_samples_are_rows_of_their_declared_kind() -> None:
    text = "KTAP version 1\n1..1\n# sample faults 3 faults\n# sample faults 4 faults\nok 1 a\n"
    wanted = replace(SPEC, metrics=(Metric("faults", "faults", "count"),))

    said = outcome(Collected(0, text, ""), None, wanted)
    other = outcome(Collected(0, text, ""), None, replace(SPEC, metrics=(Metric("faults", "pages", "count"),)))

    assert [(row.metric, row.kind, row.values) for row in said.rows] == [("faults", "count", (3.0, 4.0))]
    assert "came in faults, declared in pages" in details(other)


class FakeShell:
    """A guest that records what it is asked and answers with a given output."""

    def __init__(self, done: Completed) -> None:
        self.done = done
        self.pushed: list[tuple[Path, str]] = []
        self.commands: list[str] = []

    def run(self, command: str, *, deadline: Deadline, stdin: bytes = b"") -> Completed:
        self.commands.append(command)
        return self.done

    def push(self, directory: Path, target: str, *, deadline: Deadline) -> None:
        self.pushed.append((directory, target))

    def pull(self, path: str, target: Path, *, deadline: Deadline) -> None:
        raise NotImplementedError


def test_collecting_is_one_push_and_one_exec_that_says_nothing_until_the_end() -> None:
    shell = FakeShell(Completed(1, "out", "err"))

    got = collect(shell, spec=SPEC, deadline=Deadline.after(60))

    assert got == Collected(1, "out", "err")
    assert shell.pushed == [(Path("/built"), "/tmp/payload/syscall")]
    assert len(shell.commands) == 1
    assert "./syscall 'two words' >../out 2>../err </dev/null" in shell.commands[0]


SKIPS = "KTAP version 1\n1..2\n# sample other 4 calls\nok 1 other\nok 2 {name} # SKIP the kernel lacks it\n"


@pytest.mark.parametrize(("name", "good"), [("reads", True), ("reads.64", False), ("read", False)])
def test_a_row_need_not_come_when_the_case_of_its_name_was_skipped(name: str, good: bool) -> None:
    spec = replace(SPEC, metrics=(Metric("other", "calls", "count"), Metric("reads", "calls", "count")))

    said = outcome(Collected(0, SKIPS.format(name=name), ""), None, spec)

    assert (Status.FAIL not in [case.status for case in said.cases]) is good


def test_a_skipped_case_excuses_the_rows_below_it() -> None:
    spec = replace(SPEC, metrics=(Metric("other", "calls", "count"), Metric("reads.64", "calls", "count")))

    said = outcome(Collected(0, SKIPS.format(name="reads"), ""), None, spec)

    assert Status.FAIL not in [case.status for case in said.cases]


def test_a_payload_that_bails_out_is_not_asked_for_its_rows() -> None:
    spec = replace(SPEC, metrics=(Metric("reads", "calls", "count"),))

    said = outcome(Collected(1, "KTAP version 1\n1..1\nBail out! no disk\n", ""), None, spec)

    (case,) = said.cases
    assert case.status is Status.FAIL
    assert "no disk" in case.detail
