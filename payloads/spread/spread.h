/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPREAD_H
#define SPREAD_H

#include <nvme.h>

/* The three things that happen to a request, as the driver's trace events tell them. */
enum event { SUBMITTED, INTERRUPTED, COMPLETED, EVENTS };

/* How often each happened, by CPU and queue, while one CPU read. */
struct events {
	int on[EVENTS][MAX_CPUS][MAX_NVME_QUEUES + 1];
};

bool trace_start(void);
bool trace_clear(void);
bool trace_read(struct events *events);
void trace_end(void);

#endif
