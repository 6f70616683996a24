// SPDX-License-Identifier: GPL-2.0
/* Memory that a process has touched before it forks. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "spawn.h"

#define PAGE 4096
#define HUGE (2 << 20)

static char *memory;
static size_t memory_size;
/* Every page tells where it stands. */
static uint64_t *word_of_page(size_t page)
{
	return (uint64_t *)(memory + page * PAGE);
}

bool memory_kept(void)
{
	for (size_t page = 0; page < memory_size / PAGE; page++)
		if (*word_of_page(page) != page + 1)
			return false;
	return true;
}

bool take_memory(const struct way *way)
{
	size_t size = (size_t)way->mib << 20;
	char *room;

	memory_size = size;
	if (!size)
		return true;
	room = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return false;
	memory = (char *)(((uintptr_t)room + HUGE - 1) & -(uintptr_t)HUGE);
	munmap(room, memory - room);
	munmap(memory + size, room + HUGE - memory);
	if (madvise(memory, size, way->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		return false;
	for (size_t page = 0; page < size / PAGE; page++)
		*word_of_page(page) = page + 1;
	return true;
}

void drop_memory(void)
{
	if (memory_size)
		munmap(memory, memory_size);
	memory_size = 0;
}

void spoil_memory(void)
{
	if (memory_size)
		memset(memory, 0, PAGE);
}
