// SPDX-License-Identifier: GPL-2.0
/*
 * Counts every guest instruction executed between a payload's marks, by what the CPU was doing: a QEMU TCG plugin.
 *
 * Built for the QEMU that is there, -DLAB_API=1 (QEMU 7 and 8), 2 (9.0) or 3 (9.1 and later). No distribution ships the
 * header, so what is used of include/qemu/qemu-plugin.h is declared here.
 *
 * One inline add per executed instruction; everything else hangs on rare instructions, found by their address (symbols=,
 * written by cost.py) or their bytes: marks, interrupt and exception entries, iretq, handle_softirqs, and the load of the
 * next task's stack pointer, whose address names the task. API 1 can read no registers, and needs none for this.
 *
 * A REP string instruction counts once; its further steps are counted beside it. An instruction that faults counts again
 * when it restarts, once a fault, and faults are counted too.
 *
 * Output, flushed at the end of every section; a payload that dies leaves a section without its end:
 *	lab-cost 2
 *	section <ordinal>
 *	lap <task> <peer> <softirq> <rep> <beside> <faults> <idle>
 *	end <ordinal> laps <n> task <n> peer <n> ... anomalies <n> own-space <n> other-spaces <n> space-loads <n>
 *
 * With profile=, each instruction also counts for the function and the call path it is executed on (functions= names where
 * they lie); the counts above stay what they are. That file, also flushed at the end of every section:
 *	lab-profile 1
 *	section <ordinal>
 *	function <number> <address | foreign>
 *	node <number> <parent> <function> <calls> <instructions by context: 7> <events: 11>
 *	laps <n> <instructions each>
 *	in <node> <instructions>
 *	at <address | foreign> <instructions of the operation>
 *	end <ordinal> nodes <n>
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cost_cache.h"
#include "cost_fault.h"
#include "cost_places.h"

EXPORT int qemu_plugin_version = LAB_API;
EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv);

/* A mark is an eight-byte no-op whose displacement spells its code and "BAL": payloads/include/lab.h. */
static exec_cb mark_of(const unsigned char *code, size_t size)
{
	static const exec_cb marks[] = { NULL, start, stop, lap, join, forget };
	static const unsigned char head[] = { 0x0f, 0x1f, 0x84, 0x00 }, tail[] = { 0x42, 0x41, 0x4c };

	if (size != 8 || memcmp(code, head, 4) || memcmp(code + 5, tail, 3) || code[4] >= sizeof(marks) / sizeof(*marks))
		return NULL;
	return marks[code[4]];
}

/* rep/repe/repne with ins, outs, movs, cmps, stos, lods or scas */
static bool is_rep_string(const unsigned char *code, size_t size)
{
	bool rep = false;
	size_t i = 0;

	while (i < size && (strchr("\x66\x67\x2e\x36\x3e\x26\x64\x65\xf0\xf2\xf3", code[i]) && code[i]))
		rep |= (code[i++] & 0xfe) == 0xf2;
	if (i < size && (code[i] & 0xf0) == 0x40)
		i++;
	if (!rep || i + 1 != size)
		return false;
	return (code[i] >= 0x6c && code[i] <= 0x6f) || (code[i] >= 0xa4 && code[i] <= 0xa7) || (code[i] >= 0xaa && code[i] <= 0xaf);
}

static void watch(struct qemu_plugin_insn *insn, const unsigned char *code, size_t size)
{
	uint64_t vaddr = qemu_plugin_insn_vaddr(insn);
	bool rep = is_rep_string(code, size);
	exec_cb mark = mark_of(code, size);

	for (size_t i = 0; i < n_places; i++)
		if (vaddr >= places[i].first && vaddr < places[i].end)
			watch_place(insn, places[i].place, places[i].first, code, size);
	if (mark)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, NO_REGS, NULL);
	if (profile)
		watch_for_profile(insn, code, size, rep);
	if (rep) {
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_rep, NO_REGS, (void *)vaddr);
		return;
	}
#if LAB_API == 1
	qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD, &executed, 1);
#else
	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, INLINE_ADD, executed, 1);
#endif
}

/* profile=: a translated block is walked into where it begins, and again where it runs on into the next function. */
static void watch_block(struct qemu_plugin_tb *tb, struct qemu_plugin_insn *insn, size_t number, const unsigned char *code)
{
	static struct block *block;
	static uint32_t function;
	uint64_t vaddr = qemu_plugin_insn_vaddr(insn);

	if (!number || range_of(vaddr) != function) {
		function = range_of(vaddr);
		block = new_block(vaddr, number ? INSIDE : entry_at(vaddr, code));
		if (number)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_enter, NO_REGS, block);
		else
			qemu_plugin_register_vcpu_tb_exec_cb(tb, on_enter, NO_REGS, block);
	}
	if (addresses)
		add_spot(block, vaddr);
}

#if LAB_API == 1
/* One counter for all vCPUs (thread=single): what ran since another one took over is settled here. */
static void on_block(unsigned int vcpu, void *data)
{
	static unsigned int running;

	(void)data;
	if (vcpu == running)
		return;
	settle(running, executed);
	cpus[vcpu].base = executed;
	running = vcpu;
}
#endif

static void translate(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
#if LAB_API == 1
	if (n_cpus > 1)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, NO_REGS, NULL);
#endif
	watch_user_block(tb, n);
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		size_t size = qemu_plugin_insn_size(insn);
		unsigned char code[16] = { 0 };

		size = size < sizeof(code) ? size : sizeof(code);
#if LAB_API < 3
		memcpy(code, qemu_plugin_insn_data(insn), size);
#else
		qemu_plugin_insn_data(insn, code, size);
#endif
		if (profile)
			watch_block(tb, insn, i, code);
		if (i1.lines)
			watch_references(insn, i, size);
		watch(insn, code, size);
	}
}

int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
	int failed = 0;

	n_cpus = info->system.smp_vcpus;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "symbols=", 8))
			failed |= read_places(argv[i] + 8);
		else if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
		else if (!strncmp(argv[i], "functions=", 10))
			failed |= read_functions(argv[i] + 10);
		else if (!strncmp(argv[i], "profile=", 8))
			failed |= begin_profile(argv[i] + 8);
		else if (!strncmp(argv[i], "caches=", 7))
			failed |= make_caches(argv[i] + 7);
		else if (!strcmp(argv[i], "addresses=on"))
			addresses = true;
	}
	if (failed || !out || !n_places || !profile != !n_ranges || ((i1.lines || addresses) && !profile) || n_cpus > MAX_CPUS || !info->system_emulation) {
		fprintf(stderr, "cost plugin: needs symbols=FILE out=FILE [functions=FILE profile=FILE [caches=SHAPES addresses=on]], all usable, and at most %d vCPUs\n", MAX_CPUS);
		return -1;
	}
#if LAB_API > 1
	if (n_cpus > 1) {
		/* QEMU 10 takes the vCPU that translated a block for the one that runs it, unless each has a thread */
		fprintf(stderr, "cost plugin: several vCPUs can be counted by QEMU 7 and 8 only\n");
		return -1;
	}
	executed.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
#endif
	fprintf(out, "lab-cost 2\n");
	fflush(out);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	return 0;
}
