/* SPDX-License-Identifier: GPL-2.0 */
/* Two processes on one CPU with a transport between them: one is measured, the other works for it. Rows by transport and size. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <machine.h>
#include <transports.h>

#define STUCK_S 240
#define PLAIN_WARMUP 300	/* operations at most, where no TCP has to be carried past 64 KiB */

/* How often a payload does what it does with messages of that size; `bytes`: of all messages of one operation. */
struct pace { size_t size, bytes; int warmup, laps; };

/* What a payload does over a transport: `op` on one end, `serve` on the other until it is told otherwise or something is wrong. */
struct exchange {
	lab_op op;
	void (*serve)(void *end);
	const struct pace *paces;
	int n_paces;
};

/* The ones under test. */
static const struct transport *transport;
static const struct exchange *what;
static const struct pace *pace;

/* A process that works for the measured one until stop_peer(). */
static inline pid_t start_peer(void (*work)(void *context), void *context)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		lab_bail("cannot fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	mlockall(MCL_CURRENT | MCL_FUTURE);
	lab_join();
	work(context);
	_exit(1);
}

static inline void stop_peer(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Bytes that the loopback device received. */
static inline uint64_t loopback_bytes(void)
{
	unsigned long long bytes;
	char *line = strstr(sys_text("/proc/net/dev"), "lo:");

	if (!line || sscanf(line, "lo: %llu", &bytes) != 1)
		lab_bail("/proc/net/dev does not tell of lo");
	return bytes;
}

/* Whether the messages took the way that the row is named for: all of them over `lo`, or none. */
static inline bool went_there(const char *name, bool loopback, uint64_t bytes, uint64_t messages)
{
	bool there = loopback ? bytes >= messages : bytes < messages / 8;

	if (!there)
		lab_note("%s: %llu bytes of messages, and lo carried %llu", name, (unsigned long long)messages, (unsigned long long)bytes);
	return there;
}

/* What a payload of such rows begins with. */
static inline void begin_rows(int n)
{
	lab_plan(n);
	lab_settle();
	signal(SIGPIPE, SIG_IGN);
	lab_calibrate();
}

/*
 * Let this task and its children run in SCHED_FIFO, in the order in which they are woken. In the fair class, which of many is next is
 * decided by what ran before: how often one that waits for all the others has its turn, and so what it does at once, would be, too.
 */
static inline void take_turns(void)
{
	if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ 1 }))
		lab_bail("no SCHED_FIFO: %m");
}

/* A row that is measured, or skipped with what the kernel `lacks`. */
static inline void row(const char *name, const char *(*lacks)(void), bool (*measured)(const char *name))
{
	const char *lack = lacks ? lacks() : NULL;

	if (lack)
		lab_skip(name, "%s", lack);
	else
		lab_result(measured(name), name);
}

static inline bool run(const char *name)
{
	static struct end near, far;
	struct end *a = &near, *b = &far;
	const bool plain = !transport->loopback && !transport->lacks;
	const int warmup = plain && pace->warmup > PLAIN_WARMUP ? PLAIN_WARMUP : pace->warmup;
	uint64_t before;
	int failures;
	pid_t child;

	*a = *b = (struct end){ .in = -1, .out = -1 };
	if (!transport->connect(a, b)) {
		lab_note("%s: cannot connect: %m", name);
		return false;
	}
	a->size = b->size = pace->size;
	memset(a->want, 'l', MAX_SIZE);
	memset(b->want, 'l', MAX_SIZE);
	child = start_peer(what->serve, b);
	close(b->in);			/* so that we read the end of it when the other process ends */
	close(b->out);
	alarm(STUCK_S);
	before = loopback_bytes();
	failures = lab_measure_apart(name, what->op, lab_even, a, warmup, pace->laps);
	failures += !went_there(name, transport->loopback, loopback_bytes() - before,
				pace->bytes * (warmup + pace->laps));
	alarm(0);
	stop_peer(child);
	close(a->in);
	close(a->out);
	if (a->ring)
		munmap(a->ring, sizeof(*a->ring));
	return !failures;
}

/* All of a payload: every transport with every size. */
static inline int exchange(const struct exchange *all, const struct transport *transports, int n_transports)
{
	char name[40];

	what = all;
	begin_rows(n_transports * all->n_paces);
	for (transport = transports; transport < transports + n_transports; transport++) {
		for (pace = all->paces; pace < all->paces + all->n_paces; pace++) {
			snprintf(name, sizeof(name), "%s.%zu", transport->name, pace->size);
			row(name, transport->lacks, run);
		}
	}
	return lab_exit();
}

#endif
