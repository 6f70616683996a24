// SPDX-License-Identifier: GPL-2.0
/* A NUMA node: its CPUs say they are on it, memory they touch first lies on it, and it is as far from the others as asked. */
#define _GNU_SOURCE
#include <sys/syscall.h>

#include "hardware.h"

#define SHARE_OF_MEMORY 0.8	/* the kernel keeps some for itself */
#define PAGES 64
#define PAGE 4096

/* The node on which PAGES fresh pages lie when the calling CPU touches them; -1: on several, or nobody says. */
static int node_of_fresh_memory(void)
{
	char *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int node = -1, status[PAGES];
	void *pages[PAGES];

	if (memory == MAP_FAILED)
		return -1;
	for (int i = 0; i < PAGES; i++) {
		pages[i] = memory + i * PAGE;
		memory[i * PAGE] = 1;
	}
	if (!syscall(SYS_move_pages, 0, (long)PAGES, pages, NULL, status, 0)) {
		node = status[0];
		for (int i = 1; i < PAGES; i++)
			node = status[i] == node ? node : -1;
	}
	munmap(memory, PAGES * PAGE);
	return node;
}

/* CPUs of a list that are on the node, and from which fresh memory is. */
static void look(const cpu_set_t *cpus, int node, cpu_set_t *on_it, cpu_set_t *local)
{
	CPU_ZERO(on_it);
	CPU_ZERO(local);
	for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
		unsigned int here = -1u;

		if (!CPU_ISSET(cpu, cpus) || !pin(cpu))
			continue;
		if (!syscall(SYS_getcpu, NULL, &here, NULL) && (int)here == node)
			CPU_SET(cpu, on_it);
		if (node_of_fresh_memory() == node)
			CPU_SET(cpu, local);
	}
}

static long memory_mib(int id)
{
	const char *text = sys_text("/sys/devices/system/node/node%d/meminfo", id), *at = strstr(text, "MemTotal:");
	long kib = 0;

	return at && sscanf(at, "MemTotal: %ld", &kib) == 1 ? kib / 1024 : 0;
}

/* sysfs separates them by spaces. */
static void distances(int id, char *text, size_t size)
{
	snprintf(text, size, "%s", sys_text("/sys/devices/system/node/node%d/distance", id));
	for (; *text; text++)
		if (*text == ' ')
			*text = ',';
}

void prove_node(const char *rest, struct finding *finding)
{
	char list[128], far[128], found_far[128];
	cpu_set_t asked, found, on_it, local;
	long mib, found_mib;
	int id;

	if (sscanf(rest, "%d:%127[^:]:%ld:%127s", &id, list, &mib, far) != 4 || !parse_cpus(list, &asked)) {
		FOUND(finding, false, "`%s` is not id:cpus:MiB:distances", rest);
		return;
	}
	if (!parse_cpus(sys_text("/sys/devices/system/node/node%d/cpulist", id), &found))
		CPU_ZERO(&found);
	look(&asked, id, &on_it, &local);
	found_mib = memory_mib(id);
	distances(id, found_far, sizeof(found_far));
	FOUND(finding, CPU_EQUAL(&asked, &found) && CPU_EQUAL(&asked, &on_it) && CPU_EQUAL(&asked, &local) &&
	      !strcmp(far, found_far) && found_mib >= SHARE_OF_MEMORY * mib && found_mib <= mib,
	      "asked CPUs %s, %ld MiB, distances %s; found CPUs %s, %ld MiB, distances %s; on it run CPUs %s, local is memory of CPUs %s",
	      cpus_text(&asked), mib, far, cpus_text(&found), found_mib, found_far, cpus_text(&on_it), cpus_text(&local));
}
