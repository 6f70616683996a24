/* SPDX-License-Identifier: GPL-2.0 */
/*
 * caches=: a model of three caches, which says how many lines the operation would miss. Set-associative, least recently used
 * first out, inclusive of nothing; a line that is written is fetched first; no prefetch, no TLB; one set of caches for all vCPUs.
 * Every line that an instruction or its data lies on is one reference. What misses I1 or D1 is looked up in LL.
 *
 * Data goes by its physical address, code by its virtual one: all tasks see one kernel, and a payload's processes one program.
 */
#ifndef COST_CACHE_H
#define COST_CACHE_H

#include <stdio.h>
#include <string.h>

#include "cost_stack.h"

static struct cache {
	unsigned int size, ways, line, bits;
	uint64_t sets, *lines;			/* of each set, the most recent first; 0: none */
} i1, d1, ll;

#define CODE (1ull << 60)			/* above every line's number */
#define DATA (1ull << 61)

/* Whether the cache holds a line; from now on it does. */
static bool holds(struct cache *cache, uint64_t kind, uint64_t address)
{
	uint64_t number = address >> cache->bits, tag = kind | number, *set = cache->lines + (number & (cache->sets - 1)) * cache->ways;
	unsigned int way = 0;

	while (way < cache->ways - 1 && set[way] != tag)
		way++;
	if (set[way] == tag && !way)
		return true;
	bool hit = set[way] == tag;

	memmove(set + 1, set, way * sizeof(*set));
	set[0] = tag;
	return hit;
}

static void refer(unsigned int vcpu, struct cache *first, uint64_t kind, enum event event, uint64_t address)
{
	uint64_t *happened = nodes[walkers[vcpu].node].event;
	bool missed = !holds(first, kind, address), everywhere = missed && !holds(&ll, kind, address);

	if (!open_section || !in_operation(cpus[vcpu].context))
		return;
	happened[event] += missed;
	happened[LL_MISSES] += everywhere;
}

static void on_fetch(unsigned int vcpu, void *vaddr)
{
	if (profiling)
		refer(vcpu, &i1, CODE, I1_MISSES, (uint64_t)vaddr);
}

static void on_data(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *data)
{
	struct qemu_plugin_hwaddr *place;
	uint64_t first, last;

	(void)data;
	if (!profiling)
		return;
	place = qemu_plugin_get_hwaddr(info, vaddr);
	if (!place || qemu_plugin_hwaddr_is_io(place))	/* devices are not cached */
		return;
	first = qemu_plugin_hwaddr_phys_addr(place);
	last = first + (1u << qemu_plugin_mem_size_shift(info)) - 1;
	refer(vcpu, &d1, DATA, D1_MISSES, first);
	if (first >> d1.bits != last >> d1.bits)
		refer(vcpu, &d1, DATA, D1_MISSES, last);
}

/* In a translated block each line is fetched once in a row, where its first instruction is; `number`: the instruction's. */
static void watch_references(struct qemu_plugin_insn *insn, size_t number, size_t size)
{
	static uint64_t fetched;
	uint64_t vaddr = qemu_plugin_insn_vaddr(insn), last = vaddr + size - 1;

	if (!number || vaddr >> i1.bits != fetched)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_fetch, NO_REGS, (void *)vaddr);
	if (vaddr >> i1.bits != last >> i1.bits)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_fetch, NO_REGS, (void *)last);
	fetched = last >> i1.bits;
	qemu_plugin_register_vcpu_mem_cb(insn, on_data, NO_REGS, MEM_ANY, NULL);
}

static bool is_power(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* Bytes, ways and bytes of a line, each of I1, D1 and LL. */
static int make_caches(const char *words)
{
	struct cache *caches[] = { &i1, &d1, &ll };
	int end = -1;

	if (sscanf(words, "%u:%u:%u:%u:%u:%u:%u:%u:%u%n", &i1.size, &i1.ways, &i1.line, &d1.size, &d1.ways, &d1.line,
		   &ll.size, &ll.ways, &ll.line, &end) != 9 || words[end])
		return -1;
	for (size_t i = 0; i < sizeof(caches) / sizeof(*caches); i++) {
		struct cache *cache = caches[i];

		if (!is_power(cache->line) || !cache->ways || cache->size % (cache->ways * cache->line))
			return -1;
		cache->sets = cache->size / (cache->ways * cache->line);
		if (!is_power(cache->sets))
			return -1;
		cache->bits = __builtin_ctz(cache->line);
		cache->lines = calloc(cache->sets * cache->ways, sizeof(*cache->lines));
		if (!cache->lines)
			abort();
	}
	return 0;
}

#endif
