/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queues of an NVMe controller: which CPUs each serves, its interrupts, and reads that bypass the page cache.
 *
 * Hardware context N of blk-mq is I/O queue N + 1 of the controller, and its handler is called `nvme0q<N + 1>`; a queue
 * without a handler is polled. blk-mq gives a CPU the queue in whose interrupt's affinity it is; its own list, cpu_list,
 * leaves isolated CPUs out since 6.11, and is all there is about a polled queue.
 */
#ifndef NVME_H
#define NVME_H

#include <machine.h>

#define MAX_NVME_QUEUES 64
#define BLOCK 4096

struct nvme {
	char name[16];			/* nvme0 */
	int queues, fd;
	bool polled[MAX_NVME_QUEUES + 1];
	cpu_set_t cpus[MAX_NVME_QUEUES + 1];	/* by queue, counted from 1 as the controller does */
	unsigned char *buffer;
};

static inline const char *handler(const struct nvme *nvme, int queue)
{
	static char name[32];

	snprintf(name, sizeof(name), "%sq%d", nvme->name, queue);
	return name;
}

/* The CPUs of a queue; blk-mq writes its list `0, 1, 2`. */
static inline void find_cpus(const struct nvme *nvme, int queue, const struct interrupt *line, cpu_set_t *cpus)
{
	char list[TEXT] = "", *from;

	if (line)
		from = sys_text("/proc/irq/%s/smp_affinity_list", line->label);
	else
		from = sys_text("/sys/block/%sn1/mq/%d/cpu_list", nvme->name, queue - 1);
	for (; *from; from++)
		if (*from != ' ')
			add(list, sizeof(list), "%c", *from);
	if (!parse_cpus(list, cpus))
		CPU_ZERO(cpus);
}

/* False with errno: there is no such disk. */
static inline bool open_nvme(struct nvme *nvme, const char *name)
{
	static struct interrupts now;
	char path[64];

	memset(nvme, 0, sizeof(*nvme));
	snprintf(nvme->name, sizeof(nvme->name), "%s", name);
	read_interrupts(&now);
	for (int queue = 1; queue <= MAX_NVME_QUEUES; queue++) {
		const struct interrupt *line = find_interrupt(&now, handler(nvme, queue));

		snprintf(path, sizeof(path), "/sys/block/%sn1/mq/%d", name, queue - 1);
		if (access(path, F_OK))
			break;
		nvme->queues = queue;
		nvme->polled[queue] = !line;
		find_cpus(nvme, queue, line, &nvme->cpus[queue]);
	}
	snprintf(path, sizeof(path), "/dev/%sn1", name);
	nvme->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	nvme->buffer = aligned_alloc(BLOCK, BLOCK);
	return nvme->fd >= 0 && nvme->buffer;
}

static inline bool read_block(struct nvme *nvme, long block)
{
	return pread(nvme->fd, nvme->buffer, BLOCK, block * BLOCK) == BLOCK;
}

/* The queue with interrupts, or the polled one, that serves a CPU; 0: none. */
static inline int queue_of(const struct nvme *nvme, int cpu, bool polled)
{
	for (int queue = 1; queue <= nvme->queues; queue++)
		if (CPU_ISSET(cpu, &nvme->cpus[queue]) && nvme->polled[queue] == polled)
			return queue;
	return 0;
}

#endif
