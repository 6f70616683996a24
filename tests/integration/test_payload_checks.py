"""The checks inside the payloads of processes, messages and workspaces say no."""

from __future__ import annotations

from pathlib import Path

import pytest
from payloadpart import PAYLOADS, said_by

from lab.cache import Cache
from lab.deadline import Deadline
from lab.measure.payload import read_payload
from lab.proc import run

APART = """
#include <lab.h>
static int between, operations, out_of_turn;
static bool before(void *unused) { out_of_turn += between++ != operations; return !unused; }
static bool op(void *unused) { out_of_turn += ++operations != between; return !unused; }
int main(void)
{
	int failures = lab_measure_apart("row", op, before, NULL, 2, 3);

	printf("%d %d %d %d", between, operations, out_of_turn, failures);
	return 0;
}
"""


def test_what_lies_between_two_operations_is_in_no_lap(tmp_path: Path) -> None:
    said = said_by(APART, tmp_path).splitlines()

    assert "# section 0 row laps 3 apart" in said
    assert [line.split()[2] for line in said if line.startswith("# sample")] == ["clock.row"] * 3
    assert said[-1] == "5 5 0 0"


PLACES = """
#include <lab.h>
static bool by_tick(int64_t time)
{
	int64_t in_period = time % LAB_PERIOD_NS;

	return (time + 123456) % LAB_TICK_NS == LAB_AFTER_TICK_NS &&
		in_period >= LAB_EARLY_NS && in_period < LAB_EARLY_NS + LAB_DRIFT_NS;
}
static bool by_period(int64_t time)
{
	return time % LAB_PERIOD_NS == LAB_IN_PERIOD_NS && lab_phase_between(time, LAB_FIRST_PHASE_NS, LAB_LAST_PHASE_NS);
}
int main(void)
{
	int wrong = 0, searched = 0;
	int64_t time, next;

	lab_clocks = (struct lab_clocks){ .mult = 1, .ahead = 123456, .asked = true };
	for (int i = 1; i < 1000; i++) {
		time = i * 777777777ll;
		next = lab_tick_from(time);
		wrong += !by_tick(next) || next < time - LAB_TICK_NS || next > time + 23 * LAB_TICK_NS;
	}
	for (int ms = 16; ms <= 100; ms += 84) {
		next = 0;
		for (int i = 0; i < 20; i++) {
			lab_clocks.zero = (next ? next : 5000000000) - lab_clock();
			time = lab_next_begin(next, ms);
			wrong += !by_period(time) || time < lab_sched_now() + ms * 900000;
			searched += time != next + (ms < 43 ? 41 : 103) * LAB_PERIOD_NS;
			next = time;
		}
	}
	printf("%d %d", wrong, searched);
	return 0;
}
"""


def test_operations_begin_where_neither_ticks_nor_periods_end_among_them(tmp_path: Path) -> None:
    assert said_by(PLACES, tmp_path) == "0 2", "none is elsewhere, and only the first of each pace had to be searched for"


MEMORY = """
#include <spawn/memory.c>
#include <stdio.h>
int main(void)
{
	const struct way small = { .mib = 1 };

	printf("%d", take_memory(&small));
	printf(" %d", memory_kept());
	spoil_memory();
	printf(" %d\\n", memory_kept());
	return 0;
}
"""


def test_a_spoilt_page_is_noticed(tmp_path: Path) -> None:
    assert said_by(MEMORY, tmp_path) == "1 1 0\n"


COUNTED = """
#include <spawn/counted.c>
static bool three_and_a_child(void *unused)
{
	pid_t pid;

	(void)unused;
	syscall(SYS_getppid);
	pid = fork();
	if (!pid)
		syscall(SYS_exit_group, BORN);
	return waitpid(pid, NULL, 0) == pid;
}
static bool wrong(void *unused) { (void)unused; syscall(SYS_getppid); return false; }
int main(void)
{
	struct way good = { .op = three_and_a_child }, bad = { .op = wrong };
	struct counts counts;

	printf("%d", count_events(&good, &counts));
	printf(" %d %d", (int)counts.syscalls, counts.entries > 10 && counts.entries < 1000);
	printf(" %d\\n", count_events(&bad, &counts));
	return 0;
}
"""


def test_system_calls_are_counted_in_all_processes_of_an_operation_that_succeeds(tmp_path: Path) -> None:
    assert said_by(COUNTED, tmp_path).split()[0] == "1"
    syscalls, entries, failed = (int(word) for word in said_by(COUNTED, tmp_path).split()[1:])

    assert syscalls in (4, 5)  # glibc's fork() may set up robust futexes
    assert (entries, failed) == (1, 0)


def test_a_program_outside_the_box_sees_that_it_is(tmp_path: Path) -> None:
    spec = read_payload(PAYLOADS, "spawn", Cache(tmp_path))

    assert run([spec.directory / "tiny"], deadline=Deadline.after(20), check=False).status == 42
    assert run([spec.directory / "inside"], deadline=Deadline.after(20), check=False).status != 42


EXCHANGED = """
#include <roundtrip.h>
static bool receive_wrong(struct end *end)
{
	bool good = receive_bytes(end);

	end->got[7] ^= end->sequence == 3;
	return good;
}
int main(void)
{
	static const struct transport all[] = {
		{ "good", connect_stream, send_bytes, receive_bytes, false, NULL },
		{ "not-by-lo", connect_stream, send_bytes, receive_bytes, true, NULL },
		{ "by-lo", connect_tcp, send_bytes, receive_bytes, false, NULL },
		{ "wrong", connect_stream, send_bytes, receive_wrong, false, NULL },
	};
	static const struct pace small = { 4096, 8192, 2, 8 };
	static const struct exchange one = { round_trip, answer, &small, 1 };

	unshare(CLONE_NEWUSER | CLONE_NEWNET);	/* a loopback device of our own, which nobody else uses */
	return exchange(&one, all, 4);
}
"""


def test_a_wrong_byte_and_a_wrong_way_fail_an_exchange(tmp_path: Path) -> None:
    said = [line for line in said_by(EXCHANGED, tmp_path).splitlines() if "ok " in line and not line.startswith("#")]

    assert said == ["ok 1 good.4096", "not ok 2 not-by-lo.4096", "not ok 3 by-lo.4096", "not ok 4 wrong.4096"]


TREES = """
#include <overlay.h>
int main(void)
{
	char name[64], place[] = "/dev/shm/lab-XXXXXX";	/* overlayfs, which a test may run on, makes no whiteouts */
	int upper, base;

	if (!mkdtemp(place) || chdir(place))
		return 1;
	tree_make("base", 10);
	tree_expect("base", 1);
	printf("%d%d%d ", tree_whole("base", 10), tree_is("base", 10, 1, false), tree_is("base", 10, 1, true));
	tree_copy(AT_FDCWD, "base", AT_FDCWD, "copy", tree_fill_copy);
	tree_change("copy", 10, 1);
	printf("%d%d ", tree_is("copy", 10, 1, true), tree_is("base", 10, 1, false));
	tree_name(name, sizeof(name), "copy", 5);
	tree_write(name, 5, 2);
	printf("%d%d ", tree_is("copy", 10, 1, true), tree_is("copy", 10, 1, false));
	tree_write(name, 5, 1);
	tree_remove(AT_FDCWD, "copy");
	printf("%d ", access("copy", F_OK));

	mkdir("upper", 0755);
	mkdir("upper/d0000", 0755);
	mknod("upper/d0000/old-1", S_IFCHR, 0);
	for (int i = 0, file; i < TREE_CHANGED; i++) {
		tree_changed_name(name, sizeof(name), "upper", 10, i, &file);
		tree_write(name, file, 1);
	}
	tree_write("upper/d0000/new-1", 1, 1);
	upper = open("upper", O_DIRECTORY);
	base = open("base", O_DIRECTORY);
	printf("%d", overlay_apply(upper, base, "."));
	printf("%d\\n", tree_is("base", 10, 1, true));
	return !tree_remove(AT_FDCWD, place);
}
"""


def test_a_workspace_is_what_it_should_be_or_is_noticed(tmp_path: Path) -> None:
    assert said_by(TREES, tmp_path) == "110 11 00 -1 11\n"


TOOLS = """
#include <agent-loop/tools.c>
#include <tree.h>
int main(void)
{
	int tool = open("tool", O_PATH | O_CLOEXEC);

	if (dup3(tool, TOOL_FD, O_CLOEXEC) != TOOL_FD || !tree_make("base", FILES))
		return 1;
	printf("%d %d %d\\n", run_tool("base", 0), run_tool("base", 1), run_tool("nowhere", 0));
	return 0;
}
"""


def test_a_tool_that_says_something_else_is_noticed(tmp_path: Path) -> None:
    spec = read_payload(PAYLOADS, "agent-loop", Cache(tmp_path / "cache"))
    (tmp_path / "tool").write_bytes((spec.directory / "tool").read_bytes())
    (tmp_path / "tool").chmod(0o755)

    assert said_by(TOOLS, tmp_path) == "1 0 0\n"


SHAPES = """
#define main payload
#include <{shape}/{shape}.c>
#undef main
static void serve_wrongly(void *end)
{{
	{wrong}
}}
int main(void)
{{
	static const struct transport one[] = {{ {{ "unix-stream", connect_stream, send_bytes, receive_bytes, false, NULL }} }};
	static const struct pace small = {{ 64, 64, 1, 2 }};
	const struct exchange good = {{ {op}, {serve}, &small, 1 }}, bad = {{ {op}, serve_wrongly, &small, 1 }};

	unshare(CLONE_NEWUSER | CLONE_NEWNET);	/* a loopback device of our own, which nobody else uses */
	exchange(&good, one, 1);
	exchange(&bad, one, 1);
	return 0;
}}
"""


@pytest.mark.parametrize(
    ("shape", "op", "serve", "wrong"),
    [
        ("rate", "stream", "take", "((struct end *)end)->sequence++; take(end);"),
        ("burst", "burst", "serve", "((struct end *)end)->size /= 2; got[0] = (char)!write(((struct end *)end)->out, got, 64);"),
    ],
)
def test_a_stream_and_a_burst_that_come_back_wrong_fail(shape: str, op: str, serve: str, wrong: str, tmp_path: Path) -> None:
    said = said_by(SHAPES.format(shape=shape, op=op, serve=serve, wrong=wrong), tmp_path).splitlines()

    assert [line for line in said if "ok " in line and line[0] != "#"] == ["ok 1 unix-stream.64", "not ok 2 unix-stream.64"]


AGENTS_TALK = """
#define main payload
#include <mix/mix.c>
#undef main
int main(void)
{
	static const struct transport pipes = { "pipe", connect_pipe, send_bytes, receive_bytes, false, NULL };

	transport = &pipes;
	signal(SIGPIPE, SIG_IGN);
	printf("%d", start_agents() && ask_all(NULL) && ask_all(NULL));
	turn++;		/* what is asked now, the agents take for another turn's */
	printf(" %d\\n", ask_all(NULL));
	stop_agents();
	return 0;
}
"""


def test_an_agent_that_is_asked_for_another_turn_does_not_answer(tmp_path: Path) -> None:
    assert said_by(AGENTS_TALK, tmp_path) == "1 0\n"


CONNECTED = """
#define main payload
#include <conn/conn.c>
#undef main
static void garble(void *unused)
{
	char message[SIZE];
	int fd = accept(listener, unused, NULL);

	if (read(fd, message, SIZE) == SIZE) {
		message[SIZE - 1] ^= 1;
		_exit(write(fd, message, SIZE) != SIZE);
	}
}
int main(void)
{
	for (way = ways; way < ways + 2; way++) {
		pid_t server = start_listening() ? start_peer(serve, NULL) : -1;

		printf("%d", one(NULL) && one(NULL));
		stop_peer(server);
		server = start_peer(garble, NULL);
		printf(" %d\\n", one(NULL));
		stop_peer(server);
		close(listener);
	}
	return 0;
}
"""


def test_a_connection_whose_answer_is_wrong_fails(tmp_path: Path) -> None:
    assert said_by(CONNECTED, tmp_path) == "1 0\n1 0\n"


EVEN = """
#include <lab.h>
int main(void)
{
	int late = 0;

	for (int i = 0; i < 2000; i++)
		late += !lab_even(NULL);
	printf("%d\\n", late);
	return 0;
}
"""


def test_an_operation_that_cannot_begin_on_a_microsecond_is_no_failure(tmp_path: Path) -> None:
    assert said_by(EVEN, tmp_path).splitlines()[-1] == "0"
