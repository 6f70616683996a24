/* SPDX-License-Identifier: GPL-2.0 */
/* Ways to get another process, and what one of them does besides executing instructions. */
#ifndef SPAWN_H
#define SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BORN 42			/* exit status of every child that found everything right */
#define TINY "/bin/tiny"
#define INSIDE "/bin/inside"	/* looks at what surrounds it */

/* One way. `op` runs in the measured process and is over when the child is reaped. */
struct way {
	const char *name;
	bool (*op)(void *way);
	unsigned int mib;		/* of anonymous memory the forking process has touched */
	bool huge;			/* in huge pages */
	unsigned long flags;		/* CLONE_*, for the ways that differ by them */
	int rest_ms;			/* until what it leaves behind is cleaned up */
	bool (*begin)(const struct way *way);
	void (*end)(void);
};

struct counts {
	uint64_t syscalls;		/* of all processes of one operation */
	uint64_t entries;		/* of page tables, that children were born with copies of */
};

/* Children look at what they got. Off while anything is measured. */
extern bool checking;

extern const struct way births[], boxes[];
extern const int n_births, n_boxes;

/* births.c: who forks for us, if anybody does. */
extern pid_t server;

/* memory.c: whether every page still says what it did; spoil: one says something else. */
bool take_memory(const struct way *way);
void drop_memory(void);
bool memory_kept(void);
void spoil_memory(void);

/* boxes.c: a root file system of our own, which pivot_root() can leave, with /proc, /cgroup and the programs. */
void enter_world(void);

/* births.c: clone3() into a function; reap what exited with BORN, by pid. */
struct clone_args;
long spawn_clone3(struct clone_args *args, int (*child)(void *context), void *context);
bool reaped(pid_t pid);

/* counted.c: one operation under ptrace; false: it failed there. */
bool count_events(const struct way *way, struct counts *counts);

#endif
