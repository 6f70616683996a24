// SPDX-License-Identifier: GPL-2.0
/*
 * The trace events of the NVMe driver (drivers/nvme/host/trace.h), in a trace instance of our own: nvme_setup_cmd on the CPU
 * that submits, nvme_sq on the one that takes the completion from the queue, nvme_complete_rq where the request ends.
 */
#define _GNU_SOURCE
#include <sys/stat.h>

#include "spread.h"

#define INSTANCE "/sys/kernel/tracing/instances/spread"
#define LONGEST (4 << 20)

static const char *const names[EVENTS] = { "nvme_setup_cmd", "nvme_sq", "nvme_complete_rq" };

static bool enable(const char *value)
{
	char path[128];
	bool good = true;

	for (int event = 0; event < EVENTS; event++) {
		snprintf(path, sizeof(path), INSTANCE "/events/nvme/%s/enable", names[event]);
		good &= write_text(path, value);
	}
	return good;
}

/* False with errno: this kernel has no such events. */
bool trace_start(void)
{
	if (mkdir(INSTANCE, 0700) && errno != EEXIST)
		return false;
	return write_text(INSTANCE "/buffer_size_kb", "512") && enable("1");
}

bool trace_clear(void)
{
	int fd = open(INSTANCE "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void trace_end(void)
{
	enable("0");
	rmdir(INSTANCE);
}

/* `  spread-71  [002] d.h1.  8.123456: nvme_sq: nvme0: disk=nvme0n1, qid=3, head=5, tail=5`; queue 0 is for administration. */
static void take_line(const char *line, struct events *events)
{
	const char *bracket = strchr(line, '['), *colon = bracket ? strstr(bracket, ": ") : NULL;
	const char *queue = colon ? strstr(colon, " qid=") : NULL;
	int cpu, id;

	if (!queue || *line == '#' || sscanf(bracket, "[%d]", &cpu) != 1 || sscanf(queue, " qid=%d", &id) != 1)
		return;
	if (cpu < 0 || cpu >= MAX_CPUS || id < 1 || id > MAX_NVME_QUEUES)
		return;
	for (int event = 0; event < EVENTS; event++)
		if (!strncmp(colon + 2, names[event], strlen(names[event])) && colon[2 + strlen(names[event])] == ':')
			events->on[event][cpu][id]++;
}

bool trace_read(struct events *events)
{
	static char text[LONGEST];
	char *line = text, *next;

	memset(events, 0, sizeof(*events));
	if (!read_text(INSTANCE "/trace", text, sizeof(text)))
		return false;
	for (; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		take_line(line, events);
	}
	return true;
}
