/* SPDX-License-Identifier: GPL-2.0 */
/* A message to another process on the same CPU and its answer; both ends check every byte they get. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <machine.h>
#include <transports.h>

#define STUCK_S 240

/* Fewer operations where each is longer. The warm-up lasts some ticks and carries TCP past 64 KiB, where its path changes. */
static const struct { size_t size; int warmup, laps; } sizes[] = { { 64, 1200, 500 }, { 4096, 300, 200 }, { 16384, 100, 100 } };

/* What both ends expect of message number `sequence`: its number first and last, a pattern between. */
static void stamp(struct end *end)
{
	end->sequence++;
	memcpy(end->want, &end->sequence, sizeof(end->sequence));
	memcpy(end->want + end->size - sizeof(end->sequence), &end->sequence, sizeof(end->sequence));
}

static const struct transport *transport;	/* the one under test */

static bool round_trip(void *context)
{
	struct end *end = context;

	stamp(end);
	return transport->send(end) && transport->receive(end) && !memcmp(end->want, end->got, end->size);
}

/* The other end answers until it is told otherwise: a wrong byte or a closed connection ends it. */
static void answer(struct end *end)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	mlockall(MCL_CURRENT | MCL_FUTURE);
	lab_join();
	for (;;) {
		stamp(end);
		if (!transport->receive(end) || memcmp(end->want, end->got, end->size) || !transport->send(end))
			_exit(1);
	}
}

/* Bytes that the loopback device received. */
static uint64_t loopback_bytes(void)
{
	unsigned long long bytes;
	char *line = strstr(sys_text("/proc/net/dev"), "lo:");

	if (!line || sscanf(line, "lo: %llu", &bytes) != 1)
		lab_bail("/proc/net/dev does not tell of lo");
	return bytes;
}

/* Whether the messages took the way that the row is named for. */
static bool went_there(const char *name, uint64_t bytes, uint64_t messages)
{
	bool there = transport->loopback ? bytes >= messages : bytes < messages / 8;

	if (!there)
		lab_note("%s: %llu bytes of messages, and lo carried %llu", name, (unsigned long long)messages, (unsigned long long)bytes);
	return there;
}

static bool run(struct end *a, struct end *b, const char *name, size_t size, int warmup, int laps)
{
	uint64_t before, messages = 2ull * (warmup + laps) * size;
	int failures;
	pid_t child;

	*a = *b = (struct end){ .in = -1, .out = -1 };
	if (!transport->connect(a, b)) {
		lab_note("%s: cannot connect: %m", name);
		return false;
	}
	a->size = b->size = size;
	memset(a->want, 'l', size);
	memset(b->want, 'l', size);
	fflush(stdout);
	child = fork();
	if (child < 0)
		lab_bail("cannot fork");
	if (!child)
		answer(b);
	close(b->in);			/* so that we read the end of it when the other process ends */
	close(b->out);
	alarm(STUCK_S);
	before = loopback_bytes();
	failures = lab_measure_apart(name, round_trip, lab_even, a, warmup, laps);
	failures += !went_there(name, loopback_bytes() - before, messages);
	alarm(0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(a->in);
	close(a->out);
	if (a->ring)
		munmap(a->ring, sizeof(*a->ring));
	return !failures;
}

/* All of a payload: every transport with every size. */
static inline int exchange(const struct transport *transports, int n_transports)
{
	const int n_sizes = sizeof(sizes) / sizeof(*sizes);
	static struct end a, b;
	char name[40];

	lab_plan(n_transports * n_sizes);
	lab_settle();
	signal(SIGPIPE, SIG_IGN);
	lab_calibrate();
	for (int t = 0; t < n_transports; t++) {
		for (int s = 0; s < n_sizes; s++) {
			const char *lack;

			transport = &transports[t];
			lack = transport->lacks ? transport->lacks() : NULL;
			snprintf(name, sizeof(name), "%s.%zu", transport->name, sizes[s].size);
			if (lack)
				lab_skip(name, "%s", lack);
			else
				lab_result(run(&a, &b, name, sizes[s].size, sizes[s].warmup, sizes[s].laps), name);
		}
	}
	return lab_exit();
}

#endif
