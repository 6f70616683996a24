/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel entries on two CPUs in windows of rest and of noise from the other CPUs: what `quiet` and `quiet-plain` share.
 */
#ifndef QUIET_H
#define QUIET_H

#include <linux/membarrier.h>
#include <signal.h>
#include <sys/prctl.h>

#include <entries.h>

#define HELPER_CPU 1
#define SETTLE_MS 1000
#define STUCK_S 150
#define PAGE 4096
#define PROOF 100
#define TRIES 20
#define MAX_WINDOWS 8

/* --- noise, made on CPUs 0 and 1: each a known number of events ---------------------------------------------------------- */

static int helper_in, helper_out;

static void *nothing(void *context)
{
	return context;
}

/* Short-lived threads of another process, on the other housekeeping CPU; `batch` of them at once. */
static bool make_threads(int n, const pthread_attr_t *small)
{
	enum { batch = 20 };
	pthread_t threads[batch];
	bool good = true;

	for (; n > 0; n -= batch) {
		int made = 0;

		while (made < batch && !pthread_create(&threads[made], small, nothing, NULL))
			made++;
		good &= made == batch;
		while (made--)
			pthread_join(threads[made], NULL);
	}
	return good;
}

static void start_helper(void)
{
	pthread_attr_t small;
	int forth[2], back[2], n;

	if (pipe(forth) || pipe(back))
		lab_bail("cannot make pipes: %m");
	fflush(stdout);
	switch (fork()) {
	case -1:
		lab_bail("cannot fork: %m");
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(HELPER_CPU);
		pthread_attr_init(&small);
		pthread_attr_setstacksize(&small, 1 << 16);
		while (read(forth[0], &n, sizeof(n)) == sizeof(n)) {
			bool good = make_threads(n, &small);

			if (write(back[1], &good, 1) != 1)
				break;
		}
		_exit(0);
	}
	helper_in = back[0];
	helper_out = forth[1];
}

static bool idle_noise(int n)
{
	rest(n);
	return true;
}

/* kernel.bpf_stats_enabled is a static key that any kernel with BPF has: one batch of patched text a change. */
static bool toggle_noise(int n)
{
	int fd = open("/proc/sys/kernel/bpf_stats_enabled", O_WRONLY);
	bool good = fd >= 0;

	for (int i = 0; good && i < n; i++)
		good = pwrite(fd, i % 2 ? "0\n" : "1\n", 2, 0) == 2;
	close(fd);
	return good;
}

static bool thread_noise(int n)
{
	bool good = false;

	return write(helper_out, &n, sizeof(n)) == sizeof(n) && read(helper_in, &good, 1) == 1 && good;
}

static bool membarrier_noise(int n)
{
	bool good = true;

	while (n-- > 0)
		good &= !syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
	return good;
}

/* In the process of the loops: they must not keep using a page that is gone. */
static bool munmap_noise(int n)
{
	bool good = true;

	while (n-- > 0) {
		volatile char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		good &= page != MAP_FAILED;
		if (!good)
			break;
		*page = 1;
		good &= !munmap((void *)page, PAGE);
	}
	return good;
}

struct noise {
	const char *name;
	bool (*make)(int n);
	int n, windows;		/* events a window; of `idle`: milliseconds */
};

static const struct noise noises[] = {
	{ "idle", idle_noise, 500, 5 },
	{ "toggle", toggle_noise, 20, 3 },
	{ "threads", thread_noise, 200, 3 },
	{ "membarrier", membarrier_noise, 200, 3 },
	{ "munmap", munmap_noise, 200, 3 },
};
#define NOISES (int)(sizeof(noises) / sizeof(*noises))

/* --- windows and rows ---------------------------------------------------------------------------------------------------- */

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

/* Loops on CPUs 2 and 3, a helper on 1, this thread on 0; nothing that is written later is a fault or a copy. */
static void start(void)
{
	pthread_attr_t small;
	pthread_t thread;

	alarm(STUCK_S);
	if (sysconf(_SC_NPROCESSORS_ONLN) < FIRST_CPU + CPUS)
		lab_bail("needs %d CPUs", FIRST_CPU + CPUS);
	start_helper();
	if (!pin(0))
		lab_bail("not pinned to CPU 0: %m");
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
