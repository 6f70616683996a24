/* SPDX-License-Identifier: GPL-2.0 */
/* What makes one boot like another: where memory is taken from, and when a measurement begins. Part of <lab.h>. */
#ifndef STEADY_H
#define STEADY_H

#include <netinet/in.h>
#include <sched.h>

#include "clocks.h"

#define LAB_FREE_BLOCKS 100
#define LAB_MAX_HELD 2000
#define LAB_LARGEST_SLAB 5000	/* of a datagram whose buffer is in a slab */
#define LAB_NAP_NS 10000000
#define LAB_AFTER_TICK_NS 100000
#define LAB_BACK_NS 50000	/* longer than sched_setscheduler() */
#define LAB_WAKE_NS 2000000	/* how late a host may end a sleep */
#define LAB_SHORT_NS 40000	/* longer than a tick, and than 16 KiB and back over TCP */
#define LAB_EARLY_NS 60000	/* in a period; by LAB_DRIFT_NS less the next tick is earlier in one */
#define LAB_DRIFT_NS 48576

/*
 * Free blocks of every order that a socket buffer takes. The page allocator checks that there is one by walking its free lists
 * until it finds it, and how far it walks would depend on what happened since boot: eight instructions a list. Of each two
 * queued messages one is received again; the other, next to it, keeps it from merging into a larger block. All are received
 * at the end, since many frees in a row are what makes a CPU hand its private pages back.
 */
static inline void lab_free_blocks(void)
{
	static const size_t sizes[] = { 12000, 24000, 49000 };	/* orders 2 to 4 */
	static int pairs[3][LAB_FREE_BLOCKS][2];
	static char message[49000];
	bool good = true;

	for (int s = 0; s < 3; s++) {
		for (int i = 0; i < LAB_FREE_BLOCKS; i++) {
			good &= !socketpair(AF_UNIX, SOCK_DGRAM, 0, pairs[s][i]);
			good &= write(pairs[s][i][0], message, sizes[s]) > 0;
			good &= write(pairs[s][i][0], message, sizes[s]) > 0;
		}
	}
	for (int s = 0; s < 3; s++)
		for (int i = 0; i < LAB_FREE_BLOCKS; i++)
			good &= read(pairs[s][i][1], message, sizeof(message)) > 0;
	if (!good)
		lab_note("free blocks not prepared: %m");
}

/* Pages of slabs whose objects are never reclaimed, with what the CPU has counted by itself; -1: unknown. */
static inline long lab_slab_pages(void)
{
	FILE *file = fopen("/proc/sys/vm/stat_refresh", "w");
	long pages = -1;
	char line[128];

	if (file) {
		fputs("1", file);
		fclose(file);
	}
	file = fopen("/proc/vmstat", "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "nr_slab_unreclaimable %ld", &pages) == 1)
			break;
	if (file)
		fclose(file);
	return pages;
}

/*
 * Datagrams come to lie at the same places of their slabs in every boot: where they lie decides which way memcpy() goes and
 * whether a free is a fast one. Some are queued for good, until one of them begins a new slab (two pages at least; an sk_buff
 * takes a slab of one), which leaves none of the old ones with room. The socket that holds them leaves the hash table: where two
 * share a chain, which is up to the boot's secret, each datagram to one of them looks at the other (some 15 instructions).
 */
static inline void lab_fresh_slab(size_t size)
{
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 1 << 26, held = 0;
	static const char message[LAB_LARGEST_SLAB];
	socklen_t length = sizeof(self);
	long before, grown = 0;

	if (bind(fd, (void *)&self, length) || getsockname(fd, (void *)&self, &length) ||
	    connect(fd, (void *)&self, length) || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room))) {
		lab_note("slabs not prepared: %m");
		return;
	}
	for (before = lab_slab_pages(); before >= 0 && grown < 2 && held < LAB_MAX_HELD; held++) {
		if (send(fd, message, size, 0) != (ssize_t)size)
			break;
		grown = lab_slab_pages() - before;
		before += grown;
	}
	if (connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)))
		lab_note("held datagrams stay in the hash table: %m");
	lab_note("%d datagrams of %zu B are held; the last took %ld pages of slabs", held, size, grown);
}

/* The small buffers of sk_buffs, and those of 1, 2, 4 and 8 KiB. */
static inline void lab_fresh_slabs(void)
{
	static const size_t sizes[] = { 64, 400, 1400, 3000, LAB_LARGEST_SLAB };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		lab_fresh_slab(sizes[i]);
}

/* In front of the fair class, which does not know of what is done there. Returns the policy to come back to. */
static inline int lab_step_out(void)
{
	struct sched_param first = { 1 };
	int policy = sched_getscheduler(0);

	sched_setscheduler(0, SCHED_FIFO, &first);
	return policy;
}

/* Back there shortly before `time`, and go on at `time`. Whether it was not too late. */
static inline bool lab_step_in(int policy, int64_t time)
{
	struct sched_param none = { 0 };
	bool good = lab_until(time - LAB_BACK_NS);

	sched_setscheduler(0, policy, &none);
	return good && lab_until(time);
}

/* The first time from `time` on that is LAB_AFTER_TICK_NS after a tick, to the nanosecond, and early in a period of load averages. */
static inline int64_t lab_tick_from(int64_t time)
{
	time += LAB_AFTER_TICK_NS - lab_after_tick(time);
	while ((time & (LAB_PERIOD_NS - 1)) < LAB_EARLY_NS || (time & (LAB_PERIOD_NS - 1)) >= LAB_EARLY_NS + LAB_DRIFT_NS)
		time += LAB_TICK_NS;
	return time;
}

static inline void lab_sleep_until(int64_t time)
{
	int64_t left = time - lab_sched_now();

	if (left > 0)
		usleep(left / 1000);
}

/*
 * Begin in the same way in every boot. In a nap, workers and RCU finish what the last section left, and the task comes back to
 * an idle CPU, where the scheduler gives it a new slice. Then it waits for one place of both ticks and load averages: where they
 * fall among the operations, and how TCP rounds its round-trip times to microseconds, follows. The fair class may leave a task that
 * had more than its share on the queue when it sleeps: that must not come from here.
 */
static inline void lab_align(void)
{
	bool good = false;

	for (int tries = 0; !good && tries < 10; tries++) {
		int64_t time = lab_tick_from(lab_sched_now() + LAB_NAP_NS);

		lab_sleep_until(time - LAB_WAKE_NS);
		good = lab_step_in(lab_step_out(), time);
	}
}

/*
 * For use between operations that are measured apart: the next one begins on a whole microsecond of the kernel's clock, and not
 * shortly before a tick, which is waited for. Times that it takes and rounds (TCP's round-trip times) then round alike in every
 * operation, and how many begin between two ticks is the same in every boot.
 */
__attribute__((unused))
static bool lab_even(void *unused)
{
	bool good = false;

	(void)unused;
	lab_forget();
	for (int tries = 0; !good && tries < 10; tries++) {	/* an interrupt may come between */
		int64_t now = lab_sched_now(), phase = lab_after_tick(now);

		if (phase > LAB_TICK_NS - LAB_SHORT_NS)
			good = lab_until(now + LAB_TICK_NS - phase + LAB_SHORT_NS);
		else
			good = lab_until(now + LAB_NEAR_NS + LAB_MICROSECOND_NS - (phase + LAB_NEAR_NS) % LAB_MICROSECOND_NS);
	}
	return true;			/* an operation that begins elsewhere is as right */
}

#endif
