// SPDX-License-Identifier: GPL-2.0
/*
 * I/O queues of an NVMe controller: as many as asked for, and every CPU served by its own. Reads from a CPU must raise the
 * interrupt of that CPU's queue, on a CPU of that queue; polled reads must end without any.
 */
#define _GNU_SOURCE
#include <nvme.h>
#include <uring.h>

#include "hardware.h"

#define READS 8

/* Interrupts of a queue that came meanwhile on CPUs it serves, or on others. */
static uint64_t came(const struct nvme *nvme, int queue, const struct interrupts *before, const struct interrupts *after,
		     bool own)
{
	const char *name = handler(nvme, queue);
	uint64_t sum = 0;

	for (int cpu = 0; cpu < MAX_CPUS; cpu++)
		if ((bool)CPU_ISSET(cpu, &nvme->cpus[queue]) == own)
			sum += interrupts_on(after, name, cpu) - interrupts_on(before, name, cpu);
	return sum;
}

static bool served(struct nvme *nvme, int cpu, char *text, size_t size)
{
	static struct interrupts before, after;
	int queue = queue_of(nvme, cpu, false), failed = 0;
	uint64_t own, others;

	if (!queue || !pin(cpu)) {
		add(text, size, "; CPU %d has no queue", cpu);
		return false;
	}
	read_interrupts(&before);
	for (int i = 0; i < READS; i++)
		failed += !read_block(nvme, i);
	read_interrupts(&after);
	own = came(nvme, queue, &before, &after, true);
	others = came(nvme, queue, &before, &after, false);
	add(text, size, "; CPU %d: queue %d (CPUs %s) +%llu", cpu, queue, cpus_text(&nvme->cpus[queue]), (unsigned long long)own);
	if (others)
		add(text, size, ", +%llu on other CPUs", (unsigned long long)others);
	if (failed)
		add(text, size, ", %d of %d reads failed", failed, READS);
	return own && !others && !failed;
}

/* All interrupts of the controller's queues. */
static uint64_t all_that_came(const struct nvme *nvme, const struct interrupts *now)
{
	uint64_t sum = 0;

	for (int queue = 1; queue <= nvme->queues; queue++)
		for (int cpu = 0; cpu < MAX_CPUS; cpu++)
			sum += interrupts_on(now, handler(nvme, queue), cpu);
	return sum;
}

static bool served_polled(struct nvme *nvme, int cpu, char *text, size_t size)
{
	static struct interrupts before, after;
	static struct uring uring;
	int queue = queue_of(nvme, cpu, true), done = 0;
	uint64_t woken;

	if (!queue || !pin(cpu)) {
		add(text, size, "; CPU %d has no polled queue", cpu);
		return false;
	}
	if (uring.sqes == NULL && !uring_open(&uring, IORING_SETUP_IOPOLL, nvme->buffer, BLOCK)) {
		add(text, size, "; no io_uring to poll with: %m");
		return false;
	}
	read_interrupts(&before);
	for (int i = 0; i < READS; i++) {
		uring_queue(&uring, false, nvme->fd, nvme->buffer, BLOCK, (off_t)i * BLOCK);
		done += uring_enter(&uring, 1, 0) && uring_wait(&uring) == BLOCK;
	}
	read_interrupts(&after);
	woken = all_that_came(nvme, &after) - all_that_came(nvme, &before);
	add(text, size, "; CPU %d: queue %d polled, %d of %d reads, +%llu", cpu, queue, done, READS, (unsigned long long)woken);
	return done == READS && !woken;
}

void prove_nvme(const char *rest, struct finding *finding)
{
	char controller[16], text[TEXT] = "";
	static struct nvme nvme;
	int asked, polled = 0;
	cpu_set_t cpus;
	bool good;

	if (sscanf(rest, "%15[^:]:%d", controller, &asked) != 2) {
		FOUND(finding, false, "`%s` is not controller:queues", rest);
		return;
	}
	if (!open_nvme(&nvme, controller)) {
		FOUND(finding, false, "asked %d I/O queue pairs, found no disk %sn1: %m", asked, controller);
		return;
	}
	good = nvme.queues == asked;
	for (int queue = 1; queue <= nvme.queues; queue++)
		polled += nvme.polled[queue];
	online_cpus(&cpus);
	for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (!CPU_ISSET(cpu, &cpus))
			continue;
		good &= served(&nvme, cpu, text, sizeof(text));
		good &= !polled || served_polled(&nvme, cpu, text, sizeof(text));
	}
	FOUND(finding, good, "asked %d I/O queue pairs, found %d, %d of them polled%s", asked, nvme.queues, polled, text);
	close(nvme.fd);
}

void prove_nvme_node(const char *rest, struct finding *finding)
{
	char controller[16];
	int asked, found = -2;

	if (sscanf(rest, "%15[^:]:%d", controller, &asked) != 2) {
		FOUND(finding, false, "`%s` is not controller:node", rest);
		return;
	}
	if (sscanf(sys_text("/sys/class/nvme/%s/device/numa_node", controller), "%d", &found) == 1)
		FOUND(finding, found == asked, "asked node %d, found node %d", asked, found);
	else
		FOUND(finding, false, "asked node %d, found no controller %s", asked, controller);
}
