/* SPDX-License-Identifier: GPL-2.0 */
/* Operations that are measured apart begin in one state: what they left is done and counted out between two. Part of <lab.h>. */
#ifndef REST_H
#define REST_H

#include <fcntl.h>

#define LAB_IN_PERIOD_NS 100000		/* where in one an operation begins */
#define LAB_FIRST_PHASE_NS 60000	/* and where after a tick: a short operation meets none */
#define LAB_LAST_PHASE_NS 300000
#define LAB_PHASE_SPAN_NS 5000
#define LAB_COUNT_OUT_NS 4000000	/* and how long lab_count_out() takes, with a sleep after it */
#define LAB_POOL_BYTES 64		/* block of the hash of the random pool */
#define LAB_RANDOM_NUMBERS 24		/* of a batch */
#define LAB_MANY_PAGES 128		/* enough for the counters of a memory cgroup to be summed up */

/*
 * A process that ends stirs 16 bytes into the random pool; 64 of them are hashed, some 1,600 instructions. One byte at a time until
 * that has just been done: the clock tells.
 */
static inline bool lab_stir_pool(void)
{
	int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, "", 1) == 1 && !close(fd);
}

/* A file in memory gets a random number; after 24 of them the kernel makes new ones, some 3,000 instructions. */
static inline bool lab_take_random(void)
{
	return !close(memfd_create("random", MFD_CLOEXEC));
}

/* Until it took from `least` to `most` nanoseconds longer than ever before, twice `often` times at most. */
static inline void lab_turn(bool (*step)(void), int often, uint64_t least, uint64_t most)
{
	uint64_t shortest = UINT64_MAX;

	for (int i = 0; i < 2 * often; i++) {
		uint64_t took = lab_clock();

		if (!step())
			break;
		took = lab_clock() - took;
		if (i > 2 && took > shortest + least && took < shortest + most)
			break;
		shortest = took < shortest ? took : shortest;
	}
}

static inline void lab_touch_pages(size_t pages)
{
	void *room = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	munmap(room, pages * 4096);
}

/*
 * Counters of pages that a CPU keeps for itself go on from zero: those of the zones, and those of the memory cgroup, which sums them
 * up when it is asked and there is enough to sum up. Its next change would also put it on a list.
 */
static inline void lab_sum_up_pages(void)
{
	int fd = open("/cgroup/memory.stat", O_RDONLY | O_CLOEXEC);
	static char text[1 << 14];

	lab_touch_pages(LAB_MANY_PAGES);
	if (fd < 0)
		fd = open("/sys/fs/cgroup/memory.stat", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
		text[0] = 0;
	close(fd);
	lab_touch_pages(1);
	lab_slab_pages();
}

static inline bool lab_phase_between(int64_t time, int64_t first, int64_t last)
{
	return lab_after_tick(time) >= first && lab_after_tick(time) <= last;
}

/*
 * When the next operation begins: after 41 or 103 periods, since its place behind a tick moves by no more than -8 or 3 us then. When
 * that is too soon or too near to a tick: at the first of all places that is right to go on from.
 */
static inline int64_t lab_next_begin(int64_t last, int ms)
{
	const bool soon = ms < 43;
	const int64_t now = lab_sched_now(), first = soon ? LAB_LAST_PHASE_NS - LAB_PHASE_SPAN_NS : LAB_FIRST_PHASE_NS;
	int64_t next = last + (soon ? 41 : 103) * (int64_t)LAB_PERIOD_NS;

	if (next > now + LAB_WAKE_NS + LAB_COUNT_OUT_NS && lab_phase_between(next, LAB_FIRST_PHASE_NS, LAB_LAST_PHASE_NS))
		return next;
	next = (now + ms * (int64_t)LAB_TICK_NS) / LAB_PERIOD_NS * LAB_PERIOD_NS + LAB_IN_PERIOD_NS;
	while (!lab_phase_between(next, first, first + LAB_PHASE_SPAN_NS))
		next += LAB_PERIOD_NS;
	return next;
}

/* In front of the fair class, too: how long this takes is not always the same. */
static inline void lab_count_out(void)
{
	struct sched_param none = { 0 };
	int policy = lab_step_out();

	lab_sum_up_pages();
	lab_turn(lab_stir_pool, LAB_POOL_BYTES, 1000, 2400);
	sched_setscheduler(0, policy, &none);
}

/* Whether it was not too late. */
static inline bool lab_rest_until(int64_t time)
{
	lab_turn(lab_take_random, LAB_RANDOM_NUMBERS, 2400, 4400);	/* before the sleep, in which RCU frees the files */
	lab_sleep_until(time - LAB_WAKE_NS - LAB_COUNT_OUT_NS);
	lab_count_out();
	lab_sleep_until(time - LAB_WAKE_NS);
	return lab_step_in(lab_step_out(), time);
}

/*
 * Let the kernel finish what an operation left to be done later (RCU callbacks, kworkers), bring what it counts modulo something to
 * where it was, and begin the next one at the same place of the scheduler's periods, out of reach of a tick. The second sleep lets
 * kworkers that this woke leave the queue. For use in what lab_measure_apart() runs between operations.
 */
__attribute__((unused))
static void lab_rest(int ms)
{
	static int64_t next;
	bool good = false;

	lab_forget();
	for (int tries = 0; !good && tries < 10; tries++) {
		next = lab_next_begin(next, ms);
		good = lab_rest_until(next);
	}
}

/* The same for operations that meet ticks or in which TCP takes times: begin at the same place of ticks and microseconds. */
__attribute__((unused))
static void lab_rest_by_tick(int ms)
{
	bool good = false;

	lab_forget();
	for (int tries = 0; !good && tries < 10; tries++)
		good = lab_rest_until(lab_tick_from(lab_sched_now() + ms * (int64_t)LAB_TICK_NS));
}

#endif
