/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What interrupts CPUs 2 and 3 while a thread of ours loops on each in user mode: seen by the loops, and by source.
 *
 * The loops see every return from the kernel by themselves, without a system call and without a clock: IRET to user mode
 * clears a segment register that holds a null selector (Intel SDM vol. 2, IRET; known as SegScope). Each loop keeps the
 * selector 3 in ES; when it reads 0, the kernel was entered since it last looked. A host that takes the CPU away changes
 * nothing, so the longest run between two entries is told in iterations.
 *
 * The kernel's own counters (/proc/interrupts, /proc/softirqs, /proc/self/task) name the sources. They are read before a
 * window opens and after it closed, so they hold at least what the loops saw: an entry without a source is a failure.
 */
#ifndef ENTRIES_H
#define ENTRIES_H

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include <lab.h>

#define FIRST_CPU 2
#define CPUS 2			/* CPUs 2 and 3 are looked at, 0 and 1 keep house */
#define ARMED 3			/* a null selector with a requested privilege level */
#define BREATH 256		/* iterations between two PAUSEs: where an emulator changes to the next CPU */

enum source {
	TIMER, RESCHED, CALL, TLB, IRQ_WORK, DEVICE, NMI, MCE, OTHER, FAULTS,	/* these enter the kernel */
	SOFTIRQ, SWITCHES, SOURCES						/* these happen in it */
};

static const char *const source_names[SOURCES] = {
	"timer", "resched", "call", "tlb", "irq-work", "device", "nmi", "mce", "other", "faults", "softirq", "switches",
};

/* Labels of /proc/interrupts. TLB is a part of CAL; polls, retries and PMI (an NMI) are no entries of their own. */
static const struct { const char *label; enum source source; } labels[] = {
	{ "LOC", TIMER }, { "RES", RESCHED }, { "CAL", CALL }, { "TLB", TLB }, { "IWI", IRQ_WORK }, { "NMI", NMI },
	{ "MCE", MCE }, { "MCP", SOURCES }, { "RTR", SOURCES }, { "PMI", SOURCES }, { "ERR", SOURCES }, { "MIS", SOURCES },
};

/* One loop. The owner writes, the main thread reads; a window is closed by raising `epoch`. */
struct loop {
	volatile uint64_t entries, iterations, longest;	/* of the window that was closed last */
	volatile unsigned int epoch, closed;
	volatile pid_t tid;
	int cpu;
	char apart[64];
};

struct counts {
	uint64_t of[CPUS][SOURCES];
	double at;		/* seconds */
};

static struct loop loops[CPUS] __attribute__((aligned(64)));

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void rest(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static bool pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return !sched_setaffinity(0, sizeof(one), &one);
}

static inline bool was_in_kernel(void)
{
	unsigned int selector;

	asm volatile("mov %%es, %0" : "=r"(selector) : : "memory");
	return selector != ARMED;
}

static inline void arm(void)
{
	asm volatile("mov %0, %%es" : : "r"(ARMED) : "memory");
}

/* Loop in user mode until `epoch` changes; no system call, no fault. */
static void look(struct loop *loop)
{
	uint64_t entries = 0, iterations = 0, since = 0, longest = 0;
	unsigned int epoch = loop->epoch;

	arm();
	while (loop->epoch == epoch) {
		if (!(++iterations % BREATH))
			asm volatile("pause");
		if (!was_in_kernel())
			continue;
		arm();
		entries++;
		if (iterations - since > longest)
			longest = iterations - since;
		since = iterations;
	}
	if (iterations - since > longest)
		longest = iterations - since;
	loop->entries = entries;
	loop->iterations = iterations;
	loop->longest = longest;
	__atomic_store_n(&loop->closed, epoch + 1, __ATOMIC_RELEASE);
}

static void *loop_main(void *context)
{
	struct loop *loop = context;

	pin(loop->cpu);
	loop->tid = syscall(SYS_gettid);
	for (;;)
		look(loop);
	return NULL;
}

/* Close the window that is open, which opens the next one. */
static void turn(void)
{
	for (int i = 0; i < CPUS; i++)
		__atomic_store_n(&loops[i].epoch, loops[i].epoch + 1, __ATOMIC_RELEASE);
	for (int i = 0; i < CPUS; i++)
		while (__atomic_load_n(&loops[i].closed, __ATOMIC_ACQUIRE) != loops[i].epoch)
			sched_yield();
}

static char *slurp(const char *path)
{
	static char text[1 << 17];
	int fd = open(path, O_RDONLY);
	ssize_t n, size = 0;

	if (fd < 0)
		lab_bail("cannot open %s: %m", path);
	while ((n = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += n;
	close(fd);
	if (n < 0 || size == sizeof(text) - 1)
		lab_bail("cannot read all of %s", path);
	text[size] = 0;
	return text;
}

static enum source source_of(const char *label)
{
	for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++)
		if (!strcmp(label, labels[i].label))
			return labels[i].source;
	return label[strspn(label, "0123456789")] ? OTHER : DEVICE;
}

/* Add the columns of our CPUs of a table with a CPU in each column; `fixed` is where every line goes, or SOURCES. */
static void add_table(const char *path, struct counts *counts, enum source fixed)
{
	int column[CPUS] = { -1, -1 }, cpu, used, n = 0;
	char *line = slurp(path), *next, label[16];

	next = strchr(line, '\n');
	for (char *at = line; sscanf(at, " CPU%d%n", &cpu, &used) == 1 && at < next; at += used, n++)
		if (cpu >= FIRST_CPU && cpu < FIRST_CPU + CPUS)
			column[cpu - FIRST_CPU] = n;
	if (column[0] < 0 || column[1] < 0)
		lab_bail("%s has no columns for CPUs %d and %d", path, FIRST_CPU, FIRST_CPU + 1);
	for (line = next + 1; *line; line = next + 1) {
		unsigned long long value;
		char *at = strchr(line, ':');
		enum source source;

		next = strchr(line, '\n');
		if (!next || !at || at > next || sscanf(line, " %15[^:]", label) != 1)
			lab_bail("%s has a line without a label", path);
		source = fixed == SOURCES ? source_of(label) : fixed;
		at++;
		for (int i = 0; source != SOURCES && i < n && sscanf(at, "%llu%n", &value, &used) == 1; i++, at += used)
			for (int c = 0; c < CPUS; c++)
				counts->of[c][source] += i == column[c] ? value : 0;
	}
}

/* Page faults and context switches of the loop's thread: whatever else ran there, it was switched away from the loop. */
static void add_thread(struct counts *counts, int i)
{
	unsigned long long minor, major, wanted, forced;
	char path[64], *text;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", loops[i].tid);
	text = strrchr(slurp(path), ')');
	if (!text || sscanf(text, ") %*c %*d %*d %*d %*d %*d %*u %llu %*u %llu", &minor, &major) != 2)
		lab_bail("cannot read %s", path);
	snprintf(path, sizeof(path), "/proc/self/task/%d/status", loops[i].tid);
	text = strstr(slurp(path), "\nvoluntary_ctxt_switches:");
	if (!text || sscanf(text, " voluntary_ctxt_switches: %llu nonvoluntary_ctxt_switches: %llu", &wanted, &forced) != 2)
		lab_bail("cannot read %s", path);
	counts->of[i][FAULTS] += minor + major;
	counts->of[i][SWITCHES] += wanted + forced;
}

static void count(struct counts *counts)
{
	memset(counts, 0, sizeof(*counts));
	add_table("/proc/interrupts", counts, SOURCES);
	add_table("/proc/softirqs", counts, SOFTIRQ);
	for (int i = 0; i < CPUS; i++)
		add_thread(counts, i);
	counts->at = seconds_now();
}

#endif
