/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's clocks to the nanosecond, and where in its periods a time lies. Part of <lab.h>. */
#ifndef CLOCKS_H
#define CLOCKS_H

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <time.h>

#define LAB_TICK_NS 1000000		/* CONFIG_HZ_1000 */
#define LAB_PERIOD_NS (1 << 20)		/* load averages go by periods of 1024 * 1024 ns of the scheduler's clock: kernel/sched/pelt.c */
#define LAB_MICROSECOND_NS 1000
#define LAB_NEAR_NS 1000			/* longer than a look at the clock */

/* The scheduler's clock: `zero` plus the TSC times `mult` >> `shift`, or not known (0). The one that ticks go by is `ahead` of it. */
static struct lab_clocks { uint64_t zero, mult; int64_t ahead; int shift; bool asked; } lab_clocks;

static inline uint64_t lab_clock(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline uint64_t lab_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* By the page of a perf event, which no task belongs to and which ends at once. */
static inline void lab_find_clocks(void)
{
	struct perf_event_attr dummy = { .type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_DUMMY, .size = sizeof(dummy) };
	int fd = syscall(SYS_perf_event_open, &dummy, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	struct perf_event_mmap_page *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	lab_clocks.asked = true;
	if (page == MAP_FAILED || !page->cap_user_time_zero) {
		lab_note("the scheduler's clock is not known: its periods are not aligned");
	} else {
		lab_clocks = (struct lab_clocks){ page->time_zero, page->time_mult, 0, page->time_shift, true };
		munmap(page, 4096);
	}
	close(fd);
}

/* The scheduler's clock, or the one that ticks go by. */
static inline int64_t lab_sched_now(void)
{
	uint64_t tsc, part;

	if (!lab_clocks.asked) {
		lab_find_clocks();
		lab_clocks.ahead = lab_now_ns() - lab_sched_now();
	}
	if (!lab_clocks.mult)
		return lab_now_ns();
	tsc = lab_clock();
	part = tsc & ((1ull << lab_clocks.shift) - 1);
	return lab_clocks.zero + (tsc >> lab_clocks.shift) * lab_clocks.mult + (part * lab_clocks.mult >> lab_clocks.shift);
}

/* How long after a tick the scheduler's clock says `time`. */
static inline int64_t lab_after_tick(int64_t time)
{
	return (time + lab_clocks.ahead) % LAB_TICK_NS;
}

/* To the instruction: each step of a REP instruction is one. Whether it was not too late. */
static inline bool lab_until(int64_t time)
{
	static char bytes[LAB_NEAR_NS];
	const char *at = bytes;
	int64_t left;

	while ((left = time - lab_sched_now()) > LAB_NEAR_NS)
		;
	if (left <= 0)
		return false;
	asm volatile("rep lodsb" : "+S"(at), "+c"(left) : : "rax", "memory");
	return true;
}

#endif
