/* SPDX-License-Identifier: GPL-2.0 */
/* Runs of instructions of one function (profile=), and with addresses= how often the operation executed each of them. */
#ifndef COST_BLOCK_H
#define COST_BLOCK_H

#include <inttypes.h>
#include <stdio.h>

#include "cost_tree.h"

#define USER_END (1ull << 63)

enum entry { INSIDE, BY_IRQ, BY_EXCEPTION, BY_SYSCALL, BY_FORK, BY_EXEC };
struct spot { uint64_t vaddr, count; };
struct block {
	uint64_t vaddr;
	uint32_t function;
	uint8_t entry;
	bool user, first;		/* first: begins where the function does */
	size_t size;			/* addresses=: its instructions */
	struct spot *spots;
};

#define MAX_BLOCK 512			/* instructions that QEMU translates at once */
#define CHUNK (1 << 14)
static struct chunk {
	struct chunk *next;
	size_t used;
	struct spot spots[CHUNK];
} *chunks;
static bool addresses;			/* addresses= */
static uint64_t elsewhere_in_user;	/* instructions of user code that is not the payload's program */

/* The block that begins at `vaddr`; never freed, translated code keeps it. */
static struct block *new_block(uint64_t vaddr, enum entry entry)
{
	static struct block *room;
	static size_t left;

	if (!left--) {
		left = 4095;
		room = grown(NULL, left + 1, sizeof(*room));
	}
	room->vaddr = vaddr;
	room->function = function_at(vaddr);
	room->entry = entry;
	room->user = vaddr < USER_END;
	room->first = room->function < n_ranges && ranges[room->function].first == vaddr;
	room->size = 0;
	if (addresses && (!chunks || chunks->used > CHUNK - MAX_BLOCK)) {
		struct chunk *chunk = calloc(1, sizeof(*chunk));

		if (!chunk)
			abort();
		chunk->next = chunks;
		chunks = chunk;
	}
	room->spots = addresses ? chunks->spots + chunks->used : NULL;
	return room++;
}

/* The newest block goes on with an instruction. */
static void add_spot(struct block *block, uint64_t vaddr)
{
	block->spots[block->size++].vaddr = vaddr;
	chunks->used++;
}

/* `n` instructions from number `first` on were executed. What lies in none is in no sum: the reader finds it missing. */
static void spread(struct block *block, uint64_t first, uint64_t n, bool own)
{
	if (block->user && !own)
		elsewhere_in_user += n;
	else
		for (; n && first < block->size; n--)
			block->spots[first++].count++;
}

static void forget_spots(void)
{
	elsewhere_in_user = 0;
	for (struct chunk *chunk = chunks; chunk; chunk = chunk->next)
		for (size_t i = 0; i < chunk->used; i++)
			chunk->spots[i].count = 0;
}

static int by_vaddr(const void *a, const void *b)
{
	const struct spot *one = a, *other = b;

	return one->vaddr < other->vaddr ? -1 : one->vaddr > other->vaddr;
}

/* at <address | foreign> <instructions>: an instruction may be in several blocks. */
static void write_spots(FILE *file)
{
	struct spot *found = NULL;
	size_t n = 0, room = 0;

	for (struct chunk *chunk = chunks; chunk; chunk = chunk->next) {
		for (size_t i = 0; i < chunk->used; i++) {
			if (!chunk->spots[i].count)
				continue;
			if (n == room)
				found = grown(found, room = room ? 2 * room : CHUNK, sizeof(*found));
			found[n++] = chunk->spots[i];
		}
	}
	qsort(found, n, sizeof(*found), by_vaddr);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && found[i + 1].vaddr == found[i].vaddr)
			found[i + 1].count += found[i].count;
		else
			fprintf(file, "at %" PRIx64 " %" PRIu64 "\n", found[i].vaddr, found[i].count);
	}
	if (elsewhere_in_user)
		fprintf(file, "at foreign %" PRIu64 "\n", elsewhere_in_user);
	free(found);
}

#endif
