// SPDX-License-Identifier: GPL-2.0
/*
 * Isolated CPUs: the scheduler leaves them alone, device interrupts go elsewhere, and the tick stops while one task runs.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>

#include "hardware.h"

#define SPIN_S 3
#define SPIN_MOST_S 60		/* a host with no time to spare */
#define TICKS_MOST 50		/* a second, on a CPU without the tick */
#define TICKS_SEEN 300		/* on a CPU with it, before that says anything */
#define SETTLE_MS 300
#define FREE_MS 500
#define FREE_ROUNDS 40		/* at most, until the threads have spread */
#define FREE_THREADS 2		/* a CPU */

static volatile bool spinning;

static void *spin(void *context)
{
	(void)context;
	while (spinning)
		asm volatile("pause");	/* where an emulator changes to the next CPU */
	return NULL;
}

static void *wander(void *seen)
{
	while (spinning) {
		int cpu = sched_getcpu();

		asm volatile("pause");
		if (cpu >= 0 && cpu < MAX_CPUS)
			CPU_SET(cpu, (cpu_set_t *)seen);
	}
	return NULL;
}

/* A thread that may run on `cpus`, from its first instruction on. */
static void start(pthread_t *thread, const cpu_set_t *cpus, void *(*run)(void *), void *context)
{
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 1 << 16);
	pthread_attr_setaffinity_np(&attributes, sizeof(*cpus), cpus);
	if (pthread_create(thread, &attributes, run, context))
		lab_bail("cannot make a thread: %m");
	pthread_attr_destroy(&attributes);
}

static bool listed(const char *text, cpu_set_t *cpus, struct finding *finding)
{
	if (parse_cpus(text, cpus) && CPU_COUNT(cpus))
		return true;
	FOUND(finding, false, "`%s` is no list of CPUs", text);
	return false;
}

/* A CPU that is online and not in `asked`; -1: there is none. */
static int another(const cpu_set_t *asked)
{
	cpu_set_t all;

	online_cpus(&all);
	for (int cpu = 0; cpu < MAX_CPUS; cpu++)
		if (CPU_ISSET(cpu, &all) && !CPU_ISSET(cpu, asked))
			return cpu;
	return -1;
}

/* --- the scheduler ------------------------------------------------------------------------------------------------------- */

/*
 * Where threads run that may run anywhere, twice as many as there are CPUs. They start on a CPU that is not isolated, as the
 * scheduler does not move anything away from one that is, either; and they run until it moved some to all of `others`, so
 * that it had the time to move them further.
 */
static void where_threads_run(int first, const cpu_set_t *others, cpu_set_t *seen)
{
	static cpu_set_t by_thread[FREE_THREADS * MAX_CPUS];
	pthread_t threads[FREE_THREADS * MAX_CPUS];
	cpu_set_t all;
	int n;

	online_cpus(&all);
	n = FREE_THREADS * CPU_COUNT(&all);
	memset(by_thread, 0, sizeof(by_thread));
	CPU_ZERO(seen);
	pin(first);
	spinning = true;
	for (int i = 0; i < n; i++)
		start(&threads[i], &all, wander, &by_thread[i]);
	for (int round = 0; round < FREE_ROUNDS && !within(others, seen); round++) {
		rest_ms(FREE_MS);
		for (int i = 0; i < n; i++)
			CPU_OR(seen, seen, &by_thread[i]);
	}
	spinning = false;
	for (int i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		CPU_OR(seen, seen, &by_thread[i]);
	}
}

/* --- interrupts ---------------------------------------------------------------------------------------------------------- */

struct vector {
	int irq;
	bool managed;			/* the kernel alone says where it goes */
	cpu_set_t wanted, effective;
	char name[64];
};

/* The kernel refuses to have the affinity of a managed interrupt written; the value it has changes nothing otherwise. */
static bool is_managed(int irq)
{
	char path[64], text[TEXT];

	snprintf(path, sizeof(path), "/proc/irq/%d/smp_affinity_list", irq);
	return read_text(path, text, sizeof(text)) && !write_text(path, text) && (errno == EPERM || errno == EIO);
}

static int read_vectors(struct vector *vectors, int most)
{
	static struct interrupts now;
	DIR *directory = opendir("/proc/irq");
	struct dirent *entry;
	int n = 0;

	read_interrupts(&now);
	while (directory && n < most && (entry = readdir(directory))) {
		struct vector *one = &vectors[n];
		const struct interrupt *line = find_interrupt(&now, entry->d_name);

		/* one that nobody handles is on no CPU */
		if (!line || sscanf(entry->d_name, "%d", &one->irq) != 1)
			continue;
		if (!parse_cpus(sys_text("/proc/irq/%d/effective_affinity_list", one->irq), &one->effective) ||
		    !parse_cpus(sys_text("/proc/irq/%d/smp_affinity_list", one->irq), &one->wanted))
			lab_bail("/proc/irq/%d says no affinity", one->irq);
		one->managed = is_managed(one->irq);
		snprintf(one->name, sizeof(one->name), "%d (%s)", one->irq, line->name);
		n++;
	}
	if (directory)
		closedir(directory);
	return n;
}

/* --- the proofs ---------------------------------------------------------------------------------------------------------- */

/* No thread that was not told to, no interrupt that could go elsewhere. Those the kernel manages are told apart. */
void prove_isolated(const char *rest, struct finding *finding)
{
	static struct vector vectors[MAX_LINES];
	char stray[TEXT] = "", managed[TEXT] = "";
	cpu_set_t asked, others, seen;
	int n, first;

	if (!listed(rest, &asked, finding))
		return;
	online_cpus(&others);
	first = another(&asked);
	if (first < 0 || !within(&asked, &others)) {
		FOUND(finding, false, "asked CPUs %s; found online CPUs %s", cpus_text(&asked), cpus_text(&others));
		return;
	}
	CPU_XOR(&others, &others, &asked);
	where_threads_run(first, &others, &seen);
	n = read_vectors(vectors, MAX_LINES);
	for (int i = 0; i < n; i++) {
		const struct vector *one = &vectors[i];

		if (overlap(&one->effective, &asked))
			add(one->managed ? managed : stray, TEXT, " %s on %s", one->name, cpus_text(&one->effective));
	}
	FOUND(finding, CPU_EQUAL(&seen, &others) && n && !*stray,
		  "asked CPUs %s; found threads that may run anywhere on CPUs %s, interrupts on isolated CPUs:%s; managed ones:%s",
		  cpus_text(&asked), cpus_text(&seen), *stray ? stray : " none", *managed ? managed : " none");
}

/* A managed interrupt comes to an isolated CPU only when no other CPU may take it. */
void prove_managed_irq(const char *rest, struct finding *finding)
{
	static struct vector vectors[MAX_LINES];
	char stray[TEXT] = "", only[TEXT] = "";
	cpu_set_t asked;
	int n, managed = 0;

	if (!listed(rest, &asked, finding))
		return;
	n = read_vectors(vectors, MAX_LINES);
	for (int i = 0; i < n; i++) {
		const struct vector *one = &vectors[i];

		managed += one->managed;
		if (one->managed && overlap(&one->effective, &asked))
			add(within(&one->wanted, &asked) ? only : stray, TEXT, " %s on %s of %s", one->name,
			    cpus_text(&one->effective), cpus_text(&one->wanted));
	}
	FOUND(finding, !*stray,
		  "asked CPUs %s; found %d managed interrupts, on isolated CPUs without need:%s; for want of others:%s",
		  cpus_text(&asked), managed, *stray ? stray : " none", *only ? only : " none");
}

/* With a task in user mode on every CPU asked for and on one other, only that one has ticks. */
void prove_nohz_full(const char *rest, struct finding *finding)
{
	static struct interrupts before, after;
	pthread_t threads[MAX_CPUS];
	cpu_set_t asked, all;
	char text[TEXT] = "";
	bool good = true;
	double began, seconds;
	uint64_t kept = 0;
	int other, n = 0;

	if (!listed(rest, &asked, finding))
		return;
	online_cpus(&all);
	good = within(&asked, &all);
	other = another(&asked);
	if (other < 0 || !good) {
		FOUND(finding, false, "asked CPUs %s; found online CPUs %s", cpus_text(&asked), cpus_text(&all));
		return;
	}
	pin(other);
	spinning = true;
	for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (CPU_ISSET(cpu, &asked) || cpu == other)
			start(&threads[n++], &one, spin, NULL);
	}
	rest_ms(SETTLE_MS);
	read_interrupts(&before);
	began = now_s();
	do {
		rest_ms(SPIN_S * 1000);
		read_interrupts(&after);
		seconds = now_s() - began;
		kept = interrupts_on(&after, "LOC", other) - interrupts_on(&before, "LOC", other);
	} while (kept < TICKS_SEEN && seconds < SPIN_MOST_S);
	spinning = false;
	while (n)
		pthread_join(threads[--n], NULL);
	for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
		uint64_t ticks = interrupts_on(&after, "LOC", cpu) - interrupts_on(&before, "LOC", cpu);

		if (!CPU_ISSET(cpu, &asked))
			continue;
		good &= ticks < TICKS_MOST * seconds && ticks * 4 < kept;
		add(text, sizeof(text), "%s%llu on CPU %d", *text ? ", " : "", (unsigned long long)ticks, cpu);
	}
	FOUND(finding, good && kept >= TICKS_SEEN, "asked CPUs %s; found timer interrupts in %.1f s: %s, but %llu on CPU %d",
		  cpus_text(&asked), seconds, text, (unsigned long long)kept, other);
}

/* Interrupts that nobody moved are where the default says. Some drivers have a wish of their own; those are told apart. */
void prove_irqaffinity(const char *rest, struct finding *finding)
{
	static struct vector vectors[MAX_LINES];
	char stray[TEXT] = "", own[TEXT] = "";
	cpu_set_t asked, standard;
	int n, inside = 0;

	if (!listed(rest, &asked, finding))
		return;
	if (!parse_mask(sys_text("/proc/irq/default_smp_affinity"), &standard))
		CPU_ZERO(&standard);
	n = read_vectors(vectors, MAX_LINES);
	for (int i = 0; i < n; i++) {
		const struct vector *one = &vectors[i];
		bool moved = one->managed || !CPU_EQUAL(&one->wanted, &standard);

		if (!moved && within(&one->effective, &asked))
			inside++;
		else if (!within(&one->effective, &asked))
			add(moved ? own : stray, TEXT, " %s on %s of %s", one->name, cpus_text(&one->effective),
			    cpus_text(&one->wanted));
	}
	FOUND(finding, CPU_EQUAL(&asked, &standard) && inside && !*stray,
	      "asked CPUs %s; found the default %s, %d interrupts that follow it, that do not:%s; with another wish, elsewhere:%s",
	      cpus_text(&asked), cpus_text(&standard), inside, *stray ? stray : " none", *own ? own : " none");
}
