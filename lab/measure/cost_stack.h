/* SPDX-License-Identifier: GPL-2.0 */
/* Shadow stacks (profile=): which call path a virtual CPU is on. One stack a task, pushed and popped by the guest's own. */
#ifndef COST_STACK_H
#define COST_STACK_H

#include "cost_block.h"
#include "cost_context.h"

/*
 * A call pushes its return address and a return pops one: where in memory tells them apart, whatever happened in between. A
 * return from an address that a frame has drops all frames above it; one from an address no frame has (error_entry() moves its
 * own; retpolines; tasks that were inside a function when the profile began) is a jump. A jump into the middle of a function
 * that has a frame goes back to that (longjmp). Any other is a tail call: the new function takes the place of the old one. An
 * interrupt starts a path of its own, an exception goes on from where it came.
 */
enum frame_kind { CALLED, SYSTEM_CALL, INTERRUPTED };
enum pending { NOTHING, CALL, RETURN };
#define MAX_FRAMES 512
struct stack {
	uint64_t task;
	bool own;			/* runs the payload's program, as far as is known */
	unsigned int depth, boundary;	/* boundary: 1 + the first frame of the kernel's on top of user mode's, or 0 */
	uint32_t node, function;
	struct {
		uint64_t sp;
		uint32_t node, function;
		enum frame_kind kind;
		enum pending pending;	/* the call or return that an interrupt came after */
	} frames[MAX_FRAMES];
};

#define MAX_STACKS (1 << 14)
static struct stack *stacks[MAX_STACKS];
static size_t n_stacks;

static struct walker {
	struct stack *stack;
	struct block *block;
	uint64_t began;			/* the counter where it begins */
	uint32_t node, function;	/* function: the block's, before FOREIGN is put in its place */
	enum pending pending;		/* how the last block ended, and where its return address is */
	uint64_t sp;
	unsigned int width;		/* bytes a step of the last REP instruction moves */
} walkers[MAX_CPUS];

static struct stack *stack_of(uint64_t task)
{
	size_t slot = (task >> 6) % MAX_STACKS;

	while (stacks[slot] && stacks[slot]->task != task)
		slot = (slot + 1) % MAX_STACKS;
	if (!stacks[slot]) {
		if (n_stacks == MAX_STACKS - 1) {
			anomalies++;
			return stacks[(slot + 1) % MAX_STACKS];	/* paths get mixed up; no instruction is lost */
		}
		stacks[slot] = calloc(1, sizeof(**stacks));
		if (!stacks[slot])
			abort();
		stacks[slot]->task = task;
		n_stacks++;
	}
	return stacks[slot];
}

/* Be in the block's function, on the path `parent`. */
static void stand(struct walker *walker, uint32_t parent, const struct block *block)
{
	walker->function = block->function;
	walker->node = child(parent, block->user && !walker->stack->own ? FOREIGN : block->function);
	nodes[walker->node].calls += block->first && open_section;
}

static void push_frame(struct walker *walker, enum frame_kind kind)
{
	struct stack *stack = walker->stack;

	if (stack->depth == MAX_FRAMES)
		return;			/* its return finds no frame and is a jump */
	stack->frames[stack->depth].sp = walker->sp;
	stack->frames[stack->depth].pending = kind == INTERRUPTED ? walker->pending : NOTHING;
	stack->frames[stack->depth].node = walker->node;
	stack->frames[stack->depth].function = walker->function;
	stack->frames[stack->depth++].kind = kind;
	if (kind != CALLED && !stack->boundary)
		stack->boundary = stack->depth;
}

/* Go back to what frame number `depth` left. */
static void drop_to(struct walker *walker, unsigned int depth)
{
	struct stack *stack = walker->stack;

	stack->depth = depth;
	walker->node = stack->frames[depth].node;
	walker->function = stack->frames[depth].function;
	walker->pending = stack->frames[depth].pending;
	walker->sp = stack->frames[depth].sp;
	if (stack->boundary > depth)
		stack->boundary = 0;
}

/* To the frame whose return address it was; whether there is one. */
static bool return_from(struct walker *walker)
{
	struct stack *stack = walker->stack;

	for (unsigned int i = stack->depth; i-- > 0 && stack->frames[i].kind == CALLED;) {
		if (stack->frames[i].sp == walker->sp) {
			drop_to(walker, i);
			return true;
		}
	}
	return false;
}

/* Into the middle of another function: to the nearest frame that called from it, if any. */
static void jump_back(struct walker *walker, const struct block *to)
{
	struct stack *stack = walker->stack;

	if (to->first || to->function == walker->function)
		return;
	for (unsigned int i = stack->depth; i-- > 0 && stack->frames[i].kind == CALLED;)
		if (stack->frames[i].function == to->function)
			return drop_to(walker, i);
}

/* Where the block belongs that begins now. */
static void walk(unsigned int vcpu, const struct block *block)
{
	struct walker *walker = &walkers[vcpu];
	struct stack *stack;
	enum pending came;

	if (!walker->stack)		/* a vCPU that has not switched tasks since the walk began */
		walk_over(vcpu, cpus[vcpu].task);
	stack = walker->stack;
	settle(vcpu, now(vcpu));
	if (block->entry == BY_IRQ || block->entry == BY_EXCEPTION) {
		push_frame(walker, INTERRUPTED);
		walker->pending = NOTHING;
		return stand(walker, block->entry == BY_IRQ ? ROOT : walker->node, block);
	}
	if (stack->boundary && (block->user || block->entry == BY_SYSCALL))
		drop_to(walker, stack->boundary - 1);
	came = walker->pending;
	if (came == CALL)
		push_frame(walker, CALLED);
	else if (!block->entry && (came == NOTHING || !return_from(walker)))
		jump_back(walker, block);
	walker->pending = NOTHING;
	if (block->entry == BY_SYSCALL) {
		push_frame(walker, SYSTEM_CALL);
		came = CALL;
	} else if (block->entry == BY_FORK) {
		stack->depth = stack->boundary = 0;
		walker->node = ROOT;
	}
	if (block->entry == BY_FORK || block->entry == BY_EXEC)
		stack->own = false;
	if (came == CALL)
		stand(walker, walker->node, block);
	else if (walker->function != block->function || block->entry)
		stand(walker, nodes[walker->node].parent, block);
}

static void charge(unsigned int vcpu, uint64_t n)
{
	struct node *node;

	if (!walkers[vcpu].stack)
		walk_over(vcpu, cpus[vcpu].task);
	node = &nodes[walkers[vcpu].node];
	node->count[cpus[vcpu].context] += n;
	if (!n || !in_operation(cpus[vcpu].context))
		return;
	if (!node->lap)
		touched[n_touched++] = walkers[vcpu].node;
	node->lap += n;
	if (addresses)
		spread(walkers[vcpu].block, cpus[vcpu].base - n - walkers[vcpu].began, n, walkers[vcpu].stack->own);
}

static void on_enter(unsigned int vcpu, void *data)
{
	struct block *block = data;
	struct walker *walker = &walkers[vcpu];

	if (addresses) {
		settle(vcpu, now(vcpu));
		walker->began = now(vcpu);
	}
	walker->block = block;
	if (profiling && (walker->pending || block->entry || walker->function != block->function))
		walk(vcpu, block);
}

static void on_call(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *data)
{
	(void)data;
	if (!profiling || !qemu_plugin_mem_is_store(info))	/* the load of an indirect call's target */
		return;
	walkers[vcpu].pending = CALL;
	walkers[vcpu].sp = vaddr;
}

static void on_return(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *data)
{
	(void)info;
	(void)data;
	if (!profiling)
		return;
	walkers[vcpu].pending = RETURN;
	walkers[vcpu].sp = vaddr;
}

/* What was interrupted in the kernel goes on. */
static void walk_back(unsigned int vcpu)
{
	struct stack *stack = walkers[vcpu].stack;

	for (unsigned int i = stack->depth; i-- > 0;)
		if (stack->frames[i].kind == INTERRUPTED)
			return drop_to(&walkers[vcpu], i);
}

/* Another task goes on, on its own stack, in the middle of a block. */
static void walk_over(unsigned int vcpu, uint64_t task)
{
	struct walker *walker = &walkers[vcpu];

	if (walker->stack) {
		walker->stack->node = walker->node;
		walker->stack->function = walker->function;
	}
	walker->stack = stack_of(task);
	walker->node = walker->stack->node;
	walker->function = walker->stack->function;
	if (walker->node == ROOT && walker->block)
		stand(walker, ROOT, walker->block);
}

/* The task has shown by a mark that it runs the payload's program; the first one starts the walk. */
static void walk_own(unsigned int vcpu)
{
	struct walker *walker = &walkers[vcpu];

	if (!profiling)
		return;
	if (!walker->stack)
		walk_over(vcpu, cpus[vcpu].task);
	walker->stack->own = true;
	stand(walker, nodes[walker->node].parent, walker->block);
}

static void on_event(unsigned int vcpu, void *event)
{
	if (profiling && open_section)
		nodes[walkers[vcpu].node].event[(uintptr_t)event]++;
}

static void walk_steps(unsigned int vcpu)
{
	struct node *node = &nodes[walkers[vcpu].node];

	node->event[REP_STEPS]++;
	node->event[REP_BYTES] += walkers[vcpu].width;
}

static void on_width(unsigned int vcpu, void *width)
{
	walkers[vcpu].width = (uintptr_t)width;
}

#endif
