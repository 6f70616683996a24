"""What payloads do that runs without a guest: the checks inside them say no, and they refuse a machine that is not the lab's."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from payloadpart import PAYLOADS, said_by

from lab.cache import Cache
from lab.deadline import Deadline
from lab.measure.collect import Collected, outcome
from lab.measure.payload import read_payload
from lab.model.outcome import Status
from lab.proc import run

BLOCK = 4096


INTERRUPTS = """            CPU0       CPU1       CPU2       CPU3
  24:         1          2         30        400  PCI-MSI nvme0q1
 LOC:        10         20          3          4   Local timer interrupts
 CAL:         5          6          7          8   Function call interrupts
 TLB:         1          1          2          3   TLB shootdowns
 MCP:         9          9          9          9   Machine check polls
 XYZ:         0          0          1          0   A vector that is new
 ERR:          0
"""
COUNT_TABLE = """
#include <quiet.h>
int main(void)
{
	static struct counts counts;

	add_table("interrupts", &counts, SOURCES);
	for (int s = 0; s < SOURCES; s++)
		if (counts.of[0][s] || counts.of[1][s])
			printf("%s %d %d\\n", source_names[s], (int)counts.of[0][s], (int)counts.of[1][s]);
	return 0;
}
"""


def test_every_line_of_the_interrupts_is_a_source_or_none(tmp_path: Path) -> None:
    (tmp_path / "interrupts").write_text(INTERRUPTS)

    said = said_by(COUNT_TABLE, tmp_path).splitlines()

    assert said == ["timer 3 4", "call 7 8", "tlb 2 3", "device 30 400", "other 1 0"]


@pytest.mark.parametrize("table", [INTERRUPTS.replace("CPU3", "CPU9"), INTERRUPTS + "no label\n", INTERRUPTS[:-1]])
def test_interrupts_that_do_not_read_are_not_zero(table: str, tmp_path: Path) -> None:
    (tmp_path / "interrupts").write_text(table)

    assert said_by(COUNT_TABLE, tmp_path).startswith("Bail out! ")


EXPLAINED = """
#include <quiet.h>
int main(void)
{
	struct window all = { .of[0][TIMER] = 3, .of[0][CALL] = 2, .of[0][TLB] = 2, .entries = { 5, 0 } }, less = all, part = all;

	less.entries[0]++;	/* one that no source explains */
	part.of[0][CALL] = 0;	/* TLB flushes are a part of the calls */
	printf("%d %d %d\\n", explained(&all), explained(&less), explained(&part));
	return 0;
}
"""


def test_an_entry_without_a_source_fails(tmp_path: Path) -> None:
    assert said_by(EXPLAINED, tmp_path).splitlines()[-1] == "1 0 0"


RIGHT = """
#define main payload
#include <readpath/readpath.c>
#undef main
int main(void)
{
	static uint64_t words[BLOCK / 8];
	struct reader reader = { .size = BLOCK, .buffer = (char *)words };

	for (int i = 0; i < BLOCK / 8; i++)
		words[i] = word_at(3 * BLOCK + 8 * i);
	printf("%d %d", right(&reader, 3 * BLOCK), right(&reader, 4 * BLOCK));
	words[70] ^= 1;
	printf(" %d", right(&reader, 3 * BLOCK));	/* in the warm-up every word */
	reader.number = WARMUP;
	printf(" %d", right(&reader, 3 * BLOCK));
	words[64] ^= 1;		/* then the ends of every sector */
	printf(" %d\\n", right(&reader, 3 * BLOCK));
	return 0;
}
"""


def test_what_was_read_is_checked(tmp_path: Path) -> None:
    assert said_by(RIGHT, tmp_path) == "1 0 0 1 0\n"


@pytest.mark.parametrize(
    ("name", "why"),
    [("readpath", "nvme0n1"), ("quiet", "Bail out!")],
)
def test_a_machine_that_is_not_the_labs_guest_is_refused(name: str, why: str, tmp_path: Path) -> None:
    spec = read_payload(PAYLOADS, name, Cache(tmp_path))

    done = run([spec.directory / spec.command[0]], deadline=Deadline.after(120), check=False, cwd=spec.directory)
    said = outcome(Collected(done.status, done.stdout, done.stderr), None, spec)

    assert why in done.stdout
    assert Status.FAIL in {case.status for case in said.cases}


def test_the_packed_file_system_is_a_clean_ext4(tmp_path: Path) -> None:
    packed = (read_payload(PAYLOADS, "readpath", Cache(tmp_path)).directory / "ext4.pack").read_bytes()
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(32 << 20)
        for at in range(0, len(packed), 8 + BLOCK):
            file.seek(struct.unpack_from("<Q", packed, at)[0] * BLOCK)
            file.write(packed[at + 8 : at + 8 + BLOCK])

    assert len(packed) % (8 + BLOCK) == 0
    assert run(["/sbin/e2fsck", "-f", "-n", disk], deadline=Deadline.after(60), check=False).status == 0
