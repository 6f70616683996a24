/* SPDX-License-Identifier: GPL-2.0 */
/* profile=: which instructions are watched for it, and what is written at the end of every section. */
#ifndef COST_PROFILE_H
#define COST_PROFILE_H

#include <inttypes.h>
#include <stdio.h>

#include "cost_stack.h"

static FILE *profile;
static uint8_t *named;			/* functions that were written */
static size_t room_named;

/* The opcode behind prefixes; `*wide`: REX.W, `*half`: 0x66. */
static size_t skip_prefixes(const unsigned char *code, size_t size, bool *lock, bool *wide, bool *half)
{
	size_t i = 0;

	for (; i < size && code[i] && strchr("\x66\x67\x2e\x36\x3e\x26\x64\x65\xf0\xf2\xf3", code[i]); i++) {
		*lock |= code[i] == 0xf0;
		*half |= code[i] == 0x66;
	}
	if (i < size && (code[i] & 0xf0) == 0x40)
		*wide = code[i++] & 8;
	return i;
}

/* The opcode of an instruction, with what decides about it. */
struct opcode {
	unsigned int op, two, three, modrm;	/* two, three: the bytes behind 0x0f, or 0 */
	bool lock, wide, half;
};

static struct opcode opcode_of(const unsigned char *code, size_t size)
{
	struct opcode is = { 0 };
	size_t i = skip_prefixes(code, size, &is.lock, &is.wide, &is.half);

	is.op = code[i++];
	if (is.op == 0x0f)
		is.two = code[i++];
	if (is.two == 0x38)
		is.three = code[i++];
	is.modrm = code[i];
	return is;
}

/* What is counted beside the instruction itself; EVENTS: nothing. XCHG with memory locks by itself. */
static enum event event_of(const struct opcode *is)
{
	unsigned int reg = is->modrm >> 3 & 7;
	bool memory = is->modrm < 0xc0;

	if (is->op == 0xcf)
		return IRET;
	if (is->two == 0x32)
		return RDMSR;
	if (is->two == 0x30)
		return WRMSR;
	if (is->two == 0x22 && reg == 3)
		return WRCR3;
	if ((is->two == 0x01 && reg == 7 && memory) || (is->three == 0x82 && is->half))	/* INVLPG, INVPCID */
		return INVLPG;
	return is->lock || ((is->op == 0x86 || is->op == 0x87) && memory) ? LOCKED : EVENTS;
}

/* Calls, returns and the events of one instruction; `code` is zero-padded. */
static void watch_for_profile(struct qemu_plugin_insn *insn, const unsigned char *code, size_t size, bool rep)
{
	struct opcode is = opcode_of(code, size);
	enum event event = event_of(&is);

	if (is.op == 0xe8 || (is.op == 0xff && (is.modrm >> 3 & 7) == 2))
		qemu_plugin_register_vcpu_mem_cb(insn, on_call, NO_REGS, MEM_ANY, NULL);
	else if (is.op == 0xc2 || is.op == 0xc3)
		qemu_plugin_register_vcpu_mem_cb(insn, on_return, NO_REGS, MEM_ANY, NULL);
	if (event != EVENTS)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_event, NO_REGS, (void *)(uintptr_t)event);
	if (rep)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_width, NO_REGS,
						       (void *)(uintptr_t)(!(is.op & 1) ? 1 : is.wide ? 8 : is.half ? 2 : 4));
}

/* function <number> <address, or foreign> */
static void write_function(uint32_t function)
{
	if (function >= room_named) {
		size_t room = 2 * (n_ranges + n_strays) + 1;

		named = grown(named, room, 1);
		memset(named + room_named, 0, room - room_named);
		room_named = room;
	}
	if (named[function])
		return;
	named[function] = true;
	if (function == FOREIGN)
		fprintf(profile, "function %" PRIu32 " foreign\n", function);
	else
		fprintf(profile, "function %" PRIu32 " %" PRIx64 "\n", function,
			function < n_ranges ? ranges[function].first : strays[function - n_ranges - 1]);
}

/*
 * node <number> <parent> <function> <calls>, by context, by event; a parent comes before its children. Then the commonest kinds
 * of laps and that of the median: laps <how many> <instructions of each>, and in <node> <instructions of all of them>.
 */
static void write_profile(unsigned int section)
{
	bool *due = calloc(n_nodes, sizeof(*due));
	size_t written = 0;

	if (!due)
		abort();
	for (size_t i = n_nodes; i-- > 1;) {
		for (int j = 0; j < CONTEXTS; j++)
			due[i] |= nodes[i].count[j] != 0;
		due[nodes[i].parent] |= due[i];
	}
	fprintf(profile, "section %u\n", section);
	for (size_t i = 1; i < n_nodes; i++) {
		if (!due[i])
			continue;
		write_function(nodes[i].function);
		fprintf(profile, "node %zu %" PRIu32 " %" PRIu32 " %" PRIu64, i, nodes[i].parent, nodes[i].function, nodes[i].calls);
		for (int j = 0; j < CONTEXTS; j++)
			fprintf(profile, " %" PRIu64, nodes[i].count[j]);
		for (int j = 0; j < EVENTS; j++)
			fprintf(profile, " %" PRIu64, nodes[i].event[j]);
		fputc('\n', profile);
		written++;
	}
	qsort(kinds, n_kinds, sizeof(*kinds), by_laps);
	for (const struct kind *kind = kinds; kind < kinds + n_kinds; kind++) {
		if (kind >= kinds + SHOWN_KINDS && !holds_median(kind))
			continue;
		fprintf(profile, "laps %" PRIu64 " %" PRIu64 "\n", kind->laps, kind->work);
		for (size_t i = 1; i < n_nodes && i < kind->room; i++)
			if (kind->count[i])
				fprintf(profile, "in %zu %" PRIu64 "\n", i, kind->count[i]);
	}
	if (addresses)
		write_spots(profile);
	fprintf(profile, "end %u nodes %zu\n", section, written);
	fflush(profile);
	free(due);
}

static void forget_counts(void)
{
	forget_lap();
	forget_spots();
	n_kinds = 0;
	for (size_t i = 0; i < n_nodes; i++) {
		nodes[i].calls = 0;
		memset(nodes[i].count, 0, sizeof(nodes[i].count));
		memset(nodes[i].event, 0, sizeof(nodes[i].event));
	}
}

/* functions=: lines of first address, address after the last byte, and what nobody reads here; ascending and apart. */
static int read_functions(const char *path)
{
	size_t room = 0;
	uint64_t first, end;
	FILE *file = fopen(path, "r");

	if (!file)
		return -1;
	while (fscanf(file, "%" SCNx64 " %" SCNx64 "%*[^\n]", &first, &end) == 2) {
		if (n_ranges == room) {
			room = room ? 2 * room : 1 << 16;
			ranges = grown(ranges, room, sizeof(*ranges));
		}
		if (first >= end || (n_ranges && first < ranges[n_ranges - 1].end)) {
			n_ranges = 0;
			break;
		}
		ranges[n_ranges].first = first;
		ranges[n_ranges++].end = end;
	}
	fclose(file);
	return n_ranges ? 0 : -1;
}

static int begin_profile(const char *path)
{
	profile = fopen(path, "w");
	if (!profile)
		return -1;
	fprintf(profile, "lab-profile 1\n");
	fflush(profile);
	child(ROOT, FOREIGN);		/* the root itself */
	return 0;
}

#endif
