/* SPDX-License-Identifier: GPL-2.0 */
/* Runs of user instructions, which tell whether a page fault makes one run, and count, twice: on_exception(). */
#ifndef COST_FAULT_H
#define COST_FAULT_H

#include "cost_section.h"

static void on_user_block(unsigned int vcpu, void *data)
{
	struct cpu *cpu = &cpus[vcpu];

	cpu->block = data;
	cpu->entered = now(vcpu);
	faults += cpu->frames.suspect == cpu->block->first;
	cpu->frames.suspect = 0;
}

/* Never freed: translated code keeps it. */
static void watch_user_block(struct qemu_plugin_tb *tb, size_t n)
{
	struct user_block *block;
	uint64_t first = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));

	if (first >= USER_END)
		return;
	block = grown(NULL, 1, sizeof(*block));
	block->first = first;
	block->last = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, n - 1));
	block->n = n;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_user_block, NO_REGS, block);
}

#endif
