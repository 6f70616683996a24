/* SPDX-License-Identifier: GPL-2.0 */
/* Runs of user instructions, which tell whether a page fault makes one run, and count, twice: on_exception(). */
#ifndef COST_FAULT_H
#define COST_FAULT_H

#include "cost_section.h"

#define PAGE 4096
#define LONGEST 15	/* bytes of an instruction */

/*
 * An instruction that faults has been counted and will be again. One whose own page is missing has not: it is the one behind a
 * complete block, and then what runs after the fault is another one than the last that ran. Steps of REP move no counter.
 */
static void on_exception(unsigned int vcpu, void *fault)
{
	struct cpu *cpu = &cpus[vcpu];
	const struct user_block *block = fault ? cpu->block : NULL;
	uint64_t ran = block ? now(vcpu) - cpu->entered : 0;

	if (block && (ran == block->n || !ran))
		cpu->frames.suspect = block->last;
	else if (block && ran + 1 == block->n && block->before)
		cpu->frames.suspect = block->before;
	else
		faults += !!fault;
	push(vcpu, EXCEPTION);
}

static void on_user_block(unsigned int vcpu, void *data)
{
	struct cpu *cpu = &cpus[vcpu];

	cpu->block = data;
	cpu->entered = now(vcpu);
	faults += cpu->frames.suspect == cpu->block->first;
	cpu->frames.suspect = 0;
}

static uint64_t address_of(const struct qemu_plugin_tb *tb, size_t i)
{
	return qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, i));
}

/*
 * Never freed: translated code keeps it. QEMU 7 and 8 also show an instruction that they took out of the block again because it
 * lies on two pages (advance_pc() in target/i386/tcg/translate.c).
 */
static void watch_user_block(struct qemu_plugin_tb *tb, size_t n)
{
	struct user_block *block;

	if (address_of(tb, 0) >= USER_END)
		return;
	block = grown(NULL, 1, sizeof(*block));
	block->first = address_of(tb, 0);
	block->last = address_of(tb, n - 1);
	block->before = n > 1 && block->last % PAGE + LONGEST > PAGE ? address_of(tb, n - 2) : 0;
	block->n = n;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_user_block, NO_REGS, block);
}

#endif
