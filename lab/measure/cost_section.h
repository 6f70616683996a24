/* SPDX-License-Identifier: GPL-2.0 */
/* Sections and laps: what the marks do. */
#ifndef COST_SECTION_H
#define COST_SECTION_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cost_profile.h"

#define COLUMNS 7
/* Per lap: instructions in TASK, PEER and SOFTIRQ, the further REP steps of these three, whatever else was executed (steps
 * included), faults, and instructions in IDLE. All but the last, less the faults, is what the guest's clock saw.
 */
static uint64_t (*laps)[COLUMNS], last[COLUMNS];
static size_t n_laps, room;
static unsigned int ordinal;
static const char *const names[CONTEXTS] = { "task", "peer", "softirq", "other", "hardirq", "tail", "idle" };
static FILE *out;

static void start(unsigned int vcpu, void *data)
{
	(void)data;
	settle_all(vcpu);
	memset(count, 0, sizeof(count));
	memset(last, 0, sizeof(last));
	apart = false;
	n_laps = rep_steps = op_rep_steps = faults = irqs = switches = elsewhere = 0;
	anomalies = open_section || !cpus[vcpu].task;	/* no stop before, or no task switch ever seen */
	measured = cpus[vcpu].task;
	measured_cpu = vcpu;
	begin_spaces(cpus[vcpu].space);
	for (unsigned int i = 0; i < n_cpus; i++)
		cpus[i].context = context_of(&cpus[i]);
	open_section = true;
	if (profile) {
		profiling = true;
		forget_counts();
		walk_own(vcpu);
	}
	fprintf(out, "section %u\n", ordinal);
	fflush(out);
}

/* Until the next lap mark the measured task does what belongs to no operation. */
static void forget(unsigned int vcpu, void *data)
{
	(void)data;
	apart = true;
	flip(vcpu, now(vcpu));
}

static void lap(unsigned int vcpu, void *data)
{
	bool counts = !apart;

	(void)data;
	apart = false;
	if (!open_section || cpus[vcpu].task != measured) {
		anomalies++;
		return;
	}
	flip(vcpu, now(vcpu));
	settle_all(vcpu);
	if (n_laps == room) {
		room = room ? 2 * room : 4096;
		laps = realloc(laps, room * sizeof(*laps));
		if (!laps)
			abort();
	}
	const uint64_t sum[COLUMNS] = {
		count[TASK], count[PEER], count[SOFTIRQ], op_rep_steps,
		count[OTHER] + count[HARDIRQ] + count[TAIL] + rep_steps - op_rep_steps, faults, count[IDLE],
	};
	for (int i = 0; i < COLUMNS; i++)
		laps[n_laps][i] = sum[i] - last[i];
	if (profile && counts)
		end_lap(laps[n_laps][0] + laps[n_laps][1] + laps[n_laps][2]);
	else if (profile)
		forget_lap();
	memcpy(last, sum, sizeof(last));
	n_laps += counts;
}

static void stop(unsigned int vcpu, void *data)
{
	(void)data;
	if (!open_section || cpus[vcpu].task != measured) {
		anomalies++;
		return;
	}
	settle_all(vcpu);
	open_section = false;
	for (size_t i = 0; i < n_laps; i++) {
		fputs("lap", out);
		for (int j = 0; j < COLUMNS; j++)
			fprintf(out, " %" PRIu64, laps[i][j]);
		fputc('\n', out);
	}
	fprintf(out, "end %u laps %zu", ordinal++, n_laps);
	for (int i = 0; i < CONTEXTS; i++)
		fprintf(out, " %s %" PRIu64, names[i], count[i]);
	fprintf(out, " rep %" PRIu64 " faults %" PRIu64 " irqs %" PRIu64, rep_steps, faults, irqs);
	fprintf(out, " switches %" PRIu64 " elsewhere %" PRIu64 " anomalies %" PRIu64, switches, elsewhere, anomalies);
	fprintf(out, " own-space %" PRIu64 " other-spaces %" PRIu64 " space-loads %" PRIu64 "\n", in_space[0], in_space[1], space_loads);
	fflush(out);
	if (profile)
		write_profile(ordinal - 1);
	n_peers = 0;
	measured = 0;
}

static void join(unsigned int vcpu, void *data)
{
	(void)data;
	adopt(cpus[vcpu].task);
	flip(vcpu, now(vcpu));
	walk_own(vcpu);
}

#endif
