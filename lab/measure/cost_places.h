/* SPDX-License-Identifier: GPL-2.0 */
/* Where the kernel changes what it is doing (symbols=), and what is watched there. */
#ifndef COST_PLACES_H
#define COST_PLACES_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cost_fault.h"

enum place { IRQ, STUBS, EXCEPTION_ENTRY, FAULT, TO_USER, ENTRY_TEXT, SWITCH, SOFTIRQS, IDLE_LOOP, SYSCALL, FORKED, BIRTH, SPACE, EXEC, THUNK, PLACES };
static const char *const place_names[PLACES] = {
	"irq", "stubs", "exception", "fault", "touser", "entry", "switch", "softirqs", "idle", "syscall", "forked", "birth", "space", "exec", "thunk",
};

static struct { enum place place; uint64_t first, end; } places[128];
static size_t n_places;

static bool returns_by_thunk(const unsigned char *code, size_t size, uint64_t vaddr)
{
	int32_t offset;

	if (size != 5 || code[0] != 0xe9)
		return false;
	memcpy(&offset, code + 1, 4);
	for (size_t i = 0; i < n_places; i++)
		if (places[i].place == THUNK && places[i].first == vaddr + 5 + offset)
			return true;
	return false;
}

static bool is_stub(uint64_t vaddr, const unsigned char *code)
{
	return vaddr % 8 == 0 && (code[0] == 0x6a || code[0] == 0x68 || code[0] == 0xf3);
}

static void watch_place(struct qemu_plugin_insn *insn, enum place place, uint64_t first, const unsigned char *code, size_t size)
{
	uint64_t vaddr = qemu_plugin_insn_vaddr(insn);
	bool entry = vaddr == first;
	exec_cb cb = NULL;
	uint32_t offset;

	switch (place) {
	case IRQ:
		cb = entry ? on_irq : NULL;
		break;
	case STUBS:		/* a table of stubs, 8 or, with ENDBR, 16 bytes apart */
		cb = is_stub(vaddr, code) ? on_irq : NULL;
		break;
	case FAULT:
	case EXCEPTION_ENTRY:
		cb = entry ? on_exception : NULL;
		break;
	case TO_USER:
		cb = entry ? on_to_user : NULL;
		break;
	case ENTRY_TEXT:
		if (size == 2 && !memcmp(code, "\x48\xcf", 2))	/* iretq */
			cb = on_iret;
		else if (size == 3 && !memcmp(code, "\x48\x0f\x07", 3))	/* sysretq */
			cb = on_leave;
		break;
	case SWITCH:		/* mov disp32(%rsi),%rsp */
		if (size != 7 || memcmp(code, "\x48\x8b\xa6", 3))
			break;
		memcpy(&sp_offset, code + 3, sizeof(sp_offset));
		qemu_plugin_register_vcpu_mem_cb(insn, on_switch, NO_REGS, MEM_ANY, NULL);
		break;
	case BIRTH:		/* mov %reg,disp32(%reg) */
		if (size < 7 || (code[0] & 0xf8) != 0x48 || code[1] != 0x89 || code[2] >> 6 != 2)
			break;
		memcpy(&offset, code + size - sizeof(offset), sizeof(offset));
		qemu_plugin_register_vcpu_mem_cb(insn, on_birth, NO_REGS, MEM_ANY, (void *)(uintptr_t)offset);
		break;
	case SPACE:
		if (enters_mask(code, size))
			qemu_plugin_register_vcpu_mem_cb(insn, on_space, NO_REGS, MEM_ANY, NULL);
		break;
	case SOFTIRQS:
		if (entry)
			cb = on_softirqs;
		else if (code[0] == 0xc3 || returns_by_thunk(code, size, vaddr))
			cb = on_softirqs_return;
		break;
	case IDLE_LOOP:
		cb = entry ? on_idle : NULL;
		break;
	case SYSCALL:
	case FORKED:
		cb = entry ? on_syscall : NULL;
		break;
	case EXEC:
	case THUNK:
	case PLACES:
		break;
	}
	if (cb)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, cb, NO_REGS, place == FAULT || place == FORKED ? insn : NULL);
}

/* What enters the kernel, or a new program, at this very instruction. */
static enum entry entry_at(uint64_t vaddr, const unsigned char *code)
{
	static const enum entry entries[PLACES] = {
		[IRQ] = BY_IRQ, [EXCEPTION_ENTRY] = BY_EXCEPTION, [FAULT] = BY_EXCEPTION, [SYSCALL] = BY_SYSCALL,
		[FORKED] = BY_FORK, [EXEC] = BY_EXEC,
	};

	for (size_t i = 0; i < n_places; i++) {
		if (places[i].place == STUBS && vaddr >= places[i].first && vaddr < places[i].end && is_stub(vaddr, code))
			return BY_IRQ;
		if (vaddr == places[i].first && entries[places[i].place])
			return entries[places[i].place];
	}
	return INSIDE;
}

/* symbols=: lines of place, first address, address after the last byte. */
static int read_places(const char *path)
{
	uint64_t first, end;
	char name[16];
	FILE *file = fopen(path, "r");

	if (!file)
		return -1;
	while (fscanf(file, "%15s %" SCNx64 " %" SCNx64, name, &first, &end) == 3) {
		for (size_t i = 0; i < PLACES; i++) {
			if (strcmp(name, place_names[i]) || n_places == sizeof(places) / sizeof(*places))
				continue;
			places[n_places].place = i;
			places[n_places].first = first;
			places[n_places++].end = end;
		}
	}
	fclose(file);
	return n_places ? 0 : -1;
}

#endif
