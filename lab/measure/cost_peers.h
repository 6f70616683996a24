/* SPDX-License-Identifier: GPL-2.0 */
/* Tasks by the address of their thread.sp: the measured one, and those that work for it. */
#ifndef COST_PEERS_H
#define COST_PEERS_H

#include "cost_tree.h"

#define MAX_PEERS 1024			/* of several laps: a task that ended makes room when another has its place */
static uint64_t peers[MAX_PEERS], measured, births, anomalies;
static unsigned int n_peers;
static uint32_t sp_offset;		/* of thread.sp in a task */

/* Where a task stands among the peers, or would. */
static uint64_t *peer(uint64_t task)
{
	uint64_t *one = peers;

	while (one < peers + n_peers && *one != task)
		one++;
	return one;
}

static bool is_peer(uint64_t task)
{
	return peer(task) < peers + n_peers;
}

static void adopt(uint64_t task)
{
	uint64_t *place = peer(task);

	if (place == peers + MAX_PEERS)
		anomalies++;
	else if (place == peers + n_peers)
		peers[n_peers++] = task;
}

static void disown(uint64_t task)
{
	if (is_peer(task))
		*peer(task) = peers[--n_peers];
}

#endif
