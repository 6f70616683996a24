/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every payload of the lab shares: the marks between which the cost plugin counts, and KTAP on stdout.
 *
 * A mark is an eight-byte no-op. It costs one instruction and means nothing to hardware or to a guest without the plugin.
 * lab_measure() brackets an operation with them; the section "empty" prices the bracket itself, so that the lab can report
 * everything net of it. Nothing is printed inside a section.
 */
#ifndef LAB_H
#define LAB_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE before the first #include"
#endif

#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "symbols.h"

/* nopl 0x4c4142<code>(%rax,%rax,1) */
#define LAB_MARK(code) asm volatile(".byte 0x0f, 0x1f, 0x84, 0x00, " #code ", 0x42, 0x41, 0x4c" : : : "memory")

#define lab_start()	LAB_MARK(0x01)	/* a section begins; the calling task is the measured one */
#define lab_stop()	LAB_MARK(0x02)	/* it ends */
#define lab_lap()	LAB_MARK(0x03)	/* one operation ends */
#define lab_join()	LAB_MARK(0x04)	/* the calling task works for the measured one, until the next lab_stop() */
#define lab_forget()	LAB_MARK(0x05)	/* the next lab_lap() ends no operation: what this task does until then counts as idle */

#define LAB_MAX_LAPS 10000

/* One operation; returns whether it did what it should. */
typedef bool (*lab_op)(void *context);

static int lab_case, lab_failed, lab_section;

/* Printf to stdout as a KTAP diagnostic. */
__attribute__((format(printf, 1, 2)))
static inline void lab_note(const char *format, ...)
{
	va_list args;

	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static inline void lab_plan(int cases)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	printf("KTAP version 1\n1..%d\n", cases);
}

static inline void lab_result(bool good, const char *name)
{
	lab_failed += !good;
	printf("%sok %d %s\n", good ? "" : "not ", ++lab_case, name);
	fflush(stdout);
}

/* As lab_result(), with what was found as the case's detail; it must not start with a KTAP directive such as SKIP. */
__attribute__((format(printf, 3, 4)))
static inline void lab_found(bool good, const char *name, const char *format, ...)
{
	va_list args;

	lab_failed += !good;
	printf("%sok %d %s # ", good ? "" : "not ", ++lab_case, name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

/* A case that cannot be tried here, or a row that cannot be measured: `name` and the reason. */
__attribute__((format(printf, 2, 3)))
static inline void lab_skip(const char *name, const char *format, ...)
{
	va_list args;

	printf("ok %d %s # SKIP ", ++lab_case, name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

/* The whole plan is void: say why and leave. */
__attribute__((noreturn, format(printf, 1, 2)))
static inline void lab_bail(const char *format, ...)
{
	va_list args;

	printf("Bail out! ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	exit(1);
}

static inline int lab_exit(void)
{
	return lab_failed ? 1 : 0;
}

#include "steady.h"	/* these say things, too */
#include "rest.h"

/*
 * Let a CPU keep the pages it frees for itself: an eighth of a zone instead of some hundreds. Where it takes and gives them in
 * batches of 63, how many batches an operation meets depends on all that came before it, and each is some 1,600 instructions.
 */
__attribute__((unused))
static void lab_keep_pages(void)
{
	FILE *fraction = fopen("/proc/sys/vm/percpu_pagelist_high_fraction", "w");

	if (!fraction || fputs("8", fraction) < 0 || fclose(fraction))
		lab_note("freed pages are not kept: %m");
}

/*
 * One CPU for this task and its children, no page fault on the way, and no preemption by whom it wakes: with SCHED_BATCH
 * tasks hand over to each other when they block, in the fair class, in the same order every time.
 */
static inline void lab_settle(void)
{
	struct sched_param none = { 0 };
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		lab_note("not pinned to CPU 0: %m");
	if (sched_setscheduler(0, SCHED_BATCH, &none))
		lab_note("not in SCHED_BATCH: %m");
	lab_free_blocks();
	lab_fresh_slabs();
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		lab_note("memory not locked: %m");
}

/*
 * The same loop around every operation: what it costs itself is what it costs around an empty one. The clock is read right
 * behind each lap mark, so that both divide the section at the same places. `other` takes turns with `op`, and begins.
 * Returns failures.
 */
__attribute__((noinline, unused))
static int lab_loop(lab_op op, lab_op other, void *context, int laps, uint64_t *clock)
{
	int failures = 0;

	lab_start();
	*clock = lab_clock();
	while (laps-- > 0) {
		failures += !(laps & 1 ? other : op)(context);
		lab_lap();
		*++clock = lab_clock();
	}
	lab_stop();
	return failures;
}

/*
 * Measure `op`: `warmup` operations are discarded, then `laps` (at most LAB_MAX_LAPS) are counted by the plugin and timed.
 * `between`, when there is one, runs before each of them and is not measured: it calls lab_forget() or lab_rest(). Prints the
 * section and the clock's samples; returns the number of operations that failed.
 */
static inline int lab_measure_apart(const char *name, lab_op op, lab_op between, void *context, int warmup, int laps)
{
	static uint64_t clock[LAB_MAX_LAPS + 1];
	int failures = 0, step = between ? 2 : 1;

	if (laps * step > LAB_MAX_LAPS)
		lab_bail("%s: more than %d laps", name, LAB_MAX_LAPS / step);
	lab_align();
	for (int i = 0; i < warmup; i++)
		failures += (between && !between(context)) + !op(context);
	failures += lab_loop(op, between ? between : op, context, laps * step, clock);
	lab_tell_symbols();
	lab_note("section %d %s laps %d%s", lab_section++, name, laps, between ? " apart" : "");
	lab_note("%s: %d warm-up operations discarded, %d operations failed", name, warmup, failures);
	for (int i = step; i <= laps * step; i += step)
		lab_note("sample clock.%s %llu ns", name, (unsigned long long)(clock[i] - clock[i - 1]));
	return failures;
}

static inline int lab_measure(const char *name, lab_op op, void *context, int warmup, int laps)
{
	return lab_measure_apart(name, op, NULL, context, warmup, laps);
}

__attribute__((noinline, unused))
static bool lab_empty(void *context)
{
	asm volatile("" : : "r"(context) : "memory");
	return true;
}

/* Price the bracket: call it once, first. */
static inline void lab_calibrate(void)
{
	lab_measure("empty", lab_empty, NULL, 100, 1000);
}

#endif
