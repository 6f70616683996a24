/* SPDX-License-Identifier: GPL-2.0 */
/* Who executed it (profile=): functions, and the tree of call paths whose nodes hold what was executed there, by context. */
#ifndef COST_TREE_H
#define COST_TREE_H

#include <stdlib.h>
#include <string.h>

#include "cost_api.h"

enum context { TASK, PEER, SOFTIRQ, OTHER, HARDIRQ, TAIL, IDLE, CONTEXTS };
/* TASK: the one that executed the start mark; PEER: those that executed join; SOFTIRQ: softirqs these two ran themselves;
 * TAIL: softirqs at the end of a hard interrupt; OTHER: every other task, kworkers among them.
 */

enum event { LOCKED, RDMSR, WRMSR, WRCR3, INVLPG, IRET, REP_STEPS, REP_BYTES, I1_MISSES, D1_MISSES, LL_MISSES, EVENTS };

/*
 * Functions 0 to n_ranges - 1 are those of functions=, by address. Code that no range holds (modules, BPF, vDSO) gets a
 * function for each block, by the block's address; who reads the profile may know names that came later. User code of tasks
 * that do not run the payload's program is one function, FOREIGN: its addresses mean something else.
 */
struct range { uint64_t first, end; };
static struct range *ranges;
static size_t n_ranges;
static uint64_t *strays;		/* addresses of functions n_ranges + 1 and up */
static size_t n_strays, room_strays;
#define FOREIGN ((uint32_t)n_ranges)

#define ROOT 0				/* the node above every path */
static struct node {
	uint32_t parent, function;
	uint64_t calls, count[CONTEXTS], event[EVENTS];
	uint64_t lap;			/* what the operation executed here in this lap */
} *nodes;
static size_t n_nodes, room_nodes;
static uint32_t *touched;		/* nodes whose lap is not 0 */
static size_t n_touched;

/*
 * A lap that a tick fell into takes other branches long after. Laps of the same number of instructions are summed up apart, so
 * that the median lap can be told by function to the instruction. What comes after MAX_KINDS numbers is in the sum only.
 */
#define MAX_KINDS 64
#define SHOWN_KINDS 8
static struct kind {
	uint64_t work, laps, *count;	/* count: by node */
	size_t room;
} kinds[MAX_KINDS];
static size_t n_kinds;

struct index { uint32_t *slots; size_t size; };	/* open addressing; a slot holds a number + 1 */
static struct index node_index, stray_index;

static void *grown(void *old, size_t n, size_t size)
{
	void *new = realloc(old, n * size);

	if (!new)
		abort();
	return new;
}

static size_t hash(uint64_t a, uint64_t b)
{
	uint64_t x = (a * 0x9e3779b97f4a7c15ull) ^ (b * 0xc2b2ae3d27d4eb4full);

	return x ^ x >> 29;
}

static void resize(struct index *index, size_t n, size_t (*hash_of)(size_t))
{
	if (2 * n < index->size)
		return;
	index->size = index->size ? 2 * index->size : 1 << 16;
	free(index->slots);
	index->slots = calloc(index->size, sizeof(*index->slots));
	if (!index->slots)
		abort();
	for (size_t i = 0; i < n; i++) {
		size_t slot = hash_of(i) & (index->size - 1);

		while (index->slots[slot])
			slot = (slot + 1) & (index->size - 1);
		index->slots[slot] = i + 1;
	}
}

static size_t stray_hash(size_t i)
{
	return hash(strays[i], 0);
}

static size_t node_hash(size_t i)
{
	return hash(nodes[i].parent, nodes[i].function);
}

/* The range that holds an address, or n_ranges. */
static uint32_t range_of(uint64_t vaddr)
{
	size_t low = 0, high = n_ranges;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (ranges[middle].end <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n_ranges && ranges[low].first <= vaddr ? low : n_ranges;
}

/* The function that holds an address. */
static uint32_t function_at(uint64_t vaddr)
{
	uint32_t range = range_of(vaddr);
	size_t slot;

	if (range < n_ranges)
		return range;
	resize(&stray_index, n_strays, stray_hash);
	for (slot = hash(vaddr, 0) & (stray_index.size - 1); stray_index.slots[slot]; slot = (slot + 1) & (stray_index.size - 1))
		if (strays[stray_index.slots[slot] - 1] == vaddr)
			return n_ranges + stray_index.slots[slot];
	if (n_strays == room_strays) {
		room_strays = room_strays ? 2 * room_strays : 4096;
		strays = grown(strays, room_strays, sizeof(*strays));
	}
	strays[n_strays++] = vaddr;
	stray_index.slots[slot] = n_strays;
	return n_ranges + n_strays;
}

/* The node of `function` entered from the path `parent`. */
static uint32_t child(uint32_t parent, uint32_t function)
{
	size_t slot;

	resize(&node_index, n_nodes, node_hash);
	for (slot = hash(parent, function) & (node_index.size - 1); node_index.slots[slot]; slot = (slot + 1) & (node_index.size - 1)) {
		uint32_t i = node_index.slots[slot] - 1;

		if (nodes[i].parent == parent && nodes[i].function == function && i != ROOT)
			return i;
	}
	if (n_nodes == room_nodes) {
		room_nodes = room_nodes ? 2 * room_nodes : 1 << 14;
		nodes = grown(nodes, room_nodes, sizeof(*nodes));
		touched = grown(touched, room_nodes, sizeof(*touched));
	}
	memset(&nodes[n_nodes], 0, sizeof(*nodes));
	nodes[n_nodes].parent = parent;
	nodes[n_nodes].function = function;
	node_index.slots[slot] = ++n_nodes;
	return n_nodes - 1;
}

static void forget_lap(void)
{
	while (n_touched)
		nodes[touched[--n_touched]].lap = 0;
}

/* A lap of `work` instructions ends. */
static void end_lap(uint64_t work)
{
	struct kind *kind = kinds;

	while (kind < kinds + n_kinds && kind->work != work)
		kind++;
	if (kind == kinds + MAX_KINDS)
		return forget_lap();
	if (kind == kinds + n_kinds) {
		n_kinds++;
		kind->work = work;
		kind->laps = 0;
		memset(kind->count, 0, kind->room * sizeof(*kind->count));
	}
	if (kind->room < n_nodes) {
		kind->count = grown(kind->count, room_nodes, sizeof(*kind->count));
		memset(kind->count + kind->room, 0, (room_nodes - kind->room) * sizeof(*kind->count));
		kind->room = room_nodes;
	}
	kind->laps++;
	for (size_t i = 0; i < n_touched; i++)
		kind->count[touched[i]] += nodes[touched[i]].lap;
	forget_lap();
}

static int by_laps(const void *a, const void *b)
{
	const struct kind *one = a, *other = b;

	return one->laps < other->laps ? 1 : -(one->laps > other->laps);
}

/* Whether the median lap, the lower one of two, is of this kind. */
static bool holds_median(const struct kind *kind)
{
	uint64_t below = 0, all = 0, middle;

	for (size_t i = 0; i < n_kinds; i++) {
		all += kinds[i].laps;
		below += kinds[i].work < kind->work ? kinds[i].laps : 0;
	}
	middle = (all - 1) / 2;
	return below <= middle && middle < below + kind->laps;
}

#endif
