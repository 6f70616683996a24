// SPDX-License-Identifier: GPL-2.0
/*
 * Description: one process asks 50 agents, each a process with a connection of its own, and waits for their answers with epoll:
 * 100 lines of JSON of 200 B to 24 KiB, lognormal, in which each size comes twice every time. Every byte is compared.
 */
#define _GNU_SOURCE
#include <agent.h>
#include <exchange.h>
#include <sys/epoll.h>

#define AGENTS 50
#define LARGEST 32768
#define STEP 17				/* has no factor in common with AGENTS */
#define WARMUP 10
#define LAPS 40

/* Quantiles of a lognormal distribution with median 1500 and sigma 1.2, no less than 200. */
static const uint16_t sizes[AGENTS] = {
	200, 200, 208, 255, 300, 344, 388, 432, 477, 523, 570, 618, 668, 719, 772, 827, 885, 945, 1007, 1073, 1142, 1214, 1290,
	1370, 1456, 1546, 1642, 1744, 1854, 1971, 2097, 2234, 2382, 2543, 2720, 2914, 3129, 3370, 3640, 3948, 4301, 4714, 5203,
	5796, 6536, 7496, 8815, 10797, 14331, 24461,
};

static struct agent { int number, in, out; size_t got; pid_t pid; char answer[LARGEST]; } agents[AGENTS];
static int poll_agents;
static unsigned int turn;
static char text[LARGEST];

/* One line: what an agent is asked in a turn, or what it answers. */
static size_t compose(char *line, int agent, bool answer)
{
	size_t size = sizes[(agent + (turn + answer) * STEP) % AGENTS];
	int head = snprintf(line, LARGEST, "{\"agent\":%d,\"turn\":%u,\"%s\":\"", agent, turn, answer ? "answer" : "ask");

	memset(line + head, 'x', size - head - 3);
	memcpy(line + size - 3, "\"}\n", 3);
	return size;
}

static bool put(int fd, const char *line, size_t size)
{
	while (size) {
		ssize_t n = write(fd, line, size);

		if (n <= 0)
			return false;
		line += n;
		size -= n;
	}
	return true;
}

/* What is there of a line; whether there was anything. */
static bool take(int fd, char *line, size_t *got)
{
	ssize_t n = read(fd, line + *got, LARGEST - *got);

	if (n > 0)
		*got += n;
	return n > 0;
}

static bool is_line(const char *line, size_t got)
{
	return got && line[got - 1] == '\n';
}

static bool is(const char *line, size_t got, int agent, bool answer)
{
	return compose(text, agent, answer) == got && !memcmp(line, text, got);
}

static void be_agent(void *context)
{
	struct agent *self = context;

	for (;;) {
		size_t got = 0;

		turn++;
		while (!is_line(self->answer, got))
			if (!take(self->in, self->answer, &got))
				return;
		if (!is(self->answer, got, self->number, false) || !put(self->out, text, compose(text, self->number, true)))
			return;
	}
}

/* Ask all, then take answers as they come. */
static bool ask_all(void *context)
{
	struct epoll_event events[AGENTS];
	int left = AGENTS;

	turn++;
	for (int i = 0; i < AGENTS; i++)
		if (!put(agents[i].out, text, compose(text, i, false)))
			return false;
	while (left) {
		int n = epoll_wait(poll_agents, events, AGENTS, -1);

		for (int i = 0; i < n; i++) {
			struct agent *agent = events[i].data.ptr;

			if (!take(agent->in, agent->answer, &agent->got))
				return false;
			if (!is_line(agent->answer, agent->got))
				continue;
			if (!is(agent->answer, agent->got, agent->number, true))
				return false;
			agent->got = 0;
			left--;
		}
	}
	return !context;
}

static bool start_agents(void)
{
	static struct end near, far;

	poll_agents = epoll_create1(0);
	turn = 0;
	for (int i = 0; i < AGENTS; i++) {
		struct agent *agent = &agents[i];
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = agent };

		if (!transport->connect(&near, &far))
			return false;
		*agent = (struct agent){ .number = i, .in = far.in, .out = far.out };
		agent->pid = start_peer(be_agent, agent);
		close(far.in);
		close(far.out);
		agent->in = near.in;
		agent->out = near.out;
		if (epoll_ctl(poll_agents, EPOLL_CTL_ADD, agent->in, &event))
			return false;
	}
	return true;
}

static void stop_agents(void)
{
	for (int i = 0; i < AGENTS; i++) {
		stop_peer(agents[i].pid);
		close(agents[i].in);
		close(agents[i].out);
	}
	close(poll_agents);
}

static bool measured(const char *name)
{
	uint64_t before, bytes = 0;
	int failures;

	for (int i = 0; i < AGENTS; i++)
		bytes += 2 * sizes[i] * (WARMUP + LAPS);
	if (!start_agents()) {
		lab_note("%s: cannot connect: %m", name);
		return false;
	}
	alarm(STUCK_S);
	before = loopback_bytes();
	failures = lab_measure_apart(name, ask_all, lab_even, NULL, WARMUP, LAPS);
	failures += !went_there(name, transport->loopback, loopback_bytes() - before, bytes);
	alarm(0);
	stop_agents();
	return !failures;
}

static const struct transport transports[] = { STREAM_TRANSPORTS, AGENT_TRANSPORT };

int main(void)
{
	const int n = sizeof(transports) / sizeof(*transports);

	lab_keep_pages();
	begin_rows(n);
	take_turns();
	for (transport = transports; transport < transports + n; transport++)
		row(transport->name, transport->lacks, measured);
	return lab_exit();
}
