/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel entries on two CPUs in windows of rest and of noise from the other CPUs: what `quiet` and `quiet-plain` share.
 */
#ifndef QUIET_H
#define QUIET_H

#include <noise.h>

#define SETTLE_MS 1000
#define STUCK_S 150
#define PROOF 100
#define TRIES 20
#define MAX_WINDOWS 8

struct window {
	uint64_t of[CPUS][SOURCES], entries[CPUS], longest;
	double seconds;
};

/* What the loops saw lies inside what is counted: the counters are read before the window opens and after it closed. */
static bool take(struct window *window, const struct noise *noise)
{
	static struct counts before, after;
	bool good;

	count(&before);
	turn();
	good = noise->make(noise->n);
	turn();
	count(&after);
	window->seconds = after.at - before.at;
	window->longest = UINT64_MAX;
	for (int c = 0; c < CPUS; c++) {
		for (int s = 0; s < SOURCES; s++)
			window->of[c][s] = after.of[c][s] - before.of[c][s];
		window->entries[c] = loops[c].entries;
		if (loops[c].longest < window->longest)
			window->longest = loops[c].longest;
	}
	return good;
}

/* Entries that no source explains; a source may count more, when two entries come without an instruction of ours between. */
static bool explained(const struct window *window)
{
	bool good = true;

	for (int c = 0; c < CPUS; c++) {
		uint64_t known = 0;

		for (int s = 0; s <= FAULTS; s++)
			known += s == TLB ? 0 : window->of[c][s];
		if (known < window->entries[c])
			lab_note("CPU %d: %llu entries seen, %llu of them with a source", FIRST_CPU + c,
				 (unsigned long long)window->entries[c], (unsigned long long)known);
		good &= known >= window->entries[c];
	}
	return good;
}

static uint64_t both(const struct window *window, enum source source)
{
	uint64_t sum = 0;

	for (int c = 0; c < CPUS; c++)
		sum += window->of[c][source] - (source == CALL ? window->of[c][TLB] : 0);
	return sum;
}

/* One line a window for people: the counts as they are. */
static void describe(const char *name, const struct window *window)
{
	char line[512];
	int n = 0;

	for (int s = 0; s < SOURCES; s++)
		n += snprintf(line + n, sizeof(line) - n, ", %s %llu + %llu", source_names[s],
			      (unsigned long long)window->of[0][s], (unsigned long long)window->of[1][s]);
	lab_note("%s: %.3f s, entries %llu + %llu%s", name, window->seconds, (unsigned long long)window->entries[0],
		 (unsigned long long)window->entries[1], line);
}

/* At rest every source, per second; under noise what noise makes, per event. The lab takes the median of the windows. */
static void tell(const char *name, const struct window *window, const struct noise *noise)
{
	bool rest = noise->make == idle_noise;
	double per = CPUS * (rest ? window->seconds : noise->n);
	const char *unit = rest ? "1/s" : "1/event";

	describe(name, window);
	for (int c = 0; rest && c < CPUS; c++)
		lab_note("sample %s.timer.cpu%d %.1f 1/s", name, FIRST_CPU + c, window->of[c][TIMER] / window->seconds);
	for (int s = RESCHED; s < SOURCES; s++)
		if (rest || s == CALL || s == TLB)
			lab_note("sample %s.%s %.3f %s", name, source_names[s], both(window, s) / per, unit);
	lab_note("sample %s.entries %.3f %s", name, (window->entries[0] + window->entries[1]) / per, unit);
	if (rest)
		lab_note("sample %s.longest %llu iterations", name, (unsigned long long)window->longest);
}

/* All noises in the state the CPUs are in; one case each. */
static void measure(const char *state)
{
	static struct window windows[NOISES][MAX_WINDOWS];
	bool good[NOISES];

	rest(SETTLE_MS);
	for (int i = 0; i < NOISES; i++) {
		good[i] = true;
		for (int w = 0; w < noises[i].windows; w++)
			good[i] &= take(&windows[i][w], &noises[i]);
	}
	for (int i = 0; i < NOISES; i++) {
		char name[40];

		snprintf(name, sizeof(name), "%s.%s", state, noises[i].name);
		for (int w = 0; w < noises[i].windows; w++) {
			tell(name, &windows[i][w], &noises[i]);
			good[i] &= explained(&windows[i][w]);
		}
		lab_result(good[i], name);
	}
}

/* A processor that leaves the selector alone would look quiet. A try is void when another task has the loop's CPU. */
static void prove(void)
{
	for (int try = 0; try < TRIES; try++) {
		turn();
		if (!membarrier_noise(PROOF))
			lab_bail("membarrier: %m");
		turn();
		if (loops[0].entries >= PROOF / 2 && loops[1].entries >= PROOF / 2)
			return;
		rest(SETTLE_MS / TRIES);
	}
	lab_bail("of %d interrupts the loops saw %llu and %llu: the selector does not tell", PROOF,
		 (unsigned long long)loops[0].entries, (unsigned long long)loops[1].entries);
}

/*
 * Memory that a CPU used before it was registered, and kept as it went idle, is not looked at again when it comes back
 * (membarrier_switch_mm(), Linux 6.12): membarrier() would pass that CPU over. New memory has been on CPU 0 only.
 */
static void begin_on_cpu_0(void)
{
	cpu_set_t now;

	if (!sched_getaffinity(0, sizeof(now), &now) && CPU_COUNT(&now) == 1 && CPU_ISSET(0, &now))
		return;
	if (!pin(0))
		lab_bail("not pinned to CPU 0: %m");
	execl("/proc/self/exe", "again", NULL);
	lab_bail("cannot begin again on CPU 0: %m");
}

/* Loops on CPUs 2 and 3, a helper on 1, this thread on 0; nothing that is written later is a fault or a copy. */
static void start(void)
{
	pthread_attr_t small;
	pthread_t thread;

	alarm(STUCK_S);
	if (sysconf(_SC_NPROCESSORS_ONLN) < FIRST_CPU + CPUS)
		lab_bail("needs %d CPUs", FIRST_CPU + CPUS);
	begin_on_cpu_0();
	start_helper();
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 1 << 16);
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0))
		lab_bail("membarrier: %m");
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		lab_note("memory not locked: %m");
	for (int c = 0; c < CPUS; c++) {
		loops[c].cpu = FIRST_CPU + c;
		if (pthread_create(&thread, &small, loop_main, &loops[c]))
			lab_bail("cannot make a thread: %m");
		while (!loops[c].tid)
			sched_yield();
	}
	prove();
}

#endif
