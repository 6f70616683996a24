"""What proves hardware and counts by queue, as far as it runs without a guest: it reads the kernel's tables right and says no."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cache import Cache
from lab.deadline import Deadline
from lab.measure.collect import Collected, outcome
from lab.measure.payload import read_payload
from lab.model.outcome import Case, Status
from lab.model.run import PayloadSpec
from lab.proc import run

PAYLOADS = Path(__file__).parents[2] / "payloads"
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-unused-function", "-Werror", "-pthread")


def said_by(program: str, place: Path, *words: str) -> list[str]:
    """The lines that a C program with payloads' files prints; it may end as it likes."""
    (place / "part.c").write_text(f"#define _GNU_SOURCE\n{program}\n")
    parts: list[str | Path] = ["gcc", *FLAGS, "-I", PAYLOADS / "include", "-I", PAYLOADS, "-o", place / "part", place / "part.c"]
    run(parts, deadline=Deadline.after(60))
    return run([place / "part", *words], deadline=Deadline.after(60), check=False, cwd=place).stdout.splitlines()


LISTS = """
#include <machine.h>
int main(int argc, char **argv)
{
	cpu_set_t cpus;

	for (int i = 1; i < argc; i++)
		puts((*argv[i] == 'm' ? parse_mask(argv[i] + 1, &cpus) : parse_cpus(argv[i], &cpus)) ? cpus_text(&cpus) : "no");
	return 0;
}
"""


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0-3,6", "0-3,6"),
        ("5", "5"),
        ("", "none"),
        ("3-1", "no"),
        ("1,x", "no"),
        ("1-", "no"),
        ("64", "no"),
        ("mf", "0-3"),
        ("m1,00000003", "0-1,32"),
        ("m0", "no"),
        ("mfx", "no"),
    ],
)
def test_lists_and_masks_of_cpus(text: str, cpus: str, tmp_path: Path) -> None:
    assert said_by(LISTS, tmp_path, text) == [cpus]


TABLE = r"""
#include <machine.h>
int main(void)
{
	char text[] = "  31:   1   22  300  PCI-MSIX-0000:00:05.0   1-edge      nvme0q1";
	char timer[] = " LOC:   7    8    9   Local timer interrupts", errors[] = " ERR:   5";
	const char *names[] = { "nvme0q1", "LOC", "nvme0q2" };
	const int cpus[] = { 0, 1, 5 };
	struct interrupts all = { .lines = 3 };

	parse_interrupt(text, &all.line[0], cpus, 3);
	parse_interrupt(timer, &all.line[1], cpus, 3);
	parse_interrupt(errors, &all.line[2], cpus, 3);
	for (int cpu = 0; cpu < 6; cpu++)
		for (int i = 0; i < 3; i++)
			printf("%d%s", (int)interrupts_on(&all, names[i], cpu), i < 2 ? " " : "\n");
	return 0;
}
"""


def test_interrupts_are_found_by_label_or_handler_and_by_the_cpus_that_are_online(tmp_path: Path) -> None:
    assert said_by(TABLE, tmp_path) == ["1 7 0", "22 8 0", "0 0 0", "0 0 0", "0 0 0", "300 9 0"]


DATAGRAMS = r"""
#include <netqueues/netqueues.h>
static struct tally tally;
static uint64_t seen;
static void take(uint32_t flow, uint32_t seq, uint32_t salt, int spoil, int cut)
{
	struct datagram datagram;
	size_t size = fill_datagram(&datagram, flow, seq, salt);

	if (spoil >= 0)
		((char *)&datagram)[spoil] ^= 1;
	take_datagram(&datagram, size - cut, 3, THERE, &seen, &tally);
	printf("%d %d %d %d\n", (int)tally.good, (int)tally.changed, (int)tally.twice, (int)tally.late);
	memset(&tally, 0, sizeof(tally));
}
int main(void)
{
	take(3, 1, THERE, -1, 0);
	take(3, 1, THERE, -1, 0);
	take(3, 2, THERE, 70, 0);
	take(3, 2, THERE, -1, 1);
	take(4, 2, THERE, -1, 0);
	take(3, 2, BACK, -1, 0);
	take(3, DATAGRAMS, THERE, -1, 0);
	take(3, 0, THERE, -1, 0);
	take(3, 2, THERE, -1, 0);
	return 0;
}
"""


def test_a_datagram_that_is_not_the_one_expected_is_told(tmp_path: Path) -> None:
    good, changed, twice, late = "1 0 0 0", "0 1 0 0", "0 0 1 0", "1 0 0 1"

    assert said_by(DATAGRAMS, tmp_path) == [good, twice, changed, changed, changed, changed, changed, late, good]


EVENTS = r"""
#include <spread/trace.c>
int main(int argc, char **argv)
{
	static struct events events;

	for (int i = 1; i < argc; i++)
		take_line(argv[i], &events);
	for (int event = 0; event < EVENTS; event++)
		for (int cpu = 0; cpu < 4; cpu++)
			for (int queue = 0; queue < 5; queue++)
				if (events.on[event][cpu][queue])
					printf("%d cpu%d queue%d %d\n", event, cpu, queue, events.on[event][cpu][queue]);
	return 0;
}
"""


def test_trace_events_are_counted_by_cpu_and_queue(tmp_path: Path) -> None:
    lines = [
        "# tracer: nop",
        "  spread-71  [002] ..... 8.1: nvme_setup_cmd: nvme0: disk=nvme0n1, qid=3, cmdid=1, nsid=1, cmd=(nvme_cmd_read slba=0)",
        "  <idle>-0   [001] d.h1. 8.2: nvme_sq: nvme0: disk=nvme0n1, qid=3, head=5, tail=5",
        "  <idle>-0   [001] d.h1. 8.2: nvme_sq: nvme0: disk=nvme0n1, qid=3, head=6, tail=6",
        "  spread-71  [002] ..... 8.3: nvme_complete_rq: nvme0: disk=nvme0n1, qid=3, cmdid=1, res=0x0, retries=0",
        "  kworker-9  [000] ..... 8.4: nvme_setup_cmd: nvme0: qid=0, cmdid=1, nsid=0",
        "  spread-71  [002] ..... 8.5: nvme_async_event: nvme0: NVME_AEN=0x1",
    ]

    assert said_by(EVENTS, tmp_path, *lines) == ["0 cpu2 queue3 1", "1 cpu1 queue3 2", "2 cpu2 queue3 1"]


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> PayloadSpec:
    """The payload that proves hardware, built."""
    return read_payload(PAYLOADS, "hardware", Cache(tmp_path_factory.mktemp("cache")))


def asked_of_this_host(proof: PayloadSpec, *words: str) -> tuple[Case, ...]:
    """The cases of the proof on a machine that is no guest of the lab."""
    done = run([proof.directory / "hardware", *words], deadline=Deadline.after(60), check=False)
    return outcome(Collected(done.status, done.stdout, done.stderr), None, proof).cases


@pytest.mark.parametrize(
    ("word", "name", "detail"),
    [
        ("colour=blue", "colour", "which nothing here knows how to prove"),
        ("nvme", "nvme", "which nothing here knows how to prove"),
        ("nvme=nvme77:4", "nvme.nvme77", "asked 4 I/O queue pairs, found no disk nvme77n1"),
        ("nvme=nvme77", "nvme", "`nvme77` is not controller:queues"),
        ("nvme-node=nvme77:1", "nvme-node.nvme77", "asked node 1, found no controller nvme77"),
        ("net=eth77:8:10.99.0.1", "net.eth77", "asked 8 queue pairs, found 0, but no packet counters"),
        ("net=eth1:8", "net.eth1", "is not device:pairs:address"),
        ("isolated=x", "isolated", "`x` is no list of CPUs"),
        ("nohz_full=63", "nohz_full", "asked CPUs 63; found online CPUs 0"),
        ("node=63:0:1:10", "node.63", "asked CPUs 0, 1 MiB, distances 10; found CPUs none, 0 MiB"),
        ("node=0:0:99999999:10", "node.0", "asked CPUs 0, 99999999 MiB"),
    ],
)
def test_a_proof_that_cannot_be_given_is_a_no_with_what_was_found(word: str, name: str, detail: str, proof: PayloadSpec) -> None:
    (case,) = asked_of_this_host(proof, word)

    assert (case.name, case.status) == (name, Status.FAIL)
    assert detail in case.detail


def test_no_words_are_no_proof(proof: PayloadSpec) -> None:
    (case,) = asked_of_this_host(proof)

    assert case.status is Status.SKIP
