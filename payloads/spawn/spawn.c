// SPDX-License-Identifier: GPL-2.0
/*
 * Description: what it costs to get another process and to be rid of it again, in instructions, system calls, page faults,
 * copied page-table entries and IPIs: fork at several sizes, vfork, posix_spawn, clone3, exec, a server that forks on demand,
 * each kind of namespace, and the whole of what a container runtime does.
 */
#define _GNU_SOURCE
#include <holes.h>
#include <machine.h>

#include "spawn.h"

#define WARMUP 5
#define LAPS 15
#define REST_MS 16			/* two grace periods */
#define STUCK_S 240

/* What was counted around all laps but the last. */
static struct ledger {
	int asked;			/* how often an operation was about to begin */
	uint64_t faults[2], ipis[2];	/* before the first lap, before the last one */
} ledger;

/* /proc/PID/stat: minor and major ones of the process and of all that it has reaped, and what those had. */
static uint64_t faults_of(pid_t pid)
{
	unsigned long minor, minors, major, majors;
	char *text = sys_text("/proc/%d/stat", pid), *name_end = strrchr(text, ')');

	if (!name_end || sscanf(name_end + 2, "%*c %*d %*d %*d %*d %*d %*u %lu %lu %lu %lu", &minor, &minors, &major, &majors) != 4)
		lab_bail("cannot read /proc/%d/stat", pid);
	return minor + minors + major + majors;
}

static uint64_t ipis(void)
{
	static const char *const labels[] = { "RES", "CAL", "TLB" };
	static struct interrupts all;
	uint64_t sum = 0;

	read_interrupts(&all);
	for (int i = 0; i < 3; i++) {
		if (!find_interrupt(&all, labels[i]))
			lab_bail("/proc/interrupts has no %s", labels[i]);
		for (int cpu = 0; cpu < MAX_CPUS; cpu++)
			sum += interrupts_on(&all, labels[i], cpu);
	}
	return sum;
}

static bool between(void *context)
{
	const struct way *way = context;
	int lap = ledger.asked++ - WARMUP;

	lab_forget();
	if (lap == 0 || lap == LAPS - 1) {
		ledger.ipis[lap > 0] = ipis();
		ledger.faults[lap > 0] = faults_of(getpid()) + (server ? faults_of(server) : 0);
	}
	lab_rest(way->rest_ms ? way->rest_ms : REST_MS);
	return true;
}

/* Once with children that look around. */
static bool checked(const struct way *way)
{
	bool good;

	checking = true;
	good = (!way->begin || way->begin(way)) && way->op((void *)way);
	if (way->end)
		way->end();
	checking = false;
	if (!good)
		lab_note("%s: not what it should be", way->name);
	return good;
}

static bool measured(const struct way *way)
{
	bool good = !way->begin || way->begin(way);

	ledger.asked = 0;
	good = good && !lab_measure_apart(way->name, way->op, between, (void *)way, WARMUP, LAPS);
	if (way->end)
		way->end();
	lab_note("sample %s.faults %.3f faults", way->name, (double)(ledger.faults[1] - ledger.faults[0]) / (LAPS - 1));
	lab_note("sample %s.ipis %.3f IPIs", way->name, (double)(ledger.ipis[1] - ledger.ipis[0]) / (LAPS - 1));
	return good;
}

/* As much as it should have been: each page of memory is an entry. */
static bool counted(const struct way *way)
{
	uint64_t least = way->huge ? way->mib / 2 : way->mib * 256, most = least + 1000;
	struct counts counts;

	if (!count_events(way, &counts)) {
		lab_note("%s: not counted", way->name);
		return false;
	}
	lab_note("sample %s.syscalls %llu calls", way->name, (unsigned long long)counts.syscalls);
	lab_note("sample %s.entries %llu entries", way->name, (unsigned long long)counts.entries);
	if (way->mib && (counts.entries < least || counts.entries > most))
		lab_note("%s: %d MiB, and %d entries", way->name, (int)way->mib, (int)counts.entries);
	return !way->mib || (counts.entries >= least && counts.entries <= most);
}

static void run(const struct way *way)
{
	bool good = take_memory(way);

	fflush(stdout);			/* or children would say it again */
	alarm(STUCK_S);
	good = good && checked(way);
	good = good && measured(way);
	fflush(stdout);
	good = good && counted(way);
	alarm(0);
	drop_memory();
	lab_result(good, way->name);
}

int main(int argc, char **argv)
{
	lab_hold(argc, argv);
	lab_plan(n_births + n_boxes);
	lab_keep_pages();
	enter_world();
	lab_fill_holes();
	lab_settle();
	munlockall();			/* locked pages are copied and freed in another way */
	lab_calibrate();
	for (int i = 0; i < n_births; i++)
		run(&births[i]);
	for (int i = 0; i < n_boxes; i++)
		run(&boxes[i]);
	return lab_exit();
}
