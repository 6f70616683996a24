/* SPDX-License-Identifier: GPL-2.0 */
/* What every virtual CPU is doing, and the instructions it executed doing it; the callbacks that notice a change. */
#ifndef COST_CONTEXT_H
#define COST_CONTEXT_H

#include "cost_peers.h"
#include "cost_space.h"

enum frame { EXCEPTION, HARD, SOFT };
#define MAX_DEPTH 16

struct frames {
	unsigned int depth;
	uint8_t kind[MAX_DEPTH];
	uint64_t rep[MAX_DEPTH];	/* the REP instruction that was interrupted, or 0 */
	uint64_t suspect;		/* the user instruction that faulted, unless the one behind it did, or 0 */
};

struct user_block {			/* a run of user instructions */
	uint64_t first, before, last;	/* addresses; of the last but one only if QEMU may have dropped the last */
	size_t n;
};

#define MAX_CPUS 64
static struct cpu {
	uint64_t task, idle, space, base, rep, rep_at, entered;
	const struct user_block *block;	/* it runs, since instruction number `entered`; NULL: the kernel */
	struct frames frames;
	enum context context;
	bool to_user;
} cpus[MAX_CPUS];

#define PARKED 4096			/* tasks switched out inside an interrupt or exception */
static struct { uint64_t task; struct frames frames; } parked[PARKED];
static unsigned int measured_cpu, n_cpus;

static uint64_t count[CONTEXTS], rep_steps, op_rep_steps, faults, irqs, switches, elsewhere;
static bool open_section, profiling, apart;	/* apart: the measured task is between two operations */

/* cost_stack.h: which call path a vCPU is on. */
static void charge(unsigned int vcpu, uint64_t n);
static void walk_back(unsigned int vcpu);
static void walk_over(unsigned int vcpu, uint64_t task);
static void walk_steps(unsigned int vcpu);

#if LAB_API == 1
static uint64_t executed;
#define counter(vcpu) (&executed)
#else
static qemu_plugin_u64 executed;
#define counter(vcpu) ((uint64_t *)qemu_plugin_scoreboard_find(executed.score, vcpu))
#endif
#define now(vcpu) (*counter(vcpu))

static bool in_operation(enum context context)
{
	return context <= SOFTIRQ;
}

static enum context class_of(const struct cpu *cpu)
{
	if (cpu->task == measured)
		return apart ? IDLE : TASK;
	if (is_peer(cpu->task))
		return PEER;
	return cpu->task == cpu->idle ? IDLE : OTHER;
}

static enum context context_of(const struct cpu *cpu)
{
	enum context base = class_of(cpu);
	bool soft = false;

	for (unsigned int i = cpu->frames.depth; i-- > 0;) {
		if (cpu->frames.kind[i] == HARD)
			return soft ? TAIL : HARDIRQ;
		soft |= cpu->frames.kind[i] == SOFT;
	}
	if (!soft)
		return base;
	return in_operation(base) ? SOFTIRQ : OTHER;
}

/* Account what was executed up to instruction number `at` to the context it ran in. */
static void settle(unsigned int vcpu, uint64_t at)
{
	struct cpu *cpu = &cpus[vcpu];
	uint64_t n = at - cpu->base;

	cpu->base = at;
	if (!open_section)
		return;
	count[cpu->context] += n;
	if (cpu->context != IDLE)
		count_space(cpu->space, n);
	if (profiling)
		charge(vcpu, n);
	if (vcpu != measured_cpu && cpu->context != IDLE)
		elsewhere += n;
}

/* API 1 has one counter: what a vCPU that is not running executed was settled when another took over. */
static void settle_all(unsigned int vcpu)
{
	for (unsigned int i = 0; i < n_cpus; i++)
		if (i == vcpu || LAB_API > 1)
			settle(i, now(i));
}

static void flip(unsigned int vcpu, uint64_t at)
{
	settle(vcpu, at);
	cpus[vcpu].context = context_of(&cpus[vcpu]);
}

static void push(unsigned int vcpu, enum frame kind)
{
	struct cpu *cpu = &cpus[vcpu];
	uint64_t at = now(vcpu);

	if (cpu->frames.depth == MAX_DEPTH) {
		anomalies++;
		return;
	}
	cpu->frames.rep[cpu->frames.depth] = cpu->rep_at == at ? cpu->rep : 0;
	cpu->frames.kind[cpu->frames.depth++] = kind;
	cpu->block = NULL;
	flip(vcpu, at);
}

/* Leave `n` frames; the instruction about to run, a return, still belongs to them. */
static void pop(unsigned int vcpu, unsigned int n)
{
	struct cpu *cpu = &cpus[vcpu];
	uint64_t at = now(vcpu) + 1;

	cpu->frames.depth -= n;
	if (n && cpu->frames.rep[cpu->frames.depth]) {
		cpu->rep = cpu->frames.rep[cpu->frames.depth];
		cpu->rep_at = at;
	}
	flip(vcpu, at);
}

static void on_irq(unsigned int vcpu, void *data)
{
	(void)data;
	irqs++;
	push(vcpu, HARD);
}

static void on_to_user(unsigned int vcpu, void *data)
{
	(void)data;
	cpus[vcpu].to_user = true;
}

/* User mode is next, at an address that the kernel chose: nothing has run there yet. */
static void on_leave(unsigned int vcpu, void *data)
{
	static const struct user_block nowhere;

	(void)data;
	cpus[vcpu].block = &nowhere;
	cpus[vcpu].entered = now(vcpu) + 1;
}

static void on_iret(unsigned int vcpu, void *data)
{
	struct cpu *cpu = &cpus[vcpu];
	unsigned int depth = cpu->frames.depth;

	(void)data;
	if (cpu->to_user)
		pop(vcpu, depth);
	else if (depth && cpu->frames.kind[depth - 1] != SOFT)
		pop(vcpu, 1);
	else
		anomalies++;
	if (cpu->to_user)
		on_leave(vcpu, NULL);
	else if (profiling)
		walk_back(vcpu);
	cpu->to_user = false;
}

static void on_softirqs(unsigned int vcpu, void *data)
{
	(void)data;
	push(vcpu, SOFT);
}

static void on_softirqs_return(unsigned int vcpu, void *data)
{
	struct frames *frames = &cpus[vcpu].frames;

	(void)data;
	if (frames->depth && frames->kind[frames->depth - 1] == SOFT)
		pop(vcpu, 1);
	else
		anomalies++;
}

/* A system call comes from user mode, a new task from nowhere: neither is inside anything. */
static void on_syscall(unsigned int vcpu, void *forked)
{
	struct frames *frames = &cpus[vcpu].frames;

	anomalies += forked && !births;
	cpus[vcpu].block = NULL;
	if (!frames->depth)
		return;
	anomalies += !forked;
	frames->depth = 0;
	flip(vcpu, now(vcpu));
}

static void on_idle(unsigned int vcpu, void *data)
{
	(void)data;
	if (cpus[vcpu].idle == cpus[vcpu].task)
		return;
	cpus[vcpu].idle = cpus[vcpu].task;
	flip(vcpu, now(vcpu));
}

static void swap_frames(uint64_t task, struct frames *frames, bool park)
{
	size_t slot = (task >> 6) % PARKED, i;

	for (i = 0; i < PARKED && parked[slot].task && parked[slot].task != task; i++)
		slot = (slot + 1) % PARKED;
	if (i == PARKED) {
		anomalies++;
	} else if (park) {
		if (parked[slot].task || frames->depth)
			parked[slot].frames = *frames;
		if (frames->depth)
			parked[slot].task = task;
	} else {
		frames->depth = frames->suspect = 0;
		if (parked[slot].task)
			*frames = parked[slot].frames;
	}
}

/* __switch_to_asm loads next->thread.sp: its address names the task from here on. */
static void on_switch(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *data)
{
	struct cpu *cpu = &cpus[vcpu];

	(void)info;
	(void)data;
	switches++;
	swap_frames(cpu->task, &cpu->frames, true);
	cpu->task = vaddr;
	swap_frames(cpu->task, &cpu->frames, false);
	flip(vcpu, now(vcpu));
	if (profiling)
		walk_over(vcpu, vaddr);
}

static void on_space(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *data)
{
	(void)info;
	(void)data;
	settle(vcpu, now(vcpu));
	space_loads += cpus[vcpu].space != vaddr && vaddr != own_space;
	cpus[vcpu].space = vaddr;
}

static void on_rep(unsigned int vcpu, void *vaddr)
{
	struct cpu *cpu = &cpus[vcpu];

	if (cpu->rep == (uint64_t)vaddr && cpu->rep_at == now(vcpu)) {
		rep_steps += open_section;
		op_rep_steps += open_section && in_operation(cpu->context);
		if (profiling && open_section)
			walk_steps(vcpu);
		return;
	}
	cpu->rep = (uint64_t)vaddr;
	cpu->rep_at = ++*counter(vcpu);
}

/* copy_thread() stores thread.sp of a new task: children of the operation belong to it. Others may lie where one of them lay. */
static void on_birth(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *offset)
{
	(void)info;
	if ((uintptr_t)offset != sp_offset)
		return;
	births++;
	if (in_operation(class_of(&cpus[vcpu])))
		adopt(vaddr);
	else
		disown(vaddr);
}

#endif
